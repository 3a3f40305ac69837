import assert from "node:assert/strict";

import fc from "fast-check";

import { parseRecord } from "../../lib/window/parse_record.ts";
import {
  recordOf,
  recordOfDeadLocker,
  SCHEMA_VERSION,
  type WindowRecord,
} from "../../lib/window/record.ts";
import { transition } from "../../lib/window/window.ts";
import type { ReleaseProof, Verdict } from "../../lib/window/verdict.ts";
import { after, at, type EventName, EVENTS, heldAnd, type StateName, STATES } from "./fixtures.ts";
import { closedLine } from "../../lib/window/text.ts";
import { DETAILS, INSTANCE } from "./record_fixtures.ts";

type State = Pick<
  WindowRecord,
  | "phase"
  | "locked_at"
  | "deadline"
  | "released_at"
  | "released_by"
  | "filesystems_frozen_at"
  | "filesystems_thawed_at"
  | "closed_at"
  | "held_ms"
  | "was_held"
  | "outcome"
  | "reason"
  | "verdict"
  | "attempts"
>;

const OPEN: Omit<State, "phase"> = {
  locked_at: null,
  deadline: null,
  released_at: null,
  released_by: null,
  filesystems_frozen_at: null,
  filesystems_thawed_at: null,
  closed_at: null,
  held_ms: null,
  was_held: false,
  outcome: null,
  reason: null,
  verdict: null,
  attempts: 1,
};

// The test windows are locked 200 ms after the opening and may be held for 20 s.
const LOCKED = {
  ...OPEN,
  locked_at: "2026-01-02T03:04:05.200Z",
  deadline: "2026-01-02T03:04:25.200Z",
};

/** The test freezes begin 450 ms after the opening. */
const FROZEN = { ...LOCKED, was_held: true, filesystems_frozen_at: "2026-01-02T03:04:05.450Z" };

/** Released when they were thawed, 600 ms after the opening. */
const RELEASED_AT_THAW = {
  ...FROZEN,
  filesystems_thawed_at: "2026-01-02T03:04:05.600Z",
  released_by: "filesystem-thaw",
  reason: "filesystem-thaw",
} as const;

/** The server has confirmed it 100 ms later. */
const SETTLING = {
  ...RELEASED_AT_THAW,
  phase: "settling",
  released_at: "2026-01-02T03:04:05.700Z",
  held_ms: 500,
} as const;

const RECORDS: Record<StateName, State> = {
  preparing: { ...OPEN, phase: "preparing", attempts: 0 },
  "preparing another attempt": { ...OPEN, phase: "preparing" },
  locking: { ...OPEN, phase: "locking" },
  "locking for the last time": { ...OPEN, phase: "locking", attempts: 3 },
  securing: { ...LOCKED, phase: "securing" },
  answering: { ...LOCKED, phase: "answering" },
  held: { ...LOCKED, phase: "held", was_held: true },
  "held, frozen": { ...FROZEN, phase: "held" },
  "held, frozen too early": { ...FROZEN, phase: "held" },
  "held, frozen and thawed too early": {
    ...FROZEN,
    filesystems_thawed_at: "2026-01-02T03:04:05.400Z",
    phase: "held",
  },
  "releasing, never promised": {
    ...LOCKED,
    phase: "releasing",
    reason: "lock-file-removed",
    released_by: "lock-file-removed",
  },
  "releasing for the filesystems' thaw": { ...RELEASED_AT_THAW, phase: "releasing" },
  "releasing for the filesystems' thaw, frozen again": { ...RELEASED_AT_THAW, phase: "releasing" },
  "settling for the thaw hook": SETTLING,
  "settling for the thaw hook, frozen again": SETTLING,
  "settling for post-thaw after the thaw hook": { ...SETTLING, reason: "thaw-hook" },
  "releasing for a thaw": {
    ...LOCKED,
    phase: "releasing",
    was_held: true,
    reason: "thaw",
    released_by: "thaw",
  },
  "releasing for the thaw hook": {
    ...LOCKED,
    phase: "releasing",
    was_held: true,
    reason: "thaw-hook",
    released_by: "thaw-hook",
  },
  "releasing for the lock file": {
    ...LOCKED,
    phase: "releasing",
    was_held: true,
    reason: "lock-file-removed",
    released_by: "lock-file-removed",
  },
  "releasing for a signal": {
    ...LOCKED,
    phase: "releasing",
    was_held: true,
    reason: "signal",
    released_by: "signal",
  },
  "releasing for a full server": {
    ...LOCKED,
    phase: "releasing",
    was_held: true,
    reason: "connections-near-limit",
    released_by: "connections-near-limit",
  },
  settling: {
    ...LOCKED,
    phase: "settling",
    was_held: true,
    reason: "thaw-hook",
    released_by: "thaw-hook",
    released_at: "2026-01-02T03:04:05.600Z",
    held_ms: 400,
  },
  closed: {
    ...LOCKED,
    phase: "closed",
    was_held: true,
    released_at: "2026-01-02T03:04:05.600Z",
    closed_at: "2026-01-02T03:04:05.600Z",
    held_ms: 400,
    outcome: "released",
    reason: "thaw",
    released_by: "thaw",
    verdict: "application-consistent",
  },
};

for (const [state, expected] of Object.entries(RECORDS) as [StateName, State][]) {
  Deno.test(`the record of a window that is ${state} says so`, () => {
    const record = recordOf(STATES[state], DETAILS);
    assert.deepEqual({ ...record, ...expected }, record);
    // A state in between has no verdict, not even of one instance.
    assert.deepEqual(record.instances.map(({ verdict }) => verdict), [expected.verdict]);
    assert.equal(record.opened_at, "2026-01-02T03:04:05.000Z");
  });
}

Deno.test("a record carries the details and the limits as they are", () => {
  const record = recordOf(STATES.held, { ...DETAILS, detail: "something", warnings: ["careful"] });
  assert.equal(record.schema_version, SCHEMA_VERSION);
  assert.equal(record.window_id, DETAILS.windowId);
  assert.equal(record.locktables_version, DETAILS.version);
  assert.equal(record.caller, "qemu");
  assert.equal(record.locker_pid, 4711);
  assert.equal(record.detail, "something");
  assert.equal(record.hold_timeout_ms, 20_000);
  assert.equal(record.freeze_timeout_ms, 30_000);
  assert.deepEqual(record.instances, [INSTANCE]);
  assert.deepEqual(record.timeline, DETAILS.timeline);
  assert.deepEqual(record.warnings, ["careful"]);
});

Deno.test("the detail of a refused window is its refusal", () => {
  const record = recordOf(after("PreparationFailed"), { ...DETAILS, detail: "something else" });
  assert.equal(record.detail, "Cannot do something");
});

Deno.test("a server that filled up under a held lock closes its window as expired", () => {
  const record = recordOf(heldAnd("ConnectionsNearLimit", "ReleaseFinished equal"), {
    ...DETAILS,
    detail: EVENTS.ConnectionsNearLimit.why,
  });
  assert.deepEqual(
    [record.outcome, record.reason, record.verdict, record.was_held, record.held_ms, record.detail],
    [
      "expired",
      "connections-near-limit",
      "crash-consistent",
      true,
      400,
      EVENTS.ConnectionsNearLimit.why,
    ],
  );
});

Deno.test("a server that filled up before the promise refuses, and the record says the numbers", () => {
  const record = recordOf(
    after("Prepared", "ConnectionsNearLimit", "ReleaseFinished cut"),
    DETAILS,
  );
  assert.deepEqual(
    [record.outcome, record.reason, record.verdict, record.was_held, record.attempts],
    ["refused", "connections-near-limit", "not-quiesced", false, 1],
  );
  assert.ok(record.detail?.includes(EVENTS.ConnectionsNearLimit.why), `${record.detail}`);
});

Deno.test("a lock that was not granted until the time was over leaves its blockers in the record", () => {
  const { window } = transition(
    STATES["preparing another attempt"],
    EVENTS.TimePassed,
    at(30_000),
  );
  const record = recordOf(window, DETAILS);
  assert.equal(record.attempts, 1);
  assert.ok(record.detail?.includes("blocked by id 12"), `${record.detail}`);
});

/** Two instances in a window that only the proof of one spoilt, and in one that was lost. */
const TOGETHER: readonly (readonly [
  sentence: string,
  events: readonly EventName[],
  proofs: readonly (readonly [ReleaseProof | null, Verdict])[],
])[] = [
  ["one that moved does not spoil the other", ["ThawRequested", "ReleaseFinished moved"], [
    ["moved", "crash-consistent"],
    ["equal", "application-consistent"],
  ]],
  ["one whose sessions were cut does not spoil the other", [
    "ThawRequested",
    "ReleaseFinished cut",
  ], [["equal", "application-consistent"], ["cut", "crash-consistent"]]],
  ["no thaw spoils both", ["LockFileRemoved", "ReleaseFinished moved"], [
    ["moved", "crash-consistent"],
    ["equal", "crash-consistent"],
  ]],
  ["a lost session spoils both", ["SessionLost", "ReleaseFinished cut"], [
    ["cut", "crash-consistent"],
    ["equal", "crash-consistent"],
  ]],
  ["a full server spoils both", ["ConnectionsNearLimit", "ReleaseFinished equal"], [
    ["equal", "crash-consistent"],
    ["equal", "crash-consistent"],
  ]],
  ["a good window is good for both", ["ThawRequested", "ReleaseFinished equal"], [
    ["equal", "application-consistent"],
    ["equal", "application-consistent"],
  ]],
];

for (const [sentence, events, proofs] of TOGETHER) {
  Deno.test(`of two instances: ${sentence}, and the window's verdict is the worst`, () => {
    const instances = proofs.map(([release_proof]) => ({ ...INSTANCE, release_proof }));
    const record = recordOf(heldAnd(...events), { ...DETAILS, instances });
    const verdicts = proofs.map(([, verdict]) => verdict);
    assert.deepEqual(record.instances.map(({ verdict }) => verdict), verdicts);
    const isGood = verdicts.every((verdict) => verdict === "application-consistent");
    assert.equal(record.verdict, isGood ? "application-consistent" : "crash-consistent");
  });
}

Deno.test("a window that was never locked has no times of a lock, even when it is closed", () => {
  const record = recordOf(after("PreparationFailed", "ReleaseFinished equal"), DETAILS);
  assert.deepEqual(
    [record.locked_at, record.deadline, record.released_at, record.held_ms, record.outcome],
    [null, null, null, null, "refused"],
  );
});

Deno.test("a release that nobody saw has no time", () => {
  for (
    const closed of [
      heldAnd("ThawRequested", "ReleaseFinished cut"),
      transition(STATES["releasing for a thaw"], EVENTS.TimePassed, at(60_000)).window,
    ]
  ) {
    const record = recordOf(closed, DETAILS);
    assert.deepEqual([record.released_at, record.held_ms], [null, null]);
    assert.equal(record.reason, "release-unconfirmed");
    assert.notEqual(record.closed_at, null);
  }
});

Deno.test("held_ms is of the monotonic clock, so a wall clock that is set back does not make it negative", () => {
  const back = { monoMs: at(900).monoMs, wallMs: at(900).wallMs - 3_600_000 };
  const { window } = transition(
    STATES["releasing for a thaw"],
    EVENTS["ReleaseFinished equal"],
    back,
  );
  const record = recordOf(window, DETAILS);
  assert.equal(record.held_ms, 700);
  assert.equal(record.released_at, "2026-01-02T02:04:05.900Z");
});

Deno.test("a record is plain JSON: nothing of it is lost on the way to the disk", () => {
  for (const window of Object.values(STATES)) {
    const record = recordOf(window, DETAILS);
    assert.deepEqual(JSON.parse(JSON.stringify(record)), record);
  }
});

const DEAD: readonly (readonly [StateName, WindowRecord["outcome"], WindowRecord["verdict"]])[] = [
  ["preparing", "failed", "not-quiesced"],
  ["locking", "failed", "not-quiesced"],
  ["securing", "failed", "not-quiesced"],
  ["answering", "failed", "not-quiesced"],
  ["held", "lost", "crash-consistent"],
  ["releasing for a thaw", "lost", "crash-consistent"],
  ["settling", "lost", "crash-consistent"],
];

for (const [state, outcome, verdict] of DEAD) {
  Deno.test(`a locker that died while its window was ${state} leaves it ${outcome}`, () => {
    const last = recordOf(STATES[state], DETAILS);
    const record = recordOfDeadLocker(last, at(90_000));
    assert.deepEqual(record, {
      ...last,
      phase: "closed",
      closed_at: "2026-01-02T03:05:35.000Z",
      outcome,
      reason: "locker-died",
      verdict,
      instances: [{ ...INSTANCE, verdict }],
      detail: "The locker (pid 4711) ended without closing the window",
    });
  });
}

Deno.test("what was written is read back as it was", () => {
  for (const window of Object.values(STATES)) {
    const record = recordOf(window, DETAILS);
    assert.deepEqual(parseRecord(`${JSON.stringify(record, null, 2)}\n`), record);
  }
});

const UNREADABLE: readonly (readonly [what: string, text: string | null])[] = [
  ["no file", null],
  ["an empty file", ""],
  ["blanks, as a reserved record is", " ".repeat(4_096)],
  ["zero bytes", "\0".repeat(4_096)],
  ["garbage", "not a record"],
  ["null", "null"],
  ["a number", "1"],
  ["a string", '"schema_version"'],
  ["an array", "[]"],
  ["an object without a version", "{}"],
  ["a newer version", '{"schema_version":2}'],
  ["the version as text", '{"schema_version":"1"}'],
  ["two records in a row", '{"schema_version":1}{"schema_version":1}'],
  ["nothing but the version", '{"schema_version":1}'],
  ["a record without instances", textWith({ instances: undefined })],
  ["a record whose instances are none", textWith({ instances: [null] })],
  ["an instance without a name", textWith({ instances: [{ ...INSTANCE, name: undefined }] })],
  ["coordinates without GTIDs", textWith({ instances: [{ ...INSTANCE, coordinates: {} }] })],
  ["a proof of a newer version", textWith({ instances: [{ ...INSTANCE, release_proof: "x" }] })],
  ["a reason of a newer version", textWith({ reason: "meteor" })],
  ["an outcome that every object knows", textWith({ outcome: "constructor" })],
  ["a time that is none", textWith({ opened_at: "yesterday" })],
  ["a process number as text", textWith({ locker_pid: "4711" })],
  ["warnings that are not text", textWith({ warnings: [1] })],
];

function textWith(changes: Record<string, unknown>): string {
  return JSON.stringify({ ...recordOf(STATES.held, DETAILS), ...changes });
}

Deno.test("a record of a caller that this version does not know is a record", () => {
  assert.equal(parseRecord(textWith({ caller: "hyperv" }))?.caller, "hyperv");
});

Deno.test("a record from before rehearsals were marked is a record", () => {
  const { is_rehearsal, ...earlier } = recordOf(STATES.closed, DETAILS);
  assert.equal(is_rehearsal, false);
  assert.equal(parseRecord(JSON.stringify(earlier))?.window_id, DETAILS.windowId);
});

Deno.test("no value in the place of any field makes reading a record throw", () => {
  const record = recordOf(STATES.closed, DETAILS);
  fc.assert(fc.property(fc.constantFrom(...Object.keys(record)), fc.jsonValue(), (key, value) => {
    const read = parseRecord(JSON.stringify({ ...record, [key]: value }));
    if (read !== null) closedLine(read);
  }));
});

for (const [what, text] of UNREADABLE) {
  Deno.test(`${what} is no record`, () => {
    assert.equal(parseRecord(text), null);
  });
}

Deno.test("a record that was cut off anywhere is no record", () => {
  const text = JSON.stringify(recordOf(STATES.held, DETAILS));
  fc.assert(fc.property(fc.nat(text.length - 1), (length) => {
    assert.equal(parseRecord(text.slice(0, length)), null);
  }));
});
