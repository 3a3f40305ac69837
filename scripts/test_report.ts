/** What one `deno test` said, and what a person wants to know of all of them. Pure. */

/** How a run of one or several test files ended. */
export interface TestEnd {
  /** The files, by one name. */
  readonly name: string;
  readonly exitCode: number;
  /** Whether it was ended because it took too long. */
  readonly isTimedOut: boolean;
  readonly tookMs: number;
  /** All it printed. */
  readonly output: string;
  /** What it wrote to `--junit-path`; empty where it came to no end. */
  readonly junit: string;
}

/** Numbers of tests. */
export interface Counts {
  readonly passed: number;
  readonly steps: number;
  readonly failed: number;
  readonly skipped: number;
}

/** One test, as JUnit has it. */
interface TestCase {
  readonly file: string;
  readonly name: string;
  readonly ms: number;
  readonly isSkipped: boolean;
}

/** How many of the slowest tests are named. */
const SLOWEST = 10;

/** ok | 4 passed (2 steps) | 1 failed (1 step) | 1 ignored (1 step) | 3 filtered out (193ms) */
const SUMMARY = /^(?:ok|FAILED) \| (\d+) passed(?: \((\d+) steps?\))? \| (\d+) failed(.*)$/gm;

/**
 * What a run's last line counts. A run that fails without a failed test counts as one: a module
 * that does not load, a leak between tests, an end that came too late.
 */
export function countsOf({ output, exitCode }: TestEnd): Counts {
  const last = [...output.matchAll(SUMMARY)].at(-1);
  const [, passed = "0", steps = "0", failed = "0", rest = ""] = last ?? [];
  const skipped = /\| (\d+) ignored/.exec(rest)?.[1] ?? "0";
  return {
    passed: Number(passed),
    steps: Number(steps),
    failed: exitCode !== 0 ? Math.max(1, Number(failed)) : Number(failed),
    skipped: Number(skipped),
  };
}

/** Sums. */
export function totalOf(counts: readonly Counts[]): Counts {
  const sum = (of: (one: Counts) => number) => counts.reduce((total, one) => total + of(one), 0);
  return {
    passed: sum(({ passed }) => passed),
    steps: sum(({ steps }) => steps),
    failed: sum(({ failed }) => failed),
    skipped: sum(({ skipped }) => skipped),
  };
}

/** What a failed run said of its failures; all of it where it came to no end. */
export function failureText({ output }: TestEnd): string {
  const errors = output.indexOf("\n ERRORS \n");
  return errors < 0 ? output : output.slice(errors + 1);
}

/** The line that says where a run is. */
export function progressLine(end: TestEnd, done: number, all: number): string {
  const { passed, failed, skipped } = countsOf(end);
  return [
    `[${String(done).padStart(String(all).length)}/${all}]`,
    failed === 0 ? "ok    " : "FAILED",
    end.name.padEnd(46),
    `${passed} passed`.padStart(11),
    ...(failed === 0 ? [] : [`${failed} failed`]),
    ...(skipped === 0 ? [] : [`${skipped} skipped`]),
    `${(end.tookMs / 1_000).toFixed(1)} s`.padStart(8),
  ].join(" ");
}

/**
 * The end of a run: the slowest, what was skipped and what failed, and at last the counts in the
 * form that Deno itself has, which scripts read.
 */
export function finalText(ends: readonly TestEnd[], tookMs: number): string {
  const tests = ends.flatMap(({ name, junit }) =>
    testCases(junit).map((one) => ({
      ...one,
      // JUnit names the file that called Deno.test: the support's, where a test is made there.
      file: name.endsWith(".ts") ? name : one.file,
    }))
  );
  const slowest = tests.filter(({ ms }) => ms > 0).sort((a, b) => b.ms - a.ms).slice(0, SLOWEST);
  const skipped = tests.filter(({ isSkipped }) => isSkipped);
  const failed = ends.filter((end) => countsOf(end).failed > 0);
  const total = totalOf(ends.map(countsOf));
  const section = (title: string, lines: readonly string[]) =>
    lines.length === 0 ? [] : ["", `${title}:`, ...lines.map((line) => `  ${line}`)];
  return [
    ...section(
      "Slowest",
      slowest.map(({ ms, file, name }) =>
        `${(ms / 1_000).toFixed(1).padStart(6)} s  ${file}: ${name}`
      ),
    ),
    ...section("Skipped", skipped.map(({ file, name }) => `${file}: ${name}`)),
    ...section("Failed", failed.map(failureLine)),
    "",
    [
      total.failed === 0 ? "ok" : "FAILED",
      `${total.passed} passed (${total.steps} steps)`,
      `${total.failed} failed`,
      ...(total.skipped === 0 ? [] : [`${total.skipped} ignored`]),
    ].join(" | ") + ` (${timeText(tookMs)})`,
  ].join("\n");
}

function failureLine(end: TestEnd): string {
  const why = end.isTimedOut
    ? "it did not end in time"
    : [...end.output.matchAll(SUMMARY)].length === 0
    ? `it came to no end, exit code ${end.exitCode}`
    : `${countsOf(end).failed} failed`;
  return `${end.name}: ${why}`;
}

function timeText(ms: number): string {
  const seconds = Math.round(ms / 1_000);
  return seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m${seconds % 60}s`;
}

/** The tests of a JUnit file, without their steps: those are named `test > step` and come after. */
function testCases(junit: string): TestCase[] {
  const found: TestCase[] = [];
  const tests = new Set<string>();
  const pattern =
    /<testcase name="([^"]*)" classname="([^"]*)" time="([^"]*)"[^>]*>([^]*?)<\/testcase>/g;
  for (const [, name = "", file = "", time = "", inside = ""] of junit.matchAll(pattern)) {
    const isStep = [...name.matchAll(/ &gt; /g)].some(({ index }) =>
      tests.has(name.slice(0, index))
    );
    // Not by its file: a test that the support makes has that for its file, and its steps their own.
    tests.add(name);
    if (isStep) continue;
    found.push({
      file: plain(file).replace(/^\.\//, ""),
      name: plain(name),
      ms: Number(time) * 1_000,
      isSkipped: inside.includes("<skipped/>"),
    });
  }
  return found;
}

function plain(xml: string): string {
  return xml.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&quot;", '"')
    .replaceAll("&apos;", "'").replaceAll("&amp;", "&");
}
