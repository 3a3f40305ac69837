/**
 * Sees the guest's filesystems being frozen and thawed, and changes nothing on them. Asks each for
 * the right to write, one call at a time: a call that waits, and a second one after it, while the
 * same call to a filesystem in memory comes back, is a freeze. A call alone is no proof, because a
 * guest without CPU is slow too, and one thread may be slow where others are not.
 */
import type { Clock, Instant } from "../base/clock.ts";
import { RUN_DIR } from "../base/paths.ts";
import { sleep } from "../base/sleep.ts";
import type { Caller } from "../callers/table.ts";
import type { FreezePort } from "./ports.ts";

/**
 * Between two calls to a filesystem: a freeze is noted at most so much too late. A call costs 0.3 ms
 * of CPU, and the sensor may have 1 % of a core.
 */
const PAUSE_MS = 50;

/** A call that waits so long is worth a second one; measured under fsync load: 8 ms at most. */
const SUSPECT_AFTER_MS = 40;

/** Between two calls to memory while a call waits. */
const COMPARE_PAUSE_MS = 10;

/** A call to memory that takes longer says nothing: the pool's threads get no CPU. */
const QUICK_MS = 50;

/**
 * So many calls to memory must come back quickly while the other one waits: by then its thread has
 * had CPU as well, whatever load there is.
 */
const QUICK_CALLS = 5;

/** A freeze that is shorter is not seen. VMware's lasts until its next look, most of a second. */
export const FREEZE_SEEN_MS = 100;

/** The sensor at work. */
export interface FreezeSensor {
  /** Resolves when the first call to each filesystem has come back. */
  readonly looked: Promise<unknown>;
  /** Reports nothing from now on. A call that waits goes on waiting, on the pool, and is ignored. */
  stop(): void;
}

/** What the sensor has seen. */
export interface FreezeHandlers {
  /** The first filesystem is frozen; `isFromTheStart`: no call to it has ever come back. */
  readonly onFrozen: (since: Instant, isFromTheStart: boolean) => void;
  /** None is frozen any more. */
  readonly onThawed: () => void;
}

/**
 * Begins to look.
 * @param places directories as {@linkcode FreezePort.places} found them
 */
export function startFreezeSensor(
  port: FreezePort,
  clock: Clock,
  places: readonly string[],
  { onFrozen, onThawed }: FreezeHandlers,
): FreezeSensor {
  const frozen = new Set<string>();
  let isStopped = false;
  const now = () => clock.now();

  const follow = async (place: string, looked: () => void) => {
    for (let isFirst = true; !isStopped; isFirst = false) {
      const since = now();
      let isWaiting = true;
      const isOver = () => isStopped || !isWaiting;
      const suspecting = setTimeout(async () => {
        if (!await waitsForFreeze(place, since, isOver) || isOver()) return;
        frozen.add(place);
        if (frozen.size === 1) onFrozen(since, isFirst);
      }, SUSPECT_AFTER_MS);
      await port.ask(place);
      looked();
      isWaiting = false;
      clearTimeout(suspecting);
      if (isStopped) return;
      if (frozen.delete(place) && frozen.size === 0) onThawed();
      await sleep(PAUSE_MS);
    }
  };

  /** Whether a call that began then waits for a freeze; false as soon as it is over. */
  const waitsForFreeze = async (place: string, since: Instant, isOver: () => boolean) => {
    let isSecondWaiting = true;
    port.ask(place).then(() => isSecondWaiting = false);
    const isInDoubt = () => isSecondWaiting && !isOver();
    for (let quick = 0; isInDoubt();) {
      await sleep(COMPARE_PAUSE_MS);
      const asked = now().monoMs;
      await port.ask(RUN_DIR);
      const answered = now().monoMs;
      if (answered - asked <= QUICK_MS) quick += 1;
      const isLong = answered - since.monoMs >= FREEZE_SEEN_MS;
      if (quick >= QUICK_CALLS && isLong) return isInDoubt();
    }
    return false;
  };

  const looked = places.map((place) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    follow(place, resolve);
    return promise;
  });
  return { looked: Promise.all(looked), stop: () => void (isStopped = true) };
}

/** Said after a good window in which a caller that freezes was not seen to freeze. */
export function noFreezeSeen(caller: Caller, places: readonly string[]): string {
  return `No freeze of ${FREEZE_SEEN_MS} ms or more was seen between the hooks of ${caller} (looked at ${
    places.join(", ")
  }): the caller does not freeze, or leaves these filesystems out. The lock held all the time`;
}
