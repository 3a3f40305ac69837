/**
 * What else happens to a guest while a window is open. Each shows the same three things: no lock
 * outlives its promise, the verdict is the truth, and the next window works.
 */
import type { Verdict } from "../../lib/window/verdict.ts";
import type { Guests } from "./guests.ts";
import { expect, type Lab } from "./lab.ts";
import { readLedger, startLoad, stopLoad, waitForRows } from "./load.ts";
import { lvmRound, prepareLvm } from "./lvm.ts";
import type { Machine } from "./machine.ts";
import { freeze, lastWindow, takeSnapshot, thaw, verifyImage } from "./story.ts";

/** What a situation gets. */
export interface SituationContext {
  readonly lab: Lab;
  readonly guests: Guests;
  /** Has the product, its hooks, a binlog and a load; so must the guest that is left. */
  readonly machine: Machine;
  /** How often an LVM snapshot is taken. */
  readonly rounds: number;
}

/** One thing that happens. */
interface Situation {
  readonly name: string;
  readonly title: string;
  act(context: SituationContext): Promise<void>;
}

/** How long a machine stands still: longer than `hold_timeout`, which is 60 s. */
const PAUSE_MS = 70_000;

/**
 * How long a lock may be seen after what ends it, by the guest's clock: the server notices the end of
 * a locker at once, and a locker looks at the clocks each second.
 */
const RELEASE_LIMIT_S = 5;

/** A restarted service, on a busy host. */
const AGENT_LIMIT_MS = 300_000;

/** The situations, in the order in which a run goes through them. */
export const SITUATIONS: readonly Situation[] = [
  {
    name: "agent",
    title: "the guest agent is restarted while everything is frozen",
    async act({ lab, machine }) {
      await freeze(lab, machine);
      await lab.step("systemctl restart qemu-guest-agent ends the locker with it", async () => {
        await machine.must("systemctl restart --no-block qemu-guest-agent");
        await waitForNoLock(machine);
      });
      await thaw(lab, machine);
      await expectVerdict(lab, machine, "crash-consistent");
      await lab.step("the agent, which hears no signal while frozen, is killed", async () => {
        await machine.must("systemctl kill --signal=KILL qemu-guest-agent");
        await machine.agent.sync(AGENT_LIMIT_MS);
      });
      await nextWindow(lab, machine);
    },
  },
  {
    name: "reboot",
    title: "the guest is rebooted in the middle of a window",
    async act({ lab, machine }) {
      await lab.step("locktables pre-freeze", () => machine.must("locktables pre-freeze"));
      await lab.step("systemctl reboot, until root is logged in again", async () => {
        await machine.must("systemctl reboot");
        await machine.booted();
      });
      await expectNoWindow(lab, machine);
      await expectVerdict(lab, machine, "crash-consistent");
      await lab.step("clients write", () => startLoad(machine));
      await nextWindow(lab, machine);
    },
  },
  {
    name: "power",
    title: "the power is cut while everything is locked and frozen",
    async act({ lab, guests, machine }) {
      await freeze(lab, machine);
      const ledger = await readLedger(machine);
      const again = await lab.step("power cut, and the same disk boots", () => guests.bootAgain());
      await expectNoWindow(lab, again);
      await verifyImage(lab, again, ledger, null);
      await lab.step("clients write", () => startLoad(again));
      await nextWindow(lab, again);
    },
  },
  {
    name: "full",
    title: "the disk is full",
    async act({ lab, machine }) {
      await stopLoad(machine);
      await lab.step("/ is filled to its last block", () => machine.must(FILL));
      const refused = await lab.step(
        "locktables pre-freeze",
        () => machine.run("locktables pre-freeze"),
        ({ code, stderr }) => `exit code ${code}: ${stderr.trim().split("\n")[0]}`,
      );
      expect(refused.code === 22, `exit code ${refused.code}, expected 22`);
      await lab.step("guest-fsfreeze-freeze and -thaw", async () => {
        await machine.agent.execute("guest-fsfreeze-freeze");
        await waitForNoLock(machine);
        await machine.agent.execute("guest-fsfreeze-thaw");
      }, () => "nothing was locked");
      await expectNoWindow(lab, machine);
      await lab.step("room is made, and clients write", async () => {
        await machine.must("rm /lab-full");
        await startLoad(machine);
      });
      await nextWindow(lab, machine);
    },
  },
  {
    name: "pause",
    title: `the machine stands still for ${PAUSE_MS / 1000} s while it is locked`,
    async act({ lab, machine }) {
      await lab.step("locktables pre-freeze", () => machine.must("locktables pre-freeze"));
      const ledger = await readLedger(machine);
      await lab.step("QMP stop, a pause, cont", async () => {
        await machine.monitor.execute("stop");
        await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
        await machine.monitor.execute("cont");
      });
      await lab.step(
        "the host sets the guest's clock (guest-set-time): the lock is over",
        async () => {
          await machine.agent.execute("guest-set-time", { time: Date.now() * 1_000_000 });
          await waitForNoLock(machine);
          await waitForRows(machine, ledger);
        },
      );
      const { code } = await machine.run("locktables post-thaw");
      expect(code === 12, `post-thaw ended with ${code}, expected 12`);
      await expectVerdict(lab, machine, "crash-consistent");
      await nextWindow(lab, machine);
    },
  },
  {
    name: "lvm",
    title: "locktables-run around LVM snapshots",
    async act({ lab, machine, rounds }) {
      await prepareLvm(lab, machine);
      for (let round = 1; round <= rounds; round++) await lvmRound(lab, machine, round);
    },
  },
];

/** Fills the filesystem, root's reserve included. */
const FILL =
  `dd if=/dev/zero of=/lab-full bs=1M 2>/dev/null; dd if=/dev/zero bs=4k 2>/dev/null >>/lab-full; sync; test "$(stat -f -c %a /)" = 0`;

/** The server's own word: the locker holds a named lock beside the others. */
async function waitForNoLock(machine: Machine): Promise<void> {
  const { code, stdout } = await machine.run(WAIT_FOR_NO_LOCK);
  expect(code === 0, `The lock is held ${RELEASE_LIMIT_S} s after its end, by session ${stdout}`);
}

/** By a clock that nobody sets. */
const WAIT_FOR_NO_LOCK = `
  uptime() { cut -d. -f1 /proc/uptime; }
  end=$(($(uptime) + ${RELEASE_LIMIT_S}))
  while held=$(mariadb -BNe "SELECT IS_USED_LOCK('locktables')") && [ "$held" != NULL ]; do
    [ "$(uptime)" -lt "$end" ] || { echo "$held"; exit 1; }
    sleep 0.1
  done`;

async function expectNoWindow(lab: Lab, machine: Machine): Promise<void> {
  await lab.step("no window is open", async () => {
    const { window, locker } = JSON.parse(await machine.must("locktables status --json"));
    expect(
      window === null && locker === "no-locker",
      `a window is open: ${JSON.stringify(window)}`,
    );
    await waitForNoLock(machine);
    // A hook that comes too late has nothing to close.
    await machine.must("locktables post-thaw");
  });
}

async function expectVerdict(lab: Lab, machine: Machine, verdict: Verdict): Promise<void> {
  const { last } = await lab.step(
    "the verdict",
    () => lastWindow(machine),
    (seen) => `${seen.last?.verdict}, ${seen.last?.outcome} by ${seen.last?.reason}`,
  );
  expect(last?.verdict === verdict, `the verdict is ${last?.verdict}, expected ${verdict}`);
}

async function nextWindow(lab: Lab, machine: Machine): Promise<void> {
  lab.note("the next window");
  await takeSnapshot(lab, machine);
}
