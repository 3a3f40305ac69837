/** Names that are nearly another name. */

/**
 * A key of at least this many characters that starts a connection key, such as `pass`,
 * is pointed out: MariaDB's clients complete it, MySQL's refuse it. Shorter ones could
 * start another program's option just as well.
 */
const SHORTEST_ABBREVIATION = 4;

/** Whether a name is the beginning of another, long enough to stand for it. */
export function isAbbreviationOf(whole: string, name: string): boolean {
  return name.length >= SHORTEST_ABBREVIATION && name.length < whole.length &&
    whole.startsWith(name);
}

/** The known name that a shortened or misspelled one most likely means; null if none is near. */
export function nearest(name: string, known: readonly string[]): string | null {
  const whole = known.find((candidate) => isAbbreviationOf(candidate, name));
  if (whole !== undefined) return whole;
  // Allow one typo per three characters.
  let bound = Math.max(1, Math.floor(name.length / 3));
  let found: string | null = null;
  for (const candidate of known) {
    // Also keeps a line of a megabyte from costing a table of a megabyte.
    if (Math.abs(candidate.length - name.length) > bound) continue;
    const distance = slips(name, candidate);
    if (distance > bound) continue;
    found = candidate;
    bound = distance - 1;
  }
  return found;
}

/** Damerau–Levenshtein distance (optimal string alignment): a swap is one slip. */
function slips(from: string, to: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let row = 1; row <= from.length; row++) {
    const current = [row];
    for (let column = 1; column <= to.length; column++) {
      const same = from[row - 1] === to[column - 1];
      let cost = Math.min(
        last[column]! + 1,
        current[column - 1]! + 1,
        last[column - 1]! + (same ? 0 : 1),
      );
      const swapped = row > 1 && column > 1 && from[row - 1] === to[column - 2] &&
        from[row - 2] === to[column - 1];
      if (swapped) cost = Math.min(cost, beforeLast[column - 2]! + 1);
      current.push(cost);
    }
    beforeLast = last;
    last = current;
  }
  return last[to.length]!;
}
