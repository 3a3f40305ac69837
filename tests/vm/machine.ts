/** A virtual machine: QEMU's process, its disk, and the three ways to reach into it. */
import { killChild, pathExists, runOrFail, type RunResult } from "../../scripts/shell.ts";
import { ACCELERATOR } from "./accelerator.ts";
import { type AgentPort, connectAgent } from "./agent.ts";
import { connectConsole, type GuestConsole } from "./console.ts";
import type { GuestImage } from "./image.ts";
import { connectMonitor, type Monitor } from "./qmp.ts";
import { GuestFailure } from "./failure.ts";

/** A machine that runs. */
export interface Machine {
  readonly name: string;
  readonly console: GuestConsole;
  readonly agent: AgentPort;
  readonly monitor: Monitor;
  /** Runs a script of sh in the guest, as root. */
  run(script: string, limitMs?: number): Promise<RunResult>;
  /** The same; returns what it printed, and fails where it fails. */
  must(script: string, limitMs?: number): Promise<string>;
  /** Waits until a boot is over: root on the console, services started, the agent answers. */
  booted(): Promise<void>;
  /** The disk that it writes to now. */
  disk(): string;
  /** An external snapshot of the running disk, as a hypervisor takes it; returns the disk of that moment. */
  snapshotDisk(): Promise<string>;
  /** The power is cut: nothing in the guest sees it coming. */
  powerCut(): Promise<void>;
}

/** Where a machine starts from. */
export interface MachineOptions {
  readonly name: string;
  /** Folder for disks and sockets; a short path, because sockets lie in it. */
  readonly dir: string;
  readonly image: GuestImage;
  /** A disk of {@linkcode newDisk} or of a snapshot. */
  readonly disk: string;
}

/** QEMU makes its sockets at once; on a busy machine it first has to be run at all. */
const START_LIMIT_MS = 20_000;

/** Half a minute on two quiet processors that imitate two; the host may have other things to do. */
const BOOT_LIMIT_MS = 900_000;

/** How long a machine may take to end when it is told to. */
const QUIT_LIMIT_MS = 20_000;

/** Names the disk for the monitor. */
const DISK_ID = "disk0";

/** A layer for what a machine writes, above a disk that stays as it is. */
export async function newDisk(path: string, below: string): Promise<string> {
  const format = below.endsWith(".raw") ? "raw" : "qcow2";
  await runOrFail("qemu-img create", [
    "qemu-img",
    "create",
    "-q",
    "-f",
    "qcow2",
    "-b",
    below,
    "-F",
    format,
    path,
  ]);
  return path;
}

/** Starts a machine, and waits until it can be reached; not for its boot. */
export async function startMachine(options: MachineOptions): Promise<Machine> {
  const { name, dir, image } = options;
  const socket = (which: string) => `${dir}/${name}.${which}`;
  const character = (id: string) => `socket,id=${id},path=${socket(id)},server=on,wait=off`;
  for (const id of ["qmp", "agent", "console"]) await removeIfThere(socket(id));
  const child = new Deno.Command("setpriv", {
    // It ends with us, however we end; and other programs of the machine come first.
    args: [
      ...["--pdeathsig", "KILL", "nice", "-n", "10", "qemu-system-x86_64"],
      ...ACCELERATOR,
      ...["-m", "1024", "-nodefaults", "-display", "none"],
      ...["-kernel", image.kernel, "-initrd", image.initrd],
      ...["-append", `${image.kernelArguments} console=ttyS0 quiet`],
      ...[
        "-drive",
        `file=${options.disk},if=none,id=${DISK_ID},format=qcow2,cache=unsafe,discard=unmap`,
      ],
      ...["-device", `virtio-blk-pci,drive=${DISK_ID}`],
      // What the kernel and systemd say, for who looks for the cause of a failure.
      ...["-serial", `file:${socket("log")}`],
      ...["-device", "virtio-serial-pci"],
      ...["-chardev", character("console"), "-device", "virtconsole,chardev=console"],
      ...["-chardev", character("agent")],
      ...["-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0"],
      ...["-qmp", `unix:${socket("qmp")},server=on,wait=off`],
      // The host's loopback is 10.0.2.2 in the guest.
      ...["-netdev", "user,id=net0", "-device", "virtio-net-pci,netdev=net0,romfile="],
    ],
    stdin: "null",
    stdout: "null",
    stderr: "inherit",
  }).spawn();
  const ended = child.status;
  const monitor = await connectMonitor(socket("qmp"), START_LIMIT_MS);
  const guestConsole = await connectConsole(socket("console"), START_LIMIT_MS);
  const agent = await connectAgent(socket("agent"), START_LIMIT_MS);
  let disk = options.disk;
  let snapshots = 0;
  let isOn = true;
  const run = (script: string, limitMs?: number) => guestConsole.run(script, limitMs);
  return {
    name,
    console: guestConsole,
    agent,
    monitor,
    run,
    async must(script, limitMs) {
      const result = await run(script, limitMs);
      if (result.code !== 0) throw new GuestFailure(script, result);
      return result.stdout;
    },
    async booted() {
      await guestConsole.login(BOOT_LIMIT_MS);
      // Waits for those that are being started, and starts none that is on.
      const started = "systemctl start mariadb.service qemu-guest-agent.service";
      const result = await run(started, BOOT_LIMIT_MS);
      if (result.code !== 0) throw new GuestFailure(started, result);
      await agent.sync(BOOT_LIMIT_MS);
    },
    disk: () => disk,
    async snapshotDisk() {
      const layer = `${options.disk}-${++snapshots}`;
      await monitor.execute("blockdev-snapshot-sync", {
        device: DISK_ID,
        "snapshot-file": layer,
        format: "qcow2",
      });
      const before = disk;
      disk = layer;
      return before;
    },
    async powerCut() {
      if (!isOn) return;
      isOn = false;
      const timer = setTimeout(() => killChild(child, "SIGKILL"), QUIT_LIMIT_MS);
      await monitor.execute("quit").catch(() => {}); // ended before it answered
      await ended;
      clearTimeout(timer);
      for (const connection of [monitor, guestConsole, agent]) connection.close();
    },
  };
}

async function removeIfThere(path: string): Promise<void> {
  if (await pathExists(path)) await Deno.remove(path);
}
