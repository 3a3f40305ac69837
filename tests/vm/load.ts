/** Clients of the guest's server, and what they know: how many of their rows were acknowledged. */
import { repositoryRoot, ScriptError } from "../../scripts/shell.ts";
import type { Machine } from "./machine.ts";

/** Rows acknowledged, by writer. */
export type Ledger = ReadonlyMap<number, number>;

/** The tables, one for each way in which an engine loses what was not flushed. */
const ENGINES = { orders: "InnoDB", visits: "MyISAM", clicks: "Aria" } as const;
const TABLES = Object.keys(ENGINES);

/** How long until each writer has a row, by the guest's clock: a client takes a second to start. */
const FIRST_ROW_LIMIT_S = 40;

/** Numbers of writers: none is ever given twice, so that each run of the load has its own rows. */
let lastWriter = 0;

/** Starts one writer for each table; waits for the first row of each. */
export async function startLoad(machine: Machine): Promise<void> {
  const tables = Object.entries(ENGINES).map(([name, engine]) =>
    `CREATE TABLE IF NOT EXISTS lab.${name} (writer INT, sequence INT, PRIMARY KEY (writer, sequence)) ENGINE=${engine};`
  );
  const script = await Deno.readTextFile(`${repositoryRoot()}/tests/vm/guest_writer.sh`);
  const writers = TABLES.map((table) => `${++lastWriter} ${table}`);
  await machine.must(`
    set -e
    rm -rf /run/lab-ledger
    mkdir /run/lab-ledger
    mariadb -e 'CREATE DATABASE IF NOT EXISTS lab; ${tables.join(" ")}'
    cat >/run/lab-writer <<'SCRIPT'
${script}SCRIPT
    while read -r writer table; do
      systemd-run --quiet --collect --unit="lab-writer-$writer" bash /run/lab-writer "$writer" "$table"
    done <<'LIST'
${writers.join("\n")}
LIST`);
  await waitForRows(machine, new Map());
}

/** Waits until each writer has more rows than before: nothing holds them up. */
export async function waitForRows(machine: Machine, before: Ledger): Promise<void> {
  const wanted = [...currentWriters()].map((writer) => `${writer} ${before.get(writer) ?? 0}`);
  const { code } = await machine.run(
    `
    end=$(($(cut -d. -f1 /proc/uptime) + ${FIRST_ROW_LIMIT_S}))
    while read -r writer rows; do
      until [ "$(wc -l <"/run/lab-ledger/$writer" 2>/dev/null || echo 0)" -gt "$rows" ]; do
        [ "$(cut -d. -f1 /proc/uptime)" -lt "$end" ] || exit 1
        sleep 0.2
      done
    done <<'LIST'
${wanted.join("\n")}
LIST`,
  );
  if (code !== 0) throw new ScriptError("The writers of the guest do not get on");
}

/** What was acknowledged until now. */
export async function readLedger(machine: Machine): Promise<Ledger> {
  return parseLedger(await machine.must("wc -l /run/lab-ledger/*"));
}

/** Ends the writers, wherever they are in their row. */
export async function stopLoad(machine: Machine): Promise<void> {
  await machine.must("systemctl stop 'lab-writer-*'");
}

/** The writers' rows in a server. */
export async function rowsOf(machine: Machine): Promise<Ledger> {
  return parseLedger(
    await machine.must(`mariadb --batch --skip-column-names -e "${rowsQuery()}"`),
  );
}

/** Counts the rows of each writer; a sequence that has a gap counts as none. */
export function rowsQuery(): string {
  return TABLES.map((table) =>
    `SELECT IF(COUNT(*) = MAX(sequence), COUNT(*), 0), writer FROM lab.${table} GROUP BY writer`
  ).join(" UNION ");
}

/** What of a ledger a server does not have, or has beyond; null where they agree. */
export function difference(ledger: Ledger, rows: Ledger): string | null {
  const differing = [...ledger].filter(([writer, count]) => rows.get(writer) !== count);
  if (differing.length === 0) return null;
  return differing.map(([writer, count]) =>
    `writer ${writer}: ${count} rows acknowledged, ${rows.get(writer) ?? 0} in the server`
  ).join("; ");
}

/** All rows of a ledger. */
export function total(ledger: Ledger): number {
  return [...ledger.values()].reduce((sum, count) => sum + count, 0);
}

function currentWriters(): readonly number[] {
  return TABLES.map((_table, index) => lastWriter - index);
}

/** Lines with a count and a writer, or the writer's file; others, such as a sum, are left out. */
export function parseLedger(text: string): Ledger {
  const lines = text.split("\n").map((line) => /^\s*(\d+)\s+(?:\S*\/)?(\d+)$/.exec(line));
  return new Map(
    lines.flatMap((found) => found === null ? [] : [[Number(found[2]), Number(found[1])]]),
  );
}
