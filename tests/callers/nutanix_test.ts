/** Nutanix Guest Tools: the rules that are published, on real servers. */
import assert from "node:assert/strict";
import { openBlocker } from "../support/blocker.ts";
import { sleep, testOnEachServer } from "../support/guest.ts";
import { placeHooks } from "../support/hooks.ts";
import { obstacleTo, runScript } from "../support/nutanix_tools.ts";

testOnEachServer("the two scripts are what the tools run, and freeze", async (guest) => {
  assert.equal(await obstacleTo(guest.sandbox, "pre"), "it is missing");
  await placeHooks(guest.sandbox, "nutanix");
  assert.equal(await obstacleTo(guest.sandbox, "pre"), null);
  assert.equal(await obstacleTo(guest.sandbox, "post"), null);

  const frozen = await runScript(guest.sandbox, "pre");
  assert.equal(frozen.code, 0, frozen.stderr);
  assert.equal((await guest.status()).window?.caller, "nutanix");
  const write = await guest.write();
  await sleep(200);
  assert.equal(write.isDone(), false, "a write waits");
  const thawed = await runScript(guest.sandbox, "post");
  assert.equal(thawed.code, 0, thawed.stderr);
  await write.finished(1_000);
  assert.equal((await guest.status()).last?.verdict, "application-consistent");
  await guest.assertNothingLeft();
});

testOnEachServer("a refused lock is an error, and leaves nothing", async (guest) => {
  await placeHooks(guest.sandbox, "nutanix");
  const blocker = await openBlocker(guest, "freeze_timeout=1s");
  const frozen = await runScript(guest.sandbox, "pre");
  assert.equal(frozen.code, 10);
  assert.match(frozen.stderr, new RegExp(`KILL QUERY ${blocker.id}`));
  await blocker.end();
  assert.equal((await runScript(guest.sandbox, "post")).code, 0);
  await guest.assertNothingLeft();
});
