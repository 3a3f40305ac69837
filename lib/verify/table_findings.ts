/** What CHECK TABLE's answers mean. Pure. */
import type { CheckedTable, Level, TableChecks } from "./facts.ts";
import { found, type VerifyFinding } from "./verdict.ts";

/** How many tables are named; a server without a lock can have thousands. */
const NAMED_MOST = 20;

/** An identifier as SQL writes it. */
export function sqlName(schema: string, name: string): string {
  const quoted = (word: string) => `\`${word.replaceAll("`", "``")}\``;
  return `${quoted(schema)}.${quoted(name)}`;
}

/** What an answer says of a table. */
type Condition = "good" | "damaged" | "not-closed" | "unchecked";

/** Engines whose tables REPAIR TABLE repairs. */
const REPAIRABLE = ["MyISAM", "Aria", "CSV", "ARCHIVE"];

/**
 * Left open by a server that ended: under a lock these tables are closed. The count is of servers
 * that had it open, and the words are the servers' own.
 */
const NOT_CLOSED = /clients? (is|are) using or ha(s|ve)n't closed the table properly/;

/** It could not be looked at, and that says nothing about it. */
const NOT_LOOKED_AT =
  /doesn't support check|command denied|Access denied|Lock wait timeout|Unknown storage engine|is not BASE TABLE|was killed|Query execution was interrupted|No database selected|encrypt/i;

/** Rows that a purge has not got to yet: the ordinary state after a crash. */
const HARMLESS = /Unpurged clustered index record|index record not found in the undo log/i;

/** Dropped since the tables were listed; what InnoDB misses is "in engine". */
const GONE = /^Table '[^']*' doesn't exist$/;

/** What the rows of one table come to, and the one that says why. */
export function conditionOf(
  rows: CheckedTable["rows"],
): { readonly is: Condition; readonly why: string } {
  const said = rows.filter(({ type, text }) =>
    type !== "status" && type !== "note" && type !== "info" && !HARMLESS.test(text)
  );
  if (said.some(({ text }) => GONE.test(text))) return { is: "good", why: "" };
  const unlooked = [...said, ...rows.filter(({ type }) => type === "note")]
    .find(({ text }) => NOT_LOOKED_AT.test(text));
  if (unlooked !== undefined) return { is: "unchecked", why: unlooked.text };
  const wrong = said.find(({ text }) => !NOT_CLOSED.test(text));
  const lastStatus = rows.filter(({ type }) => type === "status").at(-1)?.text ?? "";
  const isFine = lastStatus === "" || lastStatus === "OK" || /up to date/.test(lastStatus);
  if (wrong !== undefined) return { is: "damaged", why: wrong.text };
  if (!isFine) return { is: "damaged", why: lastStatus };
  const open = said.find(({ text }) => NOT_CLOSED.test(text));
  return open === undefined ? { is: "good", why: "" } : { is: "not-closed", why: open.text };
}

/** Whether there is something to keep of a table's answer. */
export function isRemarkable(table: CheckedTable): boolean {
  return conditionOf(table.rows).is !== "good";
}

/** What was found in the tables, and what was not looked at. */
export function tableFindings(
  checks: TableChecks,
  level: Level,
  seesTables: boolean,
  instance: string,
): VerifyFinding[] {
  const findings: VerifyFinding[] = [];
  const conditions = checks.remarkable.map((table) => ({ table, ...conditionOf(table.rows) }));
  const each = (is: Condition) => conditions.filter((one) => one.is === is);
  const damaged = each("damaged");
  for (const { table, why } of damaged.slice(0, NAMED_MOST)) {
    const name = sqlName(table.schema, table.name);
    const canRepair = REPAIRABLE.includes(table.engine);
    findings.push(found(
      "table-damaged",
      `${name} (${table.engine}) is damaged: ${why}${
        canRepair ? "" : ". Nothing repairs it in place: take it from another image or a dump"
      }`,
      { instance, remedy: canRepair ? `REPAIR TABLE ${name}` : null },
    ));
  }
  if (damaged.length > NAMED_MOST) {
    findings.push(found(
      "table-damaged",
      `${damaged.length - NAMED_MOST} more tables are damaged`,
      { instance },
    ));
  }
  const open = each("not-closed");
  if (open.length > 0) {
    findings.push(found(
      "table-not-closed",
      `${open.length} tables without transactions were open when the image was taken, and sound: ${
        listed(open.map(({ table }) => table))
      }. Under a lock they are closed`,
      { instance },
    ));
  }
  const unchecked = each("unchecked");
  if (unchecked.length > 0) {
    const [first] = unchecked;
    findings.push(found(
      "tables-unchecked",
      `${unchecked.length} tables could not be checked: ${
        listed(unchecked.map(({ table }) => table))
      } (${first?.why})`,
      { instance },
    ));
  }
  switch (checks.endedBy) {
    case null:
      break;
    case "server-ended":
      findings.push(found(
        "server-ended",
        `The server ended while ${checks.endedAt} was checked: see its error log`,
        { instance },
      ));
      break;
    case "interrupted":
      findings.push(found(
        "interrupted",
        `Interrupted after ${checks.checked} of ${checks.total} tables`,
        { instance },
      ));
      break;
    case "limit":
    case "no-answer":
      findings.push(found(
        "tables-unchecked",
        `The check ended after ${checks.checked} of ${checks.total} tables${
          checks.endedAt === null ? "" : `, at ${checks.endedAt}`
        }: ${checks.endedBy === "limit" ? "its time was over" : "the server did not answer"}`,
        { instance },
      ));
      break;
    default:
      checks.endedBy satisfies never;
  }
  if (!seesTables) {
    findings.push(found(
      "tables-unseen",
      "The account has no SELECT on *.*: tables that it does not see were not looked at",
      { instance },
    ));
  }
  if (level !== "full") {
    findings.push(found(
      "contents-unchecked",
      level === "quick"
        ? "The contents of tables were not read (--quick): only whether they were closed"
        : "The contents of tables with transactions were not read; --full reads them all",
      { instance },
    ));
  }
  return findings;
}

function listed(tables: readonly CheckedTable[]): string {
  const names = tables.slice(0, NAMED_MOST).map(({ schema, name }) => sqlName(schema, name));
  const left = tables.length - names.length;
  return `${names.join(", ")}${left > 0 ? ` and ${left} more` : ""}`;
}
