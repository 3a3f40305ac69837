/** Permission bits. */

/** What everybody but the owner may do. */
export const OTHERS = 0o077;

/** Writing by everybody but the owner. */
export const OTHERS_WRITE = 0o022;

/** A mode as chmod takes it. */
export function octal(mode: number): string {
  return mode.toString(8).padStart(4, "0");
}
