import assert from "node:assert/strict";

import { deviceNumber, lookAt, placeOf } from "../../lib/base/look.ts";

/** Packed as `makedev(3)` does it. */
const DEVICES: readonly (readonly [dev: number, text: string])[] = [
  [0x801, "8:1"],
  [0xfe00, "254:0"],
  [0x100801, "8:257"],
];

for (const [dev, text] of DEVICES) {
  Deno.test(`the device ${dev} is ${text} to the kernel`, () => {
    assert.equal(deviceNumber(dev), text);
  });
}

Deno.test("the mount points of this machine are those that the kernel names", async () => {
  const table = (await Deno.readTextFile("/proc/self/mountinfo")).trimEnd().split("\n")
    .map((line) => line.split(" "))
    // A mount on another one hides it; of one filesystem twice the upper place counts.
    .map(([, , device, , path]) => ({ device: device ?? "", path: path ?? "" }));
  for (const path of ["/", "/proc", "/dev/shm", "/sys"]) {
    const mounted = table.findLast((one) => one.path === path);
    if (mounted === undefined) continue;
    assert.deepEqual(await placeOf(path), { path, mount_point: path, device: mounted.device });
  }
});

Deno.test("a path that is not there has no place, and there is nothing to be seen", async () => {
  assert.equal(await placeOf("/nowhere/at/all"), null);
  assert.equal(await lookAt("/nowhere/at/all"), null);
  assert.equal(await lookAt("/proc/self/status/below-a-file"), null);
});

Deno.test("a link is looked at itself, or followed", async () => {
  const dir = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${dir}/file`, "", { mode: 0o640 });
    await Deno.symlink(`${dir}/file`, `${dir}/link`);
    assert.equal((await lookAt(`${dir}/link`))?.kind, "other");
    const followed = await lookAt(`${dir}/link`, true);
    assert.deepEqual([followed?.kind, followed?.mode], ["file", 0o640]);
    assert.equal((await lookAt(dir))?.kind, "directory");
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
