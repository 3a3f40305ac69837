/** What the journal gets of a report. */
import assert from "node:assert/strict";
import { EXIT, refusal } from "../../lib/base/refusal.ts";
import { type JournalEntry, journalEntry, journalText } from "../../lib/outlets/journal_entry.ts";
import type { Report } from "../../lib/window/report.ts";
import { EXPIRED, GOOD, REFUSED } from "./records.ts";

const BLOCKED = refusal(EXIT.lockNotObtained, "blocked", "Blocked by id 12", "Wait for it");
const GOOD_ID = "b67506d230da44ae96ec831a7bd40327";
const BAD_ID = "4ab7e55618cd4dcba03f5a62871a2f1e";
const REFUSED_ID = "a746aad01db849b49baf1e17eccc2a39";

const CASES: readonly (readonly [name: string, report: Report, entry: JournalEntry])[] = [
  [
    "a good window",
    { kind: "window", record: GOOD, refusal: null },
    {
      priority: "info",
      message:
        "Thawed: held 2000.4 ms without a gap, application-consistent: main (MariaDB 10.11.19, backup-stage, binlog.000002:1234) [qemu]",
      fields: {
        MESSAGE_ID: GOOD_ID,
        LOCKTABLES_WINDOW_ID: GOOD.window_id,
        LOCKTABLES_VERDICT: "application-consistent",
        LOCKTABLES_OUTCOME: "released",
        LOCKTABLES_REASON: "thaw",
        LOCKTABLES_CALLER: "qemu",
        LOCKTABLES_HELD_MS: "2000.4",
        LOCKTABLES_COORDINATES: "main=binlog.000002:1234",
      },
    },
  ],
  [
    "a lock that expired",
    { kind: "window", record: { ...EXPIRED, caller: null, instances: [] }, refusal: null },
    {
      priority: "err",
      message:
        "The snapshot is only crash-consistent: the lock expired at 2026-01-02T03:01:01.000Z, hold_timeout (60000 ms) after it was taken. Have the caller thaw sooner, or raise hold_timeout in [locktables] of /root/.my.cnf",
      fields: {
        MESSAGE_ID: BAD_ID,
        LOCKTABLES_WINDOW_ID: EXPIRED.window_id,
        LOCKTABLES_VERDICT: "crash-consistent",
        LOCKTABLES_OUTCOME: "expired",
        LOCKTABLES_REASON: "hold-timeout",
        LOCKTABLES_HELD_MS: "60000",
      },
    },
  ],
  [
    "a window that was refused",
    { kind: "window", record: REFUSED, refusal: BLOCKED },
    {
      priority: "err",
      message:
        "pre-freeze refused (exit 10), the image is not quiesced: Blocked by id 12. Wait for it [qemu]",
      fields: {
        MESSAGE_ID: REFUSED_ID,
        LOCKTABLES_WINDOW_ID: REFUSED.window_id,
        LOCKTABLES_VERDICT: "not-quiesced",
        LOCKTABLES_OUTCOME: "refused",
        LOCKTABLES_REASON: "blocked",
        LOCKTABLES_CALLER: "qemu",
        LOCKTABLES_EXIT_CODE: "10",
      },
    },
  ],
  [
    "a refusal before there was a window",
    { kind: "refusal", at: "2026-01-02T03:00:00.000Z", caller: "vmware", refusal: BLOCKED },
    {
      priority: "err",
      message:
        "pre-freeze refused (exit 10), the image is not quiesced: Blocked by id 12. Wait for it [vmware]",
      fields: {
        MESSAGE_ID: REFUSED_ID,
        LOCKTABLES_CALLER: "vmware",
        LOCKTABLES_EXIT_CODE: "10",
        LOCKTABLES_REASON: "blocked",
      },
    },
  ],
  [
    "a snapshot that failed",
    {
      kind: "window",
      record: {
        ...GOOD,
        outcome: "aborted",
        reason: "freeze-failed",
        verdict: "not-quiesced",
        instances: [],
      },
      refusal: null,
    },
    {
      priority: "warning",
      message:
        "Thawed after a failed snapshot: held 2000.4 ms; any image of it is not-quiesced [qemu]",
      fields: {
        MESSAGE_ID: BAD_ID,
        LOCKTABLES_WINDOW_ID: GOOD.window_id,
        LOCKTABLES_VERDICT: "not-quiesced",
        LOCKTABLES_OUTCOME: "aborted",
        LOCKTABLES_REASON: "freeze-failed",
        LOCKTABLES_CALLER: "qemu",
        LOCKTABLES_HELD_MS: "2000.4",
      },
    },
  ],
  [
    "a pre-freeze that was killed, which VMware Tools take for a success",
    {
      kind: "window",
      record: {
        ...REFUSED,
        caller: "vmware",
        outcome: "aborted",
        reason: "starter-lost",
        detail: null,
      },
      refusal: null,
    },
    {
      priority: "err",
      message:
        "The snapshot is not quiesced: pre-freeze was killed at 2026-01-02T03:00:03.100Z before its answer; VMware Tools treat that as success. See dmesg | tail, and take the snapshot again [vmware]",
      fields: {
        MESSAGE_ID: BAD_ID,
        LOCKTABLES_WINDOW_ID: REFUSED.window_id,
        LOCKTABLES_VERDICT: "not-quiesced",
        LOCKTABLES_OUTCOME: "aborted",
        LOCKTABLES_REASON: "starter-lost",
        LOCKTABLES_CALLER: "vmware",
      },
    },
  ],
  [
    "a rehearsal that did not hold",
    {
      kind: "window",
      record: { ...EXPIRED, caller: null, is_rehearsal: true, instances: [] },
      refusal: null,
    },
    {
      priority: "warning",
      message:
        "Rehearsal: The snapshot is only crash-consistent: the lock expired at 2026-01-02T03:01:01.000Z, hold_timeout (60000 ms) after it was taken. Have the caller thaw sooner, or raise hold_timeout in [locktables] of /root/.my.cnf",
      fields: {
        MESSAGE_ID: BAD_ID,
        LOCKTABLES_WINDOW_ID: EXPIRED.window_id,
        LOCKTABLES_VERDICT: "crash-consistent",
        LOCKTABLES_OUTCOME: "expired",
        LOCKTABLES_REASON: "hold-timeout",
        LOCKTABLES_HELD_MS: "60000",
        LOCKTABLES_REHEARSAL: "1",
      },
    },
  ],
];

for (const [name, report, entry] of CASES) {
  Deno.test(`the journal's entry of ${name}`, () => assert.deepEqual(journalEntry(report), entry));
}

Deno.test("an entry is a field a line, and nothing that others wrote begins another", () => {
  const odd = refusal(EXIT.lockNotObtained, "blocked", "Blocked by a\nPRIORITY=0", "Wait");
  const report: Report = { kind: "refusal", at: "", caller: null, refusal: odd };
  assert.equal(
    journalText(journalEntry(report)),
    `MESSAGE=pre-freeze refused (exit 10), the image is not quiesced: Blocked by a PRIORITY=0. Wait
PRIORITY=3
SYSLOG_IDENTIFIER=locktables
MESSAGE_ID=${REFUSED_ID}
LOCKTABLES_EXIT_CODE=10
LOCKTABLES_REASON=blocked
`,
  );
});
