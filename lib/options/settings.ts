/**
 * The settings of locktables, from the options of `/root/.my.cnf`: how to connect,
 * and the table of docs/options.md.
 *
 * @module
 */
import { formatDuration } from "../base/duration.ts";
import { setValue } from "../base/edit_command.ts";
import { isRefusal, type Refusal } from "../base/refusal.ts";
import { placed } from "./bad_setting.ts";
import { type InstanceSettings, instancesFrom, isConnection, OWN_GROUP } from "./connection.ts";
import {
  type OptionFile,
  type OptionLine,
  optionsOfGroups,
  type OptionWarning,
} from "./option_file.ts";
import {
  DEFAULT_FREEZE_TIMEOUT_MS,
  isOwn,
  type OutletSettings,
  ownSettingsFrom,
} from "./own_settings.ts";
import { looseKey, misspelled, strayGroup, unknownKey } from "./stray.ts";

/** Everything the option file decides. All times are whole milliseconds. */
export interface Settings {
  /** How to lock; `auto`: BACKUP STAGE on MariaDB 10.5 and later, else FTWRL. */
  readonly method: "auto" | "ftwrl" | "backup-stage";
  /** Longest time the lock is held: 1 s to 15 min. */
  readonly holdTimeoutMs: number;
  /** From the lock to pre-freeze's answer: 500 ms to 30 s. */
  readonly stallLimitMs: number;
  /** The whole of pre-freeze: 1 s to 15 min. */
  readonly freezeTimeoutMs: number;
  /**
   * One attempt to lock: whole seconds, 1 s to 60 s. It may be longer than
   * `freezeTimeoutMs`; what counts is the smaller of it and the time that is left.
   */
  readonly lockWaitTimeoutMs: number;
  /** Age from which a statement counts as a blocker: 100 ms to 15 min. */
  readonly longQueryGuardMs: number;
  /** Which blockers may be killed. */
  readonly killLongQueries: "off" | "select" | "all";
  /**
   * Share of `max_connections` from which the lock is released, because a server full of waiting
   * writers refuses clients; null: never.
   */
  readonly connectionMark: number | null;
  /**
   * What releases the lock besides its end: `auto`: the filesystems' thaw, where it means for this
   * caller that the snapshot is taken, else the thaw hook.
   */
  readonly release: "auto" | "thaw-hook" | "filesystem-thaw";
  /** What pre-freeze tells its caller when it has no lock. */
  readonly onFailure: "abort" | "proceed";
  readonly outlets: OutletSettings;
  /** At least one; without `instances` a single one named `main`. */
  readonly instances: readonly InstanceSettings[];
}

/** The server counts `lock_wait_timeout` in whole seconds. */
const SERVER_UNIT_MS = 1_000;

/**
 * The settings that the options mean.
 *
 * Connection options come from `[client]`, `[client-server]`, `[client-mariadb]` and
 * `[locktables]`; with `instances`, each instance also takes the groups with its name
 * appended (`[client_reporting]`). The order of the lines in the file decides, the last
 * one wins, as in the clients. Unknown keys in the clients' groups are ignored, because
 * they are other programs'. Names of keys compare without regard to case, as in MariaDB's
 * clients.
 *
 * @param read what {@linkcode readOptionFile} returned; no options at all is fine.
 * @param defaultFreezeTimeoutMs default of `freeze_timeout`; each caller has its own.
 * @returns the settings and the warnings, those of reading first; or a refusal
 * (`bad-setting`, exit 22) with file, line and key of the first bad one. A password is
 * never repeated.
 */
export function settingsFrom(
  read: OptionFile,
  defaultFreezeTimeoutMs: number = DEFAULT_FREEZE_TIMEOUT_MS,
): { settings: Settings; warnings: OptionWarning[] } | Refusal {
  const options = read.options.map((option) => ({ ...option, key: option.key.toLowerCase() }));
  const warnings = [...read.warnings];

  const ownOptions = optionsOfGroups(options, [OWN_GROUP]);
  const unknown = ownOptions.filter((option) => !isOwn(option.key) && !isConnection(option.key));
  const strict = unknown.find((option) => !option.loose);
  if (strict !== undefined) return unknownKey(strict);
  warnings.push(...unknown.map(looseKey));

  const own = ownSettingsFrom(
    ownOptions.filter((option) => isOwn(option.key)),
    defaultFreezeTimeoutMs,
  );
  if (isRefusal(own)) return own;
  const { values, lines } = own;

  const stray = strayGroup(options, values.instances);
  if (stray !== null) return stray;
  warnings.push(...misspelled(options));

  const lockWaitTimeoutMs = SERVER_UNIT_MS *
    Math.ceil(values["lock-wait-timeout"] / SERVER_UNIT_MS);
  const lockWait = lines.get("lock-wait-timeout");
  if (lockWait !== undefined) {
    warnings.push(
      ...lockWaitAdjusted(lockWait, {
        saidMs: values["lock-wait-timeout"],
        countsMs: lockWaitTimeoutMs,
        freezeTimeoutMs: values["freeze-timeout"],
      }),
    );
  }

  const instances = instancesFrom(options, values.instances, lines.get("instances"));
  if (isRefusal(instances)) return instances;
  return {
    settings: {
      method: values.method,
      holdTimeoutMs: values["hold-timeout"],
      stallLimitMs: values["stall-limit"],
      freezeTimeoutMs: values["freeze-timeout"],
      lockWaitTimeoutMs,
      longQueryGuardMs: values["long-query-guard"],
      killLongQueries: values["kill-long-queries"],
      connectionMark: values["connection-mark"],
      release: values.release,
      onFailure: values["on-failure"],
      outlets: { log: values.log === "on", metricsFile: values["metrics-file"] },
      instances: instances.found,
    },
    warnings: [...warnings, ...instances.warnings],
  };
}

/** Where `lock_wait_timeout` is set, and is not what happens. */
function* lockWaitAdjusted(
  line: OptionLine,
  { saidMs, countsMs, freezeTimeoutMs }: {
    readonly saidMs: number;
    readonly countsMs: number;
    readonly freezeTimeoutMs: number;
  },
): Generator<OptionWarning> {
  if (countsMs !== saidMs) {
    yield {
      reason: "setting-adjusted",
      text: `Setting ${placed(line)} is ${formatDuration(saidMs)} and counts as ` +
        `${formatDuration(countsMs)}, the server takes whole seconds`,
      remedy: setValue(line, formatDuration(countsMs)),
    };
  }
  if (countsMs > freezeTimeoutMs) {
    const wholeSecondsMs = freezeTimeoutMs - freezeTimeoutMs % SERVER_UNIT_MS;
    yield {
      reason: "setting-adjusted",
      text: `Setting ${placed(line)} is ${formatDuration(countsMs)}, but freeze_timeout ends the ` +
        `attempt after ${formatDuration(freezeTimeoutMs)}`,
      remedy: setValue(line, formatDuration(wholeSecondsMs)),
    };
  }
}
