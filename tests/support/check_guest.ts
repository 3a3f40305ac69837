/**
 * Findings of `check` on real servers: each is provoked, seen, ended by the very command that it
 * prints, and seen no more.
 */
import assert from "node:assert/strict";
import { CATALOGUE, entryOf, type FindingCode } from "../../lib/check/catalogue.ts";
import type { Finding } from "../../lib/check/finding.ts";
import type { Sandbox, SandboxResult } from "./sandbox.ts";
import { until } from "./guest.ts";
import type { Connection, Flavor, Server } from "./server.ts";

/** How long a server may take to be what a remedy has made it. */
const SETTLE_MS = 10_000;

/** What `check --json` prints, as far as tests look at it. */
export interface Report {
  readonly schema_version: number;
  readonly now: string;
  readonly took_ms: number;
  readonly exit_code: number;
  readonly findings: readonly Finding[];
  readonly instances: readonly {
    readonly name: string;
    readonly server: {
      readonly label: string;
      readonly method: string;
      readonly non_transactional_tables: number;
      readonly data_directories: readonly {
        readonly path: string;
        readonly mount_point: string | null;
        readonly device: string | null;
      }[];
    } | null;
  }[];
}

/** A guest with a server to be checked. */
export interface Scene {
  readonly flavor: Flavor;
  readonly server: Server;
  readonly sandbox: Sandbox;
  /** The server's root, from outside of the guest. */
  readonly admin: Connection;
  /** What is found while nothing is wrong. */
  readonly before: Report;
}

/** One way to get one finding. */
export interface CheckCase {
  readonly code: FindingCode;
  /** What is wrong. */
  readonly name: string;
  /** Where it can be; default: on both. */
  readonly flavors?: readonly Flavor[];
  /** Needs a server of its own, in this folder, with these arguments. */
  readonly args?: (dir: string) => readonly string[];
  /** Makes it wrong. Returns how to end it, for where the remedy does not. */
  readonly given: (scene: Scene) => Promise<(() => Promise<unknown>) | void>;
  /** What comes before the program in its call. */
  readonly through?: readonly string[];
  /** What the remedy ends with; `none`: there is no remedy. */
  readonly remedy: "none" | number;
  /** What the remedy must say, where the finding's being gone does not show it. */
  readonly says?: RegExp;
  /** Whether it is there without anybody's doing. */
  readonly isUsual?: true;
}

/** What `check --json` finds. */
export async function checkIn(sandbox: Sandbox, through: readonly string[] = []): Promise<Report> {
  return reportOf(await sandbox.run([...through, sandbox.binary, "check", "--json"]));
}

/** The report in an output, whose exit code must be its own. */
export function reportOf({ code, stdout, stderr }: SandboxResult): Report {
  assert.equal(stderr, "");
  const report: Report = JSON.parse(stdout);
  const [error] = report.findings.filter(({ severity }) => severity === "error");
  const expected = error === undefined ? 0 : entryOf(error.code).exit;
  assert.deepEqual([code, report.exit_code], [expected, expected]);
  return report;
}

/** The findings of one code. */
export function findingsOf(report: Report, code: FindingCode): Finding[] {
  return report.findings.filter((one) => one.code === code);
}

/** Codes, for messages. */
export function codesOf(report: Report): string {
  return report.findings.map(({ code, title }) => `${code}: ${title}`).join("\n");
}

/**
 * Provokes the finding, ends it, and looks for it each time.
 * @param ordinary a guest with an ordinary server, where a finding of a server's start is not
 */
export async function assertProvoked(
  scene: Scene,
  one: CheckCase,
  ordinary: Sandbox = scene.sandbox,
): Promise<void> {
  const { sandbox } = scene;
  if (one.isUsual === undefined && one.args === undefined) {
    assert.deepEqual(findingsOf(scene.before, one.code), [], "it is not there before");
  }
  let end = await one.given(scene) ?? null;
  const ended = async () => {
    await end?.();
    end = null;
  };
  try {
    const report = await checkIn(sandbox, one.through);
    const [found] = findingsOf(report, one.code);
    assert.ok(found !== undefined, `${one.code} is not among\n${codesOf(report)}`);
    assertWellFormed(found);
    if (one.remedy === "none") {
      assert.equal(found.remedy, null);
      await ended();
    } else {
      assert.ok(found.remedy !== null, found.title);
      assert.match(found.remedy, one.says ?? /./);
      const cured = await sandbox.sh(found.remedy);
      assert.equal(cured.code, one.remedy, `${found.remedy}\n${cured.stdout}${cured.stderr}`);
    }
    const where = one.args === undefined ? sandbox : ordinary;
    // A node or a replica is not back at once.
    await until(
      `${found.title} is gone after ${found.remedy}`,
      SETTLE_MS,
      async () => findingsOf(await checkIn(where), one.code).length === 0,
    );
  } finally {
    await ended();
    await sandbox.sh("rm -rf /root/.my.cnf");
  }
}

/** One line, of a known code, with its severity. */
export function assertWellFormed({ code, severity, title, remedy }: Finding): void {
  assert.equal(severity, CATALOGUE[code].severity);
  assert.match(title, /^\S.*[^.\s]$/u, "one line without a full stop");
  assert.ok(remedy === null || !remedy.includes("\n"), "one line to copy");
}
