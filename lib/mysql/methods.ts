/**
 * How an instance is locked. A method is a description: the statements that take
 * the lock and those that give it back. A new method is one more entry here.
 */
import { append } from "../base/edit_command.ts";
import { EXIT, type Refusal, refusal } from "../base/refusal.ts";
import { OPTION_FILE } from "../base/paths.ts";
import { type Capabilities, capabilitiesOf, type ServerVersion } from "./flavor.ts";

/** A way to write-lock a server on one session. */
export interface Method {
  readonly name: MethodName;
  /** For people. */
  readonly label: string;
  /** Statements that take the lock, in order. */
  readonly acquire: readonly string[];
  /**
   * The first statement where there is no other method to go on with, so that it is worth waiting
   * for; null: the same.
   */
  readonly acquireFirstWhenAlone: string | null;
  /** The statement that gives back whatever `acquire` got, also after an error half-way. */
  readonly release: string;
  /** Whether running SELECTs delay the lock on a server with these capabilities. */
  readonly waitsForReaders: (can: Capabilities) => boolean;
  /**
   * Which running statements that write delay the lock. `committing`: those that are in their
   * commit, and those that make or remove tables.
   */
  readonly waitsForWriters: "all" | "committing";
}

/** Names of methods as in the option `method`. */
export type MethodName = "ftwrl" | "backup-stage";

/**
 * Every method. Sources: `docs/locking.md#1-ftwrl` and `docs/locking.md#31-what-it-waits-for`;
 * MariaDB Knowledge Base "BACKUP STAGE".
 */
export const METHODS: Readonly<Record<MethodName, Method>> = {
  ftwrl: {
    name: "ftwrl",
    label: "FLUSH TABLES WITH READ LOCK",
    acquire: ["FLUSH /* locktables */ TABLES WITH READ LOCK"],
    acquireFirstWhenAlone: null,
    release: "UNLOCK /* locktables */ TABLES",
    waitsForReaders: (can) => can.ftwrlWaitsForReaders,
    waitsForWriters: "all",
  },
  "backup-stage": {
    name: "backup-stage",
    label: "BACKUP STAGE BLOCK_COMMIT",
    acquire: [
      // Not waited for: another backup holds it for long, and then there is the other method.
      "SET STATEMENT lock_wait_timeout=0 FOR BACKUP /* locktables */ STAGE START",
      "BACKUP /* locktables */ STAGE BLOCK_COMMIT",
    ],
    // While it waits only DDL waits behind it (`docs/locking.md#31-what-it-waits-for`).
    acquireFirstWhenAlone: "BACKUP /* locktables */ STAGE START",
    release: "BACKUP /* locktables */ STAGE END",
    waitsForReaders: () => false,
    waitsForWriters: "committing",
  },
};

/** A method to try, and why it was chosen. */
export interface MethodChoice {
  readonly method: Method;
  /** For status and record. */
  readonly why: string;
  /** What to do instead where the first statement of `method` is refused; null: nothing. */
  readonly otherwise: Method | null;
}

/** Server errors of a first statement that mean "not here" (1064) or "held elsewhere" (1205). */
const UNAVAILABLE_ERRNOS = [1064, 1205];

/** The choice to go on with when the first statement failed like this, or null. */
export function fallback(choice: MethodChoice, errno: number | undefined): MethodChoice | null {
  const { method, otherwise } = choice;
  if (otherwise === null || errno === undefined || !UNAVAILABLE_ERRNOS.includes(errno)) return null;
  const why = errno === 1064 ? "the server does not know it" : "another session holds it";
  return {
    method: otherwise,
    why: `${choice.why}; ${method.label} was refused (${why}), so ${otherwise.label}`,
    otherwise: null,
  };
}

/**
 * The method for this server under the option `method`; a refusal where it cannot do it.
 * @param lags whether BACKUP STAGE would leave the recorded position behind the image
 */
export function chooseMethod(
  setting: "auto" | MethodName,
  server: ServerVersion,
  lags = false,
): MethodChoice | Refusal {
  const hasBackupStage = capabilitiesOf(server).backupStage;
  if (setting === "backup-stage" && !hasBackupStage) {
    return refusal(
      EXIT.badSetup,
      "method-unavailable",
      `method=backup-stage needs MariaDB 10.5 or later, and this server is ${server.label}`,
      "Set method=auto in [locktables]",
      append(OPTION_FILE, ["[locktables]", "method=auto"]),
    );
  }
  if (setting !== "auto") {
    return {
      method: METHODS[setting],
      why: `method=${setting} in the option file`,
      otherwise: null,
    };
  }
  if (hasBackupStage && lags) {
    return {
      method: METHODS.ftwrl,
      why:
        `auto: this replica applies in parallel and logs what it applies; BACKUP STAGE would leave its recorded position behind the image, ${METHODS.ftwrl.label} does not (${server.label})`,
      otherwise: null,
    };
  }
  return hasBackupStage
    ? {
      method: METHODS["backup-stage"],
      why: `auto: ${server.label} has BACKUP STAGE, which does not wait for running statements`,
      otherwise: METHODS.ftwrl,
    }
    : {
      method: METHODS.ftwrl,
      why: `auto: on ${server.label} only FLUSH TABLES WITH READ LOCK stops commits`,
      otherwise: null,
    };
}
