/**
 * The drill of docs/restore.md, as it stands there: a copy on a disk of its own, read-only, a layer over
 * it, a throwaway server, the verdict, and nothing left.
 */
import assert from "node:assert/strict";
import { repositoryRoot, runOrFail } from "../../scripts/shell.ts";
import { guestOf } from "../support/guest.ts";
import { type Image, removeImage, takeImage } from "../support/image.ts";
import { ask } from "../support/node_guest.ts";
import { shellBlocks } from "../support/pages.ts";
import { openSandbox } from "../support/sandbox.ts";
import { type Flavor, startServer } from "../support/server.ts";
import { argumentsOf, commandOf } from "../support/server_programs.ts";

/** Bound of one drill: two starts of the program, one of a server. */
const DRILL_TIMEOUT_MS = 120_000;

/** Room for a small server on a disk; the least that XFS takes. */
const DISK_BYTES = 400 * 1024 * 1024;

const DRILLS: readonly (readonly [flavor: Flavor, filesystem: string, make: string])[] = [
  ["mariadb", "ext4", "mkfs.ext4 -q -m 0"],
  ["mysql", "xfs", "mkfs.xfs -q"],
];

for (const [flavor, filesystem, make] of DRILLS) {
  Deno.test(`the drill of the page gives a verdict and leaves nothing (${flavor}, ${filesystem})`, async (step) => {
    const server = await startServer(flavor);
    const guest = await guestOf(server, await openSandbox());
    await ask(server, "CREATE TABLE shop.words (id INT PRIMARY KEY, word TEXT) ENGINE=MyISAM");
    for (let id = 0; id < 20; id += 1) {
      await ask(server, `INSERT INTO shop.words VALUES (${id}, REPEAT('${id}x', 50))`);
    }
    assert.equal((await guest.locktables("pre-freeze")).code, 0);
    const image = await takeImage(server, guest.sandbox);
    assert.equal((await guest.locktables("post-thaw")).code, 0);
    await guest.close();
    try {
      await step.step("an image of the window: as promised", async () => {
        const { code, stdout, stderr } = await drill(flavor, image, make);
        assert.equal(code, 0, stdout + stderr);
        assert.match(stdout, /as-promised: /);
      });
      await step.step("a damaged one: damaged", async () => {
        const path = `${image.datadir}/shop/words.MYD`;
        const rows = await Deno.readFile(path);
        await Deno.writeFile(path, rows.fill(0xa5, 500, 900));
        const { code, stdout, stderr } = await drill(flavor, image, make);
        assert.equal(code, 31, stdout + stderr);
        assert.match(stdout, /`shop`\.`words` \(MyISAM\) is damaged/);
      });
    } finally {
      await removeImage(image);
    }
  });
}

/** Does what the page says with a disk that holds the image. */
async function drill(flavor: Flavor, image: Image, make: string) {
  const page = await Deno.readTextFile(`${repositoryRoot()}/docs/restore.md`);
  const block = shellBlocks(page).map(({ text }) => text).find((text) => text.includes("overlay"));
  assert.ok(block !== undefined, "the page has the drill");
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "drill-" });
  const disk = `${dir}/disk.img`;
  const script = `set -e
truncate -s ${DISK_BYTES} ${disk}
${make} ${disk}
mkdir ${dir}/mnt
mount -o loop ${disk} ${dir}/mnt
mkdir -p ${dir}/mnt/var/lib
cp -a ${image.dir}/. ${dir}/mnt/var/lib/
umount ${dir}/mnt
`;
  await runOrFail("Making the disk", ["/bin/sh", "-c", script], { timeoutMs: DRILL_TIMEOUT_MS });
  const before = await sumOf(disk);
  await writeServer(flavor, `${dir}/server`);
  const sandbox = await openSandbox();
  try {
    // The machine's /srv stays as it is.
    await sandbox.sh("mount -t tmpfs tmpfs /srv && mount -o remount,rw,bind /srv");
    const commands = block
      .replace("mount -o ro /dev/COPY", `mount -o ro,loop ${disk}`)
      .replace("\nmariadbd ", `\n${dir}/server `)
      .replaceAll("locktables verify", `${sandbox.binary} verify`)
      .replaceAll(
        /--skip-slave-start|--aria-recover-options=OFF/g,
        (option) =>
          flavor === "mariadb" ? option : option.startsWith("--aria") ? "" : "--skip-replica-start",
      );
    const ended = await sandbox.run(["/bin/sh", "-c", commands], {
      env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" },
      timeoutMs: DRILL_TIMEOUT_MS,
    });
    const left = await sandbox.sh("ls -A /srv; ls /var/lib/locktables/image; ls /root/.my.cnf");
    assert.equal(left.stdout, "", ended.stderr);
    assert.equal(await sumOf(disk), before, "the copy is as it was");
    return ended;
  } finally {
    await sandbox.close();
    await Deno.remove(dir, { recursive: true });
  }
}

async function sumOf(path: string): Promise<string> {
  return (await runOrFail("sha256sum", ["sha256sum", path])).stdout;
}

/** The server under the name that the page calls, small as all servers of tests. */
async function writeServer(flavor: Flavor, path: string): Promise<void> {
  const small = argumentsOf(flavor).filter((word) =>
    !/^--(user|skip-networking|log-bin)/.test(word)
  );
  const command = [...await commandOf(flavor), ...small].join(" ");
  // The page's --no-defaults must come first, and the command has it already.
  await Deno.writeTextFile(path, `#!/bin/sh\nshift\nexec ${command} "$@"\n`, { mode: 0o755 });
}
