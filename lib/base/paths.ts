/** Every path of ours. The same list is compiled in as permissions (`deno.json`). */

/** Where the window lives while it lives: tmpfs, never frozen, gone after a reboot. */
export const RUN_DIR = "/run/veeam";
/** Is there while a lock is being taken; goes when the database is locked. */
export const WAIT_FOR_LOCK = `${RUN_DIR}/waitforlock`;
/** Is there while a window is open; removing it releases the lock. */
export const WAIT_FOR_SNAPSHOT = `${RUN_DIR}/waitforsnapshot`;
/** The locker's control socket. */
export const LOCKER_SOCKET = `${RUN_DIR}/locker.sock`;
/** The window as the locker last wrote it down: what is left when the locker was killed. */
export const WINDOW_FILE = `${RUN_DIR}/window.json`;

/** What an outlet could not report of the last windows. */
export const UNREPORTED_FILE = `${RUN_DIR}/unreported.json`;

/** Where the record lives: on disk, hence inside the image. */
export const STATE_DIR = "/var/lib/locktables";
/** The record of the newest window. */
export const RECORD_FILE = `${STATE_DIR}/record.json`;
/** The place of the next record, reserved before the lock. */
export const RESERVED_FILE = `${RECORD_FILE}.tmp`;
/** Where a file of a closed window is written before it is put in place. */
export const CLOSING_FILE = `${STATE_DIR}/closing.tmp`;
/** What check writes to see whether it can: of its own, a window's files are not touched. */
export const WRITE_PROBE_NAME = "check.tmp";
/** An empty directory of the freeze sensor's: in it nobody else's call keeps its own waiting. */
export const FREEZE_SENSOR_DIR = `${STATE_DIR}/freeze-sensor`;
/** The newest closed windows, one JSON object a line, oldest first. */
export const HISTORY_FILE = `${STATE_DIR}/history.jsonl`;
/** Those before them, thinned. */
export const OLDER_HISTORY_FILE = `${STATE_DIR}/history-older.jsonl`;

/** Numbers over all windows, and where they are written before they are put in place. */
export const TOTALS_FILE = `${STATE_DIR}/totals.json`;
export const TOTALS_TEMPORARY = `${TOTALS_FILE}.tmp`;

/** Where node_exporter's textfile collector looks: Debian's package, and most other set-ups. */
export const METRICS_FILES: readonly string[] = [
  "/var/lib/prometheus/node-exporter/locktables.prom",
  "/var/lib/node_exporter/textfile_collector/locktables.prom",
];

/** Tells journal and syslog. It is compiled in as one of the programs that we may run. */
export const LOGGER = "/usr/bin/logger";

/** The operator's own program, which is started for windows that were not good. */
export const NOTIFY = "/etc/locktables/notify";
/**
 * The same as it is started. Deno takes the right to write from every path that may be run, and with
 * it that to write into its directory, where install has files of its own; not by this name.
 */
export const NOTIFY_PROGRAM = `/proc/self/root${NOTIFY}`;

/** Where the program belongs. */
export const PROGRAM = "/usr/local/sbin/locktables";

/** What install changed, for uninstall. */
export const RECEIPT_FILE = `${STATE_DIR}/receipt.json`;

/** The option file, read by explicit path because hooks often run without HOME. */
export const OPTION_FILE = "/root/.my.cnf";

/**
 * Where servers put their socket, most usual first: Debian, RHEL, SUSE, old MariaDB. Not the
 * /tmp/mysql.sock of source builds: while that server is stopped, anybody can listen there.
 */
export const KNOWN_SOCKETS: readonly string[] = [
  "/run/mysqld/mysqld.sock",
  "/var/lib/mysql/mysql.sock",
  "/run/mysql/mysql.sock",
  "/run/mariadb/mariadb.sock",
];

/** The directory that a path is in. */
export function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/")) || "/";
}
