/**
 * check: everything that would make tonight's freeze fail, without a lock. Gathers facts, all at
 * once and each for a limited time; what they mean is decided in `lib/check`.
 */
import { plainJson, plainLines } from "../base/plain_text.ts";
import { exitCodeOf, type Finding, finding, fromRefusal, reported } from "../check/finding.ts";
import { jsonReport } from "../check/json_report.ts";
import { HOOK_DIRECTORIES, hookFindings } from "../check/hook_findings.ts";
import {
  optionFileFindings,
  passwordAltered,
  passwordElsewhere,
} from "../check/option_file_findings.ts";
import { type ServerFacts, serverFindings } from "../check/server_findings.ts";
import { type StorageFacts, storageFindings } from "../check/storage_findings.ts";
import {
  directoryFindings,
  MYSQL_FLUSH_FIFO,
  VEEAMHUB_FLAG,
  windowFindings,
} from "../check/window_findings.ts";
import { readWindowState, type WindowState } from "../locker/read_status.ts";
import {
  LOCKER_SOCKET,
  OPTION_FILE,
  parentOf,
  WAIT_FOR_LOCK,
  WAIT_FOR_SNAPSHOT,
} from "../base/paths.ts";
import { refusalFor } from "../mysql/errors.ts";
import { type Instance, openInstance } from "../mysql/instance.ts";
import { instanceSocket } from "../options/instance_socket.ts";
import { sameServer } from "../locker/same_server.ts";
import { survey } from "../check/survey.ts";
import { type OptionLine, readOptionFile } from "../options/option_file.ts";
import { type InstanceSettings, type Settings, settingsFrom } from "../options/settings.ts";
import { checkText } from "../check/text.ts";
import { sayAll } from "../base/print.ts";
import { type ExitCode, isRefusal, type Refusal } from "../base/refusal.ts";
import { atMost } from "../base/at_most.ts";
import { type Instant, systemClock } from "../base/clock.ts";
import { silentDisk } from "../base/disk.ts";
import { effectiveUser, type FileLook, lookAt, placeOf } from "../base/look.ts";
import { noSync, SYNC_PROGRAMS } from "../locker/flush.ts";
import { filesIn, guestTree, unsafeProgram } from "../hooks/guest_tree.ts";
import { dropInstallWriteRights } from "../callers/rights.ts";
import { optionFileReader } from "../options/reader.ts";
import { readReceipt } from "../hooks/receipt_file.ts";
import { RESERVED_BYTES } from "../locker/record_file.ts";
import { privacyNow, RUN_DIRECTORY, STATE_DIRECTORY } from "../base/private_directory.ts";
import { tryDirectory } from "../check/write_probe.ts";
import { VERSION } from "../base/version.ts";
import type { WindowRecord } from "../window/record.ts";

/**
 * Longest time for everything, in milliseconds. Whoever waits at a terminal or in a monitor's
 * probe is answered within 10 s; the rest is for starting and printing.
 */
const GATHER_LIMIT_MS = 8_000;

/** Longest wait for a server's first answers: as long as pre-freeze waits for socket and login. */
const OPEN_LIMIT_MS = 5_500;

/** Longest wait for the process list, in milliseconds. */
const LOOK_LIMIT_MS = 2_000;

/** Longest wait for the locker's answer, after it has said that it is there. */
const LOCKER_LIMIT_MS = 2_000;

/** Longest wait for a filesystem, which may be on a network that is gone. */
const PLACE_LIMIT_MS = 2_000;

/** Longest wait for a disk of ours to take a small file. */
const TRIAL_LIMIT_MS = 3_000;

/** How many lines a tool that manages a file says so in. */
const HEAD_LINES = 10;

/** The bits of a mode that let a program be started. */
const RUNNABLE = 0o111;

/** What a file in the run directory needs: one block. */
const RUN_DIR_BYTES = 4096;

/** How many directories of files outside are looked at. */
const OUTSIDE_MOST = 50;

/** What every gatherer may know. */
interface Context {
  readonly now: Instant;
  /** When the last answer must be there, on the clock of `performance.now()`. */
  readonly deadlineMs: number;
  readonly optionFile: OptionFileRead;
  /** Asked for while the servers are. */
  readonly window: Promise<WindowState>;
}

interface OptionFileRead {
  readonly options: readonly OptionLine[];
  readonly read: ReturnType<typeof settingsFrom>;
}

/** What one gatherer brings. */
interface Gathered {
  readonly findings: readonly Finding[];
  /** For `--json`: the facts about each server. */
  readonly instances?: readonly InstanceReport[];
}

/** One server in `--json`. */
interface InstanceReport {
  readonly name: string;
  readonly socket: string;
  readonly user: string;
  /** Null where the server could not be asked. */
  readonly server: ReturnType<typeof serverReport> | null;
}

/** Everything that is looked at, all at the same time. A new subject is one more entry. */
const GATHERERS: readonly ((context: Context) => Promise<Gathered>)[] = [
  gatherSync,
  gatherOptionFile,
  gatherServers,
  gatherWindow,
  gatherDirectories,
  gatherHooks,
];

/** Prints what would make a freeze fail now. */
export async function check(asJson: boolean): Promise<ExitCode> {
  Deno.permissions.revokeSync({ name: "run" }); // starts no program
  dropInstallWriteRights(); // and only looks at hooks
  const now = systemClock.now();
  const gathered = await gatherAll(now);
  const findings = reported(gathered.flatMap((one) => one.findings));
  const exitCode = exitCodeOf(findings);
  if (!asJson) {
    await sayAll(plainLines(checkText(findings)));
    return exitCode;
  }
  const instances = gathered.flatMap((one) => one.instances ?? []);
  const object = jsonReport(now, systemClock.now(), findings, instances);
  await sayAll(plainJson(object, 2));
  return exitCode;
}

async function gatherAll(now: Instant): Promise<Gathered[]> {
  const user = effectiveUser();
  if (user !== 0) {
    // Nothing else can even be looked at.
    const title = `locktables runs as the user ${user}; want root, as the hooks run`;
    return [{ findings: [finding("not-root", title, { remedy: "sudo locktables check" })] }];
  }
  const context: Context = {
    now,
    deadlineMs: performance.now() + GATHER_LIMIT_MS,
    optionFile: readOptions(),
    window: readWindowState(now, LOCKER_LIMIT_MS),
  };
  return await Promise.all(GATHERERS.map((gather) => gather(context)));
}

function readOptions(): OptionFileRead {
  const file = readOptionFile(optionFileReader, OPTION_FILE);
  return isRefusal(file)
    ? { options: [], read: file }
    : { options: file.options, read: settingsFrom(file) };
}

// ---------------------------------------------------------------------------------------------
// Option file, directories, window

async function gatherOptionFile({ optionFile }: Context): Promise<Gathered> {
  const paths = [...new Set([OPTION_FILE, ...optionFile.options.map(({ file }) => file)])];
  const files = await Promise.all(paths.map(async (path) => {
    const look = await seen(path, true);
    return look?.kind === "file" ? [{ path, look, head: headOf(path) }] : [];
  }));
  return { findings: optionFileFindings({ read: optionFile.read, files: files.flat() }) };
}

/** The one program that a window starts; looked at, and not started. */
async function gatherSync(): Promise<Gathered> {
  const looks = await Promise.all(SYNC_PROGRAMS.map((path) => seen(path, true)));
  const isRunnable = (look: FileLook | null) =>
    look?.kind === "file" && (look.mode & RUNNABLE) !== 0;
  if (looks.some(isRunnable)) return { findings: [] };
  const why = looks.every((look) => look === null)
    ? "there is no such program"
    : "it is not executable";
  return { findings: [fromRefusal(noSync(SYNC_PROGRAMS[0] ?? "sync", why))] };
}

/** The first lines of an option file; none where it is not to be read. */
function headOf(path: string): readonly string[] {
  const read = optionFileReader.read(path);
  return read.kind === "text" ? read.text.split("\n", HEAD_LINES) : [];
}

async function gatherDirectories(context: Context): Promise<Gathered> {
  const { locker } = await context.window;
  const isOpening = await seen(WAIT_FOR_LOCK) !== null;
  const found = await Promise.all([
    { directory: RUN_DIRECTORY, bytes: RUN_DIR_BYTES, mayTry: true },
    // A disk that is frozen for a snapshot would keep us until it thaws.
    {
      directory: STATE_DIRECTORY,
      bytes: RESERVED_BYTES,
      mayTry: locker === "no-locker" && !isOpening,
    },
  ].map(async ({ directory, bytes, mayTry }) => {
    const { path } = directory;
    const privacy = privacyNow(directory);
    return directoryFindings({
      path,
      look: await seen(path, true),
      refusal: isRefusal(privacy)
        ? privacy
        : mayTry
        ? await atMost(tryDirectory(path, bytes), TRIAL_LIMIT_MS, silentDisk(path, TRIAL_LIMIT_MS))
        : null,
    });
  }));
  return { findings: found.flat() };
}

/** What is at a path; null, too, where its filesystem does not answer. */
function seen(path: string, followed = false): Promise<FileLook | null> {
  return atMost(lookAt(path, followed), PLACE_LIMIT_MS, null);
}

function gatherHooks(): Promise<Gathered> {
  const receipt = readReceipt();
  // Said of the directory already, and without a receipt nothing is known of hooks.
  if (isRefusal(receipt) && receipt.reason === "directory-untrusted") {
    return Promise.resolve({ findings: [] });
  }
  const program = Deno.execPath();
  return Promise.resolve({
    findings: hookFindings({
      tree: guestTree,
      receipt,
      inDirectories: HOOK_DIRECTORIES.flatMap(filesIn),
      program,
      version: VERSION,
      unsafe: unsafeProgram(program),
    }),
  });
}

async function gatherWindow({ now, window }: Context): Promise<Gathered> {
  const isThere = async (path: string) => (await seen(path)) === null ? [] : [path];
  const lockFiles = await Promise.all(
    [WAIT_FOR_LOCK, WAIT_FOR_SNAPSHOT, LOCKER_SOCKET].map(isThere),
  );
  const traces = await Promise.all(
    [MYSQL_FLUSH_FIFO, VEEAMHUB_FLAG].map(async (path) => {
      const look = await seen(path);
      return look === null ? [] : [[path, look] as const];
    }),
  );
  const facts = {
    state: await window,
    lockFiles: lockFiles.flat(),
    traces: new Map(traces.flat()),
  };
  return { findings: windowFindings(facts, now) };
}

// ---------------------------------------------------------------------------------------------
// Servers

/** What came of one server. */
interface Examined {
  readonly settings: InstanceSettings;
  readonly socket: string;
  readonly outcome:
    | { readonly kind: "refused"; readonly refusal: Refusal }
    | { readonly kind: "asked"; readonly server: ServerFacts; readonly storage: StorageFacts };
}

async function gatherServers(context: Context): Promise<Gathered> {
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
