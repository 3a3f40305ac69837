/** Whoever has the right to open a window for a moment is no window. */
import assert from "node:assert/strict";
import { assertOneLine, openGuest, until } from "../support/guest.ts";
import { underLoad } from "../support/load.ts";

/** How long the right is somebody else's, and what pre-freeze answers. */
const HELD: readonly (readonly [sentence: string, seconds: number, code: number])[] = [
  ["held for a moment is waited for", 0.6, 0],
  ["that is not given back is refused in time", 20, 11],
];

Deno.test("the right to open a window", async (step) => {
  const guest = await openGuest("mariadb");
  try {
    await guest.locktables("pre-freeze");
    await guest.locktables("post-thaw");
    for (const [sentence, seconds, code] of HELD) {
      await step.step(sentence, async () => {
        const holder = guest.sandbox.spawn(
          // In one process, so that to kill it gives the right back.
          [
            "/usr/bin/flock",
            "--no-fork",
            "/run/veeam",
            "/bin/sh",
            "-c",
            `echo; exec sleep ${seconds}`,
          ],
          { stdout: "piped", stderr: "null" },
        );
        const reader = holder.stdout.getReader();
        await reader.read(); // it has the right
        const frozen = await guest.locktables("pre-freeze");
        assert.equal(frozen.code, code, frozen.stderr);
        if (code !== 0) {
          assertOneLine(frozen, /A window is already open/);
          assert.ok(frozen.ms < underLoad(10_000), `${frozen.ms} ms`);
        }
        await reader.cancel();
        if (code !== 0) holder.kill();
        await holder.status;
        if (code === 0) assert.equal((await guest.locktables("post-thaw")).code, 0);
        await until("no window", 1_000, async () => (await guest.status()).window === null);
      });
    }
    await guest.assertNothingLeft();
  } finally {
    await guest.close();
  }
});
