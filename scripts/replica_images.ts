/**
 * `deno task replica-images`: freezes a parallel replica under load, copies its disk below the
 * mount while the lock is held, boots a second server on the copy, and compares what that server
 * says of its position with what the record said. A recorded position is wrong when the booted
 * server says another one and the record did not call it inexact.
 *
 * Options: `--server=mariadb|mariadb-11.8|mysql`, `--windows=N` (default 20), `--boot=N` (how many of them are
 * booted, default all), `--method=auto|ftwrl|backup-stage`, `--workers=N` (default 4), `--mode=conservative` (MariaDB),
 * `--domains=N` (MariaDB: how many domains the source writes), `--channel=NAME`, `--source` (no replica: the server itself is loaded).
 */
import type { Coordinates } from "../lib/window/coordinates.ts";
import type { WindowRecord } from "../lib/window/record.ts";
import { replicate, replicationArguments } from "../tests/support/replica.ts";
import {
  connect,
  type Connection,
  discard,
  type Server,
  type ServerKind,
  startServer,
} from "../tests/support/server.ts";
import { build } from "./build.ts";
import {
  enterPrivateGuest,
  makeVirtualDisk,
  mountCopy,
  mustRun,
  pause,
  PROGRAM,
  requireLoopDevice,
  requirePrivateGuest,
  runInPrivateGuest,
} from "./private_guest.ts";
import { provision } from "./provision.ts";
import { run, ScriptError, scriptMain } from "./shell.ts";
import { startWriteLoad } from "./write_load.ts";

interface Options {
  readonly server: ServerKind;
  readonly windows: number;
  readonly boot: number;
  readonly method: string;
  readonly workers: number;
  readonly mode: string;
  readonly domains: number;
  readonly channel: string | null;
  readonly isSource: boolean;
}

/** Sessions that write on the source; enough to keep four workers busy on two cores. */
const WRITERS = 12;

/** Rows that all writers update: few enough that transactions of two workers meet. */
const HOT_ROWS = 40;

/** Bound of one hook. */
const HOOK_TIMEOUT_MS = 70_000;

/** How often the binlogs that no window needs any more are removed, in windows. */
const PURGE_EVERY = 25;

/** How long the load runs between two windows: the workers are in their stride again. */
const BETWEEN_MS = 400;

/**
 * $1 is the mount of a copy, $2 its file. What a busy machine has not yet taken leave of, such as the
 * killed server that had it, keeps it for a moment.
 */
const UNMOUNT_SCRIPT = `
for try in 1 2 3 4 5 6 7 8 9 10; do
  umount "$1" && break
  [ "$try" -lt 10 ] || exit 1
  sleep 0.5
done
rmdir "$1" && rm -f "$2"
`;

function parse(args: readonly string[]): Options {
  const value = (name: string) =>
    args.find((arg) => arg.startsWith(`--${name}=`))?.slice(name.length + 3);
  const number = (name: string, otherwise: number) => {
    const parsed = Number(value(name) ?? otherwise);
    if (!Number.isInteger(parsed) || parsed < 0) {
      throw new ScriptError(`--${name} takes a whole number`);
    }
    return parsed;
  };
  const windows = number("windows", 20);
  return {
    server: (value("server") ?? "mariadb") as ServerKind,
    windows,
    boot: Math.min(number("boot", windows), windows),
    method: value("method") ?? "auto",
    workers: number("workers", 4),
    mode: value("mode") ?? "optimistic",
    domains: number("domains", 1),
    channel: value("channel") ?? null,
    isSource: args.includes("--source"),
  };
}

function replicaArguments(options: Options): string[] {
  const isMysql = options.server === "mysql";
  return [
    ...replicationArguments(),
    ...(isMysql ? [`--replica-parallel-workers=${options.workers}`] : [
      `--slave-parallel-threads=${options.workers}`,
      `--slave-parallel-mode=${options.mode}`,
      "--log-slave-updates=ON",
    ]),
  ];
}

/** Booting is spread evenly over the windows. */
function isBooted(at: number, { windows, boot }: Options): boolean {
  return Math.floor((at + 1) * boot / windows) > Math.floor(at * boot / windows);
}

async function inside(options: Options, dir: string): Promise<number> {
  await enterPrivateGuest(dir, (await build({ log: () => {} })).binary);
  await mustRun(
    "Cannot make the option file",
    'printf "$1" >/root/.my.cnf && chmod 600 /root/.my.cnf',
    `[locktables]\nmethod=${options.method}\n`,
  );
  const disk = await makeVirtualDisk(dir, "/var/lib");
  await mustRun(
    "Cannot make the directories",
    "mkdir -m 0700 /var/lib/locktables && mkdir $1",
    `${dir}/source`,
  );
  await mustRun(
    "Cannot mount memory for the source",
    'mount -t tmpfs -o mode=0755 tmpfs "$1"',
    `${dir}/source`,
  );
  const watched = await startServer(options.server, {
    dir: `${dir}/server`,
    datadir: "/var/lib/mysql",
    args: replicaArguments(options),
  });
  const source = options.isSource ? watched : await startServer(options.server, {
    dir: `${dir}/source`,
    args: replicationArguments(),
  });
  await mustRun(
    "Cannot show the socket",
    'mkdir /run/mysqld && mount --bind "$1" /run/mysqld',
    watched.socketDir,
  );
  if (!options.isSource) {
    await replicate(watched, source, options.channel === null ? {} : { channel: options.channel });
  }
  const tables = await connect(source);
  await tables.query("CREATE DATABASE load_test");
  await tables.query("CREATE TABLE load_test.hot (id INT PRIMARY KEY, n BIGINT NOT NULL)");
  await tables.query("CREATE TABLE load_test.log (id INT AUTO_INCREMENT PRIMARY KEY, writer INT)");
  for (let id = 0; id < HOT_ROWS; id += 1) {
    await tables.query(`INSERT INTO load_test.hot VALUES (${id}, 0)`);
  }
  const load = await startWriteLoad(source, {
    writers: WRITERS,
    thinkMs: 1,
    statement: (writer, sequence) =>
      `${
        options.domains > 1 ? `SET STATEMENT gtid_domain_id=${writer % options.domains} FOR ` : ""
      }${
        sequence % 3 === 0
          ? `UPDATE load_test.hot SET n = n + 1 WHERE id = ${(writer * 7 + sequence) % HOT_ROWS}`
          : `INSERT INTO load_test.log (writer) VALUES (${writer})`
      }`,
  });
  await pause(2_000);

  const seen = {
    windows: 0,
    refused: 0,
    booted: 0,
    exact: 0,
    saidInexact: 0,
    wrong: 0,
    methods: new Set<string>(),
  };
  for (let at = 0; at < options.windows; at += 1) {
    load.requireHealth();
    const image = isBooted(at, options) ? `${dir}/copy.img` : null;
    const frozen = await run([PROGRAM, "pre-freeze"], {
      clearEnv: true,
      env: {},
      cwd: "/",
      timeoutMs: HOOK_TIMEOUT_MS,
    });
    if (frozen.code !== 0) {
      seen.refused += 1;
      console.log(`window ${at + 1}: refused, ${frozen.stderr.trim()}`);
      await pause(BETWEEN_MS);
      continue;
    }
    if (image !== null) await disk.snapshot(image);
    const thawed = await run([PROGRAM, "post-thaw"], {
      clearEnv: true,
      env: {},
      cwd: "/",
      timeoutMs: HOOK_TIMEOUT_MS,
    });
    if (thawed.code !== 0) {
      throw new ScriptError(`post-thaw ended with ${thawed.code}: ${thawed.stderr}`);
    }
    const record = JSON.parse(
      await Deno.readTextFile("/var/lib/locktables/record.json"),
    ) as WindowRecord;
    const [instance] = record.instances;
    const recorded = instance?.coordinates ?? null;
    if (instance === undefined || recorded === null) {
      throw new ScriptError("The record has no coordinates");
    }
    seen.windows += 1;
    seen.methods.add(instance.method);
    if (image !== null) {
      const booted = await bootCopy(options, dir, image, tables);
      seen.booted += 1;
      const verdict = compare(recorded, booted);
      if (verdict.length === 0) seen.exact += recorded.inexact === null ? 1 : 0;
      const unsaid = verdict.filter(({ field }) =>
        !(recorded.inexact?.fields ?? []).includes(field)
      );
      if (recorded.inexact !== null && unsaid.length === 0) seen.saidInexact += 1;
      if (unsaid.length > 0) {
        seen.wrong += 1;
        console.log(`window ${at + 1}: WRONG ${JSON.stringify(unsaid)}, ${instance.method}`);
      }
    }
    if ((at + 1) % PURGE_EVERY === 0) await purgeBinlogs(watched);
    await pause(BETWEEN_MS);
  }
  await load.stop();
  await tables.close();
  await discard(watched);
  if (source !== watched) await discard(source);
  console.log(
    `${options.server}, method=${options.method} (${[...seen.methods].join(", ")}), ${
      options.isSource ? "source" : `${options.workers} workers, ${options.domains} domains`
    }: ${seen.windows} windows, ${seen.refused} refused, ${seen.booted} booted: ${seen.exact} exact, ${seen.saidInexact} said to be inexact, ${seen.wrong} wrong`,
  );
  return seen.wrong === 0 && seen.windows > 0 ? 0 : 1;
}

/** The disk is small: without this, 190 windows of load fill it and MySQL waits for room. */
async function purgeBinlogs(server: Server): Promise<void> {
  const session = await connect(server);
  await session.query("FLUSH BINARY LOGS");
  const logs = await session.query("SHOW BINARY LOGS");
  await session.query(`PURGE BINARY LOGS TO '${logs.at(-1)?.["Log_name"]}'`);
  await session.close();
}

/** What a server that is booted on the image says of itself. */
type Booted = Readonly<Record<string, string>>;

async function bootCopy(
  options: Options,
  dir: string,
  image: string,
  source: Connection,
): Promise<Booted> {
  const at = `${dir}/copy`;
  await mountCopy(image, at);
  try {
    const isMysql = options.server === "mysql";
    const record = JSON.parse(
      await Deno.readTextFile(`${at}/locktables/record.json`),
    ) as WindowRecord;
    const recorded = record.instances[0]?.coordinates;
    const { size } = await Deno.stat(`${at}/mysql/${recorded?.file}`);
    const second: Server = await startServer(options.server, {
      dir: `${dir}/second`,
      datadir: `${at}/mysql`,
      args: [...replicaArguments(options), isMysql ? "--skip-replica-start" : "--skip-slave-start"],
    });
    try {
      const session = await connect(second);
      const names = isMysql ? ["gtid_executed"] : ["gtid_slave_pos", "gtid_binlog_pos"];
      const [row] = await session.query(
        `SELECT ${names.map((name) => `@@global.${name} AS ${name}`).join(", ")}`,
      );
      await session.close();
      const [replica] = recorded?.replicas ?? [];
      const ofSource = isMysql || replica === undefined || options.domains > 1
        ? null
        : (await source.query(
          `SELECT BINLOG_GTID_POS('${replica.relay_source_log_file}', ${replica.exec_source_log_pos}) AS gtid`,
        ))[0];
      return {
        ...Object.fromEntries(names.map((name) => [name, clean(row?.[name])])),
        position: String(size),
        ...(ofSource === null ? {} : { exec_source_log_pos: clean(ofSource?.["gtid"]) }),
      };
    } finally {
      await discard(second);
    }
  } finally {
    await mustRun("Cannot unmount the copy", UNMOUNT_SCRIPT, at, image);
  }
}

function compare(
  recorded: Coordinates,
  booted: Booted,
): { field: string; recorded: string; booted: string }[] {
  return Object.entries(booted).flatMap(([field, value]) => {
    // The source's position names a transaction, which is what the copy must have applied last.
    const [said, seen] = field === "exec_source_log_pos"
      ? [value, booted["gtid_slave_pos"] ?? ""]
      : [field === "position" ? String(recorded.position) : clean(recorded.gtid[field]), value];
    return said === seen ? [] : [{ field, recorded: said, booted: seen }];
  });
}

/** Servers list domains and sources in no order that they keep. */
function clean(gtids: unknown): string {
  return String(gtids ?? "").replaceAll(/\s/g, "").split(",").sort().join(",");
}

if (import.meta.main) {
  const args = Deno.args[0] === "--" ? Deno.args.slice(1) : Deno.args;
  await scriptMain(async () => {
    const options = parse(args);
    const guest = args.find((arg) => arg.startsWith("--inside="))?.slice("--inside=".length);
    if (guest !== undefined) return await inside(options, guest);
    await requirePrivateGuest("This proof");
    await requireLoopDevice("This proof");
    await provision({ mariadb: true, mysql: true, testTools: true, log: () => {} });
    await build({ log: () => {} });
    return await runInPrivateGuest(new URL(import.meta.url).pathname, args);
  });
}
