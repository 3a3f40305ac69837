/** Log daemons in a guest: systemd's own journal, or BusyBox' syslogd where there is none. */
import { type Sandbox } from "./sandbox.ts";
import { until } from "./guest.ts";

/** An entry of the journal; its fields are text. */
export type Entry = Readonly<Record<string, string>>;

/** A journal in memory. */
export interface Journal {
  readonly pid: number;
  /** What locktables has logged, the oldest first. */
  entries(): Promise<readonly Entry[]>;
  /** As if it had stopped reading. */
  stop(): void;
  close(): Promise<void>;
}

/** A sandbox has one that does nothing, well. */
export const REAL_LOGGER = "umount /usr/bin/logger";

/** Starts systemd-journald; it listens where `logger --journald` writes. */
export async function startJournal(sandbox: Sandbox): Promise<Journal> {
  await sandbox.sh(`${REAL_LOGGER}; mkdir -p /run/systemd/journal /run/log/journal`);
  const daemon = sandbox.spawn(["/lib/systemd/systemd-journald"], {
    stdout: "null",
    stderr: "null",
  });
  await until("the journal listens", 10_000, () => sandbox.exists("/run/systemd/journal/socket"));
  return {
    pid: daemon.pid,
    async entries() {
      const { stdout } = await sandbox.sh(
        "journalctl --directory=/run/log/journal --identifier=locktables --output=json --no-pager",
      );
      return stdout.split("\n").filter((line) => line.startsWith("{")).map((line) =>
        JSON.parse(line)
      );
    },
    stop: () => daemon.kill("SIGSTOP"),
    async close() {
      daemon.kill("SIGKILL");
      await daemon.status;
    },
  };
}

/** A `/dev` of the guest's own with syslogd behind `/dev/log`; what it has read is in `file`. */
export async function startSyslog(sandbox: Sandbox, file: string): Promise<Deno.ChildProcess> {
  await sandbox.sh(`${REAL_LOGGER}
    mount -t tmpfs -o mode=0755 tmpfs /mnt
    cp -a /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty /mnt
    ln -s /proc/self/fd /mnt/fd
    mount --move /mnt /dev`);
  const daemon = sandbox.spawn(["/usr/bin/busybox", "syslogd", "-n", "-O", file], {
    stdout: "null",
    stderr: "null",
  });
  await until("syslogd listens", 10_000, () => sandbox.exists("/dev/log"));
  return daemon;
}
