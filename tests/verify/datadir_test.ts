/** Images whose files are looked at before a server runs on them, as a snapshot host mounts them. */
import assert from "node:assert/strict";
import { openGuest } from "../support/guest.ts";
import {
  copyImage,
  type Image,
  IMAGE_PLACE,
  removeImage,
  showImage,
  takeImage,
  type Verified,
} from "../support/image.ts";
import { openSandbox, type Sandbox } from "../support/sandbox.ts";
import { connect, discard, startServer } from "../support/server.ts";

const DATADIR = `${IMAGE_PLACE}/mysql`;

interface Case {
  readonly name: string;
  /** What is done to the recorded binlog file. */
  readonly damage: (file: Uint8Array) => Uint8Array;
  readonly verdict: string;
  readonly codes: readonly string[];
}

const CASES: readonly Case[] = [
  {
    name: "a binlog that ends as recorded is said to, and its server is asked for",
    damage: (file) => file,
    verdict: "unknown",
    codes: ["binlog-proven", "server-not-asked"],
  },
  {
    name: "one byte less is damage",
    damage: (file) => file.subarray(0, file.length - 1),
    verdict: "damaged",
    codes: ["binlog-short"],
  },
  {
    name: "one flipped bit in the middle is damage",
    damage: (file) => file.map((byte, at) => at === file.length >> 1 ? byte ^ 1 : byte),
    verdict: "damaged",
    codes: ["binlog-broken"],
  },
  {
    name: "zeros in place of the last block are damage",
    damage: (file) => file.map((byte, at) => at >= file.length - 512 ? 0 : byte),
    verdict: "damaged",
    codes: ["binlog-broken"],
  },
];

for (const flavor of ["mariadb", "mysql"] as const) {
  Deno.test(`verify of an image's files (${flavor})`, async (step) => {
    const guest = await openGuest(flavor);
    const session = await connect(guest.server);
    for (let id = 0; id < 30; id += 1) await session.query("INSERT INTO shop.orders VALUES ()");
    await session.query("CREATE TABLE shop.words (id INT) ENGINE=MyISAM");
    await session.query("INSERT INTO shop.words VALUES (1)");
    assert.equal((await guest.locktables("pre-freeze")).code, 0);
    const image = await takeImage(guest.server, guest.sandbox);
    assert.equal((await guest.locktables("post-thaw")).code, 0);
    await session.query("INSERT INTO shop.words VALUES (2)");
    const later = await takeImage(guest.server, guest.sandbox);
    await Deno.copyFile(image.record, later.record);
    await session.close();
    await guest.close();
    const record = JSON.parse(await Deno.readTextFile(image.record));
    const { file } = record.instances[0].coordinates;
    try {
      for (const { name, damage, verdict, codes } of CASES) {
        await step.step(name, async () => {
          const copy = await copyImage(image);
          const path = `${copy.datadir}/${file}`;
          await Deno.writeFile(path, damage(await Deno.readFile(path)));
          await expectFound(copy, verdict, codes);
          await removeImage(copy);
        });
      }
      await step.step(
        "a file that goes on was copied after the release",
        () =>
          expectFound(later, "unknown", ["binlog-long", "table-not-closed", "server-not-asked"]),
      );
      await step.step("a MyISAM table that is marked as crashed is damage", async () => {
        const copy = await copyImage(image);
        using index = await Deno.open(`${copy.datadir}/shop/words.MYI`, { write: true });
        await index.seek(26, Deno.SeekMode.Start);
        await index.write(new Uint8Array([0x1b]));
        await expectFound(copy, "damaged", ["binlog-proven", "table-damaged"]);
        await removeImage(copy);
      });
      await step.step("a file that is not there is not in the image", async () => {
        const copy = await copyImage(image);
        await Deno.rename(`${copy.datadir}/${file}`, `${copy.datadir}/binlog.000000`);
        await expectFound(copy, "damaged", ["binlog-lost"]);
        await removeImage(copy);
      });
      await step.step("a link in an image leads nowhere", async () => {
        const copy = await copyImage(image);
        await Deno.remove(`${copy.datadir}/${file}`);
        await Deno.symlink("/etc/shadow", `${copy.datadir}/${file}`);
        await expectFound(copy, "unknown", ["binlog-unread"]);
        await removeImage(copy);
      });
      await step.step("a server that runs on it is asked, and no other", async () => {
        const copy = await copyImage(image);
        const server = await startServer(flavor, { datadir: copy.datadir });
        const sandbox = await openSandbox();
        try {
          await sandbox.bindServer(server);
          await showImage(sandbox, copy);
          const verified = await verifiedAt(sandbox, DATADIR, "--full");
          assert.equal(verified.verdict, "as-promised", JSON.stringify(verified.findings));
          const codes = verified.findings.map(({ code }) => code);
          assert.ok(codes.includes("binlog-proven"), codes.join());
          assert.ok((verified.instances[0]?.tables?.checked ?? 0) > 0);
          // The same server, another image.
          await sandbox.sh(`umount ${IMAGE_PLACE} && mount --bind ${image.dir} ${IMAGE_PLACE}`);
          const other = await verifiedAt(sandbox, DATADIR);
          assert.equal(other.verdict, "unknown");
          assert.match(
            other.findings.find(({ code }) => code === "server-not-asked")?.title ?? "",
            /runs on .* and was not asked/,
          );
        } finally {
          await sandbox.close();
          await discard(server);
          await removeImage(copy);
        }
      });
    } finally {
      await removeImage(image);
      await removeImage(later);
    }
  });
}

async function expectFound(image: Image, verdict: string, codes: readonly string[]): Promise<void> {
  const sandbox = await openSandbox();
  try {
    await showImage(sandbox, image);
    const verified = await verifiedAt(sandbox, DATADIR);
    const said = JSON.stringify(verified.findings, null, 1);
    assert.equal(verified.verdict, verdict, said);
    const found = verified.findings.map(({ code }) => code);
    for (const code of codes) assert.ok(found.includes(code), said);
  } finally {
    await sandbox.close();
  }
}

async function verifiedAt(
  sandbox: Sandbox,
  datadir: string,
  ...args: string[]
): Promise<Verified> {
  const { code, stdout, stderr } = await sandbox.run(
    [sandbox.binary, "verify", "--json", "--datadir", datadir, ...args],
    { timeoutMs: 60_000 },
  );
  assert.ok(stdout !== "", stderr);
  const verified: Verified = JSON.parse(stdout);
  assert.equal(code, verified.exit_code, stderr);
  return verified;
}

Deno.test("a directory outside the rights is refused with the mount that brings it inside", async () => {
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "image-" });
  await Deno.mkdir(`${dir}/mysql`);
  const sandbox = await openSandbox();
  try {
    const verify = () => sandbox.run([sandbox.binary, "verify", "--datadir", `${dir}/mysql`]);
    const { code, stderr } = await verify();
    assert.equal(code, 22);
    assert.equal(stderr.trimEnd().split("\n").length, 1, stderr);
    const [, mount = "", named = ""] =
      /: (mkdir .* && mount --bind \S+ \S+), and name --datadir (\S+)\./.exec(stderr) ?? [];
    const mounted = await sandbox.sh(mount);
    assert.equal(mounted.code, 0, stderr + mounted.stderr);
    const again = await sandbox.run([sandbox.binary, "verify", "--datadir", named]);
    assert.equal(again.code, 32, again.stderr);
    assert.match(again.stdout, /\/image\/locktables\/record\.json/);
    for (const wrong of ["mysql", "/var/lib/mysql/../../etc", "/var/lib/mysql/missing"]) {
      const refused = await sandbox.run([sandbox.binary, "verify", "--datadir", wrong]);
      assert.equal(refused.code, 22, wrong);
      assert.equal(refused.stderr.trimEnd().split("\n").length, 1, refused.stderr);
    }
  } finally {
    await sandbox.close();
    await Deno.remove(dir, { recursive: true });
  }
});
