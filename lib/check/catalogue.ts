/**
 * Every finding there is: how bad it is, what it is about, and what cannot be known while it is
 * there. The order is that of the report within a severity; the first error gives the exit code.
 */
import { EXIT, type ExitCode } from "../base/refusal.ts";

/** How bad a finding is. */
export type Severity =
  /** Tonight's freeze fails, or the image is not what it should be. */
  | "error"
  /** It may fail, or something is dangerous. */
  | "warning"
  /** How it is; there is nothing to do. */
  | "note";

/** What a finding is about. */
export type Theme =
  /** Who runs locktables. */
  | "program"
  | "option-file"
  /** The directories of locktables. */
  | "directories"
  /** Reaching a server, up to and including what the account may. */
  | "login"
  /** What a server says. */
  | "server"
  /** Where a server's files are. */
  | "storage"
  /** What callers find and run. */
  | "hooks"
  /** The window now, the last one, and what other methods have left. */
  | "window";

/** One entry of the catalogue. */
export interface CatalogueEntry {
  readonly severity: Severity;
  readonly theme: Theme;
  /** Of an error alone: what `check` exits with. */
  readonly exit?: ExitCode;
  /**
   * Themes and codes that mean nothing beside this one: those of the same instance, or all where
   * this one is of no instance.
   */
  readonly hides?: readonly string[];
}

const EVERYTHING = ["option-file", "directories", "login", "server", "storage", "hooks", "window"];
const SERVERS = ["login", "server", "storage"];
const ONE_SERVER = ["server", "storage"];

/** What an open window brings: the lock desyncs a Galera node, has a name and holds up writers. */
const OF_OUR_LOCK = [
  "galera-not-synced",
  "server-taken",
  "name-held",
  "lock-held-elsewhere",
  "lock-awaited",
];

/** The same for every way in which nobody knows which servers there are. */
const NO_OPTIONS = {
  severity: "error",
  theme: "option-file",
  exit: EXIT.badSetup,
  hides: SERVERS,
} as const;

/** The same for every way in which a server cannot be asked anything. */
function unreachable(exit: ExitCode) {
  return { severity: "error", theme: "login", exit, hides: ONE_SERVER } as const;
}

/** The catalogue. Codes of errors are the reasons of the refusals that pre-freeze gives. */
export const CATALOGUE = {
  "too-slow": { severity: "error", theme: "program", exit: EXIT.badSetup },
  "not-root": { severity: "error", theme: "program", exit: EXIT.badSetup, hides: EVERYTHING },
  "bad-option-file": NO_OPTIONS,
  "option-file-owner": NO_OPTIONS,
  "option-file-writable": NO_OPTIONS,
  "bad-setting": NO_OPTIONS,
  "sync-unusable": { severity: "error", theme: "program", exit: EXIT.badSetup },
  "disk-silent": { severity: "error", theme: "directories", exit: EXIT.badSetup },
  "path-unusable": { severity: "error", theme: "directories", exit: EXIT.badSetup },
  "directory-untrusted": { severity: "error", theme: "directories", exit: EXIT.badSetup },
  "disk-full": { severity: "error", theme: "directories", exit: EXIT.badSetup },
  "no-socket": unreachable(EXIT.unreachable),
  "server-down": unreachable(EXIT.unreachable),
  "socket-denied": unreachable(EXIT.unreachable),
  "socket-untrusted": unreachable(EXIT.badSetup),
  "socket-elsewhere": unreachable(EXIT.badSetup),
  "too-many-connections": unreachable(EXIT.unreachable),
  "session-failed": unreachable(EXIT.unreachable),
  "unknown-server": unreachable(EXIT.unreachable),
  "access-denied": unreachable(EXIT.denied),
  "auth-plugin": unreachable(EXIT.denied),
  "password-expired": unreachable(EXIT.denied),
  "account-locked": unreachable(EXIT.denied),
  "init-connect-failed": unreachable(EXIT.denied),
  "privilege-missing": unreachable(EXIT.denied),
  "method-unavailable": unreachable(EXIT.badSetup),
  "galera-not-ready": unreachable(EXIT.unreachable),
  "galera-not-synced": unreachable(EXIT.lockNotObtained),
  "same-server": { severity: "error", theme: "login", exit: EXIT.badSetup },
  "server-taken": { severity: "error", theme: "server", exit: EXIT.windowOpen },
  "program-unsafe": { severity: "error", theme: "hooks", exit: EXIT.badSetup },
  "hook-program-missing": {
    severity: "error",
    theme: "hooks",
    exit: EXIT.badSetup,
    hides: ["hook-outdated"],
  },
  "hook-not-named": { severity: "error", theme: "hooks", exit: EXIT.badSetup },
  "hook-missing": { severity: "error", theme: "hooks", exit: EXIT.badSetup },
  "hook-replaced": { severity: "error", theme: "hooks", exit: EXIT.badSetup },
  "hook-not-runnable": { severity: "error", theme: "hooks", exit: EXIT.badSetup },
  "hook-twice": { severity: "error", theme: "hooks", exit: EXIT.badSetup },
  "switch-off": { severity: "error", theme: "hooks", exit: EXIT.badSetup },
  "dispatcher-missing": { severity: "error", theme: "hooks", exit: EXIT.badSetup },
  "dispatcher-not-runnable": { severity: "error", theme: "hooks", exit: EXIT.badSetup },
  "path-unseen": { severity: "error", theme: "storage", exit: EXIT.badSetup },

  "window-open": { severity: "warning", theme: "window", hides: OF_OUR_LOCK },
  "locker-silent": { severity: "warning", theme: "window", hides: OF_OUR_LOCK },
  "locker-died": { severity: "warning", theme: "window" },
  "window-never-closed": { severity: "warning", theme: "window" },
  "last-window-bad": { severity: "warning", theme: "window" },
  "image-overdue": { severity: "warning", theme: "window" },
  "windows-frequent": { severity: "warning", theme: "window" },
  "not-reported": { severity: "warning", theme: "window" },
  "log-unreachable": { severity: "warning", theme: "window" },
  "metrics-stale": { severity: "warning", theme: "window" },
  "metrics-unreadable": { severity: "warning", theme: "window" },
  "run-leftovers": { severity: "warning", theme: "window" },
  "option-file-ignored": { severity: "warning", theme: "option-file" },
  "option-file-readable": { severity: "warning", theme: "option-file" },
  "include-ignored": { severity: "warning", theme: "option-file" },
  "option-ignored": { severity: "warning", theme: "option-file" },
  "option-overridden": { severity: "warning", theme: "option-file" },
  "setting-adjusted": { severity: "warning", theme: "option-file" },
  "password-altered": { severity: "warning", theme: "option-file" },
  "option-file-managed": { severity: "note", theme: "option-file" },
  "password-elsewhere": { severity: "warning", theme: "option-file" },
  "directory-not-private": { severity: "warning", theme: "directories" },
  "session-limit": { severity: "warning", theme: "login" },
  "name-held": { severity: "warning", theme: "server" },
  "guard-blind": { severity: "warning", theme: "server" },
  "kill-denied": { severity: "warning", theme: "server" },
  "replicas-unseen": { severity: "warning", theme: "server" },
  "lock-held-elsewhere": { severity: "warning", theme: "server", hides: ["lock-awaited"] },
  "lock-awaited": { severity: "warning", theme: "server" },
  "blocker": { severity: "warning", theme: "server" },
  "connections-near-limit": { severity: "warning", theme: "server" },
  "replica-stopped": { severity: "warning", theme: "server" },
  "replica-failing": { severity: "warning", theme: "server" },
  "replica-position-inexact": { severity: "warning", theme: "server" },
  "writers-give-up": { severity: "warning", theme: "server" },
  "group-member-not-online": { severity: "warning", theme: "server" },
  "read-only-left": { severity: "warning", theme: "server" },
  "thread-pool": { severity: "warning", theme: "server" },
  "data-directory-elsewhere": { severity: "warning", theme: "storage" },
  "receipt-damaged": { severity: "warning", theme: "hooks" },
  "hook-changed": { severity: "warning", theme: "hooks" },
  "hook-outdated": { severity: "warning", theme: "hooks" },
  "hook-unrecorded": { severity: "warning", theme: "hooks" },
  "installed-file-missing": { severity: "warning", theme: "hooks" },
  "other-method-hook": { severity: "warning", theme: "hooks" },
  "caller-without-hooks": { severity: "warning", theme: "hooks" },
  "mysql-flush-fifo": { severity: "warning", theme: "window" },
  "veeamhub-flag": { severity: "warning", theme: "window" },
  "unanswered": { severity: "warning", theme: "server" },

  "method": { severity: "note", theme: "server" },
  "replica": { severity: "note", theme: "server" },
  "galera-node": { severity: "note", theme: "server" },
  "group-member": { severity: "note", theme: "server" },
  "several-filesystems": { severity: "note", theme: "storage" },
  "non-transactional-tables": { severity: "note", theme: "server" },
  "tables-unseen": { severity: "note", theme: "server" },
  "performance-schema-unseen": { severity: "note", theme: "server" },
  "no-binlog": { severity: "note", theme: "server" },
  "log-in-memory": { severity: "note", theme: "server" },
  "freeze-timeout-long": { severity: "note", theme: "hooks" },
  "several-callers": { severity: "note", theme: "hooks" },
  "no-hooks": { severity: "note", theme: "hooks" },
  "proceeds-without-lock": { severity: "note", theme: "option-file" },
} as const satisfies Readonly<Record<string, CatalogueEntry>>;

/** The name of a finding: stable, for scripts. */
export type FindingCode = keyof typeof CATALOGUE;

/** The entry of a code. */
export function entryOf(code: FindingCode): CatalogueEntry {
  return CATALOGUE[code];
}

/** Whether a refusal's reason is a finding's code. */
export function isFindingCode(reason: string): reason is FindingCode {
  return Object.hasOwn(CATALOGUE, reason);
}
