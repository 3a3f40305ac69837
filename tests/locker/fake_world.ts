/**
 * A world for the locker in which time passes only when a test says so: servers, disk, run
 * directory and pre-freeze are values, and every timer is a fake one.
 */
import assert from "node:assert/strict";
// @deno-types="npm:@types/sinonjs__fake-timers@15.0.1"
import { install, type InstalledClock } from "@sinonjs/fake-timers";
import { runLocker } from "../../lib/locker/loop.ts";
import type { LockerPorts } from "../../lib/locker/ports.ts";
import type { LockerMessage } from "../../lib/locker/freeze_protocol.ts";
import { ALONE, type Coordinates } from "../../lib/window/coordinates.ts";
import type { ImageMarks, TransactionMark } from "../../lib/window/image_marks.ts";
import { parseVersion } from "../../lib/mysql/flavor.ts";
import type { Look } from "../../lib/mysql/guard_watch.ts";
import type { Instance, InstanceOptions } from "../../lib/mysql/instance.ts";
import type { Claimed } from "../../lib/mysql/server_name.ts";
import type { ReleaseEnd } from "../../lib/mysql/release.ts";
import type { InstanceFacts } from "../../lib/mysql/server_facts.ts";
import { METHODS } from "../../lib/mysql/methods.ts";
import type { Settings } from "../../lib/options/settings.ts";
import { isRefusal, type Refusal } from "../../lib/base/refusal.ts";
import type { Caller } from "../../lib/callers/table.ts";
import {
  FREEZE_SENSOR_DIR,
  WAIT_FOR_LOCK,
  WAIT_FOR_SNAPSHOT,
  WINDOW_FILE,
} from "../../lib/base/paths.ts";
import type { WindowRecord } from "../../lib/window/record.ts";
import type { Report } from "../../lib/window/report.ts";

/** What one answer of the world is, and after how many milliseconds it comes; null: never. */
export interface Answer<T> {
  readonly afterMs: number | null;
  readonly value: T;
}

/** Nothing goes wrong, at once. */
const GOOD: Answer<null> = { afterMs: 0, value: null };

/** How a server behaves; what is left out is as on a quiet, healthy one. */
export interface FakeServer {
  readonly name?: string;
  /** One for each attempt, as are `locks`; the last one stays. */
  readonly opens?: readonly Answer<Refusal | null>[];
  readonly locks?: readonly Answer<Refusal | null>[];
  /** What the guard sees, one for each look; the last one stays. */
  readonly looks?: readonly (Partial<Look> | Refusal)[];
  readonly claim?: Claimed;
  readonly reads?: Answer<Refusal | null>;
  readonly writesLog?: Answer<Refusal | null>;
  readonly releases?: Answer<ReleaseEnd["proof"]>;
  /** Throws in this question: a defect of ours. */
  readonly breaksAt?: "open" | "look" | "lock" | "readCoordinates";
}

/** How the rest of the guest behaves. */
export interface FakeGuest {
  readonly servers?: readonly FakeServer[];
  readonly settings?: Partial<Settings>;
  readonly reserve?: Answer<Refusal | null>;
  readonly commit?: Answer<Refusal | null>;
  readonly closeRecord?: Answer<Refusal | null>;
  readonly flushEverything?: Answer<Refusal | null>;
  readonly flush?: Answer<Refusal | null>;
  /** Whether pre-freeze accepts the answer by itself; default: at once. */
  readonly acceptsAfterMs?: number | null;
  /** Whether pre-freeze is there to be told; default: it is. */
  readonly hasPreFreeze?: boolean;
  /** Who calls; default: a caller that does not say it. */
  readonly caller?: Caller;
  /** How long before the locker pre-freeze began; default: it does not say so. */
  readonly beganBeforeMs?: number;
  /** Closed windows on the disk, oldest first; null: they are never read. */
  readonly history?: readonly WindowRecord[] | null;
  /** Where freezes can be seen; default: at one place. How long that is looked for; null: for ever. */
  readonly freezePlaces?: readonly string[];
  readonly findsPlacesAfterMs?: number | null;
}

/** One window in the fake world. */
export interface FakeWorld {
  /** What has been done, in order. */
  readonly log: string[];
  readonly sent: LockerMessage[];
  /** Records that were closed on disk. */
  readonly closed: WindowRecord[];
  /** What was sent to the outlets. */
  readonly reports: Report[];
  /** Files in the run directory. */
  readonly files: Map<string, string>;
  /** Lets so many milliseconds pass. */
  pass(ms: number): Promise<void>;
  /** As it is now, asked over the control socket. */
  status(): WindowRecord;
  /** Asks for the end; what the client is told comes with {@linkcode verdict}. */
  thaw(): void;
  abort(): void;
  /** The hook leaves its word; the file is removed by hand. */
  hookWord(): void;
  removeLockFile(): void;
  signal(name: string): void;
  /** The filesystem of a place takes no writes from now on, or takes them again. */
  freeze(place?: string): void;
  unfreeze(place?: string): void;
  /** One call to a place gets no CPU from now on, while all others do; ends with `feed`. */
  starveOne(place?: string): void;
  /** No thread of the pool gets CPU from now on, or all get it again. */
  starve(): void;
  feed(): void;
  /** How often a place, or the run directory, has been asked. */
  asked(place?: string): number;
  preFreezeDies(): void;
  loseSession(at: number, why: string): void;
  crowd(at: number, why: string): void;
  /** What the clients that waited were told. */
  readonly verdicts: WindowRecord[];
  isOver(): boolean;
  /** Of the runner itself: a defect that could not be closed. */
  failure(): unknown;
  restore(): void;
}

/** Where the sensor looks unless a test says otherwise. */
const PLACE = FREEZE_SENSOR_DIR;

const SETTINGS: Settings = {
  method: "auto",
  holdTimeoutMs: 20_000,
  stallLimitMs: 5_000,
  freezeTimeoutMs: 10_000,
  lockWaitTimeoutMs: 1_000,
  longQueryGuardMs: 5_000,
  killLongQueries: "off",
  connectionMark: 0.9,
  release: "auto",
  onFailure: "abort",
  outlets: { log: true, metricsFile: "found" },
  instances: [],
};

/** Opens a window in such a guest. */
export function openFakeWorld(guest: FakeGuest = {}): FakeWorld {
  const time = install({
    now: Date.UTC(2026, 0, 2, 3, 4, 5),
    toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "Date", "performance"],
  });
  const log: string[] = [];
  const sent: LockerMessage[] = [];
  const closed: WindowRecord[] = [];
  const verdicts: WindowRecord[] = [];
  const reports: Report[] = [];
  const files = new Map<string, string>();
  const servers = guest.servers ?? [{}];
  const opened: InstanceOptions[] = [];
  const accepted = Promise.withResolvers<boolean>();
  const opens = servers.map(() => 0);
  const attempts = servers.map(() => 0);
  const looks = servers.map(() => 0);
  /** What is the turn of a server, and counts it. */
  const turn = <T>(all: readonly T[], counts: number[], at: number): T | undefined => {
    const count = counts[at] ?? 0;
    counts[at] = count + 1;
    return all[Math.min(count, all.length - 1)];
  };
  let handlers: Parameters<LockerPorts["runDirectory"]["openControlServer"]>[0] | null = null;
  let hook: Parameters<
    Exclude<ReturnType<LockerPorts["runDirectory"]["openLockFiles"]>, Refusal>
  >[0] = { onHook: () => {}, onRemoved: () => {}, isThawedBy: () => true };
  let onSignal: (signal: string) => void = () => {};
  let isWatched = false;
  let waiting = 0;
  const asks: string[] = [];
  const freezing = new Map<string, PromiseWithResolvers<void>>();
  let starving: PromiseWithResolvers<void> | null = null;
  let starvingOne: string | null = null;
  let starved: PromiseWithResolvers<void> | null = null;

  const doing = async <T>(what: string, { afterMs, value }: Answer<T>): Promise<T> => {
    log.push(what);
    if (afterMs === null) await new Promise<never>(() => {});
    else if (afterMs > 0) await new Promise((resolve) => setTimeout(resolve, afterMs));
    return value;
  };
  const ports: LockerPorts = {
    clock: { now: () => ({ monoMs: performance.now(), wallMs: Date.now() }) },
    runDirectory: {
      openLockFiles() {
        files.set(WAIT_FOR_LOCK, "").set(WAIT_FOR_SNAPSHOT, "");
        return (watching) => {
          hook = watching;
          isWatched = true;
          return { check() {}, close: () => isWatched = false };
        };
      },
      writeWindowFile: (record) => void files.set(WINDOW_FILE, JSON.stringify(record)),
      windowFileIs: (id) => files.get(WINDOW_FILE)?.includes(id) ?? false,
      remove: (path) => void files.delete(path),
      openControlServer(given) {
        handlers = given;
        return {
          answerWaiters(record) {
            for (let told = 0; told < waiting; told += 1) verdicts.push(record);
            return Promise.resolve(waiting);
          },
          hasWaiters: () => waiting > 0,
          close: () => handlers = null,
          hangUp: () => log.push("hung up"),
        };
      },
    },
    disk: {
      flushEverything: () => ({
        done: doing("sync", guest.flushEverything ?? GOOD),
        abandon: () => log.push("sync abandoned"),
      }),
      flushFilesystemsOf: () => ({
        done: doing("flush", guest.flush ?? GOOD),
        abandon: () => log.push("flush abandoned"),
      }),
      async reserveRecord() {
        const refused = await doing("reserve", guest.reserve ?? GOOD);
        return refused ?? {
          commit: () => doing("commit", guest.commit ?? GOOD),
          discard: () => doing("discard", { afterMs: 0, value: undefined }),
        };
      },
      async closeRecord(record) {
        const refused = await doing("close record", guest.closeRecord ?? GOOD);
        if (refused === null) closed.push(record);
        return refused;
      },
      volumesOf: () => Promise.resolve([]),
      newestRecords: (most) =>
        guest.history === null
          ? new Promise<never>(() => {})
          : Promise.resolve((guest.history ?? []).slice(-most)),
    },
    freezes: {
      async places() {
        const { findsPlacesAfterMs: afterMs = 0, freezePlaces = [PLACE] } = guest;
        return await doing("places", { afterMs, value: freezePlaces });
      },
      async ask(directory) {
        asks.push(directory);
        if (directory === starvingOne) {
          starvingOne = null;
          await (starved = Promise.withResolvers()).promise;
        }
        while (starving !== null || freezing.has(directory)) {
          await (starving ?? freezing.get(directory))?.promise;
        }
      },
    },
    async openInstance(options) {
      const at = opened.push({ ...options, socket: options.socket ?? "/run/mysqld/mysqld.sock" }) -
        1;
      const server = servers[at % servers.length] ?? {};
      if (server.breaksAt === "open") throw new Error("broken open");
      const place = at % servers.length;
      const answer = turn(server.opens ?? [], opens, place) ?? GOOD;
      return await doing(`open ${options.name}`, answer) ?? fakeInstance(server, place);
    },
    onSignal: (handler) => onSignal = handler,
    dropSyncRight: () => log.push("right to sync dropped"),
    report(report) {
      log.push("report");
      reports.push(report);
      return Promise.resolve();
    },
  };

  const fakeInstance = (server: FakeServer, at: number): Instance => {
    const name = server.name ?? `server${at}`;
    let held: Coordinates | null = null;
    let end: ReleaseEnd | null = null;
    let marks: ImageMarks | null = null;
    let transactions: TransactionMark | null = null;
    let releasing: Promise<ReleaseEnd> | null = null;
    const breaking = (where: FakeServer["breaksAt"]) => {
      if (server.breaksAt === where) throw new Error(`broken ${where}`);
    };
    return {
      facts: factsOf(name, at),
      warnings: [],
      topology: ALONE,
      hasBinlog: true,
      rights: { account: "'root'@'localhost'", grants: [] },
      choice: () => ({ method: METHODS.ftwrl, why: "a test", otherwise: null }),
      claim: () => Promise.resolve(server.claim ?? { kind: "ours" }),
      // deno-lint-ignore require-await
      async look() {
        breaking("look");
        const seen = turn(server.looks ?? [], looks, at) ?? {};
        if (isRefusal(seen)) return seen;
        return { blockers: [], youngReaders: [], killed: [], crowded: null, blind: [], ...seen };
      },
      async lock() {
        breaking("lock");
        return await doing(`lock ${name}`, turn(server.locks ?? [], attempts, at) ?? GOOD);
      },
      writeLog: () => doing(`write log ${name}`, server.writesLog ?? GOOD),
      async readCoordinates() {
        breaking("readCoordinates");
        const refused = await doing(`read ${name}`, server.reads ?? GOOD);
        if (refused !== null) return refused;
        held = { ...ALONE, inexact: null, log_bin: true, file: "binlog.1", position: 4, gtid: {} };
        return held;
      },
      // deno-lint-ignore require-await
      async askMarks() {
        marks = { closed_binlogs: [], databases: [], system_tables_made_at: null };
      },
      marks: () => marks,
      // deno-lint-ignore require-await
      async askTransactions() {
        transactions = marks === null ? null : { next_id: 4711, open: 0, clients_most: 151 };
      },
      closeMarks() {},
      transactions: () => transactions,
      coordinates: () => held,
      release() {
        releasing ??= (async () => {
          const answer = server.releases ?? { afterMs: 0, value: "equal" as const };
          end = { proof: await doing(`release ${name}`, answer), coordinates: held };
          return end;
        })();
        return releasing;
      },
      end: () => end,
    };
  };

  let isOver = false;
  let failure: unknown = null;
  const settings = {
    ...SETTINGS,
    ...guest.settings,
    instances: servers.map(({ name }, at) => ({
      name: name ?? `server${at}`,
      connection: { user: "root", password: null, socket: null },
    })),
  };
  const { acceptsAfterMs = 0, hasPreFreeze = true } = guest;
  runLocker({
    settings,
    caller: guest.caller ?? null,
    beganMs: guest.beganBeforeMs === undefined ? null : Date.now() - guest.beganBeforeMs,
    isRehearsal: false,
    warnings: [],
    preFreeze: {
      send(message) {
        if (!hasPreFreeze) return false;
        sent.push(message);
        if (message.event === "frozen" && acceptsAfterMs !== null) {
          setTimeout(() => accepted.resolve(true), acceptsAfterMs);
        }
        return true;
      },
      hangUp: () => log.push("line to pre-freeze ended"),
      accepted: accepted.promise,
    },
  }, ports).then(() => isOver = true, (error) => failure = error);

  return {
    log,
    sent,
    closed,
    reports,
    files,
    verdicts,
    async pass(ms) {
      await time.tickAsync(ms);
    },
    status() {
      assert.ok(handlers !== null, "the control socket is there");
      return handlers.record();
    },
    thaw() {
      waiting += 1;
      handlers?.onThaw();
    },
    abort() {
      waiting += 1;
      handlers?.onAbort();
    },
    hookWord: () => isWatched && hook.onHook(),
    removeLockFile: () => isWatched && hook.onRemoved(),
    signal: (name) => onSignal(name),
    freeze: (place = PLACE) => void freezing.set(place, Promise.withResolvers()),
    unfreeze(place = PLACE) {
      freezing.get(place)?.resolve();
      freezing.delete(place);
    },
    starveOne: (place = PLACE) => void (starvingOne = place),
    starve: () => void (starving = Promise.withResolvers()),
    feed() {
      starving?.resolve();
      starved?.resolve();
      starving = null;
    },
    asked: (place = PLACE) => asks.filter((one) => one === place).length,
    preFreezeDies: () => accepted.resolve(false),
    loseSession: (at, why) => opened[at]?.onLost(why),
    crowd: (at, why) => opened[at]?.onCrowded(why),
    isOver: () => isOver,
    failure: () => failure,
    restore: () => restore(time),
  };
}

function restore(time: InstalledClock): void {
  time.uninstall();
}

function factsOf(name: string, at: number): InstanceFacts {
  const server = parseVersion("10.11.19-MariaDB", "Debian 12");
  if (server === null || isRefusal(server)) throw new Error("no version");
  return {
    name,
    socket: `/run/${name}.sock`,
    server,
    connection_id: 40 + at,
    hostname: "guest",
    server_id: at + 1,
    server_uuid: null,
    read_only: false,
    datadir: `/var/lib/mysql/${name}`,
    maxConnections: 151,
    logWriteIntervalS: null,
    redoPosition: null,
    appliers: { workers: 0, logsUpdates: false },
    dataDirectories: [`/var/lib/mysql/${name}`],
  };
}
