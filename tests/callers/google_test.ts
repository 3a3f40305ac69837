/** Google Compute Engine's guest-flush snapshots: the agent's rules, on real servers. */
import assert from "node:assert/strict";
import { CALLER_TABLE } from "../../lib/callers/table.ts";
import { openBlocker } from "../support/blocker.ts";
import { DISKS, runScript, SCRIPT_LIMIT_MS, takeSnapshot } from "../support/google_agent.ts";
import { sleep, testOnEachServer, until } from "../support/guest.ts";
import { placeHooks } from "../support/hooks.ts";
import { underLoad } from "../support/load.ts";

/** Longest time until an agent that waits for the end of stderr has it: nobody may hold it. */
const END_LIMIT_MS = 5_000;

testOnEachServer("a snapshot is made under the lock, and only then", async (guest) => {
  assert.equal((await runScript(guest.sandbox, "pre")).error, "SCRIPT_NOT_FOUND");
  await placeHooks(guest.sandbox, "google");
  const modes = await guest.sandbox.sh(
    "stat -c '%U %a' /etc/google/snapshots/pre.sh /etc/google/snapshots/post.sh",
  );
  // The agent takes a script that it cannot start for one that went well.
  assert.equal(modes.stdout, "root 755\nroot 755\n");
  const answers = await takeSnapshot(guest.sandbox, async () => {
    assert.equal((await guest.status()).window?.caller, "google");
    const write = await guest.write();
    await sleep(200);
    assert.equal(write.isDone(), false, "a write waits");
  });
  assert.deepEqual(
    answers,
    Array(2).fill({ code: 0, error: "NO_ERROR", stderr: "" }),
    "and the end of stderr came, though the locker lived on",
  );
  const { last } = await guest.status();
  assert.deepEqual([last?.caller, last?.verdict], ["google", "application-consistent"]);
  await guest.assertNothingLeft();
});

testOnEachServer("a refused lock means no snapshot, and leaves nothing", async (guest) => {
  await placeHooks(guest.sandbox, "google");
  const blocker = await openBlocker(guest, "freeze_timeout=1s");
  const answers = await takeSnapshot(guest.sandbox, () => assert.fail("no snapshot"));
  assert.deepEqual(answers.map(({ code, error }) => [code, error]), [
    [10, "UNHANDLED_SCRIPT_ERROR"],
  ]);
  assert.match(answers[0]?.stderr ?? "", new RegExp(`KILL QUERY ${blocker.id}`), "and says why");
  await blocker.end();
  await guest.assertNothingLeft();
});

testOnEachServer("a lock that expired is an error of the post script", async (guest) => {
  await placeHooks(guest.sandbox, "google");
  await guest.sandbox.writeFile("/root/.my.cnf", "[locktables]\nhold_timeout=1s\n");
  const [, post] = await takeSnapshot(guest.sandbox, async () => {
    await until("it expires", 5_000, async () => (await guest.status()).window === null);
  });
  assert.deepEqual([post?.code, post?.error], [12, "UNHANDLED_SCRIPT_ERROR"]);
  await guest.assertNothingLeft();
});

testOnEachServer(
  "a pre script killed at its limit leaves no lock and holds no pipe",
  async (guest) => {
    await placeHooks(guest.sandbox, "google");
    const blocker = await openBlocker(guest);
    const started = performance.now();
    const limitMs = 3_000;
    const answer = await runScript(guest.sandbox, "pre", limitMs);
    assert.equal(answer.error, "SCRIPT_TIMED_OUT");
    assert.ok(performance.now() - started < limitMs + underLoad(END_LIMIT_MS), "stderr was let go");
    // Nothing is in the way any more, and what is left of pre must not take its chance.
    await blocker.end();
    await guest.assertNothingLeft();
    assert.equal((await guest.status()).window, null);
    const post = await runScript(guest.sandbox, "post");
    assert.deepEqual(post, { code: 0, error: "NO_ERROR", stderr: "" }, `post.sh ${DISKS}`);
  },
);

Deno.test("a refusal comes before the agent kills", () => {
  assert.ok(CALLER_TABLE.google.freezeTimeoutMs < SCRIPT_LIMIT_MS);
});
