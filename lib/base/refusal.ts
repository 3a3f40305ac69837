/**
 * Exit codes of every command: the contract with people and scripts. Callers
 * (VMware Tools, qemu-ga, …) only tell zero from non-zero.
 */
export const EXIT = {
  /** The command did what it promises. */
  ok: 0,
  /** A defect in locktables itself. */
  defect: 1,
  /** The command line was wrong. */
  usage: 2,
  /** The lock was not obtained in time. */
  lockNotObtained: 10,
  /** A window is already open. */
  windowOpen: 11,
  /** The window is closed, but the lock was not held until the thaw. */
  notHeld: 12,
  /** The server cannot be reached. */
  unreachable: 20,
  /** The server denied access, or the account lacks a privilege. */
  denied: 21,
  /** The option file, a setting, or a path that locktables needs is unusable. */
  badSetup: 22,
  /** verify: the image is sound, and not what the record promises. */
  notAsPromised: 30,
  /** verify: the image is damaged. */
  damaged: 31,
  /** verify: it cannot be told what the image is worth. */
  cannotTell: 32,
} as const;

/** One of {@linkcode EXIT}. */
export type ExitCode = typeof EXIT[keyof typeof EXIT];

/** Why something was refused: what machines read, the same in every version. */
export type RefusalReason =
  | "access-denied"
  | "account-locked"
  | "agent-missing"
  | "auth-plugin"
  | "bad-option-file"
  | "bad-setting"
  | "blocked"
  | "cancelled"
  | "changed-meanwhile"
  | "changed-since"
  | "connections-near-limit"
  | "defect"
  | "directory-missing"
  | "directory-untrusted"
  | "disk-frozen"
  | "disk-full"
  | "disk-silent"
  | "flush-failed"
  | "foreign-hook"
  | "freeze-timeout"
  | "galera-not-ready"
  | "galera-not-synced"
  | "hold-timeout"
  | "init-connect-failed"
  | "internal-command"
  | "kept-twice"
  | "lock-wait-timeout"
  | "locker-died"
  | "locker-silent"
  | "log-not-written"
  | "method-unavailable"
  | "no-socket"
  | "not-root"
  | "option-file-owner"
  | "option-file-writable"
  | "other-form"
  | "password-expired"
  | "path-unusable"
  | "privilege-missing"
  | "program-unsafe"
  | "receipt-damaged"
  | "same-server"
  | "server-down"
  | "server-taken"
  | "session-failed"
  | "session-lost"
  | "socket-denied"
  | "socket-elsewhere"
  | "socket-untrusted"
  | "stall-limit"
  | "switch-unusable"
  | "sync-unusable"
  | "too-many-connections"
  | "too-slow"
  | "unknown-server"
  | "window-open";

/**
 * An expected "no": what failed, and what the operator should do about it.
 * A value, not an exception, so that every caller has to look at it.
 */
export interface Refusal {
  readonly kind: "refusal";
  /** The process's exit status. */
  readonly code: ExitCode;
  readonly reason: RefusalReason;
  /** One line, upper case start: what failed, where, current value then wanted value. */
  readonly summary: string;
  /** One line: what to do, with a command where there is one. */
  readonly hint: string;
  /** A shell command that can be run as it stands and cures it; absent where none can. */
  readonly remedy?: string;
}

/** Makes a {@linkcode Refusal}. */
export function refusal(
  code: ExitCode,
  reason: RefusalReason,
  summary: string,
  hint: string,
  remedy: string | null = null,
): Refusal {
  return {
    kind: "refusal",
    code,
    reason,
    summary,
    hint,
    ...(remedy === null ? {} : { remedy }),
  };
}

/** Whether a value is a {@linkcode Refusal}. */
export function isRefusal(value: unknown): value is Refusal {
  return typeof value === "object" && value !== null &&
    (value as { kind?: unknown }).kind === "refusal";
}
