/**
 * verify: whether an image is what its record promises. Not attended by another process (`attended.ts`):
 * a look at every table has no limit that would fit, shows how far it is, and ends at Ctrl-C; and no
 * hook and no snapshot waits for it.
 */
import { systemClock } from "../base/clock.ts";
import { OPTION_FILE, RECORD_FILE } from "../base/paths.ts";
import { plainJson } from "../base/plain_text.ts";
import { complain, complainOf, sayAll } from "../base/print.ts";
import { privacyNow, STATE_DIRECTORY } from "../base/private_directory.ts";
import { EXIT, type ExitCode, isRefusal } from "../base/refusal.ts";
import { textOf } from "../base/styled.ts";
import type { InstanceSettings } from "../options/connection.ts";
import { instanceSocket } from "../options/instance_socket.ts";
import { readOptionFile } from "../options/option_file.ts";
import { optionFileReader } from "../options/reader.ts";
import { settingsFrom } from "../options/settings.ts";
import { askServer } from "../verify/ask_server.ts";
import { checkTables } from "../verify/check_tables.ts";
import type { Level } from "../verify/facts.ts";
import { identityFindings, isOtherServer } from "../verify/identity_findings.ts";
import { type OtherEvidence, positionFindings } from "../verify/position_findings.ts";
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
import { statementLog } from "../verify/statement_log.ts";
import { tableFindings } from "../verify/table_findings.ts";
import { found, VERDICT_EXIT } from "../verify/verdict.ts";
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
}

/** Prints what an image is worth. */
export async function verify(options: VerifyOptions): Promise<ExitCode> {
  Deno.permissions.revokeSync({ name: "run" }); // starts no program
  const untrusted = privacyNow(STATE_DIRECTORY);
  if (isRefusal(untrusted)) return await complainOf(untrusted);
  const began = systemClock.now();
  const { record, findings } = recordFindings(await readRecord(RECORD_FILE), RECORD_FILE);
  if (options.commandsOnly) return await printCommands(record, findings.at(0)?.title ?? "");
  const settings = readSettings();
  if (isRefusal(settings)) return await complainOf(settings);
  const text = options.verdictFile === null ? null : await readSource(options.verdictFile);
  if (isRefusal(text)) return await complainOf(text);
  const source = record === null ? null : sourceVerdict(text, record);
  const evidence = {
    isBinlogProven: false,
    isHoldProven: source?.record?.verdict === "application-consistent",
  };
  const instances: VerifiedInstance[] = [];
  const stop = new AbortController();
  for (const recorded of record?.instances ?? []) {
    const login = settings.instances.find(({ name }) => name === recorded.name) ??
      (record?.instances.length === 1 && settings.instances.length === 1
        ? settings.instances[0]
        : undefined);
    instances.push(
      record === null || login === undefined
        ? notConfigured(recorded)
        : await verifyInstance(record, recorded, login, options.level, evidence, stop),
    );
  }
  return await printReport({
    began,
    ended: systemClock.now(),
    level: options.level,
    datadir: null,
    recordPath: RECORD_FILE,
    record,
    source: source?.record ?? null,
    findings: [...findings, ...source?.findings ?? []],
    instances,
  }, options.asJson);
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

function readSettings() {
  const file = readOptionFile(optionFileReader, OPTION_FILE);
  if (isRefusal(file)) return file;
  const read = settingsFrom(file);
  return isRefusal(read) ? read : read.settings;
}

function notConfigured(recorded: InstanceRecord): VerifiedInstance {
  const { name } = recorded;
  return {
    recorded,
    socket: null,
    server: null,
    tables: null,
    statements: [],
    findings: [
      found(
        "instance-unknown",
        `The record has a server named ${name}, and ${OPTION_FILE} none: instances= names them`,
        { instance: name },
      ),
    ],
  };
}

/** Asks one server everything, and has its tables checked. */
async function verifyInstance(
  record: WindowRecord,
  recorded: InstanceRecord,
  { connection }: InstanceSettings,
  level: Level,
  evidence: OtherEvidence,
  stop: AbortController,
): Promise<VerifiedInstance> {
  const instance = recorded.name;
  const socket = await instanceSocket(connection.socket);
  const login = { ...connection, socket };
  const log = statementLog();
  const asked = await askServer(login, log);
  if (isRefusal(asked)) {
    const title = `${asked.summary}. ${asked.hint}`;
    const findings = [found("server-unreachable", title, { instance })];
    return { recorded, socket, server: null, tables: null, statements: log.statements, findings };
  }
  const { server, session } = asked;
  try {
    const identity = identityFindings(record, recorded, server);
    if (isOtherServer(recorded, server)) {
      const { statements } = log;
      return { recorded, socket, server, tables: null, statements, findings: identity };
    }
    const tables = await withInterrupt(stop, (signal) => {
      const progress = progressLine(`${instance}: tables checked`);
      return checkTables({ login, session, level, log, signal, onProgress: progress.show })
        .finally(progress.end);
    });
    return {
      recorded,
      socket,
      server,
      tables,
      statements: log.statements,
      findings: [
        ...identity,
        ...positionFindings(recorded, server, evidence),
        ...tableFindings(tables, level, server.seesTables, instance),
      ],
    };
  } finally {
    session.close();
  }
}

/** While something runs, Ctrl-C ends it in good order: what is known by then is printed. */
async function withInterrupt<T>(
  stop: AbortController,
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const abort = () => stop.abort();
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const name of signals) Deno.addSignalListener(name, abort);
  try {
    return await run(stop.signal);
  } finally {
    for (const name of signals) Deno.removeSignalListener(name, abort);
  }
}
