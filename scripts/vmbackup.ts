/**
 * The real libvmbackup of open-vm-tools in a guest: VMware's own state machine, scripts and freeze,
 * with a host that this script plays (`vmbackup_host.c`). Only the guest's loop mount is ever frozen.
 */
import { linesOf } from "../lib/base/lines.ts";
import type { DiskGuest } from "../tests/support/disk_guest.ts";
import { installPackages, unpackedPath, unpackOpenVmTools } from "./provision.ts";
import { repositoryRoot, runOrFail, ScriptError } from "./shell.ts";

/** For building what plays the host, and what the plugin is linked with. */
const PACKAGES = ["gcc", "libc6-dev", "libglib2.0-0", "libtirpc3"];

/** Longest wait for an event of the plugin: four of its looks, and a slow script. */
const EVENT_LIMIT_MS = 20_000;

/** What systemd gives a service. */
const SERVICE_ENV = {
  PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  LANG: "C.UTF-8",
};

/** What the program and the plugin are built and linked from, for {@linkcode openVmbackup}. */
export interface VmbackupFiles {
  readonly host: string;
  readonly plugin: string;
  readonly library: string;
}

/** Brings open-vm-tools, of which nothing is installed, and builds the host. */
export async function provideVmbackup(log: (line: string) => void): Promise<VmbackupFiles> {
  await installPackages(PACKAGES, log);
  await unpackOpenVmTools(log);
  const libraries = `${await unpackedPath("open-vm-tools")}/usr/lib/x86_64-linux-gnu`;
  const library = `${libraries}/libvmtools.so.0`;
  const host = `${repositoryRoot()}/build/vmbackup-host`;
  await Deno.mkdir(`${repositoryRoot()}/build`, { recursive: true });
  await runOrFail("Building the host of libvmbackup", [
    "gcc",
    "-O1",
    "-Wall",
    "-Wextra",
    // Its own functions come before those of the libraries.
    "-rdynamic",
    `${repositoryRoot()}/scripts/vmbackup_host.c`,
    "-o",
    host,
    // Beside it in the guest.
    "-Wl,-rpath,$ORIGIN",
    "-Wl,--disable-new-dtags",
    library,
    "-l:libglib-2.0.so.0",
    "-lpthread",
    "-ldl",
  ]);
  return { host, plugin: `${libraries}/open-vm-tools/plugins/vmsvc/libvmbackup.so`, library };
}

/** One event, in milliseconds since 1970. */
export interface VmbackupEvent {
  readonly atMs: number;
  readonly text: string;
}

/** vmtoolsd's plugin at work. */
export interface Vmbackup {
  /** Sends one of the host's messages. */
  say(word: "start" | "snapshotDone" | "abort"): Promise<void>;
  /** The next event of this text, which may have come already; those before it are passed over. */
  next(text: string): Promise<VmbackupEvent>;
  /** Every event so far, oldest first. */
  readonly events: readonly VmbackupEvent[];
  close(): Promise<void>;
}

/** Loads the plugin in a guest. `syncDriver`: `[vmbackup] enableSyncDriver`. */
export async function openVmbackup(
  { sandbox, dir, disk }: DiskGuest,
  files: VmbackupFiles,
  { syncDriver }: { readonly syncDriver: boolean },
): Promise<Vmbackup> {
  const place = await Deno.makeTempDir({ dir, prefix: "vmbackup-" });
  await Deno.copyFile(files.host, `${place}/host`);
  await Deno.copyFile(files.plugin, `${place}/libvmbackup.so`);
  await Deno.copyFile(files.library, `${place}/libvmtools.so.0`);
  const child = sandbox.spawn(
    [
      `${place}/host`,
      `${place}/libvmbackup.so`,
      disk.path,
      "/run/vmtoolsd.log",
      syncDriver ? "on" : "off",
    ],
    { env: SERVICE_ENV, stdin: "piped", stderr: "inherit" },
  );
  const words = child.stdin.getWriter();
  const reader = child.stdout.getReader();
  const lines = linesOf(async () => (await reader.read()).value ?? null);
  const events: VmbackupEvent[] = [];
  let passed = 0;
  const readNext = async (): Promise<void> => {
    const line = await lines.next();
    const [, atMs, text] = /^([\d.]+) (.*)$/.exec(line) ?? [];
    if (atMs === undefined || text === undefined) throw new ScriptError("libvmbackup has ended");
    events.push({ atMs: Number(atMs), text: text.trimEnd() });
  };
  const vmbackup: Vmbackup = {
    events,
    async say(word) {
      await words.write(new TextEncoder().encode(`${word}\n`));
    },
    async next(text) {
      const timer = setTimeout(() => child.kill("SIGKILL"), EVENT_LIMIT_MS);
      try {
        while (true) {
          while (passed === events.length) await readNext();
          const event = events[passed++];
          if (event === undefined) continue;
          if (event.text.startsWith(text)) return event;
          if (/^(refused|req\.(error|aborted))/.test(event.text)) {
            const said = await sandbox.read("/run/vmtoolsd.log");
            throw new ScriptError(`libvmbackup, before ${text}: ${event.text}\n${said}`);
          }
        }
      } finally {
        clearTimeout(timer);
      }
    },
    async close() {
      await words.close();
      await child.status;
      await reader.cancel();
    },
  };
  await vmbackup.next("ready");
  return vmbackup;
}
