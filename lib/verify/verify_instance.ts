/** Everything about one recorded server: its files where they are named, and the server on them. */
import { ROOT } from "../base/look.ts";
import { OPTION_FILE } from "../base/paths.ts";
import { isRefusal, type Refusal } from "../base/refusal.ts";
import type { Connection } from "../options/connection.ts";
import { instanceSocket } from "../options/instance_socket.ts";
import type { InstanceRecord, WindowRecord } from "../window/record.ts";
import { askServer } from "./ask_server.ts";
import { checkTables } from "./check_tables.ts";
import type { ImageServer, Level } from "./facts.ts";
import { fileFindings } from "./file_findings.ts";
import { identityFindings, isOtherServer } from "./identity_findings.ts";
import { laterDataFindings } from "./later_data.ts";
import { markFindings, volumeFindings } from "./mark_findings.ts";
import { momentFindings } from "./moment_findings.ts";
import { positionFindings } from "./position_findings.ts";
import { readDatadir } from "./read_datadir.ts";
import type { VerifiedInstance } from "./report.ts";
import { statementLog } from "./statement_log.ts";
import { tableFindings } from "./table_findings.ts";
import { found, type VerifyFinding } from "./verdict.ts";

/** Shows how far a part is. */
export interface Progress {
  readonly show: (done: number, total: number, elapsedMs: number) => void;
  readonly end: () => void;
}

/** What to verify, and how. */
export interface InstanceQuestion {
  readonly record: WindowRecord;
  readonly recorded: InstanceRecord;
  /** Null where the option file names no server of that name. */
  readonly connection: Connection | null;
  /** The data directory of the image, where it is named. */
  readonly datadir: string | null;
  readonly level: Level;
  /** Whether the source said that the lock held until the thaw. */
  readonly isHoldProven: boolean;
  readonly signal: AbortSignal;
  readonly progress: (what: string) => Progress;
}

/** Looks at the files, asks the server, has its tables checked. */
export async function verifyInstance(question: InstanceQuestion): Promise<VerifiedInstance> {
  const { recorded, datadir } = question;
  const files = datadir === null ? null : await lookAtFiles(question, datadir);
  const asked = await verifyServer(question, files?.isBinlogProven ?? false);
  return {
    recorded,
    socket: null,
    server: null,
    tables: null,
    statements: [],
    ...asked,
    findings: [
      ...volumeFindings(recorded),
      ...(files?.findings ?? []).filter(({ code }) =>
        !(LEFT_TO_SERVER.includes(code) && showsBinlog(recorded, asked.server ?? null)) &&
        !(BEFORE_SERVER.includes(code) && (asked.server ?? null) !== null)
      ),
      ...asked.findings,
    ],
  };
}

/** What the files alone leave open, and a server that lists its binlogs knows. */
const LEFT_TO_SERVER: readonly VerifyFinding["code"][] = ["binlog-unread", "binlog-sealed"];

/** What the files of a server that runs on them do not say: it opens its tables itself. */
const BEFORE_SERVER: readonly VerifyFinding["code"][] = ["table-not-closed"];

function showsBinlog({ coordinates }: InstanceRecord, server: ImageServer | null): boolean {
  return server?.binlogs?.some(({ name }) => name === coordinates?.file) ?? false;
}

async function lookAtFiles(
  { recorded, progress, signal }: InstanceQuestion,
  datadir: string,
): Promise<ReturnType<typeof fileFindings>> {
  const { show, end } = progress(`${recorded.name}: bytes of the binlog read`);
  const facts = await readDatadir(datadir, recorded.coordinates, { onProgress: show, signal })
    .finally(end);
  return fileFindings(recorded, facts);
}

/** What asking brings; nothing but findings where there is no server to ask. */
type Asked = Pick<VerifiedInstance, "findings"> & Partial<VerifiedInstance>;

async function verifyServer(question: InstanceQuestion, isBinlogProven: boolean): Promise<Asked> {
  const { record, recorded, connection, datadir, level, signal } = question;
  const instance = recorded.name;
  if (connection === null) {
    return only(found(
      "instance-unknown",
      `The record has a server named ${instance}, and ${OPTION_FILE} none: instances= names them`,
      { instance },
    ));
  }
  const socket = await instanceSocket(connection.socket);
  const login = { ...connection, socket };
  const log = statementLog();
  const asked = await askServer(
    login,
    log,
    Date.parse(record.locked_at ?? record.opened_at),
  );
  if (isRefusal(asked)) return { socket, ...only(unreachable(asked, datadir, instance)) };
  const { server, session } = asked;
  try {
    if (datadir !== null && !await isSameDirectory(server.datadir, datadir)) {
      return only(notAsked(
        `The server at ${socket} runs on ${server.datadir} and was not asked`,
        datadir,
        instance,
      ));
    }
    const identity = identityFindings(record, recorded, server);
    const about = { socket, server, statements: log.statements };
    if (isOtherServer(recorded, server)) return { ...about, findings: identity };
    const { show, end } = question.progress(`${instance}: tables checked`);
    const tables = await checkTables({ login, session, level, log, signal, onProgress: show })
      .finally(end);
    const { isHoldProven } = question;
    return {
      ...about,
      tables,
      findings: [
        ...identity,
        ...positionFindings(recorded, server, { isBinlogProven, isHoldProven }),
        ...momentFindings(recorded, server),
        ...laterDataFindings(recorded, server),
        ...markFindings(recorded, server),
        ...tableFindings(tables, level, server.seesTables, instance),
      ],
    };
  } finally {
    session.close();
  }
}

function only(finding: VerifyFinding): Asked {
  return { findings: [finding] };
}

function unreachable(refused: Refusal, datadir: string | null, instance: string): VerifyFinding {
  const title = `${refused.summary}. ${refused.hint}`;
  // Before a server runs on an image, only its files can be looked at.
  return datadir === null || !["no-socket", "server-down"].includes(refused.reason)
    ? found("server-unreachable", title, { instance })
    : notAsked("No server was asked", datadir, instance);
}

function notAsked(what: string, datadir: string, instance: string): VerifyFinding {
  return found(
    "server-not-asked",
    `${what}: of the image only its files were looked at, and no table. Start a server on ${datadir}, and verify again`,
    { instance },
  );
}

/** Two paths of one directory: a server may name it by another. */
async function isSameDirectory(one: string, other: string): Promise<boolean> {
  try {
    const [a, b] = [await Deno.stat(ROOT + one), await Deno.stat(ROOT + other)];
    return a.dev === b.dev && a.ino !== null && a.ino === b.ino;
  } catch {
    return false; // one of them is not in this guest
  }
}
