/** The page of history --html, looked at in Debian's Chromium: the compiled program's own output. */
import assert from "node:assert/strict";
import { HISTORY_FILE } from "../../lib/base/paths.ts";
import type { WindowRecord } from "../../lib/window/record.ts";
import { hasChromium, type Look, withPage } from "../support/chromium.ts";
import { openSandbox } from "../support/sandbox.ts";
import { daysBefore, EXPIRED, FROZEN, REFUSED } from "./records.ts";

/** A statement as it is named in a refusal: what its author wrote, and longer than a screen. */
const HOSTILE: WindowRecord = {
  ...REFUSED,
  detail: `Blocked by id 12: SELECT "<script>document.title = 1</script>", '${"x".repeat(300)}'`,
};

const BAD_WEEK = [
  ...[daysBefore(6, FROZEN), daysBefore(5, EXPIRED), daysBefore(4, HOSTILE)],
  ...[daysBefore(3, FROZEN), daysBefore(1, EXPIRED), FROZEN],
];
const PAGES: Readonly<Record<string, readonly WindowRecord[]>> = {
  "none": [],
  "one": [FROZEN],
  "a good week": [6, 5, 4, 3, 2, 1, 0].map((days) => daysBefore(days, FROZEN)),
  "five hundred": [...Array(500).keys()].reverse().map((days) =>
    daysBefore(days, days % 31 === 0 ? HOSTILE : days % 17 === 0 ? EXPIRED : FROZEN)
  ),
  // Last: what is looked at closer.
  "a bad week": BAD_WEEK,
};

const LOOKS: readonly Look[] = [
  { width: 400, height: 800, scheme: "dark" },
  { width: 1100, height: 900, scheme: "light" },
];

/** As WCAG counts it, for text and what is behind it; 4.5 is what it asks for. */
const LOW_CONTRAST = `(() => {
  const parse = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => {
    const [r, g, b] = parse(colour).map((value) => value / 255)
      .map((value) => value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let at = element; at !== null; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if ((parse(colour)[3] ?? 1) > 0) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const low = new Set();
  for (const element of document.querySelectorAll("main *")) {
    const isText = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    // A day without any expectation is meant to be faint. Five hundred rows look as ten do.
    if (!isText || element.closest(".outside, .unseen, .skip, svg, tr:nth-child(n+10)")) continue;
    const [one, other] = [light(getComputedStyle(element).color), light(behind(element))];
    const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (contrast < 4.5) low.add(element.tagName + "." + element.className + " " + contrast.toFixed(1));
  }
  return [...low];
})()`;

/** What reaches beyond the right edge. */
const TOO_WIDE = `[...document.querySelectorAll("main *")].filter((element) =>
  !element.closest(".unseen, .skip, thead") && !element.closest("svg") &&
  element.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5
).map((element) => element.tagName + "." + element.className)`;

const SCROLLS = "document.documentElement.scrollWidth - document.documentElement.clientWidth";

/** Where the first day of each kind is, and the colour that its style gives it. */
const DAYS = `["good", "crash", "bare"].map((mark) => {
  const day = document.querySelector(".month td." + mark);
  const { left, top } = day.getBoundingClientRect();
  const [r, g, b] = getComputedStyle(day).backgroundColor.match(/\\d+/g).map(Number);
  const colour = "#" + [r, g, b].map((value) => value.toString(16).padStart(2, "0")).join("");
  return { at: [Math.round(left) + 5, Math.round(top) + 10], colour };
})`;

const isThere = await hasChromium();

Deno.test({
  name: `the page is drawn, reached by keyboard, and as wide as the screen${
    isThere ? "" : " (skipped: no chromium-headless-shell here)"
  }`,
  ignore: !isThere,
  async fn() {
    const sandbox = await openSandbox();
    const directory = await Deno.makeTempDir();
    try {
      await withPage(async (page) => {
        for (const [name, records] of Object.entries(PAGES)) {
          const lines = records.map((record) => `${JSON.stringify(record)}\n`).join("");
          await sandbox.writeFile(HISTORY_FILE, lines);
          const made = await sandbox.run([sandbox.binary, "history", "--html"]);
          assert.deepEqual([made.code, made.stderr], [0, ""]);
          const path = `${directory}/page.html`;
          await Deno.writeTextFile(path, made.stdout);
          for (const look of LOOKS) {
            const what = `${name}, ${look.width} px, ${look.scheme}`;
            await page.open(path, look);
            assert.deepEqual({
              what,
              fetched: page.fetched,
              complaints: page.complaints,
              tooWide: await page.evaluate(TOO_WIDE),
              scrolls: await page.evaluate(SCROLLS),
              lowContrast: await page.evaluate(LOW_CONTRAST),
            }, {
              what,
              fetched: [`file://${path}`],
              complaints: [],
              tooWide: [],
              scrolls: 0,
              lowContrast: [],
            });
            assert.equal(
              await page.evaluate("document.querySelectorAll('.windows tbody tr').length"),
              records.length,
              what,
            );
          }
        }
        // The bad week, in the last look: its days have their colours, which differ.
        const days = await page.evaluate<{ at: [number, number]; colour: string }[]>(DAYS);
        assert.deepEqual(
          await page.colours(days.map(({ at }) => at)),
          days.map(({ colour }) => colour),
        );
        assert.equal(new Set(days.map(({ colour }) => colour)).size, 3);
        // What a statement says is text.
        assert.match(
          await page.evaluate("document.querySelector('.failures .bare').innerText"),
          /SELECT "<script>document\.title = 1<\/script>"/,
        );
        assert.match(await page.evaluate("document.title"), /: 3 of 6 application-consistent$/);
        // By keyboard: to the table at once, then the bad days, which lead to their rows.
        const focused = "document.activeElement.innerText + '>' + document.activeElement.hash";
        await page.press("Tab");
        assert.equal(await page.evaluate(focused), "To the table of windows>#windows");
        await page.press("Tab");
        assert.match(await page.evaluate(focused), /^28\s+crash-consistent>#w-/);
        await page.press("Enter");
        const row = "document.querySelector('tr:target')";
        assert.equal(await page.evaluate(`${row}.className`), "crash");
        assert.equal(
          await page.evaluate(`${row}.getBoundingClientRect().top < innerHeight`),
          true,
          "the row is in sight",
        );
      });
    } finally {
      await Deno.remove(directory, { recursive: true });
      await sandbox.close();
    }
  },
});
