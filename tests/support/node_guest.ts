/** A guest around a server that runs already and writes nothing of its own: a replica, a node. */
import assert from "node:assert/strict";
import type { Coordinates } from "../../lib/window/coordinates.ts";
import { openSandbox, type Sandbox, type SandboxResult } from "./sandbox.ts";
import { connect, type Row, type Server } from "./server.ts";

/** A sandbox whose /run/mysqld is that of the server. */
export interface NodeGuest {
  readonly sandbox: Sandbox;
  /** Runs the compiled program. */
  locktables(...args: string[]): Promise<SandboxResult>;
  /** Opens a window, which must work, and returns what was recorded of the server. */
  freeze(): Promise<NodeRecord>;
  /** Closes the window, which must have been good. */
  thaw(): Promise<void>;
  close(): Promise<void>;
}

/** What tests of topologies look at in an instance's record. */
export interface NodeRecord {
  readonly method: string;
  readonly read_only: boolean;
  readonly coordinates: Coordinates;
}

/** Opens a guest. */
export async function openNodeGuest(server: Server): Promise<NodeGuest> {
  const sandbox = await openSandbox();
  await sandbox.bindServer(server);
  const locktables = (...args: string[]) =>
    sandbox.run([sandbox.binary, ...args], { timeoutMs: 30_000 });
  return {
    sandbox,
    locktables,
    async freeze() {
      const frozen = await locktables("pre-freeze");
      assert.equal(frozen.code, 0, frozen.stderr);
      const { stdout } = await locktables("status", "--json");
      return JSON.parse(stdout).window.instances[0];
    },
    async thaw() {
      const thawed = await locktables("post-thaw");
      assert.equal(thawed.code, 0, thawed.stderr);
      assert.match(thawed.stdout, /without a gap, application-consistent/);
    },
    close: () => sandbox.close(),
  };
}

/** The answer to one statement, on a session of its own. */
export async function ask(server: Server, statement: string): Promise<readonly Row[]> {
  const session = await connect(server);
  try {
    return await session.query(statement);
  } finally {
    await session.close();
  }
}

/** The one value that a statement answers. */
export async function askOne(server: Server, statement: string): Promise<unknown> {
  const [row] = await ask(server, statement);
  return Object.values(row ?? {})[0];
}

/** Global variables that move by themselves where transactions are committed. */
const MOVING = /^(gtid_|timestamp$|last_gtid$)/;

/** Every global variable that stays as it is until somebody sets it. */
export async function globalVariables(server: Server): Promise<Record<string, string>> {
  const rows = await ask(server, "SHOW GLOBAL VARIABLES");
  return Object.fromEntries(
    rows.map((row) => [String(row["Variable_name"]), String(row["Value"])] as const)
      .filter(([name]) => !MOVING.test(name)),
  );
}

/** A table on the server, and the clients that fill it. */
export const TABLE = "shop.orders";

/** Makes {@linkcode TABLE}. */
export async function makeTable(server: Server): Promise<void> {
  await ask(server, "CREATE DATABASE shop");
  await ask(server, `CREATE TABLE ${TABLE} (id INT AUTO_INCREMENT PRIMARY KEY, who INT)`);
}

/** Clients that insert into {@linkcode TABLE}. */
export function inserters(count: number) {
  return Array.from({ length: count }, (_, who) => ({
    name: `client ${who}`,
    statement: () => `INSERT INTO ${TABLE} (who) VALUES (${who})`,
  }));
}

/** How many rows {@linkcode TABLE} has on this server. */
export async function countRows(server: Server): Promise<number> {
  return Number(await askOne(server, `SELECT COUNT(*) FROM ${TABLE}`));
}
