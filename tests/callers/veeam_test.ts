/** Veeam: scripts uploaded over SSH, and the agent for Linux. */
import assert from "node:assert/strict";
import { openBlocker } from "../support/blocker.ts";
import { type Guest, sleep, testOnEachServer, until } from "../support/guest.ts";
import { placeHooks } from "../support/hooks.ts";
import { openSession } from "../support/ssh_session.ts";

const PRE = "/etc/locktables/veeam-pre-freeze.sh";
const POST = "/etc/locktables/veeam-post-thaw.sh";

/** Longest time of a hook with nothing in its way; the job's own limit is 10 min. */
const HOOK_LIMIT_MS = 10_000;

/** Copies of the scripts, as the backup server uploads them; in /tmp, and removed with the server. */
async function upload({ sandbox, server }: Guest) {
  await placeHooks(sandbox, "veeam");
  const paths = { pre: `${server.dir}/veeam_pre.sh`, post: `${server.dir}/veeam_post.sh` };
  await sandbox.sh(`cp ${PRE} ${paths.pre}; cp ${POST} ${paths.post}; rm ${PRE} ${POST}`);
  await sandbox.sh(`chmod 0755 ${paths.pre} ${paths.post}`);
  return paths;
}

testOnEachServer(
  "the lock outlives the session that took it, and another releases it",
  async (guest) => {
    const { pre, post } = await upload(guest);
    const frozen = await openSession(guest.sandbox, [pre]).ended(HOOK_LIMIT_MS);
    assert.equal(frozen.code, 0, frozen.stderr);
    assert.equal((await guest.status()).window?.caller, "veeam");
    const write = await guest.write();
    await sleep(200);
    assert.equal(write.isDone(), false, "a write waits");
    const thawed = await openSession(guest.sandbox, [post]).ended(HOOK_LIMIT_MS);
    assert.equal(thawed.code, 0, thawed.stderr);
    await write.finished(1_000);
    assert.equal((await guest.status()).last?.verdict, "application-consistent");
    await guest.assertNothingLeft();
  },
);

testOnEachServer("a session that is cut while pre waits leaves no lock", async (guest) => {
  const { pre } = await upload(guest);
  const blocker = await openBlocker(guest);
  const session = openSession(guest.sandbox, [pre]);
  await until("it works", 5_000, async () => (await guest.status()).window !== null);
  session.hangUp();
  const { code, stderr } = await session.ended(HOOK_LIMIT_MS);
  assert.equal(code, 10);
  assert.match(stderr, /Cancelled: /);
  // Nothing is in the way any more, and what is left of pre must not take its chance.
  await blocker.end();
  await guest.assertNothingLeft();
  assert.equal((await guest.status()).last?.verdict, "not-quiesced");
});

testOnEachServer(
  "a script that is handed to a shell works as one that is executed",
  async (guest) => {
    // Where /tmp may not be executed from.
    const { pre, post } = await upload(guest);
    await guest.sandbox.sh(`chmod 0600 ${pre} ${post}`);
    for (const shell of ["sh", "bash", "dash"]) {
      const frozen = await openSession(guest.sandbox, [shell, pre]).ended(HOOK_LIMIT_MS);
      assert.equal(frozen.code, 0, frozen.stderr);
      const thawed = await openSession(guest.sandbox, [shell, post]).ended(HOOK_LIMIT_MS);
      assert.equal(thawed.code, 0, thawed.stderr);
      assert.match(thawed.stdout, /application-consistent/);
    }
    await guest.assertNothingLeft();
  },
);

testOnEachServer("the agent for Linux runs the installed scripts at /", async (guest) => {
  const { sandbox } = guest;
  await placeHooks(sandbox, "veeam");
  const agent = (path: string) => sandbox.run([path], { cwd: "/", timeoutMs: HOOK_LIMIT_MS });
  const frozen = await agent(PRE);
  assert.equal(frozen.code, 0, frozen.stderr);
  const write = await guest.write();
  await sleep(200);
  assert.equal(write.isDone(), false, "a write waits");
  const thawed = await agent(POST);
  assert.equal(thawed.code, 0, thawed.stderr);
  await write.finished(1_000);
  await guest.assertNothingLeft();
});
