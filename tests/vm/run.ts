/** One run of the lab: sets it up, lives the story, then each situation, and cleans up. */
import { installPackages } from "../../scripts/provision.ts";
import { ScriptError } from "../../scripts/shell.ts";
import { HOW_IT_RUNS } from "./accelerator.ts";
import { type Guests, guestsOf } from "./guests.ts";
import { guestImage } from "./image.ts";
import { type Lab, startLab } from "./lab.ts";
import { startLoad } from "./load.ts";
import type { Machine } from "./machine.ts";
import { serveRelease } from "./release_server.ts";
import { SITUATIONS } from "./situations.ts";
import { installProduct, proveSnapshot, takeSnapshot } from "./story.ts";

/** What to run. */
export interface LabOptions {
  /** Of {@linkcode STEP_NAMES}. */
  readonly only: readonly string[];
  /** How often an LVM snapshot is taken. */
  readonly rounds: number;
  /** Whether the folder with disks and logs is left. */
  readonly isKept: boolean;
}

const STORY = "story";

/** What can be run. */
export const STEP_NAMES: readonly string[] = [STORY, ...SITUATIONS.map(({ name }) => name)];

/** The virtual machine, its disk layers, the guest's Debian; setpriv and mke2fs. */
const PACKAGES = [
  "qemu-system-x86",
  "qemu-utils",
  "mmdebstrap",
  "debian-archive-keyring",
  "e2fsprogs",
  "util-linux",
  "git",
];

/** Exit codes of a program that a signal ended, as shells have them. */
const INTERRUPTED = { SIGINT: 130, SIGTERM: 143 } as const;

/** Runs the lab; returns the exit code. */
export async function runLab(options: LabOptions): Promise<number> {
  if (Deno.uid() !== 0) throw new ScriptError("The lab needs root: it makes a guest's disk");
  const print = (line: string) => console.log(line);
  await installPackages(PACKAGES, print);
  const lab = startLab(print);
  const image = await guestImage(print);
  const dir = await Deno.makeTempDir({ prefix: "lt-vm-" });
  const guests = guestsOf(image, dir);
  const server = await serveRelease(print);
  const cleanUp = async () => {
    await guests.close();
    await server.close();
    if (options.isKept) lab.note(`disks and logs of the machines are in ${dir}`);
    else await Deno.remove(dir, { recursive: true });
  };
  for (const [signal, code] of Object.entries(INTERRUPTED)) {
    Deno.addSignalListener(signal as keyof typeof INTERRUPTED, () => {
      cleanUp().finally(() => Deno.exit(code));
    });
  }
  try {
    lab.note(HOW_IT_RUNS);
    if (options.only.includes(STORY)) await story(lab, guests, server.url);
    for (const situation of SITUATIONS) {
      if (!options.only.includes(situation.name)) continue;
      const isGood = await lab.situation(situation.title, async () => {
        const machine = await guestUnderTest(lab, guests, server.url);
        await situation.act({ lab, guests, machine, rounds: options.rounds });
      });
      // Whatever state it is in: the next one begins with a fresh guest.
      if (!isGood) await guests.forget();
    }
    lab.note("not tested: SELinux, which Debian does not switch on");
    return lab.conclude();
  } finally {
    await cleanUp();
  }
}

/** From a fresh guest to the proof, with everything as Debian sets it up: without a binlog. */
async function story(lab: Lab, guests: Guests, url: string): Promise<void> {
  await lab.situation("from curl | sh to the proof in a second machine", async () => {
    const machine = await freshGuest(lab, guests, url);
    await lab.step("clients write: InnoDB, MyISAM, Aria", () => startLoad(machine));
    await proveSnapshot(lab, guests.bootCopy, await takeSnapshot(lab, machine));
  });
}

/** The guest that runs, or a fresh one; with a binlog, so that an image shows how far it goes. */
async function guestUnderTest(lab: Lab, guests: Guests, url: string): Promise<Machine> {
  const machine = guests.current() ?? await freshGuest(lab, guests, url);
  const { code } = await machine.run(`test -e ${BINLOG_OPTIONS}`);
  if (code !== 0) {
    await lab.step("log_bin is switched on, and clients write", async () => {
      await machine.must(`
        set -e
        systemctl stop 'lab-writer-*'
        printf '[mysqld]\\nlog_bin=binlog\\n' >${BINLOG_OPTIONS}
        systemctl restart mariadb`);
      await startLoad(machine);
    });
  }
  return machine;
}

/** A guest that has just booted, with program and hooks. */
async function freshGuest(lab: Lab, guests: Guests, url: string): Promise<Machine> {
  const machine = await lab.step("a fresh guest boots", () => guests.bootFresh());
  await installProduct(lab, machine, url);
  return machine;
}

/** The option file of an operator who wants point-in-time recovery. */
const BINLOG_OPTIONS = "/etc/mysql/mariadb.conf.d/60-lab.cnf";
