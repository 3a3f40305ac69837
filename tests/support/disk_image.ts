/**
 * Snapshots of a guest's disk as a host takes them: the blocks of the disk, whatever the guest has in
 * memory; and guests that boot from them.
 */
import assert from "node:assert/strict";
import { runOrFail } from "../../scripts/shell.ts";
import type { DiskGuest, Filesystem } from "./disk_guest.ts";
import type { StatusRecord } from "./guest.ts";
import type { Verified } from "./image.ts";
import { openSandbox } from "./sandbox.ts";
import { connect, discard, startServer } from "./server.ts";

/** Copies the disk as it is now; it must be frozen, so that this is one moment. */
export async function copyDisk(guest: Pick<DiskGuest, "dir">, to: string): Promise<void> {
  await runOrFail("Copying the disk", [
    "cp",
    "--sparse=always",
    "--reflink=auto",
    `${guest.dir}/disk.img`,
    to,
  ]);
}

/** What is in a copy, by a server that was started on it and by the files before that. */
export interface BootedDisk {
  /** The record of the window, as it lies in the image. */
  readonly record: StatusRecord;
  /** The newest binlog in the image and its length, before the server was started. */
  readonly binlogEnd: { readonly file: string; readonly length: number };
  /** What CHECK TABLE says of any table that is not OK. */
  readonly damage: readonly string[];
  /** The rows of a query. */
  query(sql: string): Promise<readonly Readonly<Record<string, unknown>>[]>;
  /** What `verify --json` prints. */
  verified(): Promise<Verified>;
  close(): Promise<void>;
}

/** The copy is of a disk that is still mounted, and xfs knows it by its id. */
const MOUNT_OPTIONS: Readonly<Record<Filesystem, string>> = {
  ext4: "loop,noatime",
  xfs: "loop,noatime,nouuid",
  btrfs: "loop,noatime",
};

/** $1 is the image, $2 where to mount it, $3 the options. The record is where it is in a guest. */
const BOOT_SCRIPT = `set -eu
mkdir "$2"
mount -o "$3" "$1" "$2"
mount --bind "$2/state" /var/lib/locktables
`;

/** Boots a guest like the one that a copy was taken of; the copy is changed by it. */
export async function bootDisk(
  { flavor, disk: { filesystem } }: Pick<DiskGuest, "flavor" | "disk">,
  image: string,
): Promise<BootedDisk> {
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: `lt-${Deno.pid}-` });
  const sandbox = await openSandbox();
  const disk = `${dir}/disk`;
  const must = async (argv: readonly string[]) => {
    const { code, stdout, stderr } = await sandbox.run(argv, {
      env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" },
    });
    assert.equal(code, 0, stderr);
    return stdout;
  };
  const endSandbox = async () => {
    await sandbox.close();
    await Deno.remove(dir, { recursive: true });
  };
  try {
    await must(["/bin/sh", "-c", BOOT_SCRIPT, "sh", image, disk, MOUNT_OPTIONS[filesystem]]);
    const datadir = `${disk}/data`;
    const record: StatusRecord = JSON.parse(
      await sandbox.read("/var/lib/locktables/record.json"),
    );
    const file = (await sandbox.read(`${datadir}/binlog.index`)).trimEnd().split("\n").at(-1) ?? "";
    const name = file.replace(/^.*\//, "");
    const length = Number(await must(["/usr/bin/stat", "-c", "%s", `${datadir}/${name}`]));
    const server = await startServer(flavor, { dir, datadir, sandbox });
    const close = async () => {
      await discard(server);
      await endSandbox();
    };
    try {
      await sandbox.bindServer(server);
      const session = await connect(server);
      return {
        record,
        binlogEnd: { file: name, length },
        damage: await damageOf((sql) => session.query(sql)),
        query: (sql) => session.query(sql),
        async verified() {
          const { stdout, stderr } = await sandbox.run([sandbox.binary, "verify", "--json"]);
          assert.ok(stdout !== "", stderr);
          return JSON.parse(stdout) as Verified;
        },
        async close() {
          await session.close();
          await close();
        },
      };
    } catch (error) {
      await discard(server);
      throw error;
    }
  } catch (error) {
    await endSandbox();
    throw error;
  }
}

const ALL_TABLES = `SELECT CONCAT('\`', table_schema, '\`.\`', table_name, '\`') AS name
FROM information_schema.tables WHERE table_type = 'BASE TABLE'
AND table_schema NOT IN ('information_schema', 'performance_schema')`;

async function damageOf(query: BootedDisk["query"]): Promise<string[]> {
  const names = (await query(ALL_TABLES)).map((row) => String(row["name"]));
  const said = await query(`CHECK TABLE ${names.join(", ")}`);
  return said
    .filter((row) => row["Msg_type"] !== "status" || row["Msg_text"] !== "OK")
    .map((row) => `${row["Table"]}: ${row["Msg_type"]}: ${row["Msg_text"]}`);
}
