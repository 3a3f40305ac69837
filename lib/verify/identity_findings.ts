/** Whether the server is the recorded one, started on an image, and done with its recovery. Pure. */
import type { ImageMarks } from "../window/image_marks.ts";
import type { InstanceRecord, WindowRecord } from "../window/record.ts";
import type { ImageServer } from "./facts.ts";
import { found, type VerifyFinding } from "./verdict.ts";

/**
 * By how much the start of a server may seem earlier than it was, in milliseconds: `Uptime` counts whole
 * seconds, and the clock of a guest that comes up may be set a little later.
 */
const CLOCK_SLACK_MS = 5_000;

/** How many errors of a server are repeated. */
const ERRORS_MOST = 3;

/** Whether it is another server: then nothing else of it can be compared. */
export function isOtherServer(recorded: InstanceRecord, server: ImageServer): boolean {
  if ((recorded.flavor === "mariadb") !== (server.flavor === "mariadb")) return true;
  return hasOtherTables(recorded, server) ||
    recorded.server_uuid !== null && server.serverUuid !== null &&
      recorded.server_uuid !== server.serverUuid;
}

/** MariaDB has nothing else in its data that is its own; an upgrade makes the table anew. */
function hasOtherTables(recorded: InstanceRecord, server: ImageServer): boolean {
  const was = recorded.marks?.system_tables_made_at ?? null;
  const is = server.marks.system_tables_made_at;
  return was !== null && is !== null && was !== is && recorded.version === server.version;
}

/** Which server it is, and in what state. */
export function identityFindings(
  record: WindowRecord,
  recorded: InstanceRecord,
  server: ImageServer,
): VerifyFinding[] {
  const instance = recorded.name;
  const say = (code: VerifyFinding["code"], title: string, remedy: string | null = null) =>
    found(code, title, { instance, remedy });
  if (isOtherServer(recorded, server)) {
    return [
      say(
        "record-of-other-server",
        `The server is ${server.label}${
          nameOf(server.serverUuid, server.marks)
        }; the record is of ${recorded.label}${
          nameOf(recorded.server_uuid, recorded.marks)
        } on ${recorded.hostname}`,
      ),
    ];
  }
  const findings: VerifyFinding[] = [];
  const lockedMs = Date.parse(record.locked_at ?? record.opened_at);
  if (server.startedMs < lockedMs - CLOCK_SLACK_MS) {
    findings.push(say(
      "not-from-image",
      `The server has run since ${new Date(server.startedMs).toISOString()}, before the window at ${
        new Date(lockedMs).toISOString()
      }: it was not started on this image, or the clock is wrong`,
    ));
  }
  if (server.version !== recorded.version) {
    findings.push(say(
      "version-differs",
      `The server is version ${server.version}; recorded ${recorded.version}`,
    ));
  }
  if (server.hostname !== recorded.hostname) {
    findings.push(say(
      "hostname-differs",
      `The host is called ${server.hostname}; recorded ${recorded.hostname}${
        recorded.server_uuid === null
          ? ", and this version has no other identity that lies in an image"
          : ""
      }`,
    ));
  }
  if (server.recovering !== null && server.recovering > 0) {
    findings.push(say(
      "recovery-running",
      `Recovery is not over: ${server.recovering} transactions of before the start are still there, rolled back or prepared`,
      "XA RECOVER",
    ));
  }
  if (server.innodbErrors === null) {
    findings.push(say(
      "innodb-errors-unseen",
      "Errors of InnoDB since the start are in the server's error log, which was not looked at",
    ));
  }
  const errors = server.innodbErrors ?? [];
  for (const text of errors.slice(0, ERRORS_MOST)) {
    findings.push(say("innodb-error", `InnoDB has logged an error since the start: ${text}`));
  }
  if (errors.length > ERRORS_MOST) {
    findings.push(say(
      "innodb-error",
      `InnoDB has logged ${errors.length - ERRORS_MOST} more errors since the start`,
      "SELECT * FROM performance_schema.error_log WHERE subsystem = 'InnoDB' AND prio = 'Error'",
    ));
  }
  if (server.repairs.length > 0) {
    findings.push(say(
      "repair-on",
      `The server was started with ${
        server.repairs.join(" and ")
      }: damage in a table that was opened before this may have been mended, and is in its error log alone`,
      "--myisam-recover-options=OFF --aria-recover-options=OFF",
    ));
  }
  return findings;
}

function nameOf(uuid: string | null, marks: ImageMarks | null): string {
  const made = marks?.system_tables_made_at ?? null;
  return uuid !== null ? ` (${uuid})` : made !== null ? ` (mysql.db made at ${made})` : "";
}
