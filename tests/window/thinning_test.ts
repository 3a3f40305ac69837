/** Which windows the history keeps. */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { WindowRecord } from "../../lib/window/record.ts";
import { completeSince, OLDER_ROOM, type Room, thinned } from "../../lib/window/thinning.ts";
import { EXPIRED, GOOD, REFUSED } from "../outlets/records.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const NOW_MS = Date.UTC(2026, 5, 1, 12);

/** Every line fits. */
const WIDE: Room = { complete: 10, bytes: Number.MAX_SAFE_INTEGER };

/** Only what a test looks at, so that many are quickly made. */
const SMALL: WindowRecord = { ...GOOD, instances: [], timeline: [] };

function at(ageMs: number, record: WindowRecord = SMALL, more: Partial<WindowRecord> = {}) {
  const opened_at = new Date(NOW_MS - ageMs).toISOString();
  const { instances, timeline } = SMALL;
  return { ...record, instances, timeline, window_id: `w${ageMs}`, opened_at, ...more };
}

/** Windows by their age, the oldest first. */
function everyMinute(fromMs: number, toMs: number, record = SMALL): WindowRecord[] {
  const windows: WindowRecord[] = [];
  for (let ageMs = fromMs; ageMs > toMs; ageMs -= MINUTE_MS) windows.push(at(ageMs, record));
  return windows;
}

function kept(windows: readonly WindowRecord[], room = WIDE): WindowRecord[] {
  return thinned(windows.map((one) => JSON.stringify(one)), room).map((line) => JSON.parse(line));
}

const ids = (windows: readonly WindowRecord[]) => windows.map(({ window_id }) => window_id);

Deno.test("a window every night, every hour: all of 90 days are kept, and the newest however old", () => {
  for (const everyMs of [24 * HOUR_MS, HOUR_MS]) {
    const windows = Array.from({ length: 2_200 }, (_, n) => at(n * everyMs)).reverse();
    const within = windows.filter(({ opened_at }) =>
      NOW_MS - Date.parse(opened_at) <= 90 * 24 * HOUR_MS
    );
    assert.deepEqual(ids(kept(windows)), ids(within));
  }
  const old = [at(900 * 24 * HOUR_MS), at(800 * 24 * HOUR_MS), at(0)];
  assert.deepEqual(ids(kept(old)), ids(old));
});

Deno.test("a window every minute: of good ones the longest of each hour is kept, and every bad one", () => {
  const changed = new Map([
    at(150 * MINUTE_MS, SMALL, { held_ms: 9_000 }),
    at(100 * MINUTE_MS, EXPIRED),
    at(99 * MINUTE_MS, EXPIRED),
    at(98 * MINUTE_MS, REFUSED),
  ].map((record) => [record.window_id, record]));
  const windows = everyMinute(3 * HOUR_MS, 0)
    .map((record) => changed.get(record.window_id) ?? record);
  const left = ids(kept(windows));
  assert.deepEqual(left.slice(-10), ids(windows.slice(-10)), "the newest are complete");
  // Of those that were held equally long the first.
  assert.deepEqual(
    left.slice(0, -10),
    [150, 120, 100, 99, 98, 60].map((minutes) => `w${minutes * MINUTE_MS}`),
  );
});

Deno.test("rehearsals and lines that cannot be read take no image's place", () => {
  const rehearsed = at(121 * MINUTE_MS, SMALL, { is_rehearsal: true, held_ms: 60_000 });
  const image = at(122 * MINUTE_MS);
  const newest = everyMinute(10 * MINUTE_MS, 0);
  const lines = ['{"cut', ...[image, rehearsed, ...newest].map((one) => JSON.stringify(one))];
  assert.deepEqual(thinned(lines, WIDE), lines.slice(1));
});

Deno.test("a window that is in both files is kept once", () => {
  const windows = everyMinute(20 * MINUTE_MS, 0);
  assert.deepEqual(ids(kept([...windows, ...windows])), ids(kept(windows)));
});

Deno.test("ninety days of a window every minute fit, and each night has one, bad ones first of all", () => {
  // In portions, as they come: what was thinned is thinned again.
  const room: Room = { complete: 436, bytes: 2_600 * JSON.stringify(at(0)).length };
  const badAt = 40 * 24 * HOUR_MS;
  let lines: readonly string[] = [];
  let portion: string[] = [];
  for (let ageMs = 92 * 24 * HOUR_MS; ageMs >= 0; ageMs -= 5 * MINUTE_MS) {
    portion.push(JSON.stringify(at(ageMs, ageMs === badAt ? EXPIRED : SMALL)));
    if (portion.length < 500) continue;
    lines = thinned([...lines, ...portion], room);
    portion = [];
  }
  const windows: WindowRecord[] = lines.map((line) => JSON.parse(line));
  assert.ok(ids(windows).includes(`w${badAt}`));
  const days = new Set(windows.map(({ opened_at }) => opened_at.slice(0, 10)));
  assert.ok(days.size >= 90, `${days.size} days`);
});

Deno.test("bad windows every minute that do not fit: each reason has one in every hour or six", () => {
  const windows = [
    ...everyMinute(48 * HOUR_MS, 47 * HOUR_MS, REFUSED),
    ...everyMinute(47 * HOUR_MS, 0, EXPIRED),
  ];
  const room = { complete: 10, bytes: 25 * JSON.stringify(at(0, EXPIRED)).length };
  const left = kept(windows, room);
  assert.equal(left[0]?.reason, "refused");
  const spans = new Set(
    left.map(({ opened_at }) => Math.floor(Date.parse(opened_at) / (6 * HOUR_MS))),
  );
  assert.equal(spans.size, 8);
});

Deno.test("whatever comes, it fits, is in order, and the newest are there as far as they fit", () => {
  const record = fc.record({
    ageMs: fc.integer({ min: 0, max: 200 * 24 * HOUR_MS }),
    kind: fc.constantFrom(SMALL, EXPIRED, REFUSED),
    detail: fc.string({ maxLength: 400 }),
  });
  fc.assert(fc.property(
    fc.array(record, { maxLength: 60 }),
    fc.record({
      complete: fc.integer({ min: 1, max: 20 }),
      bytes: fc.integer({ min: 0, max: 40_000 }),
    }),
    (given, room) => {
      const lines = given.toSorted((one, other) => other.ageMs - one.ageMs)
        .map(({ ageMs, kind, detail }, n) =>
          JSON.stringify(at(ageMs, kind, { detail, window_id: `${n}` }))
        );
      const left = thinned(lines, room);
      const bytes = new TextEncoder().encode(left.map((line) => `${line}\n`).join("")).length;
      assert.ok(bytes <= room.bytes);
      assert.deepEqual(left, lines.filter((line) => left.includes(line)));
      const newest = lines.slice(-Math.min(room.complete, left.length));
      assert.deepEqual(left.slice(-newest.length || left.length), left.length === 0 ? [] : newest);
    },
  ));
});

Deno.test("the history says since when it is complete, where older windows are thinned", () => {
  const windows = everyMinute((OLDER_ROOM.complete + 1) * MINUTE_MS, 0);
  assert.equal(completeSince(windows), windows[1]?.opened_at);
  assert.equal(completeSince(windows.slice(1)), null);
});
