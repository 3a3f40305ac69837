import assert from "node:assert/strict";

import { storageFindings } from "../../lib/check/storage_findings.ts";

type Paths = readonly (readonly [path: string, mountPoint: string | null, device?: string])[];

/** What the places of some directories come to. */
function found(directories: Paths, outside: Paths = []) {
  const placed = (paths: Paths) =>
    paths.map(([path, mountPoint, device = "8:1"]) => ({
      path,
      place: mountPoint === null ? null : { path, mount_point: mountPoint, device },
    }));
  return storageFindings({
    instance: "main",
    directories: placed(directories),
    outside: placed(outside),
  });
}

const CASES: readonly (readonly [
  sentence: string,
  directories: Paths,
  outside: Paths,
  titles: readonly RegExp[],
])[] = [
  ["everything on one filesystem is nothing to say", [["/data", "/"], ["/log", "/"]], [], []],
  [
    "several filesystems are listed, each path with its own",
    [["/data", "/data", "8:1"], ["/log/bin", "/log", "8:17"]],
    [],
    [/^main: .* in one snapshot: \/data on \/data \(8:1\), \/log\/bin on \/log \(8:17\)$/],
  ],
  [
    "the same device at two places is one filesystem",
    [["/data", "/data", "8:1"], ["/log", "/log", "8:1"]],
    [],
    [],
  ],
  [
    "a path that cannot be seen is told alone, without a word on the others",
    [["/data", "/"], ["/gone", null]],
    [],
    [/^main: \/gone cannot be seen from here/],
  ],
  [
    "tables elsewhere on a filesystem that is flushed anyway are nothing to say",
    [["/data", "/data", "8:1"]],
    [["/data/far", "/data", "8:1"]],
    [],
  ],
  [
    "tables on another filesystem, and those that cannot be seen, are told in one line",
    [["/data", "/data", "8:1"]],
    [["/far/a", "/far", "8:33"], ["/gone/b", null]],
    [/DATA DIRECTORY of their own are in \/far\/a, \/gone\/b, on a filesystem that/],
  ],
  [
    "of many directories five are named",
    [["/data", "/data", "8:1"]],
    ["a", "b", "c", "d", "e", "f", "g"].map((name) => [`/far/${name}`, "/far", "8:33"] as const),
    [/are in \/far\/a, \/far\/b, \/far\/c, \/far\/d, \/far\/e and 2 more, on/],
  ],
];

for (const [sentence, directories, outside, titles] of CASES) {
  Deno.test(`storage: ${sentence}`, () => {
    const findings = found(directories, outside);
    assert.equal(findings.length, titles.length, JSON.stringify(findings));
    for (const [at, title] of titles.entries()) assert.match(findings[at]?.title ?? "", title);
  });
}
