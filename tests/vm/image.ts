/**
 * The guest's disk as an operator has it: Debian 12 with systemd, AppArmor, journald, MariaDB and
 * the guest agent as Debian sets them up, / on a logical volume. Made once and kept in the cache,
 * outside the repository, under a name that stands for the recipe.
 */
import { createHash } from "node:crypto";
import {
  cacheDirectory,
  keepInCache,
  pathExists,
  repositoryRoot,
  runOrFail,
  ScriptError,
  tail,
} from "../../scripts/shell.ts";
import { ACCELERATOR } from "./accelerator.ts";

/** What a machine starts from. */
export interface GuestImage {
  /** A raw disk that must not be written to: machines write to layers above it. */
  readonly disk: string;
  readonly kernel: string;
  readonly initrd: string;
  /** The kernel's command line, but for consoles. */
  readonly kernelArguments: string;
}

/** Debian 12. */
const SUITE = "bookworm";

/** Where it comes from: the release, and what was mended since. */
const SOURCES = [
  "http://deb.debian.org/debian",
  `deb http://deb.debian.org/debian-security ${SUITE}-security main`,
];
const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";

/** What a server of Debian has, and no more: each package takes time at each boot. */
const PACKAGES = [
  "apparmor",
  "ca-certificates",
  "curl",
  "dbus",
  "e2fsprogs",
  "iproute2",
  "kmod",
  "linux-image-cloud-amd64",
  "lvm2",
  "mariadb-server",
  "procps",
  "qemu-guest-agent",
  "systemd-sysv",
  "udev",
  // Has hwclock, which the agent runs when the host sets the guest's time.
  "util-linux-extra",
];

/** Any id will do. */
const MACHINE_ID = "6c6f636b7461626c65736c6162766d31";

/** The recipe's scripts, beside this file. */
const SCRIPTS = ["guest_early.sh", "guest_setup.sh", "guest_layout.sh"];

/** Size of /: twice of what is in it. */
const ROOT_SIZE = "1800M";

/** Size of the disk: room for snapshots beside /. */
const DISK_SIZE = "3072M";

/** Bound of mmdebstrap: a minute on a good line. */
const TREE_LIMIT_MS = 900_000;

/** Bound of the boot that makes the volume: 10 s on a quiet machine. */
const LAYOUT_LIMIT_MS = 900_000;

/** The image, made if it is not there. */
export async function guestImage(log: (line: string) => void): Promise<GuestImage> {
  const place = `${await cacheDirectory()}/vm-${SUITE}-${await recipeKey()}`;
  if (!await pathExists(place)) {
    log(`install  Debian ${SUITE} for a virtual machine, into ${place}`);
    // Whole or not at all.
    const scratch = await Deno.makeTempDir({ dir: await cacheDirectory(), prefix: "vm-" });
    try {
      await Deno.mkdir(`${scratch}/image`);
      await makeImage(scratch, `${scratch}/image`);
      await keepInCache(`${scratch}/image`, place);
    } finally {
      await Deno.remove(scratch, { recursive: true });
    }
  }
  return imageAt(place);
}

function imageAt(place: string): GuestImage {
  return {
    disk: `${place}/disk.raw`,
    kernel: `${place}/vmlinuz`,
    initrd: `${place}/initrd.img`,
    kernelArguments: "root=/dev/mapper/guest-root ro",
  };
}

/** Another recipe is another image. */
async function recipeKey(): Promise<string> {
  const hash = createHash("sha256");
  hash.update(JSON.stringify([SUITE, SOURCES, PACKAGES, ROOT_SIZE, DISK_SIZE]));
  for (const name of SCRIPTS) hash.update(await Deno.readFile(scriptPath(name)));
  return hash.digest("hex").slice(0, 12);
}

function scriptPath(name: string): string {
  return `${repositoryRoot()}/tests/vm/${name}`;
}

async function makeImage(scratch: string, place: string): Promise<void> {
  const tree = `${scratch}/tree`;
  await runOrFail("Making the guest's Debian", [
    "nice",
    "-n",
    "10",
    "mmdebstrap",
    "--quiet",
    "--variant=minbase",
    "--format=directory",
    `--keyring=${KEYRING}`,
    // A mirror may be a snapshot past its date; the signatures are still checked.
    '--aptopt=Acquire::Check-Valid-Until "false"',
    `--essential-hook=sh ${scriptPath("guest_early.sh")} "$1"`,
    `--customize-hook=sh ${scriptPath("guest_setup.sh")} "$1"`,
    `--include=${PACKAGES.join(",")}`,
    SUITE,
    tree,
    ...SOURCES,
  ], { timeoutMs: TREE_LIMIT_MS });
  // A guest keeps its id, and so does one that is restored from its image; mmdebstrap empties it.
  await Deno.writeTextFile(`${tree}/etc/machine-id`, `${MACHINE_ID}\n`);
  await Deno.copyFile(scriptPath("guest_layout.sh"), `${tree}/usr/local/sbin/lab-layout`);
  await Deno.chmod(`${tree}/usr/local/sbin/lab-layout`, 0o755);
  await Deno.copyFile(`${tree}/vmlinuz`, `${place}/vmlinuz`);
  await Deno.copyFile(`${tree}/initrd.img`, `${place}/initrd.img`);
  const bare = `${scratch}/root.ext4`;
  await runOrFail("Making the guest's filesystem", [
    "mke2fs",
    "-q",
    "-t",
    "ext4",
    "-E",
    "lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0",
    "-d",
    tree,
    bare,
    ROOT_SIZE,
  ], { timeoutMs: TREE_LIMIT_MS });
  const image = imageAt(place);
  await runOrFail("Making the guest's disk", ["truncate", "-s", DISK_SIZE, image.disk]);
  const { stdout } = await runOrFail("Making the guest's volume", [
    "nice",
    "-n",
    "10",
    "qemu-system-x86_64",
    ...ACCELERATOR,
    "-m",
    "1024",
    "-nodefaults",
    "-display",
    "none",
    "-no-reboot",
    "-serial",
    "stdio",
    "-kernel",
    image.kernel,
    "-initrd",
    image.initrd,
    "-append",
    "root=/dev/vda ro console=ttyS0 quiet panic=-1 init=/usr/local/sbin/lab-layout",
    "-drive",
    `file=${bare},if=virtio,format=raw,cache=unsafe`,
    "-drive",
    `file=${image.disk},if=virtio,format=raw,cache=unsafe`,
  ], { timeoutMs: LAYOUT_LIMIT_MS });
  const start = /^lab: volume at (\d+)\r?$/m.exec(stdout)?.[1];
  if (start === undefined) {
    throw new ScriptError(`The guest's volume could not be made:\n${tail(stdout, 10)}`);
  }
  // Here, because the imitated machine would take half a minute.
  await runOrFail("Filling the guest's volume", [
    "dd",
    "status=none",
    "bs=1M",
    "conv=notrunc,sparse",
    "oflag=seek_bytes",
    `seek=${start}`,
    `if=${bare}`,
    `of=${image.disk}`,
  ], { timeoutMs: TREE_LIMIT_MS });
}
