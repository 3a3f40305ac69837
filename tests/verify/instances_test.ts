/** A guest with two servers, restored: each is verified for itself, and the worst counts. */
import assert from "node:assert/strict";
import { type Image, removeImage, takeImage } from "../support/image.ts";
import { ask } from "../support/node_guest.ts";
import { openSandbox, type Sandbox } from "../support/sandbox.ts";
import { discard, type Server, startServer } from "../support/server.ts";

const PLACES = { main: "/run/mysqld", reporting: "/run/mariadb" } as const;
const NAMES = ["main", "reporting"] as const;
const KINDS = { main: "mariadb", reporting: "mysql" } as const;

Deno.test("two restored servers are told apart by their names, and the worst verdict counts", async () => {
  const servers = await start({});
  const images: Record<string, Image> = {};
  try {
    const guest = await guestOf(servers);
    try {
      const frozen = await guest.run([guest.binary, "pre-freeze"]);
      assert.equal(frozen.code, 0, frozen.stderr);
      for (const name of NAMES) images[name] = await takeImage(servers[name], guest);
      assert.equal((await guest.run([guest.binary, "post-thaw"])).code, 0);
    } finally {
      await guest.close();
    }
  } finally {
    for (const name of NAMES) await discard(servers[name]);
  }
  const restored = await start({
    main: images["main"]?.datadir ?? "",
    reporting: images["reporting"]?.datadir ?? "",
  });
  const guest = await guestOf(restored);
  try {
    await guest.sh(`cp ${images["main"]?.record} /var/lib/locktables/record.json`);
    const verified = async () => {
      const { stdout, code } = await guest.run([guest.binary, "verify", "--json"], {
        timeoutMs: 60_000,
      });
      const { verdict, instances, findings } = JSON.parse(stdout);
      return {
        code,
        verdict,
        instances: instances.map((one: { name: string; verdict: string }) => [
          one.name,
          one.verdict,
        ]),
        codes: findings.map((one: { code: string }) => one.code),
      };
    };
    const both = await verified();
    assert.deepEqual(both.instances, [["main", "as-promised"], ["reporting", "as-promised"]]);
    assert.equal(both.code, 0);

    // What a server writes after it was started is no fault of its image.
    await ask(restored.main, "CREATE DATABASE later");
    const written = await verified();
    assert.equal(written.verdict, "as-promised");
    assert.ok(written.codes.includes("written-since-start"), written.codes.join());

    await restored.reporting.kill9();
    const one = await verified();
    assert.deepEqual(one.instances, [["main", "as-promised"], ["reporting", "unknown"]]);
    assert.equal(one.code, 32);

    await guest.writeFile("/root/.my.cnf", "[client]\n", 0o600);
    const unnamed = await verified();
    assert.ok(unnamed.codes.includes("instance-unknown"), unnamed.codes.join());
    assert.equal(unnamed.code, 32);
  } finally {
    await guest.close();
    for (const name of NAMES) await discard(restored[name]);
    for (const image of Object.values(images)) await removeImage(image);
  }
});

type Pair = Readonly<Record<typeof NAMES[number], Server>>;

async function start(
  datadirs: Readonly<Partial<Record<typeof NAMES[number], string>>>,
): Promise<Pair> {
  const one = (name: typeof NAMES[number]) => {
    const datadir = datadirs[name];
    return startServer(KINDS[name], datadir === undefined ? {} : { datadir });
  };
  const [main, reporting] = await Promise.all([one("main"), one("reporting")]);
  return { main, reporting };
}

async function guestOf(servers: Pair): Promise<Sandbox> {
  const sandbox = await openSandbox();
  for (const name of NAMES) await sandbox.bindServer(servers[name], PLACES[name]);
  const groups = NAMES.map((name) => `[client_${name}]\nsocket=${PLACES[name]}/mysqld.sock\n`);
  await sandbox.writeFile(
    "/root/.my.cnf",
    `[locktables]\ninstances=main,reporting\n${groups.join("")}`,
    0o600,
  );
  return sandbox;
}
