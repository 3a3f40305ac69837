/** What an image that was taken in a window is worth, and which callers hear it. Pure. */

import {
  type Coordinates,
  isSameHistory,
  isSamePosition,
  type WsrepPosition,
} from "./coordinates.ts";
import type { FreezeSpoil } from "./freeze.ts";

/** How a window closed. */
export type Outcome = "released" | "expired" | "lost" | "failed" | "aborted" | "refused";
/** All of them. A table and not a list: the compiler asks for each word of the type. */
export const OUTCOMES: Readonly<Record<Outcome, true>> = {
  released: true,
  expired: true,
  lost: true,
  failed: true,
  aborted: true,
  refused: true,
};

/** What an image taken inside the window is worth. */
export type Verdict = "application-consistent" | "crash-consistent" | "not-quiesced";
/** All of them, as {@linkcode OUTCOMES}. */
export const VERDICTS: Readonly<Record<Verdict, true>> = {
  "application-consistent": true,
  "crash-consistent": true,
  "not-quiesced": true,
};

/** Why the lock was released, or why it was never promised; the enumerated `reason` of a record. */
export type Reason =
  /** post-thaw asked for it. */
  | "thaw"
  /** The caller said that the snapshot failed (freezeFail). */
  | "freeze-failed"
  /**
   * The thaw hook left its word in `waitforsnapshot`, and no post-thaw followed: with one the
   * reason becomes `thaw`.
   */
  | "thaw-hook"
  /**
   * The filesystems were thawed, which means for this caller that the snapshot is taken; the thaw
   * hook is still to come. With it the reason becomes `thaw`.
   */
  | "filesystem-thaw"
  /** Released at the filesystems' thaw, and the thaw hook did not follow within the caller's bound. */
  | "thaw-hook-late"
  /** A freeze began before the lock, or was over before pre-freeze had answered. */
  | "freeze-too-early"
  /** Released at the filesystems' thaw; they were frozen again before the thaw hook came. */
  | "freeze-after-release"
  /** `waitforsnapshot` was removed without the hook's word: by hand, or by another script. */
  | "lock-file-removed"
  /** `hold_timeout` passed. */
  | "hold-timeout"
  /** `freeze_timeout` passed before the caller got its "frozen". */
  | "freeze-timeout"
  /** `stall_limit` passed between the lock and the answer. */
  | "stall-limit"
  /** The locker got SIGTERM, SIGINT or SIGHUP. */
  | "signal"
  /** The waiting clients came near `max_connections`. */
  | "connections-near-limit"
  /** A database session was closed by the server or stopped answering. */
  | "session-lost"
  /** pre-freeze died before it could tell its caller "frozen". */
  | "starter-lost"
  /** Nothing could be locked: see the refusal. */
  | "refused"
  /** The lock was there but the record or the data could not be put on disk: see the refusal. */
  | "not-secured"
  /** Something was committed while the lock was believed to be held. */
  | "coordinates-moved"
  /** The coordinates could not be read again before the release. */
  | "coordinates-unread"
  /** The server did not confirm the release; its sessions were cut. */
  | "release-unconfirmed"
  /** The locker ended without closing the window; said by the command that finds what it left. */
  | "locker-died";

/** What the release showed about the time before it. */
export type ReleaseProof =
  /** The same sessions, and coordinates equal to those at the lock. */
  | "equal"
  /** The same sessions; the server writes no binlog, so there are no coordinates to compare. */
  | "same-session"
  /** Coordinates differ: something was committed. */
  | "moved"
  /** No coordinates could be read, so nothing is proven. */
  | "unread"
  /** The sessions had to be cut. */
  | "cut";

/** How a window with this reason closed; `wasHeld`: pre-freeze had promised the lock. */
export function outcomeOf(reason: Reason, wasHeld: boolean): Outcome {
  switch (reason) {
    case "thaw":
      return wasHeld ? "released" : "aborted";
    case "freeze-failed":
    case "starter-lost":
      return "aborted";
    case "hold-timeout":
    case "connections-near-limit":
      return wasHeld ? "expired" : "refused";
    case "thaw-hook":
    case "filesystem-thaw":
    case "lock-file-removed":
    case "signal":
      return wasHeld ? "lost" : "aborted";
    case "session-lost":
    case "release-unconfirmed":
    case "locker-died":
      return wasHeld ? "lost" : "failed";
    case "coordinates-moved":
    case "coordinates-unread":
    case "thaw-hook-late":
    case "freeze-too-early":
    case "freeze-after-release":
      return "lost";
    case "freeze-timeout":
    case "stall-limit":
    case "refused":
      return "refused";
    case "not-secured":
      return "failed";
    default:
      return reason satisfies never;
  }
}

/** What an image taken inside a window that closed like this is worth. */
export function verdictOf(outcome: Outcome): Verdict {
  switch (outcome) {
    case "released":
      return "application-consistent";
    case "expired":
    case "lost":
      return "crash-consistent";
    case "failed":
    case "aborted":
    case "refused":
      return "not-quiesced";
    default:
      return outcome satisfies never;
  }
}

/**
 * The verdict of one instance in a closed window. Where only the proof of an instance was bad, the
 * others were held all the time; every other reason ended the hold of all of them. Without a thaw
 * whether the snapshot was done by then is not known, and a freeze that speaks against the window
 * speaks against all of them.
 */
export function instanceVerdict(
  window: {
    readonly reason: Reason;
    readonly isThawed: boolean;
    readonly spoiltBy: FreezeSpoil | null;
    readonly verdict: Verdict;
  },
  proof: ReleaseProof | null,
): Verdict {
  switch (window.reason) {
    case "coordinates-moved":
    case "coordinates-unread":
    case "release-unconfirmed":
      return isSound(proof) && window.isThawed && window.spoiltBy === null
        ? "application-consistent"
        : window.verdict;
    default:
      return window.verdict;
  }
}

/** What was read again just before a release; only what the proof needs. */
export interface ReadAgain {
  readonly position: Pick<Coordinates, "file" | "position">;
  /** Everything, where the position differs: the log may have been rotated. */
  readonly history: Coordinates | null;
  /** A Galera node's place, where {@linkcode comparesWriteSets} says that it counts. */
  readonly wsrep: WsrepPosition | null;
}

/** On a Galera node without a binlog the last write set is all there is to compare. */
export function comparesWriteSets(held: Coordinates): boolean {
  return !held.log_bin && held.wsrep !== null;
}

/**
 * What the release of one server shows: whether anything was committed since its coordinates were
 * read under the lock.
 * @param held those at the lock; null where they were not read
 * @param now null where the position could not be read again
 */
export function proofOf(held: Coordinates | null, now: ReadAgain | null): ReleaseProof {
  if (held === null) return "same-session";
  if (now === null) return "unread";
  // A rotation is no commit: the GTIDs tell the one from the other.
  const isSame = isSamePosition(held, now.position)
    ? !comparesWriteSets(held) || now.wsrep?.last_committed === held.wsrep?.last_committed
    : now.history !== null && isSameHistory(held, now.history);
  if (!isSame) return "moved";
  return held.log_bin || held.wsrep !== null ? "equal" : "same-session";
}

/** Every proof, the weakest first. */
const PROOFS: readonly ReleaseProof[] = ["cut", "moved", "unread", "same-session", "equal"];

/** The proof of a window is that of its weakest instance; with none to release it is sound. */
export function weakestProof(proofs: readonly ReleaseProof[]): ReleaseProof {
  return PROOFS.find((proof) => proofs.includes(proof)) ?? "same-session";
}

function isSound(proof: ReleaseProof | null): boolean {
  return proof === "equal" || proof === "same-session";
}

/** Whether the caller gets exit 0: released as promised, or ended without a promise. */
export function isGoodEnd(record: {
  readonly outcome: Outcome | null;
  readonly was_held: boolean;
}): boolean {
  return record.outcome === "released" || record.outcome === "aborted" || !record.was_held;
}

/**
 * Whether a window ended in a way that its caller treats as success. VMware Tools read the exit
 * code of a script without asking whether it has one, and get 0 for one that a signal ended
 * (open-vm-tools, lib/procMgr/procMgrPosix.c); only the thaw script can still tell them.
 */
export function isUnseenEnd(record: {
  readonly caller: string | null;
  readonly reason: Reason | null;
}): boolean {
  return record.caller === "vmware" && record.reason === "starter-lost";
}
