/** Images of a server: copies of its data directory and of the guest's record, and servers on them. */
import assert from "node:assert/strict";
import { runOrFail } from "../../scripts/shell.ts";
import { until } from "./guest.ts";
import { openSandbox, type Sandbox, type SandboxResult } from "./sandbox.ts";
import {
  discard,
  type Server,
  type ServerKind,
  type ServerOptions,
  startServer,
} from "./server.ts";

/** A copy of what a snapshot holds, laid out as the guest's `/var/lib`. */
export interface Image {
  /** Holds `mysql` and `locktables`. */
  readonly dir: string;
  readonly datadir: string;
  /** The record of the window, as it lies in the image. */
  readonly record: string;
}

/**
 * Copies what a snapshot of this moment would hold. The server is stopped for as long: a snapshot is
 * of one moment, and a copy of files is not.
 */
export async function takeImage(server: Server, sandbox: Sandbox): Promise<Image> {
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "image-" });
  const datadir = `${dir}/mysql`;
  Deno.kill(server.pid, "SIGSTOP");
  try {
    await stopped(server.pid);
    await runOrFail("Copying the data directory", [
      "cp",
      "-a",
      "--sparse=always",
      server.datadir,
      datadir,
    ]);
    await Deno.mkdir(`${dir}/locktables`, { mode: 0o700 });
    // Again where a file was replaced meanwhile: a window is counted after its end.
    const { code, stderr } = await sandbox.sh(
      `for try in 1 2 3 4 5; do
        cp -a /var/lib/locktables/. ${dir}/locktables/ && exit
        rm -rf ${dir}/locktables/*
        sleep 0.1
      done
      exit 1`,
    );
    if (code !== 0) throw new Error(`Cannot copy the record: ${stderr}`);
  } finally {
    Deno.kill(server.pid, "SIGCONT");
  }
  return { dir, datadir, record: `${dir}/locktables/record.json` };
}

/** Waits until no thread of a process runs any more: the signal itself is answered before that. */
async function stopped(pid: number): Promise<void> {
  const isStopped = async (task: string) => {
    const stat = await Deno.readTextFile(`/proc/${pid}/task/${task}/stat`);
    return stat.slice(stat.lastIndexOf(")") + 2).startsWith("T");
  };
  const isAll = async () => {
    const tasks = await Array.fromAsync(Deno.readDir(`/proc/${pid}/task`), ({ name }) => name);
    return (await Promise.all(tasks.map(isStopped))).every(Boolean);
  };
  await until("the server stands still", 2_000, isAll);
}

/** Another copy of an image, for damage of its own. */
export async function copyImage(image: Image): Promise<Image> {
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "image-" });
  await runOrFail("Copying an image", ["cp", "-a", "--sparse=always", `${image.dir}/.`, dir]);
  return { dir, datadir: `${dir}/mysql`, record: `${dir}/locktables/record.json` };
}

/** An image with the record of another one. */
export async function withRecordOf(image: Image, other: Image): Promise<Image> {
  const copy = await copyImage(image);
  await Deno.copyFile(other.record, copy.record);
  return copy;
}

/** The data of one image with the binlog and the record of another: two volumes of two moments. */
export async function withBinlogOf(data: Image, binlog: Image): Promise<Image> {
  const copy = await withRecordOf(data, binlog);
  for (
    const { datadir, isCopied } of [
      { datadir: copy.datadir, isCopied: false },
      { datadir: binlog.datadir, isCopied: true },
    ]
  ) {
    for await (const { name } of Deno.readDir(datadir)) {
      if (!name.startsWith("binlog.")) continue;
      if (isCopied) await Deno.copyFile(`${datadir}/${name}`, `${copy.datadir}/${name}`);
      else await Deno.remove(`${datadir}/${name}`);
    }
  }
  return copy;
}

/** Removes an image. */
export async function removeImage(image: Image): Promise<void> {
  await Deno.remove(image.dir, { recursive: true });
}

/** What `verify --json` prints, as far as tests look at it. */
export interface Verified {
  readonly verdict: string;
  readonly exit_code: number;
  readonly findings: readonly {
    readonly code: string;
    readonly weight: string;
    readonly title: string;
    readonly remedy: string | null;
  }[];
  readonly instances: readonly {
    readonly verdict: string;
    readonly tables: { readonly checked: number; readonly total: number } | null;
    readonly statements: readonly string[];
    readonly commands: readonly { readonly title: string; readonly lines: readonly string[] }[];
  }[];
}

/** Where a guest shows an image to locktables. */
export const IMAGE_PLACE = "/var/lib/locktables/image";

/** Mounts an image in a guest, as a snapshot host does. */
export async function showImage(sandbox: Sandbox, image: Image): Promise<void> {
  const { code, stderr } = await sandbox.sh(
    `mkdir -p -m 0700 ${IMAGE_PLACE} && mount --bind ${image.dir} ${IMAGE_PLACE}`,
  );
  assert.equal(code, 0, stderr);
}

/** A restored guest: an image with a server on it. */
export interface Restored {
  readonly server: Server;
  readonly sandbox: Sandbox;
  /** Runs `verify` with further arguments. */
  verify(...args: string[]): Promise<SandboxResult>;
  /** The object that it prints; its exit code is that of the process. */
  verified(...args: string[]): Promise<Verified>;
  close(): Promise<void>;
}

/** Restores an image: starts a server on it, which recovers it, beside the image's record. */
export async function restore(
  kind: ServerKind,
  image: Image,
  args: readonly string[] = [],
  options: Pick<ServerOptions, "program"> = {},
): Promise<Restored> {
  const server = await startServer(kind, { ...options, datadir: image.datadir, args });
  const sandbox = await openSandbox();
  const close = async () => {
    await sandbox.close();
    await discard(server);
  };
  try {
    await sandbox.bindServer(server);
    const { code, stderr } = await sandbox.sh(
      `cp -a ${image.dir}/locktables/. /var/lib/locktables/`,
    );
    assert.equal(code, 0, stderr);
  } catch (error) {
    await close();
    throw error;
  }
  const verify = (...words: string[]) =>
    sandbox.run([sandbox.binary, "verify", ...words], { timeoutMs: 60_000 });
  return {
    server,
    sandbox,
    verify,
    async verified(...words) {
      const { code, stdout, stderr } = await verify("--json", ...words);
      assert.ok(stdout !== "", stderr);
      const verified: Verified = JSON.parse(stdout);
      assert.equal(code, verified.exit_code, stderr);
      return verified;
    },
    close,
  };
}
