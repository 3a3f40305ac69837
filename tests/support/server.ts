/** Throwaway database servers: real mysqld and mariadbd, as root, on a socket in a folder of their own. */

import { createConnection } from "mysql2";
import { Socket } from "node:net";
import {
  cacheDirectory,
  keepInCache,
  killChild,
  pathExists,
  run,
  runOrFail,
  ScriptError,
  tail,
} from "../../scripts/shell.ts";
import { enterSandbox, type Sandbox } from "./sandbox.ts";
import {
  argumentsOf,
  type Beginning,
  beginningOf,
  commandOf,
  flavorOf,
} from "./server_programs.ts";

/** The two families that the product supports. */
export type Flavor = "mariadb" | "mysql";

/**
 * The servers there are. By family: Debian 12's MariaDB and Debian sid's MySQL, on which everything
 * is shown. By version: MariaDB of Debian 11, 13 and sid, and the MySQL 5.6 of an npm package.
 */
export type ServerKind = Flavor | "mariadb-10.5" | "mariadb-11.8" | "mariadb-sid" | "mysql-5.6";

/** A running server of a test. */
export interface Server {
  readonly flavor: Flavor;
  /** As the program says it, e.g. `10.11.19`. */
  readonly version: string;
  /** Folder of this server, removed by {@linkcode Server.stop} unless the test gave it. */
  readonly dir: string;
  readonly datadir: string;
  /** Folder that holds `mysqld.sock` and nothing else. */
  readonly socketDir: string;
  readonly socket: string;
  readonly pid: number;
  readonly errorLog: string;
  /** Ends the server in good order and removes its folder. */
  stop(): Promise<void>;
  /** Ends the server as a power cut does to it; the folder stays for {@linkcode Server.restart}. */
  kill9(): Promise<void>;
  /** Starts the server again on its data, after stopping it in good order if it runs. */
  restart(): Promise<void>;
}

/** Options of {@linkcode startServer}. */
export interface ServerOptions {
  /** Folder to use; it is kept. */
  readonly dir?: string;
  /** Runs it inside this sandbox, where its data directory is; default: on the machine. */
  readonly sandbox?: Pick<Sandbox, "keeperPid">;
  /** Data directory, e.g. on a loop mount. One that has files is used as it is. */
  readonly datadir?: string;
  /** Further arguments of the server. */
  readonly args?: readonly string[];
  /** Another path of the program: MySQL looks beside it for its keyring. */
  readonly program?: string;
  /** Files to put into the data directory, by name, before the first start. */
  readonly files?: Readonly<Record<string, string>>;
  /** Initialise the data directory here instead of copying the cached one. */
  readonly fresh?: boolean;
}

/** Where an account of {@linkcode networkArguments}' server may come from. */
export const LOOPBACK = "127.0.0.1";

/** Bound of initialising a data directory: MySQL takes about 4 s on a quiet machine. */
const INITIALISE_TIMEOUT_MS = 120_000;

/** Bound of a start, crash recovery included. */
const START_TIMEOUT_MS = 60_000;

/** Bound of an orderly stop; then the server is killed. */
const STOP_TIMEOUT_MS = 20_000;

/** How often a starting server is asked whether it answers. */
const POLL_MS = 20;

/** Longest path that fits `sockaddr_un`, its final zero not counted. */
const SOCKET_PATH_MAX = 107;

/** Bump when templates must be made anew. */
const TEMPLATE_FORMAT = 1;

/** How to call a server. */
interface Program {
  readonly kind: ServerKind;
  readonly flavor: Flavor;
  readonly version: string;
  readonly command: readonly string[];
}

/** Starts a server and returns when it answers. It dies with the process that started it. */
export async function startServer(kind: ServerKind, options: ServerOptions = {}): Promise<Server> {
  const program = await findProgram(kind);
  const { flavor } = program;
  const dir = options.dir ?? await makeServerDir();
  const datadir = options.datadir ?? `${dir}/data`;
  const socketDir = `${dir}/run`;
  const socket = `${socketDir}/mysqld.sock`;
  const errorLog = `${dir}/error.log`;
  if (socket.length > SOCKET_PATH_MAX) {
    throw new ScriptError(`Socket path is too long (${socket.length} bytes): ${socket}`);
  }
  // Its own: a MariaDB that starts removes the temporary tables of those that work in the same.
  const tmpdir = `${dir}/tmp`;
  const { sandbox } = options;
  const argv = [
    ...(sandbox === undefined ? [] : enterSandbox(sandbox)),
    ...program.command.map((word) => word.endsWith("/mysqld") ? options.program ?? word : word),
    ...argumentsOf(kind),
    `--datadir=${datadir}`,
    `--socket=${socket}`,
    `--pid-file=${dir}/mysqld.pid`,
    `--log-error=${errorLog}`,
    `--tmpdir=${tmpdir}`,
    ...options.args ?? [],
  ];
  const prepare = async (): Promise<Running> => {
    await Deno.mkdir(socketDir, { recursive: true });
    await Deno.mkdir(tmpdir, { recursive: true });
    // The guest's own processes and, in checks of rights, other users must reach the socket.
    await Deno.chmod(dir, 0o755);
    const reachable = sandbox === undefined ? datadir : `/proc/${sandbox.keeperPid}/root${datadir}`;
    await fillDatadir(program, reachable, options.fresh ?? false);
    for (const [name, text] of Object.entries(options.files ?? {})) {
      await Deno.writeTextFile(`${reachable}/${name}`, text);
    }
    return await launch(argv, socket, errorLog);
  };
  const remove = async (): Promise<void> => {
    if (options.dir === undefined) await Deno.remove(dir, { recursive: true }).catch(ignoreMissing);
  };
  let running = await prepare().catch(async (error: unknown) => {
    await remove();
    throw error;
  });
  return {
    flavor,
    version: program.version,
    dir,
    datadir,
    socketDir,
    socket,
    errorLog,
    get pid() {
      return running.pid;
    },
    async stop() {
      await running.terminate();
      await remove();
    },
    kill9() {
      return running.kill();
    },
    async restart() {
      await running.terminate();
      running = await launch(argv, socket, errorLog);
    },
  };
}

/**
 * Ends a server whose data nobody needs any more, at once: in good order a server takes seconds
 * to say goodbye to its replicas or its cluster.
 */
export async function discard(server: Server): Promise<void> {
  await server.kill9();
  await server.stop();
}

/** Arguments for a server that others reach over TCP, on the loopback interface alone. */
export function networkArguments(): string[] {
  return ["--skip-networking=OFF", `--bind-address=${LOOPBACK}`, `--port=${freePort()}`];
}

/**
 * Ports that servers listen on are taken from here: below those that Linux gives to outgoing
 * connections, one of which could else take the port before the server does. Each test process has a
 * block of its own.
 */
const PORTS = { from: 20_000, blocks: 240, inBlock: 50 };

/** Where a block is claimed, by listening there for as long as the process runs; servers do not. */
const CLAIMS = "127.0.0.2";

/** As the file is loaded: in a test it would be something that the test has not closed. */
const block = claimBlock();

let nextInBlock = 0;

function claimBlock(): number {
  while (true) {
    const block = Math.floor(Math.random() * PORTS.blocks);
    try {
      Deno.listen({ hostname: CLAIMS, port: PORTS.from + block }).unref();
      return block;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
}

/** A port of the loopback interface that nobody listens on now, and no other test process will. */
export function freePort(): number {
  while (true) {
    const port = PORTS.from + block * PORTS.inBlock + nextInBlock;
    nextInBlock = (nextInBlock + 1) % PORTS.inBlock;
    try {
      Deno.listen({ hostname: LOOPBACK, port }).close();
      return port;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
}

/** Where throwaway servers live: a short path, the same inside a sandbox. */
const SERVERS_DIR = "/tmp";

/** Makes a folder named after this process, and removes those of test processes that were killed. */
async function makeServerDir(): Promise<string> {
  for await (const entry of Deno.readDir(SERVERS_DIR)) {
    const owner = /^lt-(\d+)-/.exec(entry.name)?.[1];
    if (owner === undefined || await pathExists(`/proc/${owner}`)) continue;
    // Another test process may be removing it as well.
    await Deno.remove(`${SERVERS_DIR}/${entry.name}`, { recursive: true }).catch(ignoreMissing);
  }
  return await Deno.makeTempDir({ dir: SERVERS_DIR, prefix: `lt-${Deno.pid}-` });
}

/** A running server process. */
interface Running {
  readonly pid: number;
  terminate(): Promise<void>;
  kill(): Promise<void>;
}

/** Starts the process and waits until the server greets. */
async function launch(argv: readonly string[], socket: string, errorLog: string): Promise<Running> {
  // A killed server leaves its socket file: the wait below must not take it for the new one's.
  await Deno.remove(socket).catch(ignoreMissing);
  const child = new Deno.Command("setpriv", {
    // The kernel kills the server when we die, also by SIGKILL. setpriv becomes the server: same pid.
    args: ["--pdeathsig", "KILL", ...argv],
    cwd: "/",
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  let exit: Deno.CommandStatus | undefined;
  const ended = child.status.then((status) => {
    exit = status;
  });
  const kill = async (): Promise<void> => {
    killChild(child, "SIGKILL");
    await ended;
  };
  const terminate = async (): Promise<void> => {
    killChild(child, "SIGTERM");
    const timer = setTimeout(() => killChild(child, "SIGKILL"), STOP_TIMEOUT_MS);
    await ended;
    clearTimeout(timer);
  };
  const deadline = performance.now() + START_TIMEOUT_MS;
  while (!await greets(socket)) {
    if (exit !== undefined || performance.now() > deadline) {
      const how = exit === undefined
        ? `did not answer within ${START_TIMEOUT_MS} ms`
        : `ended with exit code ${exit.code}`;
      await kill();
      const log = await Deno.readTextFile(errorLog).catch(() => "(no error log)");
      throw new ScriptError(`Server ${how}: ${argv.join(" ")}\n${tail(log, 20)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  return { pid: child.pid, terminate, kill };
}

/** Whether a server sends its greeting on the socket. */
async function greets(socket: string): Promise<boolean> {
  try {
    using connection = await Deno.connect({ transport: "unix", path: socket });
    return await connection.read(new Uint8Array(256)) !== null;
  } catch {
    // Not there, refused, or closed again: it is still starting, or will never; the caller knows.
    return false;
  }
}

/** Where a server is on this machine. */
async function findProgram(kind: ServerKind): Promise<Program> {
  const command = await commandOf(kind);
  if (!await pathExists(command[0] ?? "")) {
    throw new ScriptError(`${kind} is not installed: deno run -A scripts/provision.ts`);
  }
  const { stdout } = await runOrFail(`${kind} --version`, [...command, "--version"]);
  const version = /\bVer (\d+\.\d+\.\d+)/.exec(stdout)?.[1];
  if (version === undefined) throw new ScriptError(`Cannot read the version in: ${stdout.trim()}`);
  return { kind, flavor: flavorOf(kind), version, command };
}

/** Gives the data directory its first content, unless it has some. */
async function fillDatadir(program: Program, datadir: string, fresh: boolean): Promise<void> {
  await Deno.mkdir(datadir, { recursive: true });
  for await (const entry of Deno.readDir(datadir)) {
    if (entry.name !== "lost+found") return;
  }
  if (fresh) return await initialise(program, datadir);
  const template =
    `${await cacheDirectory()}/template-${program.kind}-${program.version}-${TEMPLATE_FORMAT}`;
  if (!await pathExists(template)) {
    const temporary = await Deno.makeTempDir({ dir: await cacheDirectory(), prefix: "template-" });
    try {
      await initialise(program, temporary);
      await keepInCache(temporary, template);
    } finally {
      await Deno.remove(temporary, { recursive: true }).catch(ignoreMissing);
    }
  }
  await runOrFail("Copying the data directory", [
    "cp",
    "-a",
    "--reflink=auto",
    "--sparse=always",
    `${template}/.`,
    datadir,
  ]);
}

/** Initialises a data directory where root comes in through the socket alone, as on Debian. */
async function initialise(program: Program, datadir: string): Promise<void> {
  const beginning = await beginningOf(program.kind);
  const scratch = await makeServerDir();
  try {
    switch (beginning.by) {
      case "mariadb-install-db":
        return await installMariadb(datadir, scratch);
      case "initialize":
        return await initialiseMysql(program, datadir, scratch, beginning.args);
      case "bootstrap":
        return await bootstrap(program, datadir, scratch, beginning);
      default:
        return beginning satisfies never;
    }
  } finally {
    await Deno.remove(scratch, { recursive: true });
  }
}

async function installMariadb(datadir: string, scratch: string): Promise<void> {
  await runOrFail("mariadb-install-db", [
    "env",
    `TMPDIR=${scratch}`,
    "mariadb-install-db",
    "--no-defaults",
    "--user=root",
    `--datadir=${datadir}`,
    "--auth-root-authentication-method=socket",
    "--auth-root-socket-user=root",
    "--skip-test-db",
    "--innodb-log-file-size=8M",
  ], { timeoutMs: INITIALISE_TIMEOUT_MS });
}

async function initialiseMysql(
  program: Program,
  datadir: string,
  scratch: string,
  args: readonly string[],
): Promise<void> {
  const initFile = `${scratch}/init.sql`;
  await Deno.writeTextFile(
    initFile,
    "INSTALL PLUGIN auth_socket SONAME 'auth_socket.so';\n" +
      "ALTER USER 'root'@'localhost' IDENTIFIED WITH auth_socket;\n",
  );
  const errorLog = `${scratch}/error.log`;
  const initialised = await run([
    ...program.command,
    "--initialize-insecure",
    "--user=root",
    `--datadir=${datadir}`,
    `--tmpdir=${scratch}`,
    `--log-error=${errorLog}`,
    ...args,
  ], { timeoutMs: INITIALISE_TIMEOUT_MS });
  if (initialised.code !== 0) {
    const log = await Deno.readTextFile(errorLog).catch(() => initialised.stderr);
    throw new ScriptError(`mysqld --initialize-insecure failed:\n${tail(log, 20)}`);
  }
  const socket = `${scratch}/mysqld.sock`;
  const running = await launch(
    [
      ...program.command,
      ...args,
      "--user=root",
      "--skip-networking",
      "--skip-log-bin",
      `--datadir=${datadir}`,
      `--socket=${socket}`,
      `--pid-file=${scratch}/mysqld.pid`,
      `--log-error=${errorLog}`,
      `--init-file=${initFile}`,
    ],
    socket,
    errorLog,
  );
  await running.terminate();
  // The identity of the server: each copy makes its own.
  await Deno.remove(`${datadir}/auto.cnf`).catch(ignoreMissing);
}

/** Has the server itself run the statements that make its system tables. */
async function bootstrap(
  { kind, command }: Program,
  datadir: string,
  scratch: string,
  { copyOf, args, sql }: Extract<Beginning, { by: "bootstrap" }>,
): Promise<void> {
  if (copyOf !== null) {
    await runOrFail("Copying the data directory", ["cp", "-a", `${copyOf}/.`, datadir]);
  }
  await runOrFail(`${kind} --bootstrap`, [
    ...command,
    "--bootstrap",
    "--user=root",
    `--datadir=${datadir}`,
    `--tmpdir=${scratch}`,
    ...args,
  ], { stdin: sql, timeoutMs: INITIALISE_TIMEOUT_MS });
  // The identity of the server: each copy makes its own.
  await Deno.remove(`${datadir}/auto.cnf`).catch(ignoreMissing);
}

function ignoreMissing(error: unknown): void {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}

/** One row of a result, by column name. */
export type Row = Readonly<Record<string, unknown>>;

/** A session of a test. */
export interface Connection {
  /** The server's id of this session. */
  readonly id: number;
  /** Where the server listens. */
  readonly socket: string;
  /** Runs one statement; the rows, or none for statements without a result. */
  query(sql: string): Promise<readonly Row[]>;
  close(): Promise<void>;
}

/** Opens a session; default: root through the socket, without a password. */
export async function connect(
  server: Pick<Server, "socket">,
  login: { readonly user?: string; readonly password?: string } = {},
): Promise<Connection> {
  // Our own socket: mysql2 alone calls a missing one "connection lost" and raises the cause later.
  const stream = new Socket();
  await new Promise<void>((resolve, reject) => {
    stream.once("error", reject);
    stream.connect({ path: server.socket }, () => {
      stream.off("error", reject);
      resolve();
    });
  });
  const connection = createConnection({
    stream,
    user: login.user ?? "root",
    ...(login.password === undefined ? {} : { password: login.password }),
  });
  // A killed server or session is what tests are about: the query under way rejects anyway.
  connection.on("error", () => {});
  const session = connection.promise();
  await session.connect();
  return {
    get id() {
      return connection.threadId ?? 0;
    },
    socket: server.socket,
    async query(sql) {
      const [rows] = await session.query(sql);
      return Array.isArray(rows) ? rows as Row[] : [];
    },
    async close() {
      await session.end().catch(() => connection.destroy());
    },
  };
}
