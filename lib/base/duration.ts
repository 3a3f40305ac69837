/** Milliseconds of one unit. */
const UNITS = { ms: 1, s: 1_000, m: 60_000 } as const;

/**
 * Nine digits cover every sane duration in milliseconds (11 days) and stay far
 * below the integers that a double cannot hold.
 */
const DURATION = /^([0-9]{1,9})(ms|s|m)$/;

/**
 * Reads a duration as written in an option file: `500ms`, `8s`, `2m`.
 *
 * A bare number is refused: clients count some timeouts in seconds and some in
 * milliseconds, so guessing would be wrong by a factor of 1000 half of the time.
 *
 * @returns milliseconds, a whole number of at least 0; null when the text has
 * another form.
 */
export function parseDuration(text: string): number | null {
  const [, digits, unit] = DURATION.exec(text) ?? [];
  if (digits === undefined || unit === undefined) return null;
  return Number(digits) * UNITS[unit as keyof typeof UNITS];
}

/**
 * Writes a duration in the largest unit that keeps it a whole number: `2m`, `90s`,
 * `1500ms`. {@linkcode parseDuration} reads it back.
 *
 * @param ms milliseconds, a whole number of at least 0.
 */
export function formatDuration(ms: number): string {
  if (ms === 0) return "0s";
  if (ms % UNITS.m === 0) return `${ms / UNITS.m}m`;
  if (ms % UNITS.s === 0) return `${ms / UNITS.s}s`;
  return `${ms}ms`;
}

/** Milliseconds of the units that only an age is written in. */
const AGE_UNITS = { d: 24 * 60 * 60_000, h: 60 * 60_000 } as const;

/** Four digits of days are 27 years. */
const AGE = /^([0-9]{1,4})([dh])$/;

/** Reads how old something may be: as a duration, and also `26h`, `7d`. Null for another form. */
export function parseAge(text: string): number | null {
  const [, digits, unit] = AGE.exec(text) ?? [];
  if (digits === undefined || unit === undefined) return parseDuration(text);
  return Number(digits) * AGE_UNITS[unit as keyof typeof AGE_UNITS];
}

/** Writes an age so that {@linkcode parseAge} reads it back. */
export function formatAge(ms: number): string {
  if (ms === 0) return formatDuration(ms);
  if (ms % AGE_UNITS.d === 0) return `${ms / AGE_UNITS.d}d`;
  return ms % AGE_UNITS.h === 0 ? `${ms / AGE_UNITS.h}h` : formatDuration(ms);
}
