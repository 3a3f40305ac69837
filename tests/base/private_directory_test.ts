import assert from "node:assert/strict";
import { isRefusal } from "../../lib/base/refusal.ts";
import { type PrivacyFacts, privacyOf } from "../../lib/base/private_directory.ts";

const RUN = { path: "/run", uid: 0, gid: 0, mode: 0o755 };
const TOP = { path: "/", uid: 0, gid: 0, mode: 0o755 };
const NOBODY = 65534;

const GOOD: PrivacyFacts = {
  path: "/run/veeam",
  kind: "directory",
  uid: 0,
  gid: 0,
  mode: 0o700,
  isEmpty: true,
  above: [RUN, TOP],
  inside: [],
};
const OURS = { path: "/run/veeam/locker.sock", uid: 0, gid: 0, mode: 0o600, names: 1 };
const FULL = { isEmpty: false, inside: [OURS] };
const UNSUSPECTED = { isEmpty: false, inside: [] };

const CASES: readonly (readonly [string, Partial<PrivacyFacts>, string | RegExp])[] = [
  ["root's alone, with files of ours", FULL, "private"],
  ["not there", { kind: "missing" }, "missing"],
  ["others may look", { mode: 0o755, ...FULL }, "open"],
  ["root's group may write", { mode: 0o770, ...FULL }, "open"],
  ["everybody may write, and it is empty", { mode: 0o777 }, "open"],
  ["everybody may write, and nothing of ours is in it", { mode: 0o777, ...UNSUSPECTED }, "open"],
  ["everybody may write, and something of ours is in it", { mode: 0o1777, ...FULL }, /mode 1777/],
  ["a group may write", { mode: 0o770, gid: 50, ...FULL }, /mode 0770/],
  ["another's, and empty", { uid: NOBODY, mode: 0o777 }, "spoilt"],
  ["another's, with files of ours", { uid: NOBODY, ...FULL }, /user 65534, and is not empty/],
  ["another's, with other files", { uid: NOBODY, ...UNSUSPECTED }, /user 65534, and is not empty/],
  ["a link", { kind: "link" }, /is a symbolic link/],
  ["a file", { kind: "other" }, /is a file; expected a directory/],
  [
    "another's file in it",
    { isEmpty: false, inside: [{ ...OURS, uid: NOBODY }] },
    /locker\.sock belongs to the user 65534/,
  ],
  [
    "a second name of another file in it",
    { isEmpty: false, inside: [{ ...OURS, names: 2 }] },
    /locker\.sock is a hard link/,
  ],
  ["another's above it", { above: [{ ...RUN, uid: NOBODY }, TOP] }, /\/run, above .* user 65534/],
  ["an open one above it", { above: [{ ...RUN, mode: 0o777 }, TOP] }, /\/run, above .* mode 0777/],
  ["an open one further up", { above: [RUN, { ...TOP, mode: 0o1777 }] }, /\/, above .* mode 1777/],
];

Deno.test("a directory of ours is root's alone, can be made so, or is not believed", async (t) => {
  for (const [name, facts, wanted] of CASES) {
    await t.step(name, () => {
      const found = privacyOf({ ...GOOD, ...facts });
      if (typeof wanted === "string") return assert.equal(found, wanted);
      assert.ok(isRefusal(found), JSON.stringify(found));
      assert.equal(found.code, 22);
      assert.match(found.summary, wanted);
      assert.ok(found.remedy !== undefined && found.hint.includes(found.remedy));
    });
  }
});
