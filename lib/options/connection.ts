/** How each server of the window is reached, and what is said about lines that do not lead there. */
import type { Refusal } from "../base/refusal.ts";
import { append, commentOut, replaceInLine } from "../base/edit_command.ts";
import { badValue, placed } from "./bad_setting.ts";
import {
  lastOfEach,
  type OptionLine,
  optionsOfGroups,
  type OptionWarning,
  shown,
} from "./option_file.ts";
import { isAbbreviationOf } from "./similar.ts";

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

/** The group of our own, and of every other program's for a connection. */
export const OWN_GROUP = "locktables";
const GROUPS = ["client", "client-server", "client-mariadb", OWN_GROUP] as const;

/** The name of the only instance when `instances` is not set. */
const DEFAULT_INSTANCE = "main";

/** `localhost` and an empty user mean to the clients: the socket, and who runs the program. */
const DEFAULT_USER = "root";

export const CONNECTION_KEYS = ["user", "password", "socket", "host", "protocol", "port"] as const;
type ConnectionKey = typeof CONNECTION_KEYS[number];

/** `names` is empty, and `namedBy` undefined, when `instances` is not set. */
export function instancesFrom(
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
    const whole = CONNECTION_KEYS.find((key) => isAbbreviationOf(key, line.key));
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

export function isConnection(key: string): boolean {
  return CONNECTION_KEYS.some((known) => known === key);
}
