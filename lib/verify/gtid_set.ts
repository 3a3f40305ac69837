/**
 * What two GTID lists have and have not in common: the record's, and that of a server on the image.
 * Pure. A list that cannot be read is no list: nothing is concluded from it.
 */

/** How the image's transactions lie to the recorded ones. */
export interface GtidDifference {
  /** What is recorded and not in the image, as the server writes it; empty where nothing is. */
  readonly missing: string;
  /** What is in the image and not recorded. */
  readonly more: string;
  /** Where another history has the same numbers: neither less nor more, but different. */
  readonly other: string;
}

/** First and last number, both in it. */
type Interval = readonly [from: number, to: number];

/** Longest list that is read, in characters: a server with a hundred thousand gaps has less. */
const LIST_LIMIT = 4 * 1024 * 1024;

/** How many intervals of a difference are shown. */
const SHOWN_MOST = 5;

/** `UUID[:TAG]:1-5:7,…`, as MySQL writes `gtid_executed`; null for a text that is none. */
export function parseMysqlSet(text: string): ReadonlyMap<string, readonly Interval[]> | null {
  if (text.length > LIST_LIMIT) return null;
  const sets = new Map<string, Interval[]>();
  for (const part of text.replaceAll(/\s/g, "").split(",")) {
    if (part === "") continue;
    const [uuid = "", ...rest] = part.toLowerCase().split(":");
    if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(uuid) || rest.length === 0) return null;
    let source = uuid;
    for (const word of rest) {
      if (/^[a-z_][a-z0-9_]{0,31}$/.test(word)) {
        source = `${uuid}:${word}`;
        continue;
      }
      const [, first, last] = /^([0-9]{1,19})(?:-([0-9]{1,19}))?$/.exec(word) ?? [];
      const from = Number(first);
      const to = last === undefined ? from : Number(last);
      if (first === undefined || from < 1 || to < from) return null;
      const intervals = sets.get(source) ?? [];
      intervals.push([from, to]);
      sets.set(source, intervals);
    }
  }
  return new Map([...sets].map(([source, intervals]) => [source, joined(intervals)]));
}

/** Compares two of MySQL's sets; null where one of them cannot be read. */
export function differenceOfSets(recorded: string, image: string): GtidDifference | null {
  const [before, now] = [parseMysqlSet(recorded), parseMysqlSet(image)];
  if (before === null || now === null) return null;
  return { missing: without(before, now), more: without(now, before), other: "" };
}

/** `0-1-100,7-2-45`: each domain's last transaction, as MariaDB writes it; null for another text. */
export function parseMariadbList(text: string): ReadonlyMap<string, string> | null {
  if (text.length > LIST_LIMIT) return null;
  const list = new Map<string, string>();
  for (const gtid of text.replaceAll(/\s/g, "").split(",")) {
    if (gtid === "") continue;
    const [, domain] = /^([0-9]{1,10})-[0-9]{1,10}-[0-9]{1,20}$/.exec(gtid) ?? [];
    if (domain === undefined || list.has(domain)) return null;
    list.set(domain, gtid);
  }
  return list;
}

/** Compares two of MariaDB's lists; null where one of them cannot be read. */
export function differenceOfLists(recorded: string, image: string): GtidDifference | null {
  const [before, now] = [parseMariadbList(recorded), parseMariadbList(image)];
  if (before === null || now === null) return null;
  const missing: string[] = [];
  const more: string[] = [];
  const other: string[] = [];
  for (const domain of new Set([...before.keys(), ...now.keys()])) {
    const [was, is] = [before.get(domain), now.get(domain)];
    if (was === is) continue;
    if (is === undefined || (was !== undefined && sequenceOf(is) < sequenceOf(was))) {
      missing.push(`${was} (the image has ${is ?? "none of its domain"})`);
    } else if (was !== undefined && sequenceOf(is) === sequenceOf(was)) {
      other.push(`${is} in place of ${was}`);
    } else more.push(was === undefined ? is : `${is} (recorded: ${was})`);
  }
  return { missing: missing.join(", "), more: more.join(", "), other: other.join(", ") };
}

/** 64 bits, which a number does not hold. */
function sequenceOf(gtid: string): bigint {
  return BigInt(gtid.slice(gtid.lastIndexOf("-") + 1));
}

/** Sorted, and what touches made one. */
function joined(intervals: readonly Interval[]): Interval[] {
  const result: Interval[] = [];
  for (const [from, to] of [...intervals].sort((a, b) => a[0] - b[0])) {
    const last = result.at(-1);
    if (last !== undefined && from <= last[1] + 1) {
      result[result.length - 1] = [last[0], Math.max(last[1], to)];
    } else result.push([from, to]);
  }
  return result;
}

/** What is in the first and not in the second, as text. */
function without(
  these: ReadonlyMap<string, readonly Interval[]>,
  those: ReadonlyMap<string, readonly Interval[]>,
): string {
  const left = [...these].flatMap(([source, intervals]) =>
    intervals.flatMap((one) => minus(one, those.get(source) ?? []))
      .map(([from, to]) => `${source}:${from === to ? from : `${from}-${to}`}`)
  );
  const shown = left.slice(0, SHOWN_MOST).join(",");
  return left.length > SHOWN_MOST ? `${shown} and ${left.length - SHOWN_MOST} more` : shown;
}

/** `from` to `to` without what the sorted others have of it. */
function minus([from, to]: Interval, others: readonly Interval[]): Interval[] {
  const result: Interval[] = [];
  let next = from;
  // The first that can reach it: sets of a server with many gaps are long.
  let low = 0;
  for (let high = others.length; low < high;) {
    const middle = (low + high) >> 1;
    if ((others[middle]?.[1] ?? 0) < from) low = middle + 1;
    else high = middle;
  }
  for (let at = low; at < others.length; at += 1) {
    const [start, end] = others[at] ?? [0, 0];
    if (start > to) break;
    if (start > next) result.push([next, start - 1]);
    next = Math.max(next, end + 1);
  }
  if (next <= to) result.push([next, to]);
  return result;
}
