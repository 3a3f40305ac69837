/** The machines of a run: the guest under test, and those that boot from its images. */
import type { GuestImage } from "./image.ts";
import { type Machine, newDisk, startMachine } from "./machine.ts";

/** The machines of a run. */
export interface Guests {
  /** The guest under test, or null where none runs. */
  current(): Machine | null;
  /** A fresh guest on a disk of its own becomes the one under test; returns it when it has booted. */
  bootFresh(): Promise<Machine>;
  /** Boots the guest under test once more, on the disk that it had when its power was cut. */
  bootAgain(): Promise<Machine>;
  /** Boots another machine from a disk, which stays as it is. */
  bootCopy(disk: string): Promise<Machine>;
  /** Ends the guest under test: the next one is a fresh one. */
  forget(): Promise<void>;
  /** Ends every machine. */
  close(): Promise<void>;
}

/** Starts with none. */
export function guestsOf(image: GuestImage, dir: string): Guests {
  const machines = new Set<Machine>();
  let current: Machine | null = null;
  let count = 0;
  const boot = async (disk: string): Promise<Machine> => {
    const machine = await startMachine({ name: `m${++count}`, dir, image, disk });
    machines.add(machine);
    await machine.booted();
    return machine;
  };
  const layer = (below: string) => newDisk(`${dir}/disk${count + 1}.qcow2`, below);
  return {
    current: () => current,
    async bootFresh() {
      return current = await boot(await layer(image.disk));
    },
    async bootAgain() {
      if (current === null) throw new TypeError("There is no guest to boot again");
      await current.powerCut();
      return current = await boot(current.disk());
    },
    bootCopy: async (disk) => await boot(await layer(disk)),
    async forget() {
      await current?.powerCut();
      current = null;
    },
    async close() {
      await Promise.all([...machines].map((machine) => machine.powerCut()));
    },
  };
}
