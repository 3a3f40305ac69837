/** What a locker needs of the world, and the real ones. A test has its own. */
import type { Refusal } from "../base/refusal.ts";
import type { Instance, InstanceOptions } from "../mysql/instance.ts";
import { instanceSocket } from "../options/instance_socket.ts";
import { type Clock, systemClock } from "../base/clock.ts";
import { diskAnswered } from "../base/disk.ts";
import { removeIfThere } from "../base/files.ts";
import { type Place, placeOf } from "../base/look.ts";
import { sendErrand } from "../base/errand.ts";
import { type Flush, flushEverything, flushFilesystemsOf, SYNC_PROGRAMS } from "./flush.ts";
import { freezePlaces } from "./freeze_places.ts";
import { closeRecord, newestRecords, type ReservedRecord, reserveRecord } from "./record_file.ts";
import type { WindowRecord } from "../window/record.ts";
import type { Report } from "../window/report.ts";
import { type ControlHandlers, type ControlServer, openControlServer } from "./control_server.ts";
import {
  type LockFileHandlers,
  openLockFiles,
  watchLockFile,
  windowFileIs,
  writeWindowFile,
} from "./run_directory.ts";

/** The lock file `waitforsnapshot`, watched. */
export interface LockFileWatch {
  /** Looks now. */
  check(): void;
  close(): void;
}

/** Files and socket in the run directory, which is in memory: none of these waits for a disk. */
export interface RunDirectoryPort {
  /** Makes both lock files; what it returns watches `waitforsnapshot`. */
  openLockFiles(): ((handlers: LockFileHandlers) => LockFileWatch) | Refusal;
  writeWindowFile(record: WindowRecord): void;
  /** Whether the window file is of the window with this id. */
  windowFileIs(windowId: string): boolean;
  /** Removes a file that may be missing. */
  remove(path: string): void;
  openControlServer(handlers: ControlHandlers): ControlServer;
}

/** What waits for disks. */
export interface DiskPort {
  flushEverything(): Flush;
  flushFilesystemsOf(paths: readonly string[]): Flush;
  reserveRecord(): Promise<ReservedRecord | Refusal>;
  closeRecord(record: WindowRecord): Promise<Refusal | null>;
  /** Where these directories are; those that cannot be seen are left out. */
  volumesOf(directories: readonly string[]): Promise<readonly Place[]>;
  /** The newest closed windows, oldest first; none where they cannot be read. */
  newestRecords(most: number): Promise<readonly WindowRecord[]>;
}

/** What the freeze sensor asks. Neither call waits on the main thread. */
export interface FreezePort {
  /** Where freezes of these directories' filesystems can be seen; waits for disks. */
  places(dataDirectories: readonly string[]): Promise<readonly string[]>;
  /** Asks the filesystem of a directory for the right to write; waits as long as it is frozen. */
  ask(directory: string): Promise<void>;
}

/** A server as the option file has it; `socket` is null where it is to be found. */
export type ConfiguredInstance = Omit<InstanceOptions, "socket"> & {
  readonly socket: string | null;
};

/** Everything outside of the loop. */
export interface LockerPorts {
  readonly clock: Clock;
  readonly runDirectory: RunDirectoryPort;
  readonly disk: DiskPort;
  readonly freezes: FreezePort;
  openInstance(options: ConfiguredInstance): Promise<Instance | Refusal>;
  /** Calls back for each signal that asks the locker to end. */
  onSignal(handler: (signal: string) => void): void;
  /** Gives back the right to run `sync`: nothing of it is needed once the lock is promised. */
  dropSyncRight(): void;
  /** Sends a report off; nothing of it is waited for, and it never fails. */
  report(report: Report): Promise<void>;
}

const SIGNALS = ["SIGTERM", "SIGINT", "SIGHUP"] as const;

/** The machine's own. */
export const systemPorts: LockerPorts = {
  clock: systemClock,
  runDirectory: {
    openLockFiles() {
      const opened = openLockFiles();
      return "kind" in opened ? opened : (handlers) => watchLockFile(opened, handlers);
    },
    writeWindowFile,
    windowFileIs,
    remove: removeIfThere,
    openControlServer,
  },
  disk: {
    flushEverything,
    flushFilesystemsOf,
    reserveRecord,
    closeRecord,
    volumesOf: async (directories) => {
      const places = await Promise.all([...new Set(directories)].map(placeOf));
      return places.filter((place) => place !== null);
    },
    newestRecords,
  },
  freezes: {
    places: freezePlaces,
    ask: async (directory) => void await diskAnswered(directory),
  },
  async openInstance(options) {
    // Here and not above: `sync` is at work while the driver is being parsed.
    const { openInstance } = await import("../mysql/open_instance.ts");
    return await openInstance({ ...options, socket: await instanceSocket(options.socket) });
  },
  onSignal(handler) {
    for (const signal of SIGNALS) Deno.addSignalListener(signal, () => handler(signal));
  },
  dropSyncRight() {
    for (const command of SYNC_PROGRAMS) Deno.permissions.revokeSync({ name: "run", command });
  },
  report: (report) => sendErrand("report", report),
};
