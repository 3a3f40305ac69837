/**
 * The settings of locktables, from the options of `/root/.my.cnf`: how to connect,
 * and the table of docs/options.md.
 *
 * @module
 */
import { _default, literal, object, pipe, safeParse, string, transform } from "zod/mini";

import { EXIT, type Refusal, refusal } from "../base/refusal.ts";
import { formatDuration, parseDuration } from "../base/duration.ts";
import {
  append,
  commentOut,
  editCommand,
  replaceInLine,
  setValue,
  substitution,
} from "../base/edit_command.ts";
import {
  lastOfEach,
  type OptionFile,
  type OptionLine,
  optionsOfGroups,
  type OptionWarning,
  place,
  shown,
} from "./option_file.ts";

/** How to reach one server. Always by its Unix socket: the binary has no network permission. */
export interface Connection {
  readonly user: string;
  /** null: none given. Never asked for, a hook has no terminal. */
  readonly password: string | null;
  /** Absolute path; null: the first known socket that exists. */
  readonly socket: string | null;
}

/** One server of the window. */
export interface InstanceSettings {
  /** `[A-Za-z0-9_-]+`, unique without regard to case. */
  readonly name: string;
  readonly connection: Connection;
}

/** Everything the option file decides. All times are whole milliseconds. */
export interface Settings {
  /** How to lock; `auto`: BACKUP STAGE on MariaDB 10.5 and later, else FTWRL. */
  readonly method: "auto" | "ftwrl" | "backup-stage";
  /** Longest time the lock is held: 1 s to 15 min. */
  readonly holdTimeoutMs: number;
  /** From the lock to pre-freeze's answer: 500 ms to 30 s. */
  readonly stallLimitMs: number;
  /** The whole of pre-freeze: 1 s to 15 min. */
  readonly freezeTimeoutMs: number;
  /**
   * One attempt to lock: whole seconds, 1 s to 60 s. It may be longer than
   * `freezeTimeoutMs`; what counts is the smaller of it and the time that is left.
   */
  readonly lockWaitTimeoutMs: number;
  /** Age from which a statement counts as a blocker: 100 ms to 15 min. */
  readonly longQueryGuardMs: number;
  /** Which blockers may be killed. */
  readonly killLongQueries: "off" | "select" | "all";
  /**
   * Share of `max_connections` from which the lock is let go, because a server full of waiting
   * writers refuses clients; null: never.
   */
  readonly connectionMark: number | null;
  /** What pre-freeze tells its caller when it has no lock. */
  readonly onFailure: "abort" | "proceed";
  /** At least one; without `instances` a single one named `main`. */
  readonly instances: readonly InstanceSettings[];
}

/** A duration's bounds, both included, and its default. In milliseconds. */
interface DurationRange {
  readonly min: number;
  readonly max: number;
  readonly standard: number;
}

/** VMware Tools give all scripts 15 minutes; no caller that we know waits longer. */
const LONGEST_CALLER_MS = 15 * 60_000;

/** One second is the server's own unit: below it no lock can be waited for or held. */
const SHORTEST_MS = 1_000;

/** A minute is what the callers' own safety thaws allow (Azure's safefreeze: 60 s). */
const HOLD: DurationRange = { min: SHORTEST_MS, max: LONGEST_CALLER_MS, standard: 60_000 };

/**
 * What is done between the lock and the answer takes 50 ms on a healthy disk. Five seconds are for
 * a disk that is busy, and below the patience of every caller (the shortest is Amazon's, 8 s); half
 * a minute without writes is an outage.
 */
const STALL: DurationRange = { min: 500, max: 30_000, standard: 5_000 };

/**
 * While one attempt waits, every writer waits behind it. Longer than a minute is an
 * outage; three seconds is what applications take for a slow commit.
 */
const LOCK_WAIT: DurationRange = { min: SHORTEST_MS, max: 60_000, standard: 3_000 };

/**
 * Below 100 ms ordinary statements of a busy server would be blockers at every look.
 * The upper bound is as good as no guard.
 */
const GUARD: DurationRange = { min: 100, max: LONGEST_CALLER_MS, standard: 1_000 };

/** Default of `freeze_timeout` without a caller, such as in a rehearsal. */
const FREEZE_STANDARD_MS = 60_000;

/** The server counts `lock_wait_timeout` in whole seconds. */
const SERVER_UNIT_MS = 1_000;

const METHODS = ["auto", "ftwrl", "backup-stage"] as const;
const KILL_LONG_QUERIES = ["off", "select", "all"] as const;
/**
 * Ten in a hundred connections are left for those who only read, and for the administrator who
 * comes to look.
 */
const CONNECTION_MARK_STANDARD = "90%";

const ON_FAILURE = ["abort", "proceed"] as const;

/** The group of our own, and of every other program's for a connection. */
const OWN_GROUP = "locktables";
const GROUPS = ["client", "client-server", "client-mariadb", OWN_GROUP] as const;

/** The name of the only instance when `instances` is not set. */
const DEFAULT_INSTANCE = "main";

/** `localhost` and an empty user mean to the clients: the socket, and who runs the program. */
const DEFAULT_USER = "root";

const CONNECTION_KEYS = ["user", "password", "socket", "host", "protocol", "port"] as const;
type ConnectionKey = typeof CONNECTION_KEYS[number];

/**
 * A key of at least this many characters that starts a connection key, such as `pass`,
 * is pointed out: MariaDB's clients complete it, MySQL's refuse it. Shorter ones could
 * start another program's option just as well.
 */
const SHORTEST_ABBREVIATION = 4;

/** An example for the hint of each of our own keys, in the order of the documentation. */
const OWN_EXAMPLES = {
  "method": METHODS[0],
  "hold-timeout": formatDuration(HOLD.standard),
  "stall-limit": formatDuration(STALL.standard),
  "freeze-timeout": formatDuration(FREEZE_STANDARD_MS),
  "lock-wait-timeout": formatDuration(LOCK_WAIT.standard),
  "long-query-guard": formatDuration(GUARD.standard),
  "kill-long-queries": KILL_LONG_QUERIES[0],
  "connection-mark": CONNECTION_MARK_STANDARD,
  "on-failure": ON_FAILURE[0],
  "instances": "main,reporting",
} as const;
type OwnKey = keyof typeof OWN_EXAMPLES;

const INSTANCE_NAME = /^[A-Za-z0-9_-]+$/;

/** The schema of our own keys; each message is what is wanted instead. */
function ownSchema(freezeStandardMs: number) {
  const freeze: DurationRange = {
    min: SHORTEST_MS,
    max: LONGEST_CALLER_MS,
    standard: freezeStandardMs,
  };
  return object(
    {
      "method": _default(literal(METHODS, oneOf(METHODS)), "auto"),
      "hold-timeout": duration(HOLD),
      "stall-limit": duration(STALL),
      "freeze-timeout": duration(freeze),
      "lock-wait-timeout": duration(LOCK_WAIT),
      "long-query-guard": duration(GUARD),
      "kill-long-queries": _default(literal(KILL_LONG_QUERIES, oneOf(KILL_LONG_QUERIES)), "off"),
      "connection-mark": share(CONNECTION_MARK_STANDARD),
      "on-failure": _default(literal(ON_FAILURE, oneOf(ON_FAILURE)), "abort"),
      "instances": _default(instanceNames(), []),
    } satisfies Record<OwnKey, unknown>,
  );
}

function oneOf(values: readonly string[]): string {
  return values.length === 1 ? values[0]! : `one of ${values.join(", ")}`;
}

function duration(range: DurationRange) {
  const between = `${formatDuration(range.min)} to ${formatDuration(range.max)}`;
  const parsed = transform((text: string, context) => {
    const ms = parseDuration(text);
    if (ms !== null && ms >= range.min && ms <= range.max) return ms;
    const unit = /^[0-9]+$/.test(text) ? "with its unit ms, s or m, " : "";
    context.issues.push({
      code: "custom",
      message: `a duration ${unit}from ${between}`,
      input: text,
    });
    return range.standard;
  });
  return _default(pipe(string(), parsed), range.standard);
}

/** A percentage from 10% to 100%, or `off`. */
function share(standard: string) {
  const parsed = transform((text: string, context) => {
    if (text === "off") return null;
    const percent = /^([0-9]{2,3})%$/.exec(text)?.[1];
    if (percent !== undefined && Number(percent) >= 10 && Number(percent) <= 100) {
      return Number(percent) / 100;
    }
    context.issues.push({
      code: "custom",
      message: "a share from 10% to 100%, or off",
      input: text,
    });
    return null;
  });
  return pipe(_default(string(), standard), parsed);
}

function instanceNames() {
  const parsed = transform((text: string, context) => {
    const names = text.split(",").map((name) => name.trim());
    const distinct = new Set(names.map((name) => name.toLowerCase()));
    if (!names.every((name) => INSTANCE_NAME.test(name)) || distinct.size < names.length) {
      context.issues.push({
        code: "custom",
        message: "different names of letters, digits, _ and - with commas between them",
        input: text,
      });
    }
    return names;
  });
  return pipe(string(), parsed);
}

/**
 * The settings that the options mean.
 *
 * Connection options come from `[client]`, `[client-server]`, `[client-mariadb]` and
 * `[locktables]`; with `instances`, each instance also takes the groups with its name
 * appended (`[client_reporting]`). The order of the lines in the file decides, the last
 * one wins, as in the clients. Unknown keys in the clients' groups are ignored, because
 * they are other programs'. Names of keys compare without regard to case, as in MariaDB's
 * clients.
 *
 * @param read what {@linkcode readOptionFile} returned; no options at all is fine.
 * @param freezeStandardMs default of `freeze_timeout` in milliseconds, which each caller has its own
 * of.
 * @returns the settings and the warnings, those of reading first; or a refusal
 * (`bad-setting`, exit 22) with file, line and key of the first bad one. A password is
 * never repeated.
 */
export function settingsFrom(
  read: OptionFile,
  freezeStandardMs: number = FREEZE_STANDARD_MS,
): { settings: Settings; warnings: OptionWarning[] } | Refusal {
  const options = read.options.map((option) => ({ ...option, key: option.key.toLowerCase() }));
  const warnings = [...read.warnings];

  const ownOptions = optionsOfGroups(options, [OWN_GROUP]);
  const unknown = ownOptions.filter((option) => !isOwn(option.key) && !isConnection(option.key));
  const strict = unknown.find((option) => !option.loose);
  if (strict !== undefined) return unknownKey(strict);
  for (const option of unknown) {
    warnings.push({
      reason: "option-ignored",
      text: `Unknown ${placed(option)} is ignored because of its prefix loose-`,
      remedy: commentOut(option),
    });
  }

  const own = lastOfEach(ownOptions.filter((option) => isOwn(option.key)));
  const parsed = safeParse(
    ownSchema(freezeStandardMs),
    Object.fromEntries([...own.values()].map((option) => [option.key, option.value ?? ""])),
  );
  if (!parsed.success) {
    const wanted = new Map(
      parsed.error.issues.map((issue) => [own.get(String(issue.path[0])), issue.message]),
    );
    const first = options.find((option) => wanted.has(option));
    if (first === undefined) throw new Error("A setting was refused that no line sets");
    return badValue(first, wanted.get(first)!, ownHint(first), commentOut(first));
  }
  const values = parsed.data;

  const stray = strayGroup(options, values.instances);
  if (stray !== null) return stray;
  warnings.push(...misspelled(options));

  const lockWait = own.get("lock-wait-timeout");
  const lockWaitTimeoutMs = SERVER_UNIT_MS *
    Math.ceil(values["lock-wait-timeout"] / SERVER_UNIT_MS);
  if (lockWait !== undefined && lockWaitTimeoutMs !== values["lock-wait-timeout"]) {
    warnings.push({
      reason: "setting-adjusted",
      text:
        `Setting ${placed(lockWait)} is ${
          formatDuration(values["lock-wait-timeout"])
        } and counts ` +
        `as ${formatDuration(lockWaitTimeoutMs)}, the server takes whole seconds`,
      remedy: setValue(lockWait, formatDuration(lockWaitTimeoutMs)),
    });
  }
  if (lockWait !== undefined && lockWaitTimeoutMs > values["freeze-timeout"]) {
    const wholeSecondsMs = values["freeze-timeout"] - values["freeze-timeout"] % SERVER_UNIT_MS;
    warnings.push({
      reason: "setting-adjusted",
      text: `Setting ${placed(lockWait)} is ${formatDuration(lockWaitTimeoutMs)}, but ` +
        `freeze_timeout ends the attempt after ${formatDuration(values["freeze-timeout"])}`,
      remedy: setValue(lockWait, formatDuration(wholeSecondsMs)),
    });
  }

  const instances = instancesFrom(options, values.instances, own.get("instances"));
  if ("kind" in instances) return instances;
  return {
    settings: {
      method: values.method,
      holdTimeoutMs: values["hold-timeout"],
      stallLimitMs: values["stall-limit"],
      freezeTimeoutMs: values["freeze-timeout"],
      lockWaitTimeoutMs,
      longQueryGuardMs: values["long-query-guard"],
      killLongQueries: values["kill-long-queries"],
      connectionMark: values["connection-mark"],
      onFailure: values["on-failure"],
      instances: instances.found,
    },
    warnings: [...warnings, ...instances.warnings],
  };
}

/** `names` is empty, and `namedBy` undefined, when `instances` is not set. */
function instancesFrom(
  options: readonly OptionLine[],
  names: readonly string[],
  namedBy: OptionLine | undefined,
): { found: InstanceSettings[]; warnings: OptionWarning[] } | Refusal {
  const warnings = new Map<string, OptionWarning>();
  if (namedBy === undefined) {
    const lines = optionsOfGroups(options, GROUPS);
    const connection = connectionFrom(lines, warnings);
    for (const warning of overridden(lines, [OWN_GROUP])) warnings.set(warning.text, warning);
    return "kind" in connection
      ? connection
      : { found: [{ name: DEFAULT_INSTANCE, connection }], warnings: [...warnings.values()] };
  }
  const found: InstanceSettings[] = [];
  for (const name of names) {
    const suffixed = GROUPS.map((group) => `${group}_${name}`);
    const lines = optionsOfGroups(options, [...GROUPS, ...suffixed]);
    const connection = connectionFrom(lines, warnings);
    if ("kind" in connection) return connection;
    for (const warning of overridden(lines, suffixed)) warnings.set(warning.text, warning);
    const twin = found.find((other) => other.connection.socket === connection.socket);
    if (twin !== undefined) {
      return badValue(
        namedBy,
        `a socket of its own for each instance, ${twin.name} and ${name} both use ` +
          (connection.socket === null ? "the default one" : shown(connection.socket)),
        `Add a group [client_${name}] with socket=/path/of/its/socket to the end of ` +
          shown(namedBy.file),
      );
    }
    found.push({ name, connection });
  }
  return { found, warnings: [...warnings.values()] };
}

/** The connection that some lines mean, the last of each key. Adds to `warnings`. */
function connectionFrom(
  lines: readonly OptionLine[],
  warnings: Map<string, OptionWarning>,
): Connection | Refusal {
  for (const line of lines) {
    const whole = CONNECTION_KEYS.find((key) =>
      line.key.length >= SHORTEST_ABBREVIATION && line.key.length < key.length &&
      key.startsWith(line.key)
    );
    if (whole !== undefined) {
      const text = `Option ${placed(line)} is ignored; write ${whole} in full`;
      warnings.set(text, {
        reason: "option-ignored",
        text,
        remedy: replaceInLine(line, line.rawKey, whole),
      });
    }
  }
  const last = lastOfEach(lines);
  const get = (key: ConnectionKey) => last.get(key);

  const host = get("host");
  if (host !== undefined && !["", "localhost"].includes((host.value ?? "").toLowerCase())) {
    return badValue(
      host,
      "localhost, locktables reaches the servers of its own guest by their Unix sockets",
      `If the server runs in this guest: put host=localhost into [${OWN_GROUP}] at the end of ` +
        `${shown(host.file)}; other programs do not read that group`,
      append(host.file, [`[${OWN_GROUP}]`, "host=localhost"]),
    );
  }
  const protocol = get("protocol");
  if (
    protocol !== undefined &&
    !["socket", "sock"].includes((protocol.value ?? "").toLowerCase())
  ) {
    return badValue(
      protocol,
      "socket, locktables has no network permission",
      `Put protocol=socket into [${OWN_GROUP}] at the end of ${shown(protocol.file)}; ` +
        "other programs do not read that group",
      append(protocol.file, [`[${OWN_GROUP}]`, "protocol=socket"]),
    );
  }
  const socket = get("socket");
  // A relative path would depend on the directory that the caller happens to be in.
  if (socket?.value?.startsWith("@")) {
    return badValue(
      socket,
      "the path of a socket, abstract sockets are not supported",
      "Have the server listen on a path as well (socket= in [mysqld]), and name that path here",
    );
  }
  if (socket !== undefined && (socket.value ?? "") !== "" && !socket.value?.startsWith("/")) {
    return badValue(
      socket,
      "an absolute path",
      "Ask the server for it: SELECT @@socket, @@datadir",
      commentOut(socket),
    );
  }
  return {
    user: get("user")?.value || DEFAULT_USER,
    password: get("password")?.value ?? null,
    socket: socket?.value || null,
  };
}

/**
 * Connection options of our own or of an instance's group that a general group further down
 * overrides: right by the clients' rule, and hardly ever what was meant.
 */
function* overridden(
  lines: readonly OptionLine[],
  suffixed: readonly string[],
): Generator<OptionWarning> {
  const special = new Set(optionsOfGroups(lines, suffixed));
  for (const winner of lastOfEach(lines).values()) {
    if (!isConnection(winner.key) || special.has(winner)) continue;
    const loser = lines.findLast((line) => special.has(line) && line.key === winner.key);
    if (loser === undefined) continue;
    yield {
      reason: "option-overridden",
      text:
        `Option ${placed(winner)} in [${shown(winner.group)}] overrides line ${loser.line} in ` +
        `[${shown(loser.group)}], the later line wins; move [${shown(loser.group)}] to the end`,
      // Without a remedy: what belongs together in a file with a password is for a person to move.
      remedy: null,
    };
  }
}

/** Refuses what looks like a group of ours and has no effect, or an effect not meant. */
function strayGroup(options: readonly OptionLine[], names: readonly string[]): Refusal | null {
  const known = [OWN_GROUP, ...names.map((name) => `${OWN_GROUP}_${name.toLowerCase()}`)];
  for (const option of options) {
    const group = option.group.toLowerCase();
    if (group === OWN_GROUP || !group.startsWith(OWN_GROUP)) continue;
    if (!known.includes(group)) {
      return refuse(
        `Unknown group [${shown(option.group)}] at ${placed(option)}; ` +
          `expected ${oneOf(known.map((name) => `[${name}]`))}`,
        `Rename the group, or name its instance: instances=main,reporting in [${OWN_GROUP}]`,
        commentOut(option),
      );
    }
    if (!isConnection(option.key) && !option.loose) {
      return refuse(
        `Bad setting ${placed(option)} in [${shown(option.group)}]; ` +
          `expected ${oneOf(CONNECTION_KEYS)} in the group of one instance`,
        isOwn(option.key)
          ? `Move line ${option.line} of ${shown(option.file)} to [${OWN_GROUP}], ` +
            "it is for all instances"
          : `Correct or remove line ${option.line} of ${shown(option.file)}`,
        commentOut(option),
      );
    }
  }
  return null;
}

/** Groups that are almost `[locktables]`, one warning each. They may be another program's. */
function misspelled(options: readonly OptionLine[]): OptionWarning[] {
  const groups = new Map(options.map((option) => [option.group.toLowerCase(), option]));
  const warnings: OptionWarning[] = [];
  for (const [group, option] of groups) {
    if (group.startsWith(OWN_GROUP) || nearest(group, [OWN_GROUP]) === null) continue;
    warnings.push({
      reason: "option-ignored",
      text:
        `Group [${shown(option.group)}] near ${shown(option.file)}:${option.line} is ignored; ` +
        `did you mean [${OWN_GROUP}]?`,
      remedy: editCommand(option.file, [substitution(`[${option.group}`, `[${OWN_GROUP}`)]),
    });
  }
  return warnings;
}

function isOwn(key: string): key is OwnKey {
  return Object.hasOwn(OWN_EXAMPLES, key);
}

function isConnection(key: string): boolean {
  return CONNECTION_KEYS.some((known) => known === key);
}

/** `FILE:LINE: key`, the key as written. */
function placed(option: OptionLine): string {
  return `${place(option)}: ${shown(option.rawKey)}`;
}

/** Our own keys are documented with underscores. */
function documented(key: string): string {
  return isOwn(key) ? key.replaceAll("-", "_") : key;
}

/** Without the value: it may be the password of a misspelled `password`. */
function unknownKey(option: OptionLine): Refusal {
  const known = [...Object.keys(OWN_EXAMPLES), ...CONNECTION_KEYS];
  const near = nearest(option.key, known);
  return refuse(
    `Unknown setting ${placed(option)} in [${OWN_GROUP}]; expected ` +
      (near === null ? oneOf(known.map(documented)) : documented(near)),
    near === null
      ? `Correct or remove line ${option.line} of ${shown(option.file)}`
      : `Write ${documented(near)} in line ${option.line} of ${shown(option.file)}`,
    near === null ? commentOut(option) : replaceInLine(option, option.rawKey, documented(near)),
  );
}

/** Without a remedy: a second server's socket, which nobody here knows. */
function badValue(
  option: OptionLine,
  wanted: string,
  hint: string,
  remedy: string | null = null,
): Refusal {
  const current = option.value === null
    ? "has no value"
    : option.value === ""
    ? "is empty"
    : `is ${shown(option.value)}`;
  return refuse(`Bad setting ${placed(option)} ${current}; expected ${wanted}`, hint, remedy);
}

function ownHint(option: OptionLine): string {
  const example = isOwn(option.key) ? OWN_EXAMPLES[option.key] : "";
  return `Write for example ${documented(option.key)}=${example} in line ${option.line} of ` +
    `${shown(option.file)}, then run: locktables check`;
}

function refuse(summary: string, hint: string, remedy: string | null): Refusal {
  return refusal(EXIT.badSetup, "bad-setting", summary, hint, remedy);
}

/** The known name that a shortened or misspelled one most likely means; null if none is near. */
function nearest(name: string, known: readonly string[]): string | null {
  const whole = known.find((candidate) =>
    name.length >= SHORTEST_ABBREVIATION && candidate.startsWith(name)
  );
  if (whole !== undefined) return whole;
  // One slip in three characters; a name that differs in more is another name.
  let bound = Math.max(1, Math.floor(name.length / 3));
  let found: string | null = null;
  for (const candidate of known) {
    // Also keeps a line of a megabyte from costing a table of a megabyte.
    if (Math.abs(candidate.length - name.length) > bound) continue;
    const distance = slips(name, candidate);
    if (distance > bound) continue;
    found = candidate;
    bound = distance - 1;
  }
  return found;
}

/** Damerau–Levenshtein distance (optimal string alignment): a swap is one slip. */
function slips(from: string, to: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let row = 1; row <= from.length; row++) {
    const current = [row];
    for (let column = 1; column <= to.length; column++) {
      const same = from[row - 1] === to[column - 1];
      let cost = Math.min(
        last[column]! + 1,
        current[column - 1]! + 1,
        last[column - 1]! + (same ? 0 : 1),
      );
      const swapped = row > 1 && column > 1 && from[row - 1] === to[column - 2] &&
        from[row - 2] === to[column - 1];
      if (swapped) cost = Math.min(cost, beforeLast[column - 2]! + 1);
      current.push(cost);
    }
    beforeLast = last;
    last = current;
  }
  return last[to.length]!;
}
