/**
 * One moment on two clocks, because neither alone is safe: the monotonic clock
 * (CLOCK_MONOTONIC) stands still while the machine is suspended, the wall clock
 * can be set back.
 */
export interface Instant {
  /** Milliseconds on the monotonic clock, from an arbitrary start. */
  readonly monoMs: number;
  /** Milliseconds since 1970-01-01T00:00:00Z on the wall clock. */
  readonly wallMs: number;
}

/** Where the time comes from; a port, so that deciding code can be tested without waiting. */
export interface Clock {
  now(): Instant;
}

/** The machine's clocks. */
export const systemClock: Clock = {
  now: () => ({ monoMs: performance.now(), wallMs: Date.now() }),
};

/** The moment `ms` milliseconds after `instant`, on both clocks. */
export function plus(instant: Instant, ms: number): Instant {
  return { monoMs: instant.monoMs + ms, wallMs: instant.wallMs + ms };
}

/**
 * Whether `deadline` is reached: as soon as *either* clock says so. A clock that
 * is set forward or a suspended machine can therefore only shorten a hold; a
 * clock that is set back cannot lengthen it.
 */
export function isReached(deadline: Instant, now: Instant): boolean {
  return now.monoMs >= deadline.monoMs || now.wallMs >= deadline.wallMs;
}

/** Milliseconds from `from` to `to` on the monotonic clock, never negative, to a tenth. */
export function elapsedMs(from: Instant, to: Instant): number {
  return Math.max(0, Math.round((to.monoMs - from.monoMs) * 10) / 10);
}

/** Milliseconds left until `deadline` on the clock that gets there first, at least 0. */
export function remainingMs(deadline: Instant, now: Instant): number {
  return Math.max(0, Math.min(deadline.monoMs - now.monoMs, deadline.wallMs - now.wallMs));
}

/** RFC 3339 in UTC with milliseconds, from the wall clock. */
export function rfc3339(instant: Instant): string {
  return new Date(instant.wallMs).toISOString();
}
