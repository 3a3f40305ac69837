/** What two GTID lists have in common, and texts that are none. */
import assert from "node:assert/strict";
import fc from "fast-check";
import {
  differenceOfLists,
  differenceOfSets,
  parseMariadbList,
  parseMysqlSet,
} from "../../lib/verify/gtid_set.ts";

const A = "aaaaaaaa-0000-4000-8000-000000000001";
const B = "bbbbbbbb-0000-4000-8000-000000000002";

const SETS: readonly (readonly [recorded: string, image: string, missing: string, more: string])[] =
  [
    ["", "", "", ""],
    [`${A}:1-5`, `${A}:1-5`, "", ""],
    [`${A}:1-5`, `${A}:1-3:4:5`, "", ""],
    [`${A}:1-5,\n${B}:1`, `${B}:1,${A.toUpperCase()}:1-5`, "", ""],
    [`${A}:1-5`, `${A}:1-4`, `${A}:5`, ""],
    [`${A}:1-5`, `${A}:1-7`, "", `${A}:6-7`],
    [`${A}:1-5:8`, `${A}:2-6`, `${A}:1,${A}:8`, `${A}:6`],
    [`${A}:1-5`, `${B}:1-5`, `${A}:1-5`, `${B}:1-5`],
    [`${A}:1-5:backup:1-2`, `${A}:1-5`, `${A}:backup:1-2`, ""],
    [
      `${A}:1:3:5:7:9:11:13`,
      "",
      `${A}:1,${A}:3,${A}:5,${A}:7,${A}:9 and 2 more`,
      "",
    ],
  ];

Deno.test("MySQL's sets are compared by their transactions, however they are written", () => {
  for (const [recorded, image, missing, more] of SETS) {
    assert.deepEqual(differenceOfSets(recorded, image), { missing, more, other: "" }, recorded);
  }
});

const LISTS: readonly (readonly [
  recorded: string,
  image: string,
  difference: Readonly<Record<"missing" | "more" | "other", string>>,
])[] = [
  ["0-1-7", "0-1-7", { missing: "", more: "", other: "" }],
  ["0-1-7,2-1-9", "2-1-9,0-1-7", { missing: "", more: "", other: "" }],
  ["0-1-7", "0-1-6", { missing: "0-1-7 (the image has 0-1-6)", more: "", other: "" }],
  ["0-1-7", "0-2-8", { missing: "", more: "0-2-8 (recorded: 0-1-7)", other: "" }],
  ["0-1-7", "0-2-7", { missing: "", more: "", other: "0-2-7 in place of 0-1-7" }],
  ["0-1-7", "", { missing: "0-1-7 (the image has none of its domain)", more: "", other: "" }],
  ["", "3-1-1", { missing: "", more: "3-1-1", other: "" }],
  [
    "0-1-9007199254740993",
    "0-1-9007199254740992",
    { missing: "0-1-9007199254740993 (the image has 0-1-9007199254740992)", more: "", other: "" },
  ],
];

Deno.test("MariaDB's lists are compared domain by domain, in 64 bits", () => {
  for (const [recorded, image, difference] of LISTS) {
    assert.deepEqual(differenceOfLists(recorded, image), difference, recorded);
  }
});

Deno.test("a text that is no list is not compared", () => {
  for (const text of ["x", "0-1", "0-1-2-3", "0-1-7,0-2-8", `${A}`, `${A}:0`, `${A}:5-1`, ";"]) {
    assert.equal(differenceOfLists(text, "0-1-7"), null, text);
    if (text !== "") assert.equal(differenceOfSets(text, `${A}:1`), null, text);
  }
});

Deno.test("what is in one set and not in the other is what is left of its numbers", () => {
  const numbers = fc.uniqueArray(fc.integer({ min: 1, max: 60 }), { maxLength: 30 });
  const asSet = (list: readonly number[]) => list.length === 0 ? "" : `${A}:${list.join(":")}`;
  const numbersOf = (text: string): number[] => {
    const parsed = parseMysqlSet(text);
    assert.ok(parsed !== null, text);
    return [...parsed.values()].flat().flatMap(([from, to]) =>
      Array.from({ length: to - from + 1 }, (_, at) => from + at)
    );
  };
  fc.assert(fc.property(numbers, numbers, (recorded, image) => {
    const difference = differenceOfSets(asSet(recorded), asSet(image));
    assert.ok(difference !== null);
    const missing = recorded.filter((one) => !image.includes(one)).sort((a, b) => a - b);
    if (difference.missing.includes("more")) return; // shortened for people
    assert.deepEqual(numbersOf(difference.missing), missing);
  }));
});

Deno.test("no text makes the readers of GTIDs fail", () => {
  const text = fc.oneof(
    fc.string({ maxLength: 200 }),
    fc.stringMatching(/^[0-9a-f:,\- ]{0,120}$/),
  );
  fc.assert(
    fc.property(text, text, (one, other) => {
      parseMariadbList(one);
      differenceOfSets(one, other);
      differenceOfLists(one, other);
    }),
    { numRuns: 10_000 },
  );
});
