/** `deno task soak` with small numbers: the same windows and losses, in half a minute. */
import assert from "node:assert/strict";
import { randomFrom, soakLosses, soakWindows } from "../../scripts/soak.ts";
import { FLAVORS } from "../support/guest.ts";

const WINDOWS = 12;
const LOSSES = 10;

/** Printed, because the moments are random: a failure can be looked for with the same losses. */
const SEED = Number(Deno.env.get("SOAK_SEED") ?? Date.now() % 2 ** 32);

for (const flavor of FLAVORS) {
  Deno.test(`${WINDOWS} windows under write load are good and leak nothing (${flavor})`, async () => {
    const { faults, summary } = await soakWindows(flavor, WINDOWS, randomFrom(SEED));
    assert.deepEqual(faults, [], `seed ${SEED}\n${summary.join("\n")}`);
  });

  Deno.test(`${LOSSES} losses at random moments are never called consistent (${flavor})`, async () => {
    console.log(`SOAK_SEED=${SEED}`);
    const { faults, hits, summary } = await soakLosses(flavor, LOSSES, randomFrom(SEED));
    console.log(summary.join("\n"));
    assert.deepEqual(faults, [], `seed ${SEED}`);
    assert.equal(hits, LOSSES, `seed ${SEED}: the losses hit something`);
  });
}
