/**
 * Whether people can rely on their last image: what `status --max-age` and `status --nagios` answer.
 * Pure.
 */
import { type Instant, isReached, plus } from "../base/clock.ts";
import { formatAge } from "../base/duration.ts";
import type { PluginStateName } from "../base/plugin_state.ts";
import type { WindowRecord } from "../window/record.ts";
import { byWhom } from "../window/status_text.ts";
import type { LastRefusal } from "./totals.ts";

/** What is expected; null where nothing is. */
export interface Expectation {
  /** How old the last application-consistent window may be. */
  readonly maxAgeMs: number | null;
  /** From which hold on a window is a warning. */
  readonly warnHoldMs: number | null;
}

/** What is known of windows, rehearsals left out. */
export interface MonitorFacts {
  readonly locker: "running" | "no-locker" | "no-answer";
  /** The window that is open. */
  readonly window: WindowRecord | null;
  /** The last one that is not open. */
  readonly last: WindowRecord | null;
  /** The last application-consistent one. */
  readonly lastGood: WindowRecord | null;
  /** The last refusal of pre-freeze; most never come to a window. */
  readonly lastRefusal: LastRefusal | null;
}

/**
 * The facts, from what `status` reads.
 * @param history the closed windows, the newest first; read only as far as it is needed
 */
export function monitorFacts(
  { locker, window, last, lastRefusal }: Omit<MonitorFacts, "lastGood">,
  history: Iterable<WindowRecord>,
): MonitorFacts {
  let newest: WindowRecord | null = null;
  for (const record of chain(last === null ? [] : [last], history)) {
    if (record.is_rehearsal) continue;
    newest ??= record;
    if (record.verdict === "application-consistent") {
      return { locker, window, last: newest, lastGood: record, lastRefusal };
    }
  }
  return { locker, window, last: newest, lastGood: null, lastRefusal };
}

function* chain<T>(...parts: readonly Iterable<T>[]): Generator<T> {
  for (const part of parts) yield* part;
}

/** What to say of it. */
export interface Judgement {
  readonly state: PluginStateName;
  /** One line: what is wrong, the worst first; or how good it is. */
  readonly text: string;
  /** Age of the last application-consistent image. */
  readonly ageMs: number | null;
  /** How long the last window held its lock. */
  readonly heldMs: number | null;
  readonly isOpen: boolean;
}

/** How long after its deadline a window may look open: its release is given up after ten seconds. */
const DEADLINE_GRACE_MS = 10_000;

type Problem = readonly [state: Exclude<PluginStateName, "ok">, text: string];

/** The worst first: what a monitor shows is the first of them. */
const SEVERITY: readonly PluginStateName[] = ["critical", "warning", "unknown"];

/** Judges. */
export function judge(facts: MonitorFacts, expected: Expectation, now: Instant): Judgement {
  const { window, last, lastGood } = facts;
  const ageMs = lastGood === null ? null : Math.max(0, now.wallMs - imageMs(lastGood));
  const problems = [
    ...openProblems(facts, now),
    ...refusalProblems(facts),
    ...lastProblems(last),
    ...ageProblems(lastGood, ageMs, expected),
    ...holdProblems(last, expected),
  ].sort(([one], [other]) => SEVERITY.indexOf(one) - SEVERITY.indexOf(other));
  return {
    state: problems[0]?.[0] ?? "ok",
    text: problems.length > 0
      ? problems.map(([, text]) => text).join("; ")
      : goodText(lastGood, ageMs),
    ageMs,
    heldMs: last?.held_ms ?? null,
    isOpen: window !== null,
  };
}

/** When an image of a window shows the servers: at its lock. */
function imageMs({ locked_at, opened_at }: WindowRecord): number {
  return Date.parse(locked_at ?? opened_at);
}

function* openProblems({ locker, window }: MonitorFacts, now: Instant): Generator<Problem> {
  if (locker === "no-answer") {
    yield ["critical", "the locker of a window does not answer and may hold its lock"];
  } else if (window !== null && window.deadline !== null) {
    const deadline = { monoMs: Infinity, wallMs: Date.parse(window.deadline) };
    if (isReached(plus(deadline, DEADLINE_GRACE_MS), now)) {
      yield ["critical", `a window is open past its deadline of ${window.deadline}`];
    }
  }
}

/** One that is older than the end of the last window is either that window's, or over. */
function* refusalProblems({ window, last, lastRefusal }: MonitorFacts): Generator<Problem> {
  if (lastRefusal === null || window !== null) return;
  if (last !== null && lastRefusal.at <= (last.closed_at ?? last.opened_at)) return;
  const { at, caller, exit_code, summary } = lastRefusal;
  const by = caller === null ? "" : ` of ${caller}`;
  yield ["critical", `pre-freeze${by} was refused at ${at} (exit ${exit_code}): ${summary}`];
}

function* lastProblems(last: WindowRecord | null): Generator<Problem> {
  if (last === null) {
    yield ["unknown", "no window before"];
  } else if (last.verdict === null) {
    // Of an image that was booted, or of a guest that went down: its worth is not known here.
    yield ["warning", `the window of ${last.opened_at} was never closed on this disk`];
  } else if (last.verdict !== "application-consistent") {
    const detail = last.detail === null ? "" : `: ${last.detail}`;
    yield [
      "critical",
      `the window of ${last.opened_at}${
        byWhom(last)
      }, was ${last.verdict} (${last.outcome}, ${last.reason})${detail}`,
    ];
  }
}

function* ageProblems(
  lastGood: WindowRecord | null,
  ageMs: number | null,
  { maxAgeMs }: Expectation,
): Generator<Problem> {
  if (maxAgeMs === null) return;
  const within = `expected one within ${formatAge(maxAgeMs)}`;
  if (lastGood === null || ageMs === null) {
    yield ["unknown", `no application-consistent window is known, ${within}`];
  } else if (ageMs > maxAgeMs) {
    yield [
      "critical",
      `the last application-consistent window is ${ageText(ageMs)} old, ${within}`,
    ];
  }
}

function* holdProblems(
  last: WindowRecord | null,
  { warnHoldMs }: Expectation,
): Generator<Problem> {
  const heldMs = last?.held_ms ?? null;
  if (warnHoldMs === null || heldMs === null || heldMs <= warnHoldMs) return;
  yield [
    "warning",
    `the last window held its lock for ${heldMs} ms, expected at most ${formatAge(warnHoldMs)}`,
  ];
}

function goodText(good: WindowRecord | null, ageMs: number | null): string {
  if (good === null || ageMs === null) return "";
  return `application-consistent ${ageText(ageMs)} ago${byWhom(good)}, held ${good.held_ms} ms`;
}

/** A time in its two largest units. */
function ageText(ms: number): string {
  const minutes = Math.floor(ms / 60_000);
  const hours = Math.floor(minutes / 60);
  if (minutes === 0) return `${Math.floor(ms / 1_000)} s`;
  if (hours === 0) return `${minutes} min`;
  if (hours < 24) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}
