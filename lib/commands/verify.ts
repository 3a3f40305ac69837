/**
 * verify: whether an image is what its record promises. Not attended by another process (`attended.ts`):
 * a look at every table has no limit that would fit, shows how far it is, and ends at Ctrl-C; and no
 * hook and no snapshot waits for it.
 */
import { systemClock } from "../base/clock.ts";
import { parentOf, RECORD_FILE, STATE_DIR } from "../base/paths.ts";
import { plainJson } from "../base/plain_text.ts";
import { complain, complainOf, sayAll } from "../base/print.ts";
import { privacyNow, STATE_DIRECTORY } from "../base/private_directory.ts";
import { EXIT, type ExitCode, isRefusal } from "../base/refusal.ts";
import { textOf } from "../base/styled.ts";
import type { Connection } from "../options/connection.ts";
import { readGuestSettings } from "../options/read_settings.ts";
import type { Settings } from "../options/settings.ts";
import type { Level } from "../verify/facts.ts";
import { datadirAt, recordBeside } from "../verify/read_datadir.ts";
import { readRecord, readSource } from "../verify/read_image.ts";
import { recordFindings } from "../verify/record_findings.ts";
import {
  commandLines,
  verdictOfReport,
  type VerifiedInstance,
  verifyJson,
  type VerifyReport,
  verifyText,
} from "../verify/report.ts";
import { sourceVerdict } from "../verify/source_findings.ts";
import { found, VERDICT_EXIT, type VerifyFinding } from "../verify/verdict.ts";
import { verifyInstance } from "../verify/verify_instance.ts";
import type { InstanceRecord, WindowRecord } from "../window/record.ts";
import { progressLine } from "./progress.ts";
import { localTime, terminalPaint } from "./terminal.ts";

/** How it is asked for. */
export interface VerifyOptions {
  readonly level: Level;
  readonly asJson: boolean;
  /** Print how to go on, and nothing else. */
  readonly commandsOnly: boolean;
  /** What `--verdict` names: a file, or `-`; null without it. */
  readonly verdictFile: string | null;
  /** The data directory of an image; null: that of the server. */
  readonly datadir: string | null;
}

/** Prints what an image is worth. */
export async function verify(options: VerifyOptions): Promise<ExitCode> {
  Deno.permissions.revokeSync({ name: "run" }); // starts no program
  const untrusted = privacyNow(STATE_DIRECTORY);
  if (isRefusal(untrusted)) return await complainOf(untrusted);
  const began = systemClock.now();
  const datadir = options.datadir === null ? null : await datadirAt(options.datadir);
  if (isRefusal(datadir)) return await complainOf(datadir);
  const recordPath = datadir === null ? RECORD_FILE : recordPathFor(datadir);
  const read = recordFindings(await readRecord(recordPath), recordPath);
  const { record } = read;
  if (options.commandsOnly) return await printCommands(record, read.findings.at(0)?.title ?? "");
  const guest = readGuestSettings();
  if (isRefusal(guest)) return await complainOf(guest);
  const text = options.verdictFile === null ? null : await readSource(options.verdictFile);
  if (isRefusal(text)) return await complainOf(text);
  const source = record === null ? null : sourceVerdict(text, record);
  const chosen = chosenInstances(record, datadir);
  const report = {
    began,
    level: options.level,
    datadir,
    recordPath,
    record,
    source: source?.record ?? null,
    findings: [...read.findings, ...source?.findings ?? [], ...chosen.findings],
  };
  const instances = record === null ? [] : await withInterrupt(async (signal) => {
    const verified: VerifiedInstance[] = [];
    for (const recorded of chosen.instances) {
      verified.push(
        await verifyInstance({
          record,
          recorded,
          connection: connectionOf(recorded, record, guest.settings),
          datadir,
          level: options.level,
          isHoldProven: source?.record?.verdict === "application-consistent",
          signal,
          progress: progressLine,
        }),
      );
    }
    return verified;
  });
  return await printReport({ ...report, ended: systemClock.now(), instances }, options.asJson);
}

/** Of a mounted image the record beside its data directory, and never this guest's own. */
function recordPathFor(datadir: string): string {
  return datadir.startsWith(`${STATE_DIR}/`) ? recordBeside(datadir) : RECORD_FILE;
}

/** Which of the recorded servers a data directory is of: by its name, if there are several. */
function chosenInstances(
  record: WindowRecord | null,
  datadir: string | null,
): { readonly instances: readonly InstanceRecord[]; readonly findings: readonly VerifyFinding[] } {
  const instances = record?.instances ?? [];
  if (datadir === null || instances.length <= 1) return { instances, findings: [] };
  const name = nameOf(datadir);
  const chosen = instances.filter(({ data_directories }) =>
    nameOf(data_directories[0] ?? "") === name
  );
  return chosen.length === 1 ? { instances: chosen, findings: [] } : {
    instances: [],
    findings: [
      found(
        "instance-unknown",
        `${datadir} may be of several servers of the record: ${
          instances.map((one) => `${one.name} in ${one.data_directories[0] ?? "?"}`).join(", ")
        }; expected the name of one of these directories`,
      ),
    ],
  };
}

function nameOf(path: string): string {
  return path.slice(parentOf(path).length).replaceAll("/", "");
}

/** By the instance's name; where there is only one on both sides, its name does not matter. */
function connectionOf(
  { name }: InstanceRecord,
  record: WindowRecord,
  { instances }: Settings,
): Connection | null {
  const named = instances.find((one) => one.name === name);
  const isOnlyOne = record.instances.length === 1 && instances.length === 1;
  return (named ?? (isOnlyOne ? instances[0] : undefined))?.connection ?? null;
}

async function printReport(report: VerifyReport, asJson: boolean): Promise<ExitCode> {
  await sayAll(
    asJson
      ? plainJson(verifyJson(report), 2)
      : textOf(verifyText(report, localTime), terminalPaint()),
  );
  return VERDICT_EXIT[verdictOfReport(report)];
}

async function printCommands(record: WindowRecord | null, why: string): Promise<ExitCode> {
  if (record === null) {
    await complain(why);
    return EXIT.cannotTell;
  }
  const instances = record.instances.map((recorded) => ({ recorded }));
  await sayAll(textOf(commandLines(instances), terminalPaint()));
  return EXIT.ok;
}

/** While something runs, Ctrl-C ends it in good order: what is known by then is printed. */
async function withInterrupt<T>(run: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const stop = new AbortController();
  const abort = () => stop.abort();
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const name of signals) Deno.addSignalListener(name, abort);
  try {
    return await run(stop.signal);
  } finally {
    for (const name of signals) Deno.removeSignalListener(name, abort);
  }
}
