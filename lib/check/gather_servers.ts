/** Facts about the servers, by the very steps of pre-freeze up to the one before the lock. */
import { atMost } from "../base/at_most.ts";
import { placeOf } from "../base/look.ts";
import { parentOf } from "../base/paths.ts";
import { isRefusal, type Refusal } from "../base/refusal.ts";
import { readWindowState } from "../locker/read_status.ts";
import { sameServer } from "../locker/same_server.ts";
import { refusalFor } from "../mysql/errors.ts";
import type { Instance } from "../mysql/instance.ts";
import { openInstance } from "../mysql/open_instance.ts";
import { instanceSocket } from "../options/instance_socket.ts";
import type { OptionLine } from "../options/option_file.ts";
import type { InstanceSettings } from "../options/connection.ts";
import type { Settings } from "../options/settings.ts";
import type { WindowRecord } from "../window/record.ts";
import { type Finding, fromRefusal } from "./finding.ts";
import { type Context, type Gathered, LOCKER_LIMIT_MS, PLACE_LIMIT_MS } from "./gathering.ts";
import { passwordAltered, passwordElsewhere } from "./option_file_findings.ts";
import { type ServerFacts, serverFindings } from "./server_findings.ts";
import { type StorageFacts, storageFindings } from "./storage_findings.ts";
import { survey } from "./survey.ts";

/** Longest wait for a server's first answers: as long as pre-freeze waits for socket and login. */
const OPEN_LIMIT_MS = 5_500;

/** Longest wait for the process list, in milliseconds. */
const LOOK_LIMIT_MS = 2_000;

/** How many directories of files outside are looked at. */
const OUTSIDE_MOST = 50;

/** One server in `--json`. */
interface InstanceReport {
  readonly name: string;
  readonly socket: string;
  readonly user: string;
  /** Null where the server could not be asked. */
  readonly server: ReturnType<typeof serverReport> | null;
}

/** What came of one server. */
interface Examined {
  readonly settings: InstanceSettings;
  readonly socket: string;
  readonly outcome:
    | { readonly kind: "refused"; readonly refusal: Refusal }
    | { readonly kind: "asked"; readonly server: ServerFacts; readonly storage: StorageFacts };
}

/** Everything about each server of the option file. */
export async function gatherServers(context: Context): Promise<Gathered> {
  const { read, options } = context.optionFile;
  if (isRefusal(read)) return { findings: [] };
  const examined = await Promise.all(
    read.settings.instances.map((one) => examine(one, read.settings, context)),
  );
  const twins = sameServer(
    examined.flatMap(({ outcome }) => outcome.kind === "asked" ? outcome.server.facts : []),
  );
  return {
    findings: [
      ...examined.flatMap((one) => findingsOf(one, options)),
      ...(twins === null ? [] : [fromRefusal(twins)]),
    ],
    instances: examined.map(reportOf),
  };
}

function findingsOf({ settings, outcome }: Examined, options: readonly OptionLine[]): Finding[] {
  switch (outcome.kind) {
    case "asked":
      return [...serverFindings(outcome.server), ...storageFindings(outcome.storage)];
    case "refused":
      return [
        fromRefusal(outcome.refusal, settings.name),
        ...(outcome.refusal.reason === "access-denied"
          ? [...passwordElsewhere(options), ...passwordAltered(options)]
          : []),
      ];
    default:
      return outcome satisfies never;
  }
}

async function examine(
  settings: InstanceSettings,
  all: Settings,
  context: Context,
): Promise<Examined> {
  const { name, connection } = settings;
  const socket = await instanceSocket(connection.socket);
  // The very steps of pre-freeze, up to the one before the lock.
  const opening = openInstance({
    ...all,
    ...connection,
    name,
    socket,
    onLost: () => {}, // the question that is under way says so
    onControlLost: () => {},
    onCrowded: () => {},
  });
  const opened = await atMost(opening, OPEN_LIMIT_MS, null);
  if (opened === null) {
    // It may still come while others are asked.
    opening.then((late) => isRefusal(late) ? null : late.release());
    const subject = { socket, user: connection.user, server: null };
    const slow = new Error(`no answer within ${OPEN_LIMIT_MS} ms`);
    const refused = refusalFor(slow, `Cannot prepare a session as ${connection.user}`, subject);
    return { settings, socket, outcome: { kind: "refused", refusal: refused } };
  }
  if (isRefusal(opened)) return { settings, socket, outcome: { kind: "refused", refusal: opened } };
  try {
    return { settings, socket, outcome: await ask(opened, settings, all, context) };
  } finally {
    await opened.release();
  }
}

async function ask(
  instance: Instance,
  { name, connection }: InstanceSettings,
  { connectionMark, holdTimeoutMs }: Settings,
  context: Context,
): Promise<Examined["outcome"]> {
  const { deadlineMs } = context;
  const { facts, topology, rights } = instance;
  const [look, surveyed, directories] = await Promise.all([
    // Looks, and kills nothing, whatever kill_long_queries says.
    atMost(
      instance.look(false).then((seen) => isRefusal(seen) ? null : seen),
      LOOK_LIMIT_MS,
      null,
    ),
    survey({
      ...connection,
      socket: facts.socket,
      server: facts.server,
      account: rights.account,
      isReplica: topology.replicas.length > 0,
      deadlineMs,
    }),
    Promise.all(facts.dataDirectories.map((path) => placed(path, deadlineMs))),
  ]);
  const parents = new Set(surveyed.outsideFiles.map(parentOf));
  const outside = await Promise.all(
    [...parents].slice(0, OUTSIDE_MOST).map((path) => placed(path, deadlineMs)),
  );
  const ownIds = await ownSessions(context, surveyed.nameHolder?.id ?? null);
  return {
    kind: "asked",
    server: {
      facts,
      choice: instance.choice(),
      warnings: instance.warnings,
      topology,
      hasBinlog: instance.hasBinlog,
      rights,
      look,
      survey: surveyed,
      connectionMark,
      holdTimeoutMs,
      ownIds,
    },
    storage: { instance: name, directories, outside },
  };
}

/** Sessions of this guest's own window, which may have been opened while the server was asked. */
async function ownSessions({ now, window }: Context, holder: number | null): Promise<number[]> {
  const known = sessionsOf((await window).window);
  if (holder === null || known.includes(holder)) return known;
  const later = await readWindowState(now, LOCKER_LIMIT_MS);
  return [...known, ...sessionsOf(later.window), ...sessionsOf(later.last)];
}

function sessionsOf(window: WindowRecord | null): number[] {
  return window?.instances.map(({ connection_id }) => connection_id) ?? [];
}

async function placed(path: string, deadlineMs: number) {
  const limitMs = Math.min(PLACE_LIMIT_MS, deadlineMs - performance.now());
  return { path, place: await atMost(placeOf(path), limitMs, null) };
}

function reportOf({ settings, socket, outcome }: Examined): InstanceReport {
  return {
    name: settings.name,
    socket,
    user: settings.connection.user,
    server: outcome.kind === "asked" ? serverReport(outcome.server, outcome.storage) : null,
  };
}

function serverReport(
  { facts, choice, topology, hasBinlog, rights, survey }: ServerFacts,
  { directories }: StorageFacts,
) {
  return {
    label: facts.server.label,
    flavor: facts.server.flavor,
    version: facts.server.text,
    account: rights.account,
    method: choice.method.name,
    method_reason: choice.why,
    hostname: facts.hostname,
    server_id: facts.server_id,
    server_uuid: facts.server_uuid,
    read_only: facts.read_only,
    log_bin: hasBinlog,
    max_connections: facts.maxConnections,
    ...topology,
    non_transactional_tables: survey.unloggedTables.length,
    data_directories: directories.map(({ path, place }) => ({
      path,
      mount_point: place?.mount_point ?? null,
      device: place?.device ?? null,
    })),
  };
}
