/** The page of history --html, as text. How it looks is seen in page_in_chromium_test.ts. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { historyPage } from "../../lib/outlets/page/page.ts";
import type { WindowRecord } from "../../lib/window/record.ts";
import { daysBefore, EXPIRED, FROZEN, GOOD, OPEN, REFUSED } from "./records.ts";

function page(
  records: readonly WindowRecord[],
  completeSince: string | null = null,
): string {
  return historyPage(records, {
    version: "0.1.0",
    now: "2026-01-03T09:00:00.000Z",
    time: (moment) => moment.slice(0, 16),
    day: (moment) => moment.slice(0, 10),
    completeSince,
  });
}

Deno.test("the page says from when on good windows are thinned, where it shows any", () => {
  const records = [daysBefore(3, GOOD), GOOD];
  assert.match(page(records, GOOD.opened_at), /Before 2026-01-02T03:00 bad windows are all kept/);
  assert.doesNotMatch(page([GOOD], GOOD.opened_at), /are all kept/);
});

Deno.test("the page has a day for each night, with its verdict as a word", () => {
  const text = page([daysBefore(3, GOOD), daysBefore(2, EXPIRED), daysBefore(2, GOOD), REFUSED]);
  assert.match(text, /<title>Windows of guest: 2 of 4 application-consistent<\/title>/);
  assert.match(text, /<td class="good" title="2025-12-30: application-consistent">/);
  assert.match(
    text,
    /<td class="crash" title="2025-12-31: 2 windows: 1 crash-consistent, 1 application-consistent">/,
  );
  assert.match(text, /<td class="none" title="2026-01-01: no window">/);
  assert.match(text, /<td class="bare" title="2026-01-02: not-quiesced">\s*<a href="#w-0{8}-/);
  // Before the first window and after the last one nothing was to be expected.
  assert.match(text, /<td class="outside">\s*<span class="number">29</);
  assert.match(text, /<td class="outside">\s*<span class="number">3</);
});

Deno.test("a failed window has its reason, and the remedy that pre-freeze had", () => {
  const text = page([daysBefore(1, EXPIRED), REFUSED]);
  assert.match(text, /<p>refused: Blocked by id 12 \| app@web<\/p>/);
  assert.match(text, /<b>What to do<\/b> End that statement, or wait: KILL 12<\/p>/);
  assert.match(
    text,
    /<p>The lock expired at .*, hold_timeout \(60000 ms\) after it was taken<\/p>/,
  );
  assert.match(text, /<b>What to do<\/b> Have the caller thaw sooner, or raise hold_timeout/);
  // Of a record without a hint, as an earlier version wrote it.
  const { hint: _, ...earlier } = REFUSED;
  assert.match(page([earlier as WindowRecord]), /<b>What to do<\/b> Take the snapshot again; see/);
});

Deno.test("the newest ten failures are shown, and the rest is in the table", () => {
  const nights = [...Array(12).keys()].reverse().map((days) => daysBefore(days, EXPIRED));
  const text = page(nights);
  assert.equal(text.match(/What to do/g)?.length, 10);
  assert.match(text, /And 2 before them, which are in the table\./);
  assert.equal(text.match(/<tr role="row" class="crash" id="w-/g)?.length, 12);
});

Deno.test("rehearsals are in the table alone, and a window without an end is one", () => {
  const rehearsed = { ...EXPIRED, is_rehearsal: true, caller: null };
  const text = page([daysBefore(1, rehearsed), GOOD]);
  assert.match(text, /1 of 1 application-consistent/);
  assert.match(text, /<td role="cell" data-label="By">rehearse<\/td>/);
  assert.equal(text.includes("What to do"), false);
  assert.match(page([rehearsed]), /0 of 0 application-consistent/);
  assert.match(page([OPEN]), /<td class="open" title="2026-01-02: never closed">/);
});

Deno.test("the freeze of the disks is in the waterfall, the table and the picture over time", () => {
  const text = page([FROZEN]);
  assert.match(text, /<li title="disks frozen: 1\.20 s, disks frozen">/);
  assert.match(text, /<td role="cell" data-label="Frozen">1\.20 s<\/td>/);
  assert.match(text, /aria-label="Disks frozen: 1 windows, usual 1\.20 s, at most 1\.20 s"/);
  assert.equal(page([GOOD]).includes('aria-label="Disks frozen'), false);
});

Deno.test("whatever a record says, it is text, and the page has no script and nothing from elsewhere", () => {
  const odd = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.constantFrom(
      "<script>alert(1)</script>",
      '" onload="alert(1)',
      "</style><img src=x onerror=alert(1)>",
      "' onfocus='alert(1)",
      "javascript:alert(1)",
      "&lt;b&gt;",
    ),
  );
  const record = fc.record({ window_id: odd, caller: odd, detail: odd, hint: odd, hostname: odd });
  fc.assert(
    fc.property(fc.array(record), (texts) => {
      const text = page(texts.map(({ hostname, ...one }) => ({
        ...REFUSED,
        ...one,
        instances: GOOD.instances.map((instance) => ({ ...instance, hostname })),
      })));
      const tags = text.match(/<[a-z][^>]*>/gi) ?? [];
      for (const tag of tags) {
        assert.doesNotMatch(tag, /^<(script|img|iframe|link|object|embed|base|form)\b/i);
        // Outside of what stands between quotation marks there are names alone.
        assert.doesNotMatch(tag.replaceAll(/"[^"]*"/g, ""), /\bon[a-z]+\s*=|['"]/i, tag);
      }
      assert.doesNotMatch(text, /(?:href|src)="(?!#)/);
      assert.doesNotMatch(text, /url\(|@import/);
    }),
    { numRuns: 40 },
  );
});
