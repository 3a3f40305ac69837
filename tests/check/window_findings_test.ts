import assert from "node:assert/strict";

import type { Finding } from "../../lib/check/finding.ts";
import {
  directoryFindings,
  MYSQL_FLUSH_FIFO,
  VEEAMHUB_FLAG,
  type WindowFacts,
  windowFindings,
} from "../../lib/check/window_findings.ts";
import { EXIT, refusal } from "../../lib/base/refusal.ts";
import type { FileLook } from "../../lib/base/look.ts";
import { SCHEMA_VERSION, type WindowRecord } from "../../lib/window/record.ts";
import { INSTANCE } from "../window/record_fixtures.ts";

const NOW = { monoMs: 0, wallMs: Date.UTC(2026, 0, 2, 3) };
const MINUTE_MS = 60_000;

/** A window that was good. */
const GOOD: WindowRecord = {
  schema_version: SCHEMA_VERSION,
  window_id: "00000000-0000-4000-8000-000000000000",
  locktables_version: "0.1.0",
  caller: "qemu",
  is_rehearsal: false,
  locker_pid: 4711,
  phase: "closed",
  opened_at: "2026-01-02T01:00:00.000Z",
  locked_at: "2026-01-02T01:00:01.000Z",
  deadline: "2026-01-02T01:01:01.000Z",
  released_at: "2026-01-02T01:00:03.000Z",
  released_by: "thaw",
  filesystems_frozen_at: null,
  filesystems_thawed_at: null,
  closed_at: "2026-01-02T01:00:03.000Z",
  held_ms: 2_000,
  was_held: true,
  outcome: "released",
  reason: "thaw",
  verdict: "application-consistent",
  detail: null,
  hint: null,
  hold_timeout_ms: 60_000,
  freeze_timeout_ms: 60_000,
  attempts: 1,
  instances: [INSTANCE],
  timeline: [],
  warnings: [],
};
const OPEN: WindowRecord = {
  ...GOOD,
  phase: "held",
  released_at: null,
  closed_at: null,
  held_ms: null,
  outcome: null,
  reason: null,
  verdict: null,
};
const LOST: WindowRecord = {
  ...GOOD,
  outcome: "lost",
  reason: "session-lost",
  verdict: "crash-consistent",
  detail: "main: the server closed the connection",
};

const NOTHING: WindowFacts = {
  state: { locker: "no-locker", window: null, last: null, left: null },
  lockFiles: [],
  traces: new Map(),
};

function look(kind: FileLook["kind"], ageMs: number): FileLook {
  return { kind, mode: 0o644, uid: 0, changedMs: NOW.wallMs - ageMs };
}

interface WindowCase {
  readonly name: string;
  readonly facts: Partial<WindowFacts>;
  readonly codes: readonly Finding["code"][];
  readonly title?: RegExp;
  readonly remedy?: string;
}

const CASES: readonly WindowCase[] = [
  { name: "no window ever", facts: {}, codes: [] },
  {
    name: "a good last window",
    facts: { state: { locker: "no-locker", window: null, last: GOOD, left: null } },
    codes: [],
  },
  {
    name: "an open window after a good one",
    facts: {
      state: { locker: "running", window: OPEN, last: GOOD, left: OPEN },
      lockFiles: ["/run/veeam/waitforsnapshot", "/run/veeam/locker.sock"],
    },
    codes: ["window-open"],
    title:
      /^A window is open \(held\) since 2026-.*, opened by qemu; it releases the lock automatically at 2026-/,
    remedy: "locktables post-thaw",
  },
  {
    name: "a window that is not locked yet has no deadline",
    facts: {
      state: {
        locker: "running",
        window: { ...OPEN, phase: "preparing", caller: null, deadline: null },
        last: null,
        left: null,
      },
    },
    codes: ["window-open"],
    title: /^A window is open \(preparing\) since \S+$/,
  },
  {
    name: "an open window after one that was lost",
    facts: { state: { locker: "running", window: OPEN, last: LOST, left: OPEN } },
    codes: ["window-open", "last-window-bad"],
  },
  {
    name: "a locker that is silent and has not written anything",
    facts: { state: { locker: "no-answer", window: null, last: null, left: null } },
    codes: ["locker-silent"],
    remedy: "locktables post-thaw",
  },
  {
    name: "a locker that is silent is ended by its pid",
    facts: { state: { locker: "no-answer", window: OPEN, last: GOOD, left: OPEN } },
    codes: ["locker-silent"],
    remedy: "locktables post-thaw; kill -9 4711",
  },
  {
    name: "a locker that died is not a bad window, too",
    facts: {
      state: { locker: "no-locker", window: null, last: LOST, left: OPEN },
      lockFiles: ["/run/veeam/waitforsnapshot"],
    },
    codes: ["locker-died"],
    title: /\(pid 4711\) died/,
    remedy: "locktables post-thaw",
  },
  {
    name: "a window that expired, and that nobody has asked about",
    facts: {
      state: { locker: "no-locker", window: null, last: LOST, left: LOST },
      lockFiles: ["/run/veeam/locker.sock"],
    },
    codes: ["last-window-bad"],
    title: /was crash-consistent; .* It was lost \(session-lost\): main: the server closed/,
    remedy: "locktables rehearse",
  },
  {
    name: "a record that was never closed",
    facts: { state: { locker: "no-locker", window: null, last: OPEN, left: null } },
    codes: ["window-never-closed"],
    remedy: "locktables rehearse",
  },
  {
    name: "lock files without anybody",
    facts: { lockFiles: ["/run/veeam/waitforlock", "/run/veeam/waitforsnapshot"] },
    codes: ["run-leftovers"],
    title: /^\/run\/veeam\/waitforlock and \/run\/veeam\/waitforsnapshot: left behind/,
  },
  {
    name: "traces of other methods that are old",
    facts: {
      traces: new Map([
        [MYSQL_FLUSH_FIFO, look("fifo", 15 * MINUTE_MS)],
        [VEEAMHUB_FLAG, look("file", 15 * MINUTE_MS)],
      ]),
    },
    codes: ["mysql-flush-fifo", "veeamhub-flag"],
    title: /is of 2026-01-02T02:45:00.000Z/,
  },
  {
    name: "traces of other methods that may be at work now",
    facts: {
      traces: new Map([
        [MYSQL_FLUSH_FIFO, look("fifo", 14 * MINUTE_MS)],
        [VEEAMHUB_FLAG, look("file", 14 * MINUTE_MS)],
      ]),
    },
    codes: [],
  },
  {
    name: "a file where the FIFO would be, which stops nobody",
    facts: { traces: new Map([[MYSQL_FLUSH_FIFO, look("file", 60 * MINUTE_MS)]]) },
    codes: [],
  },
];

for (const { name, facts, codes, title, remedy } of CASES) {
  Deno.test(`windows: ${name}`, () => {
    const found = windowFindings({ ...NOTHING, ...facts }, NOW);
    assert.deepEqual(found.map(({ code }) => code), codes);
    if (title !== undefined) assert.match(found[0]?.title ?? "", title);
    if (remedy !== undefined) assert.equal(found[0]?.remedy, remedy);
  });
}

const PRIVATE: FileLook = { kind: "directory", mode: 0o700, uid: 0, changedMs: 0 };

const DIRECTORIES: readonly (readonly [
  sentence: string,
  look: FileLook | null,
  title: RegExp | null,
])[] = [
  ["one that is not there yet is made by the first window", null, null],
  ["one of root's alone is fine", PRIVATE, null],
  ["a stricter one is fine", { ...PRIVATE, mode: 0o500 }, null],
  [
    "one that others may enter is told",
    { ...PRIVATE, mode: 0o711 },
    /mode 0711 .*user 0; expected 0700/,
  ],
  [
    "one of somebody else's is told",
    { ...PRIVATE, uid: 33 },
    /the user 33; expected 0700 and root/,
  ],
];

for (const [sentence, look, title] of DIRECTORIES) {
  Deno.test(`directories: ${sentence}`, () => {
    const found = directoryFindings({ path: "/run/veeam", look, refusal: null });
    if (title === null) return assert.deepEqual(found, []);
    assert.deepEqual(found.map(({ code }) => code), ["directory-not-private"]);
    assert.match(found[0]?.title ?? "", title);
    assert.equal(found[0]?.remedy, "chown root:root /run/veeam && chmod 0700 /run/veeam");
  });
}

Deno.test("directories: one that cannot be written is that, and no more", () => {
  const full = refusal(EXIT.badSetup, "disk-full", "Cannot write", "Free some space");
  const found = directoryFindings({
    path: "/run/veeam",
    look: { ...PRIVATE, mode: 0o777 },
    refusal: full,
  });
  assert.deepEqual(found.map(({ code }) => code), ["disk-full"]);
});
