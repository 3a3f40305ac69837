/** Debian's snapper in a guest, without its daemon, for two subvolumes of a disk with btrfs. */
import assert from "node:assert/strict";
import { snapperTreePath } from "../../scripts/provision.ts";
import type { Sandbox } from "./sandbox.ts";

/** One of the two configurations: the subvolume with the servers' data, and one below it. */
export type SnapperConfig = "servers" | "others";

/** A prepared snapper. */
export interface Snapper {
  /** Takes a snapshot; it must succeed. */
  create(config: SnapperConfig): Promise<void>;
  /** How many snapshots there are. */
  count(config: SnapperConfig): Promise<number>;
}

/** Writes what `snapper create-config` would. */
export async function prepareSnapper(sandbox: Sandbox, disk: string): Promise<Snapper> {
  const places: Readonly<Record<SnapperConfig, string>> = {
    servers: disk,
    others: `${disk}/home`,
  };
  const root = await snapperTreePath();
  const library = `${root}/usr/lib/x86_64-linux-gnu`;
  const script = Object.entries(places).map(([config, path]) => `
    [ -d ${path} ] || btrfs subvolume create ${path}
    btrfs subvolume create ${path}/.snapshots
    chmod 750 ${path}/.snapshots
    printf 'SUBVOLUME="%s"\\nFSTYPE="btrfs"\\nQGROUP=""\\n' ${path} >/etc/snapper/configs/${config}`);
  const given = await sandbox.sh(`set -e; mkdir -p /etc/snapper/configs /usr/lib/snapper
    printf 'SNAPPER_CONFIGS="servers others"\\n' >/etc/default/snapper${script.join("")}`);
  assert.equal(given.code, 0, given.stderr);
  const run = (config: SnapperConfig, ...words: readonly string[]) =>
    sandbox.run([
      `${library}/ld-linux-x86-64.so.2`,
      "--library-path",
      library,
      `${root}/usr/bin/snapper`,
      "--no-dbus",
      "--config",
      config,
      ...words,
    ], { env: { PATH: "/usr/bin:/bin", LANG: "C.UTF-8" } });
  return {
    async create(config) {
      const { code, stdout, stderr } = await run(config, "create", "--description", "test");
      assert.equal(code, 0, stdout + stderr);
    },
    count: async (config) =>
      Number((await sandbox.sh(`ls ${places[config]}/.snapshots | wc -l`)).stdout),
  };
}
