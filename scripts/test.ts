/** `deno task test`: sets this machine up, builds the program, and runs every test. */

import { build } from "./build.ts";
import { provision } from "./provision.ts";
import { repositoryRoot, scriptMain } from "./shell.ts";

/** Runs `deno test` with the given further arguments; returns its exit code. */
export async function test(args: readonly string[]): Promise<number> {
  await provision({ mariadb: true, mysql: true, testTools: true });
  const { binary } = await build();
  const environment = Deno.env.toObject();
  // Adds stack traces of Rust to every error text that a test looks at.
  delete environment["RUST_BACKTRACE"];
  const status = await new Deno.Command(Deno.execPath(), {
    args: ["test", "-A", ...args],
    cwd: repositoryRoot(),
    clearEnv: true,
    env: { ...environment, NO_COLOR: "1", LOCKTABLES_BINARY: binary },
    stdin: "null",
    stdout: "inherit",
    stderr: "inherit",
  }).spawn().status;
  return status.code;
}

if (import.meta.main) {
  // `deno task test -- --filter x` hands the dashes on.
  const args = Deno.args[0] === "--" ? Deno.args.slice(1) : Deno.args;
  await scriptMain(() => test(args));
}
