/**
 * How an instance is locked. A method is a description: the statements that take
 * the lock and those that give it back. A new method is one more entry here.
 */
import { EXIT, type Refusal, refusal } from "../report/refusal.ts";
import { type Capabilities, capabilitiesOf, type ServerVersion } from "./flavor.ts";

/** A way to write-lock a server on one session. */
export interface Method {
  readonly name: MethodName;
  /** For people. */
  readonly label: string;
  /** Statements that take the lock, in order. */
  readonly acquire: readonly string[];
  /** The statement that gives back whatever `acquire` got, also after an error half-way. */
  readonly release: string;
  /** Whether running SELECTs delay the lock on a server with these capabilities. */
  readonly waitsForReaders: (can: Capabilities) => boolean;
  /** Whether running writes to transactional tables delay the lock. */
  readonly waitsForWriters: boolean;
}

/** Names of methods as in the option `method`. */
export type MethodName = "ftwrl" | "backup-stage";

/** Every method. Sources: `locking.md` 1 and 3.1; MariaDB Knowledge Base "BACKUP STAGE". */
export const METHODS: Readonly<Record<MethodName, Method>> = {
  ftwrl: {
    name: "ftwrl",
    label: "FLUSH TABLES WITH READ LOCK",
    acquire: ["FLUSH /* locktables */ TABLES WITH READ LOCK"],
    release: "UNLOCK /* locktables */ TABLES",
    waitsForReaders: (can) => can.ftwrlWaitsForReaders,
    waitsForWriters: true,
  },
  "backup-stage": {
    name: "backup-stage",
    label: "BACKUP STAGE BLOCK_COMMIT",
    acquire: [
      "BACKUP /* locktables */ STAGE START",
      "BACKUP /* locktables */ STAGE BLOCK_COMMIT",
    ],
    release: "BACKUP /* locktables */ STAGE END",
    waitsForReaders: () => false,
    waitsForWriters: false,
  },
};

/** A method to try, and why it was chosen. */
export interface MethodChoice {
  readonly method: Method;
  /** For status and record. */
  readonly why: string;
}

/** The method for this server under the option `method`; a refusal where it cannot do it. */
export function chooseMethod(
  setting: "auto" | MethodName,
  server: ServerVersion,
): MethodChoice | Refusal {
  const hasBackupStage = capabilitiesOf(server).backupStage;
  if (setting === "backup-stage" && !hasBackupStage) {
    return refusal(
      EXIT.badSetup,
      "method-unavailable",
      `method=backup-stage needs MariaDB 10.5 or later, and this server is ${server.label}`,
      "Set method=auto in [locktables]",
    );
  }
  if (setting !== "auto") {
    return { method: METHODS[setting], why: `method=${setting} in the option file` };
  }
  return hasBackupStage
    ? {
      method: METHODS["backup-stage"],
      why: `auto: ${server.label} has BACKUP STAGE, which does not wait for running statements`,
    }
    : {
      method: METHODS.ftwrl,
      why: `auto: on ${server.label} only FLUSH TABLES WITH READ LOCK stops commits`,
    };
}
