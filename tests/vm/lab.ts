/** What the lab says while it works: each step in a line with its time, and a summary. */
import { ScriptError } from "../../scripts/shell.ts";

/** Something that the product or the guest should have done, and did not. */
export class Deviation extends ScriptError {}

/** How a situation ended: `null` is as expected. */
interface End {
  readonly title: string;
  readonly failure: string | null;
  readonly tookMs: number;
}

/** A run of the lab. */
export interface Lab {
  /** Does one thing, and prints a line when it is done: what, for how long, and what was seen. */
  step<T>(what: string, act: () => Promise<T>, seen?: (value: T) => string): Promise<T>;
  /** Prints something that is neither right nor wrong: what this machine cannot do. */
  note(text: string): void;
  /** Runs steps that belong together; a failure ends them, and not the run. */
  situation(title: string, act: () => Promise<void>): Promise<boolean>;
  /** Prints what became of each situation; returns the exit code. */
  conclude(): number;
}

/** Starts a run. */
export function startLab(print: (line: string) => void): Lab {
  const started = performance.now();
  const ends: End[] = [];
  const line = (tookMs: number | null, text: string) =>
    print(
      `${seconds(performance.now() - started)} ${
        tookMs === null ? " ".repeat(11) : `(${seconds(tookMs)})`
      }  ${text}`,
    );
  return {
    async step(what, act, seen) {
      const begun = performance.now();
      try {
        const value = await act();
        const detail = seen?.(value) ?? "";
        line(performance.now() - begun, `${what}${detail === "" ? "" : `: ${detail}`}`);
        return value;
      } catch (error) {
        if (!(error instanceof ScriptError)) throw error;
        line(performance.now() - begun, `${what}: FAILED: ${error.message}`);
        throw error;
      }
    },
    note: (text) => line(null, `note: ${text}`),
    async situation(title, act) {
      const begun = performance.now();
      let failure: string | null = null;
      print(`== ${title}`);
      try {
        await act();
      } catch (error) {
        if (!(error instanceof ScriptError)) throw error;
        failure = error.message;
      }
      ends.push({ title, failure, tookMs: performance.now() - begun });
      return failure === null;
    },
    conclude() {
      print("== Summary");
      for (const { title, failure, tookMs } of ends) {
        print(`${seconds(tookMs)}  ${failure === null ? "as expected" : "FAILED     "}  ${title}`);
        if (failure !== null) print(failure.replace(/^/gm, "             "));
      }
      const failed = ends.filter(({ failure }) => failure !== null).length;
      print(
        `${ends.length - failed} passed, ${failed} failed in ${
          seconds(performance.now() - started).trim()
        }`,
      );
      return failed === 0 ? 0 : 1;
    },
  };
}

/** Fails with a sentence, where something is not so. */
export function expect(isSo: boolean, otherwise: string): asserts isSo {
  if (!isSo) throw new Deviation(otherwise);
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`.padStart(8);
}
