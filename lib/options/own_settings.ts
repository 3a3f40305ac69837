/** The keys of our own: their ranges and defaults, and how a value of theirs is read. */
import { _default, literal, object, pipe, safeParse, string, transform } from "zod/mini";

import { commentOut } from "../base/edit_command.ts";
import { formatDuration, parseDuration } from "../base/duration.ts";
import { METRICS_FILES, STATE_DIR } from "../base/paths.ts";
import { badValue, oneOf } from "./bad_setting.ts";
import { lastOfEach, type OptionLine, shown } from "./option_file.ts";

/** A duration's bounds, both included, and its default. In milliseconds. */
interface DurationRange {
  readonly min: number;
  readonly max: number;
  readonly default: number;
}

/** VMware Tools give all scripts 15 minutes; no caller that we know waits longer. */
const LONGEST_CALLER_MS = 15 * 60_000;

/** One second is the server's own unit: below it no lock can be waited for or held. */
const SHORTEST_MS = 1_000;

/** A minute is what the callers' own safety thaws allow (Azure's safefreeze: 60 s). */
const HOLD: DurationRange = { min: SHORTEST_MS, max: LONGEST_CALLER_MS, default: 60_000 };

/**
 * What is done between the lock and the answer takes 50 ms on a healthy disk. Five seconds are for
 * a disk that is busy, and below the patience of every caller (the shortest is Amazon's, 8 s); half
 * a minute without writes is an outage.
 */
const STALL: DurationRange = { min: 500, max: 30_000, default: 5_000 };

/**
 * While one attempt waits, every writer waits behind it. Longer than a minute is an
 * outage; three seconds look like a slow commit to applications.
 */
const LOCK_WAIT: DurationRange = { min: SHORTEST_MS, max: 60_000, default: 3_000 };

/**
 * Below 100 ms ordinary statements of a busy server would be blockers at every look.
 * The upper bound is as good as no guard.
 */
const GUARD: DurationRange = { min: 100, max: LONGEST_CALLER_MS, default: 1_000 };

/** Default of `freeze_timeout` without a caller, such as in a rehearsal. */
export const DEFAULT_FREEZE_TIMEOUT_MS = 60_000;

const METHODS = ["auto", "ftwrl", "backup-stage"] as const;

const KILL_LONG_QUERIES = ["off", "select", "all"] as const;

/**
 * Ten in a hundred connections are left for those who only read, and for the administrator who
 * comes to look.
 */
const DEFAULT_CONNECTION_MARK = "90%";

const RELEASES = ["auto", "thaw-hook", "filesystem-thaw"] as const;
const ON_FAILURE = ["abort", "proceed"] as const;

const LOG = ["on", "off"] as const;

/** Where closed windows are reported. */
export interface OutletSettings {
  /** Journal and syslog. */
  readonly log: boolean;
  /** The file for node_exporter's textfile collector; `found`: where the collector looks. */
  readonly metricsFile: "found" | "off" | { readonly path: string };
}

/** Those without an option file. */
export const DEFAULT_OUTLETS: OutletSettings = { log: true, metricsFile: "found" };

/** An example for the hint of each of our own keys, in the order of the documentation. */
const OWN_EXAMPLES = {
  "method": METHODS[0],
  "hold-timeout": formatDuration(HOLD.default),
  "stall-limit": formatDuration(STALL.default),
  "freeze-timeout": formatDuration(DEFAULT_FREEZE_TIMEOUT_MS),
  "lock-wait-timeout": formatDuration(LOCK_WAIT.default),
  "long-query-guard": formatDuration(GUARD.default),
  "kill-long-queries": KILL_LONG_QUERIES[0],
  "connection-mark": DEFAULT_CONNECTION_MARK,
  "release": RELEASES[0],
  "on-failure": ON_FAILURE[0],
  "log": LOG[0],
  "metrics-file": METRICS_FILES[0] ?? "off",
  "instances": "main,reporting",
} as const;
type OwnKey = keyof typeof OWN_EXAMPLES;

/** The keys of our own, in the order of the documentation. */
export const OWN_KEYS: readonly string[] = Object.keys(OWN_EXAMPLES);

const INSTANCE_NAME = /^[A-Za-z0-9_-]+$/;

/** What our own keys say, each by its last line, or the first bad one's refusal. */
export function ownSettingsFrom(options: readonly OptionLine[], defaultFreezeTimeoutMs: number) {
  const lines = lastOfEach(options);
  const parsed = safeParse(
    ownSchema(defaultFreezeTimeoutMs),
    Object.fromEntries([...lines.values()].map((option) => [option.key, option.value ?? ""])),
  );
  if (parsed.success) return { values: parsed.data, lines };
  const wanted = new Map(
    parsed.error.issues.map((issue) => [lines.get(String(issue.path[0])), issue.message]),
  );
  const first = options.find((option) => wanted.has(option));
  if (first === undefined) throw new Error("A setting was refused that no line sets");
  return badValue(first, wanted.get(first)!, ownHint(first), commentOut(first));
}

/** The schema of our own keys; each message is what is wanted instead. */
function ownSchema(defaultFreezeTimeoutMs: number) {
  const freeze: DurationRange = {
    min: SHORTEST_MS,
    max: LONGEST_CALLER_MS,
    default: defaultFreezeTimeoutMs,
  };
  return object(
    {
      "method": _default(literal(METHODS, oneOf(METHODS)), "auto"),
      "hold-timeout": duration(HOLD),
      "stall-limit": duration(STALL),
      "freeze-timeout": duration(freeze),
      "lock-wait-timeout": duration(LOCK_WAIT),
      "long-query-guard": duration(GUARD),
      "kill-long-queries": _default(literal(KILL_LONG_QUERIES, oneOf(KILL_LONG_QUERIES)), "off"),
      "connection-mark": share(DEFAULT_CONNECTION_MARK),
      "release": _default(literal(RELEASES, oneOf(RELEASES)), "auto"),
      "on-failure": _default(literal(ON_FAILURE, oneOf(ON_FAILURE)), "abort"),
      "log": _default(literal(LOG, oneOf(LOG)), "on"),
      "metrics-file": metricsFile(),
      "instances": _default(instanceNames(), []),
    } satisfies Record<OwnKey, unknown>,
  );
}

function duration(range: DurationRange) {
  const between = `${formatDuration(range.min)} to ${formatDuration(range.max)}`;
  const parsed = transform((text: string, context) => {
    const ms = parseDuration(text);
    if (ms !== null && ms >= range.min && ms <= range.max) return ms;
    const unit = /^[0-9]+$/.test(text) ? "with its unit ms, s or m, " : "";
    context.issues.push({
      code: "custom",
      message: `a duration ${unit}from ${between}`,
      input: text,
    });
    return range.default;
  });
  return _default(pipe(string(), parsed), range.default);
}

/** A percentage from 10% to 100%, or `off`. */
function share(byDefault: string) {
  const parsed = transform((text: string, context) => {
    if (text === "off") return null;
    const percent = /^([0-9]{2,3})%$/.exec(text)?.[1];
    if (percent !== undefined && Number(percent) >= 10 && Number(percent) <= 100) {
      return Number(percent) / 100;
    }
    context.issues.push({
      code: "custom",
      message: "a share from 10% to 100%, or off",
      input: text,
    });
    return null;
  });
  return pipe(_default(string(), byDefault), parsed);
}

/** A link of root's below the state directory leads to any other place that a collector has. */
const METRICS_LINKED = new RegExp(
  `^${STATE_DIR}/(?:[A-Za-z0-9_-][A-Za-z0-9._-]*/)+[A-Za-z0-9_-]+\\.prom$`,
);

/** A file that the compiled permissions let us write, or `off`. */
function metricsFile() {
  const parsed = transform((text: string, context): OutletSettings["metricsFile"] => {
    if (text === "off") return "off";
    if (METRICS_FILES.includes(text) || METRICS_LINKED.test(text)) return { path: text };
    context.issues.push({
      code: "custom",
      message: `off, ${METRICS_FILES.join(", ")}, or ${STATE_DIR}/LINK/NAME.prom`,
      input: text,
    });
    return "off";
  });
  return _default(pipe(string(), parsed), DEFAULT_OUTLETS.metricsFile);
}

function instanceNames() {
  const parsed = transform((text: string, context) => {
    const names = text.split(",").map((name) => name.trim());
    const distinct = new Set(names.map((name) => name.toLowerCase()));
    if (!names.every((name) => INSTANCE_NAME.test(name)) || distinct.size < names.length) {
      context.issues.push({
        code: "custom",
        message: "different names of letters, digits, _ and - with commas between them",
        input: text,
      });
    }
    return names;
  });
  return pipe(string(), parsed);
}

export function isOwn(key: string): key is OwnKey {
  return Object.hasOwn(OWN_EXAMPLES, key);
}

/** Our own keys are documented with underscores. */
export function documented(key: string): string {
  return isOwn(key) ? key.replaceAll("-", "_") : key;
}

function ownHint(option: OptionLine): string {
  const example = isOwn(option.key) ? OWN_EXAMPLES[option.key] : "";
  return `Write for example ${documented(option.key)}=${example} in line ${option.line} of ` +
    `${shown(option.file)}, then run: locktables check`;
}
