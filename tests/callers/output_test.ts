/** What hooks print: little enough for every agent, the cause and the remedy whole. */
import assert from "node:assert/strict";
import { type Caller, CALLER_TABLE, CALLERS, type Form } from "../../lib/callers/table.ts";
import { HOOK_TEXT_LIMIT } from "../../lib/base/print.ts";
import { openBlocker } from "../support/blocker.ts";
import { type Guest, testOnEachServer, until } from "../support/guest.ts";
import { formIn, placeHooks } from "../support/hooks.ts";
import { connect } from "../support/server.ts";
import { loadDocument, writeScript } from "../support/ssm_agent.ts";

/** What a hook prints when nothing is out of the ordinary, in bytes. */
const ORDINARY_LIMIT = 500;

/** Those with texts of their own; run_test.ts and volumes_test.ts are about the others. */
const PAIRS = CALLERS.filter((caller) =>
  CALLER_TABLE[caller].scope === "guest" && caller !== "alibaba"
);

/** Runs a caller's hook with an empty environment; returns all that it printed. */
async function hookOutput(guest: Guest, caller: Caller, direction: "pre" | "post") {
  const { sandbox } = guest;
  const argv = caller === "aws"
    ? ["/bin/sh", await writeScript(sandbox, await loadDocument(sandbox), `${direction}-script`)]
    : scriptOf(await formIn(sandbox, caller), direction);
  const { stdout, stderr } = await sandbox.run(argv);
  return stderr + stdout;
}

function scriptOf({ files }: Form, direction: "pre" | "post"): string[] {
  const byVerb = files.find(({ role }) => role === "by-verb");
  return byVerb !== undefined
    ? [byVerb.path, direction === "pre" ? "freeze" : "thaw"]
    : ["/bin/sh", files.find(({ role }) => role === direction)?.path ?? ""];
}

interface OutcomeCase {
  readonly name: string;
  readonly options: string;
  /** Whose output is looked at; `frozen then` it is post's. */
  readonly direction: "pre" | "post";
  readonly given?: (guest: Guest, pre: () => Promise<unknown>) => Promise<void>;
  readonly says: RegExp;
}

const OUTCOMES: readonly OutcomeCase[] = [
  { name: "frozen", options: "", direction: "pre", says: /^Frozen: main \(.*\); on disk; .*Z\n$/ },
  {
    name: "thawed",
    options: "",
    direction: "post",
    given: async (_, pre) => void await pre(),
    // Nothing is frozen here, which is a warning for a caller that should.
    says:
      /^(locktables: Warning: No freeze of .* between the hooks of .*\n)?Thawed: held .* application-consistent: main \(.*\)\n$/,
  },
  { name: "nothing to thaw", options: "", direction: "post", says: /^Nothing to thaw: .*\n$/ },
  {
    name: "open already",
    options: "",
    direction: "pre",
    given: async (_, pre) => void await pre(),
    says: /^locktables: A window of .*Close it with: locktables post-thaw\.\n$/,
  },
  {
    name: "expired",
    options: "hold_timeout=1s",
    direction: "post",
    given: async (guest, pre) => {
      await pre();
      await until("it expires", 5_000, async () => (await guest.status()).window === null);
    },
    says: /^locktables: The snapshot is only crash-consistent: the lock expired .*\n$/,
  },
  {
    name: "a missing privilege",
    options: "user=poor\npassword=secret",
    direction: "pre",
    says: /^locktables: Cannot freeze .* run: GRANT .* ON \*\.\* TO 'poor'@'localhost'\.\n$/,
  },
  {
    name: "a missing server, and a caller that is to go on",
    options: "socket=/run/mysqld/other.sock\non_failure=proceed",
    direction: "pre",
    says: /^locktables: GOING ON WITHOUT A LOCK .*\nlocktables: Cannot log in .*\n$/,
  },
];

testOnEachServer("hooks of every caller print a few hundred bytes", async (guest, step) => {
  const admin = await connect(guest.server);
  await admin.query("CREATE USER poor@localhost IDENTIFIED BY 'secret'");
  await admin.close();
  // A caller's hooks print the same on either server, but for its name: all of them on one.
  for (const caller of guest.flavor === "mariadb" ? PAIRS : PAIRS.slice(0, 1)) {
    await placeHooks(guest.sandbox, caller);
    for (const { name, options, direction, given, says } of OUTCOMES) {
      await step.step(`${caller}: ${name}`, async () => {
        await guest.sandbox.writeFile("/root/.my.cnf", `[locktables]\n${options}\n`);
        await given?.(guest, () => hookOutput(guest, caller, "pre"));
        const output = await hookOutput(guest, caller, direction);
        await guest.locktables("post-thaw");
        assert.match(output, says);
        assertShorterThan(ORDINARY_LIMIT, output);
      });
    }
  }
  await guest.assertNothingLeft();
});

testOnEachServer("a refusal keeps the statement to kill, however many there are", async (guest) => {
  await placeHooks(guest.sandbox, "azure");
  const blocker = await openBlocker(guest, "freeze_timeout=2s");
  const one = await hookOutput(guest, "azure", "pre");
  assert.match(one, remedy(blocker.id));
  assertShorterThan(ORDINARY_LIMIT, one);

  // Statements of many bytes a character, and with characters that a terminal would obey.
  const sessions = await Promise.all(Array.from({ length: 20 }, () => connect(guest.server)));
  const statements = sessions.map((session) =>
    session.query(
      `SELECT id, SLEEP(60), '${
        "\u001b[31m漢字\u0007".repeat(20)
      }' FROM shop.orders LIMIT 1 FOR UPDATE`,
    ).catch(() => {}) // it is killed below
  );
  await new Promise((resolve) => setTimeout(resolve, 1_200)); // until they are old enough
  const many = await hookOutput(guest, "azure", "pre");
  const admin = await connect(guest.server);
  for (const { id } of sessions) await admin.query(`KILL ${id}`);
  await admin.close();
  await Promise.all(statements);
  for (const session of sessions) await session.close();
  await blocker.end();

  const [named = ""] = /KILL QUERY (\d+)\.\n$/.exec(many)?.slice(1) ?? [];
  assert.match(many, remedy(Number(named)));
  // deno-lint-ignore no-control-regex -- they are what is looked for
  assert.doesNotMatch(many, /[\x00-\x09\x0b-\x1f\x7f\ufffd]/, "no half characters, no commands");
  assertShorterThan(HOOK_TEXT_LIMIT, many);
  await guest.assertNothingLeft();
});

/** The whole line: what was found, who it is, and how to end it. */
function remedy(id: number): RegExp {
  return new RegExp(`^locktables: .*id ${id} \\(root, .*\\): SELECT .*KILL QUERY ${id}\\.\n$`);
}

function assertShorterThan(limit: number, output: string): void {
  const { length } = new TextEncoder().encode(output);
  assert.ok(length <= limit, `${length} bytes: ${output}`);
}
