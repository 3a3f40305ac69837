/** How long each part of a locker's work may take. One value, so that a test can have its own. */

/** All in milliseconds but for the shares, which are parts of a setting. */
export interface LockerLimits {
  /** How often deadlines and the lock file are looked at: the accuracy of `hold_timeout`. */
  readonly tickMs: number;
  /** How often the guard looks again for blockers. */
  readonly guardPauseMs: number;
  /** The same for readers that have just begun: most of them are gone a moment later. */
  readonly youngReaderPauseMs: number;
  /** From here on the server says that a statement is a second old. */
  readonly grownMs: number;
  /** Pause between two attempts, in `lock_wait_timeout`s: writers have most of the time. */
  readonly attemptPauseFactor: number;
  /**
   * The part of `freeze_timeout` that writing out *all* filesystems may take. It only makes the
   * flush under the lock short; a network filesystem that hangs must not cost the backup.
   */
  readonly flushEverythingShare: number;
  /**
   * The part of `freeze_timeout` that the place for the record may take, and the most of it: a busy
   * disk needs less than a second; one that is frozen for another snapshot, or hangs, is not worth
   * a longer wait.
   */
  readonly reserveShare: number;
  readonly reserveMs: number;
  /**
   * How long the freeze sensor's places, and the servers' volumes, are looked for: healthy disks
   * answer in milliseconds, and a window without a sensor is as good as one with it.
   */
  readonly freezePlacesMs: number;
  /**
   * How long the answer waits for the freeze sensor's first look, which comes back within a
   * millisecond: on a guest without CPU it must not last until the caller's own freeze, or that would
   * pass for one that was there before the answer. Writers wait, so not for long.
   */
  readonly firstLookMs: number;
  /** The same as for the places, for the history: without it locking is expected to take what it takes elsewhere. */
  readonly historyMs: number;
  /** How long a hook that waits for the verdict waits for the disk, too: the disk may be frozen. */
  readonly finalRecordMs: number;
  /** How long a released locker stays for a disk that is still frozen, to write its record. */
  readonly frozenDiskMs: number;
}

/** Those of the product. */
export const LOCKER_LIMITS: LockerLimits = {
  tickMs: 100,
  guardPauseMs: 200,
  youngReaderPauseMs: 20,
  grownMs: 1_100,
  attemptPauseFactor: 2,
  flushEverythingShare: 0.5,
  reserveShare: 0.5,
  reserveMs: 5_000,
  freezePlacesMs: 500,
  firstLookMs: 500,
  historyMs: 500,
  finalRecordMs: 1_000,
  frozenDiskMs: 60_000,
};
