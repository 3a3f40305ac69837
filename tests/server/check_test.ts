/** `check` on real servers that stand alone: every finding, its end, and what it leaves alone. */
import { openSandbox } from "../support/sandbox.ts";
import { connect, type Flavor, startServer } from "../support/server.ts";
import { assertProvoked, type CheckCase, checkIn, type Scene } from "../support/check_guest.ts";
import { FLAVORS } from "../support/guest.ts";
import { SERVER_CASES } from "./check_cases.ts";

/** A server and a guest of its own. */
async function withScene(
  flavor: Flavor,
  args: (dir: string) => readonly string[],
  use: (scene: Scene) => Promise<void>,
): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "lt-check-" });
  await Deno.mkdir(`${dir}/binlog`);
  const server = await startServer(flavor, { dir, args: args(dir) });
  const sandbox = await openSandbox();
  try {
    await sandbox.bindServer(server);
    const admin = await connect(server);
    await admin.query("CREATE DATABASE shop");
    await use({ flavor, server, sandbox, admin, before: await checkIn(sandbox) });
    await admin.close();
  } finally {
    await sandbox.close();
    await server.stop();
    await Deno.remove(dir, { recursive: true });
  }
}

function titleOf({ code, name }: CheckCase): string {
  return `${code}: ${name}`;
}

for (const flavor of FLAVORS) {
  const cases = SERVER_CASES.filter(({ flavors = FLAVORS }) => flavors.includes(flavor));
  Deno.test(`check finds what is wrong, and it is gone after its remedy (${flavor})`, (step) =>
    withScene(flavor, () => [], async (scene) => {
      for (const one of cases.filter(({ args }) => args === undefined)) {
        await step.step(titleOf(one), () => assertProvoked(scene, one));
      }
      for (const one of cases) {
        const { args } = one;
        if (args === undefined) continue;
        await step.step(
          titleOf(one),
          () => withScene(flavor, args, (special) => assertProvoked(special, one, scene.sandbox)),
        );
      }
    }));
}
