import assert from "node:assert/strict";
import { textOf } from "../../lib/base/styled.ts";
import { ALONE } from "../../lib/window/coordinates.ts";

import { CALLERS } from "../../lib/callers/table.ts";
import { closedLine, frozenLine, unseenLine } from "../../lib/window/text.ts";
import { type Rehearsal, rehearsalText } from "../../lib/window/rehearsal_text.ts";
import { statusText } from "../../lib/window/status_text.ts";
import { isGoodEnd, isUnseenEnd } from "../../lib/window/verdict.ts";
import {
  type InstanceRecord,
  recordOf,
  recordOfDeadLocker,
  type WindowRecord,
} from "../../lib/window/record.ts";
import { MAX_ATTEMPTS, transition } from "../../lib/window/window.ts";
import { after, at, type EventName, EVENTS, heldAnd, notGranted, STATES } from "./fixtures.ts";
import { DETAILS, INSTANCE } from "./record_fixtures.ts";

const MAIN_TEXT = "MariaDB 10.11.19, backup-stage, binlog.000002:1234";
const MAIN = `main (${MAIN_TEXT})`;

const NO_BINLOG: InstanceRecord = {
  ...INSTANCE,
  name: "reporting",
  label: "MySQL 9.7.4",
  method: "ftwrl",
  coordinates: { ...ALONE, inexact: null, log_bin: false, file: null, position: null, gtid: {} },
  coordinates_at_release: { file: null, position: null },
};

const EXPIRED = transition(
  transition(STATES.held, EVENTS.TimePassed, at(20_200)).window,
  EVENTS["ReleaseFinished equal"],
  at(20_210),
).window;

const MOVED: InstanceRecord = {
  ...INSTANCE,
  coordinates_at_release: { file: "binlog.000003", position: 4 },
  release_proof: "moved",
};

function closed(...events: readonly EventName[]): WindowRecord {
  return recordOf(heldAnd(...events), DETAILS);
}

/** Every end of a window, what post-thaw says of it, and whether it may say it with exit 0. */
const ENDS: readonly {
  readonly name: string;
  readonly record: WindowRecord;
  readonly isGood: boolean;
  readonly line: string;
}[] = [
  {
    name: "a thaw in time",
    record: closed("ThawRequested", "ReleaseFinished equal"),
    isGood: true,
    line: `Thawed: held 400 ms without a gap, application-consistent: ${MAIN}`,
  },
  {
    name: "a thaw in time, after a freeze and the release at its end",
    record: closed(
      "FilesystemsFrozen",
      "FilesystemsThawed",
      "ThawRequested",
      "ReleaseFinished equal",
    ),
    isGood: true,
    line:
      `Thawed: held 600 ms without a gap, disks frozen for 150 ms of it, application-consistent: ${MAIN}`,
  },
  {
    name: "a thaw of filesystems that are still frozen",
    record: closed("FilesystemsFrozen", "ThawRequested", "ReleaseFinished equal"),
    isGood: true,
    line:
      `Thawed: held 500 ms without a gap, disks frozen since 2026-01-02T03:04:05.450Z, application-consistent: ${MAIN}`,
  },
  {
    name: "a freeze before the answer",
    record: closed(
      "FilesystemsFrozen from the start",
      "FilesystemsThawed",
      "ThawRequested",
      "ReleaseFinished equal",
    ),
    isGood: false,
    line:
      "The snapshot is only crash-consistent: the lock did not hold over the whole freeze: the filesystems were frozen at 2026-01-02T03:04:05.450Z, before pre-freeze had answered. Take the snapshot again, with nothing else that freezes at the same time; the caller must wait for pre-freeze",
  },
  {
    name: "another freeze after the release at the filesystems' thaw",
    record: closed(
      "FilesystemsFrozen",
      "FilesystemsThawed",
      "ReleaseFinished equal",
      "FilesystemsFrozen",
      "ThawRequested",
    ),
    isGood: false,
    line:
      "The snapshot is only crash-consistent: the lock was released at 2026-01-02T03:04:05.700Z, when the filesystems were thawed, and they were frozen again before the thaw hook came. Take the snapshot again; where it happens again, set release=thaw-hook in [locktables] of /root/.my.cnf",
  },
  {
    name: "no hook after the release at the filesystems' thaw",
    record: recordOf(
      transition(STATES["settling for the thaw hook"], EVENTS.TimePassed, at(9_600)).window,
      DETAILS,
    ),
    isGood: false,
    line:
      "The snapshot is only crash-consistent: the lock was released at 2026-01-02T03:04:05.700Z, when the filesystems were thawed, and the thaw hook did not follow in time. Take the snapshot again; where it happens again, set release=thaw-hook in [locktables] of /root/.my.cnf",
  },
  {
    name: "a thaw through the hook's word",
    record: closed("ThawHookSeen", "ReleaseFinished equal", "ThawRequested"),
    isGood: true,
    line: `Thawed: held 400 ms without a gap, application-consistent: ${MAIN}`,
  },
  {
    name: "a thaw after a failed snapshot",
    record: closed("AbortRequested", "ReleaseFinished equal"),
    isGood: true,
    line: "Thawed after a failed snapshot: held 400 ms; any image of it is not-quiesced",
  },
  {
    name: "a deadline that passed",
    record: recordOf(EXPIRED, DETAILS),
    isGood: false,
    line:
      "The snapshot is only crash-consistent: the lock expired at 2026-01-02T03:04:25.210Z, hold_timeout (20000 ms) after it was taken. Have the caller thaw sooner, or raise hold_timeout in [locktables] of /root/.my.cnf",
  },
  {
    name: "a server that filled up with waiting clients",
    record: recordOf(heldAnd("ConnectionsNearLimit", "ReleaseFinished equal"), {
      ...DETAILS,
      detail: EVENTS.ConnectionsNearLimit.why,
    }),
    isGood: false,
    line:
      "The snapshot is only crash-consistent: the lock was released at 2026-01-02T03:04:05.600Z, before the server would have refused clients (main: 136 of max_connections 151 are in use, connection_mark is 135). Have the caller thaw sooner, raise max_connections, or raise connection_mark in [locktables]",
  },
  {
    name: "a server that filled up, and whose sessions had to be cut",
    record: closed("ConnectionsNearLimit", "ReleaseFinished cut"),
    isGood: false,
    line:
      "The snapshot is only crash-consistent: the lock was released at 2026-01-02T03:04:05.600Z, before the server would have refused clients. Have the caller thaw sooner, raise max_connections, or raise connection_mark in [locktables]",
  },
  {
    name: "a server that filled up before the promise",
    record: recordOf(after("Prepared", "ConnectionsNearLimit", "ReleaseFinished equal"), DETAILS),
    isGood: true,
    line:
      "Nothing to thaw: pre-freeze was cancelled before it confirmed the lock (connections-near-limit)",
  },
  {
    name: "a lock that was never granted",
    record: recordOf(after(...notGranted(MAX_ATTEMPTS), "ReleaseFinished equal"), DETAILS),
    isGood: true,
    line: "Nothing to thaw: pre-freeze was cancelled before it confirmed the lock (refused)",
  },
  {
    name: "a thaw hook without its post-thaw",
    record: recordOf(transition(STATES.settling, EVENTS.TimePassed, at(9_000)).window, DETAILS),
    isGood: false,
    line:
      "The snapshot is only crash-consistent: the lock was released at 2026-01-02T03:04:05.600Z by the thaw hook, and its post-thaw did not follow. Take the snapshot again; see the server's error log and locktables status",
  },
  {
    name: "a lock file that was removed by hand",
    record: closed("LockFileRemoved", "ReleaseFinished equal", "ThawRequested"),
    isGood: false,
    line:
      "The snapshot is only crash-consistent: the lock was released at 2026-01-02T03:04:05.600Z, because /run/veeam/waitforsnapshot was removed by hand or by a hook of another version. Renew the hooks with locktables install, and leave that file to them: rm is the emergency exit",
  },
  {
    name: "a signal",
    record: recordOf(heldAnd("SignalReceived", "ReleaseFinished equal"), {
      ...DETAILS,
      detail: "got SIGTERM",
    }),
    isGood: false,
    line:
      "The snapshot is only crash-consistent: the lock was lost by 2026-01-02T03:04:05.600Z: signal (got SIGTERM). Take the snapshot again; see the server's error log and locktables status",
  },
  {
    name: "a lost session",
    record: recordOf(heldAnd("SessionLost", "ReleaseFinished cut"), {
      ...DETAILS,
      detail: "main: the server closed the connection",
    }),
    isGood: false,
    line:
      "The snapshot is only crash-consistent: the lock was lost by 2026-01-02T03:04:05.600Z: session-lost (main: the server closed the connection). Take the snapshot again; see the server's error log and locktables status",
  },
  {
    name: "a release that the server did not confirm",
    record: closed("ThawRequested", "ReleaseFinished cut"),
    isGood: false,
    line:
      "The snapshot is only crash-consistent: the lock was lost by 2026-01-02T03:04:05.600Z: release-unconfirmed. Take the snapshot again; see the server's error log and locktables status",
  },
  {
    name: "a binlog that moved",
    record: recordOf(heldAnd("ThawRequested", "ReleaseFinished moved"), {
      ...DETAILS,
      instances: [MOVED, NO_BINLOG],
    }),
    isGood: false,
    line:
      "The snapshot is only crash-consistent: the lock did not hold: the binlog moved from binlog.000002:1234 to binlog.000003:4 on main. Take the snapshot again; see the server's error log and locktables status",
  },
  {
    name: "coordinates that could not be read again",
    record: closed("ThawRequested", "ReleaseFinished unread"),
    isGood: false,
    line:
      "The snapshot is only crash-consistent: the lock is not proven: the binlog coordinates could not be read again. Take the snapshot again; see the server's error log and locktables status",
  },
  {
    name: "a locker that died",
    record: recordOfDeadLocker(recordOf(STATES.held, DETAILS), at(5_000)),
    isGood: false,
    line:
      "The snapshot is only crash-consistent: the lock was lost by 2026-01-02T03:04:10.000Z: locker-died (The locker (pid 4711) ended without closing the window). Take the snapshot again; see the server's error log and locktables status",
  },
  {
    name: "a pre-freeze that was cancelled by the thaw",
    record: recordOf(after("Prepared", "ThawRequested", "ReleaseFinished cut"), DETAILS),
    isGood: true,
    line: "Nothing to thaw: pre-freeze was cancelled before it confirmed the lock (thaw)",
  },
  {
    name: "a pre-freeze that was refused just then",
    record: recordOf(after("PreparationFailed", "ReleaseFinished equal"), DETAILS),
    isGood: true,
    line: "Nothing to thaw: pre-freeze was cancelled before it confirmed the lock (refused)",
  },
  {
    name: "a locker that died before it said frozen",
    record: recordOfDeadLocker(recordOf(STATES.locking, DETAILS), at(5_000)),
    isGood: true,
    line: "Nothing to thaw: pre-freeze was cancelled before it confirmed the lock (locker-died)",
  },
];

for (const { name, record, isGood, line } of ENDS) {
  Deno.test(`${name} is told as it is, with exit ${isGood ? "0" : "12"}`, () => {
    assert.equal(closedLine(record), line);
    assert.equal(isGoodEnd(record), isGood);
  });
}

Deno.test("only a window that was released says that it held without a gap", () => {
  for (const { record } of ENDS) {
    const isConsistent = record.verdict === "application-consistent";
    assert.equal(closedLine(record).includes("without a gap"), isConsistent);
    assert.equal(closedLine(record).includes("application-consistent"), isConsistent);
  }
});

Deno.test("a good end is never an end that a promise was broken by", () => {
  for (const { record } of ENDS) {
    const isBroken = record.was_held && record.verdict === "crash-consistent";
    assert.equal(isGoodEnd(record), !isBroken);
  }
});

Deno.test("every line of a hook is one line", () => {
  for (const { record } of ENDS) assert.doesNotMatch(closedLine(record), /\n/);
  assert.doesNotMatch(frozenLine(recordOf(STATES.held, DETAILS)), /\n/);
});

Deno.test("only VMware Tools do not see that pre-freeze was killed", () => {
  const killed = closed("PreFreezeLost", "ReleaseFinished equal");
  assert.equal(killed.reason, "starter-lost");
  for (const caller of [null, ...CALLERS]) {
    assert.equal(isUnseenEnd({ ...killed, caller }), caller === "vmware");
  }
  const unseen = ENDS.filter(({ record }) => isUnseenEnd({ ...record, caller: "vmware" }));
  assert.ok(unseen.every(({ record }) => record.reason === "starter-lost"));
  assert.match(
    unseenLine(killed),
    /^The snapshot is not quiesced: pre-freeze was killed at \d{4}-\S+Z before its answer; [^\n]+$/,
  );
});

Deno.test("frozen names every instance, its coordinates and the deadline", () => {
  const record = recordOf(STATES.answering, { ...DETAILS, instances: [INSTANCE, NO_BINLOG] });
  assert.equal(
    frozenLine(record),
    `Frozen: ${MAIN}, reporting (MySQL 9.7.4, ftwrl, no binlog); on disk; releases the lock automatically at 2026-01-02T03:04:25.200Z`,
  );
});

const STATUSES: readonly (readonly [
  sentence: string,
  window: WindowRecord | null,
  last: WindowRecord | null,
  text: string,
])[] = [
  ["nothing and nothing before", null, null, "No window is open.\n\nNo window before."],
  [
    "a held window",
    recordOf(STATES.held, DETAILS),
    null,
    [
      "A window is open: held",
      "  opened   ~2026-01-02T03:04:05.000Z, by qemu",
      "  locked   ~2026-01-02T03:04:05.200Z",
      "  release  automatically at ~2026-01-02T03:04:25.200Z",
      "  main     MariaDB 10.11.19, auto: MariaDB 10.11.19 has BACKUP STAGE",
      "",
      "No window before.",
    ].join("\n"),
  ],
  [
    "a window that was released at the filesystems' thaw",
    recordOf(STATES["settling for the thaw hook"], DETAILS),
    null,
    [
      "A window is open: settling",
      "  opened    ~2026-01-02T03:04:05.000Z, by qemu",
      "  locked    ~2026-01-02T03:04:05.200Z",
      "  released  ~2026-01-02T03:04:05.700Z (filesystem-thaw), waits for the thaw hook",
      "  main      MariaDB 10.11.19, auto: MariaDB 10.11.19 has BACKUP STAGE",
      "",
      "No window before.",
    ].join("\n"),
  ],
  [
    "a window that waits, of an unknown caller",
    recordOf(STATES.locking, { ...DETAILS, caller: null, instances: [] }),
    null,
    "A window is open: locking\n  opened  ~2026-01-02T03:04:05.000Z\n\nNo window before.",
  ],
  [
    "a good window before",
    null,
    closed("ThawRequested", "ReleaseFinished equal"),
    [
      "No window is open.",
      "",
      "Last window",
      "  verdict  application-consistent (released, thaw)",
      "  opened   ~2026-01-02T03:04:05.000Z, by qemu",
      "  held     400 ms",
      `  main     ${MAIN_TEXT}`,
    ].join("\n"),
  ],
  [
    "a rehearsal before",
    null,
    recordOf(heldAnd("ThawRequested", "ReleaseFinished equal"), {
      ...DETAILS,
      caller: null,
      isRehearsal: true,
      instances: [],
    }),
    [
      "No window is open.",
      "",
      "Last window",
      "  verdict  application-consistent (released, thaw)",
      "  opened   ~2026-01-02T03:04:05.000Z, by rehearse",
      "  held     400 ms",
    ].join("\n"),
  ],
  [
    "a refused window before",
    null,
    recordOf(after("PreparationFailed", "ReleaseFinished equal"), DETAILS),
    [
      "No window is open.",
      "",
      "Last window",
      "  verdict  not-quiesced (refused, refused)",
      "  opened   ~2026-01-02T03:04:05.000Z, by qemu",
      "  why      Cannot do something",
      `  main     ${MAIN_TEXT}`,
    ].join("\n"),
  ],
  [
    "a window that tries again",
    recordOf(STATES["preparing another attempt"], { ...DETAILS, instances: [] }),
    null,
    "A window is open: preparing\n  opened  ~2026-01-02T03:04:05.000Z, by qemu\n\nNo window before.",
  ],
  [
    "a window before in which the server filled up",
    null,
    recordOf(heldAnd("ConnectionsNearLimit", "ReleaseFinished equal"), {
      ...DETAILS,
      instances: [],
      detail: EVENTS.ConnectionsNearLimit.why,
      warnings: ["It was near"],
    }),
    [
      "No window is open.",
      "",
      "Last window",
      "  verdict  crash-consistent (expired, connections-near-limit)",
      "  opened   ~2026-01-02T03:04:05.000Z, by qemu",
      "  held     400 ms",
      `  why      ${EVENTS.ConnectionsNearLimit.why}`,
      "  warning  It was near",
    ].join("\n"),
  ],
  [
    // Invariant 10: the image says what it is, and never that it is frozen.
    "an image taken inside a window, booted",
    null,
    recordOf(STATES.held, DETAILS),
    [
      "No window is open.",
      "",
      "Last window",
      "  verdict  none: never closed on this disk; it is an image taken inside that window, or the machine went down in it",
      "  opened   ~2026-01-02T03:04:05.000Z, by qemu",
      `  main     ${MAIN_TEXT}`,
    ].join("\n"),
  ],
];

for (const [sentence, window, last, text] of STATUSES) {
  Deno.test(`status tells of ${sentence}`, () =>
    assert.equal(textOf(statusText(window, last, (moment) => `~${moment}`)), text));
}

Deno.test("a rehearsal shows the timeline, the stall and the verdict", () => {
  const record = {
    ...closed("ThawRequested", "ReleaseFinished equal"),
    timeline: [{ at_ms: 0, event: "preparing" }, { at_ms: 1234.5, event: "held" }],
  };
  const rehearsal: Rehearsal = { record, stall_ms: 400, most_waiting: 3, gave_up: 0 };
  assert.equal(
    textOf(rehearsalText(rehearsal)),
    [
      "       0.0 ms  preparing",
      "    1234.5 ms  held",
      "",
      "  verdict  application-consistent (released)",
      "  writers  stopped for 400 ms, from the lock to the release",
      "  waiting  3 sessions at most, at one moment",
    ].join("\n"),
  );
  assert.match(
    textOf(rehearsalText({ ...rehearsal, most_waiting: null })),
    /waiting {2}could not be counted/,
  );
  assert.match(
    textOf(rehearsalText({ ...rehearsal, gave_up: 2 })),
    /failed {3}at least 2 statements that waited: they were killed/,
  );
});
