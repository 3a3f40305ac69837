/**
 * locktables: application-consistent VM snapshots of MySQL and MariaDB.
 *
 * Name and verb decide what to do. Nothing is imported before that is known: a hook must not
 * wait for the parts of a command that it is not. The only place that ends the process.
 */
import process from "node:process";
import { hookCallOf } from "./lib/callers/call.ts";
import type { CommandEnd } from "./lib/base/plugin_state.ts";
import { dropInstallRights, dropOutletRights } from "./lib/callers/rights.ts";

async function run(args: readonly string[]): Promise<CommandEnd> {
  const hook = hookCallOf(process.argv0, args);
  const internal = hook === null ? args[0] : undefined;
  const isLocker = internal === "locker";
  if (hook !== null || isLocker) dropInstallRights();
  const isOutlet = internal === "errand" && ["report", "try-notify"].includes(args[1] ?? "");
  if (!isOutlet) dropOutletRights();
  switch (hook?.command) {
    case "pre-freeze": {
      const { preFreeze } = await import("./lib/commands/pre_freeze.ts");
      return await preFreeze(hook.caller);
    }
    case "post-thaw": {
      const { postThaw } = await import("./lib/commands/post_thaw.ts");
      return await postThaw(hook.isAborted, hook.caller);
    }
    case undefined:
      break;
  }
  if (isLocker) {
    const { locker } = await import("./lib/locker/main.ts");
    const { parseLockerArguments } = await import("./lib/locker/freeze_protocol.ts");
    return await locker(parseLockerArguments(args));
  }
  if (internal === "errand") {
    if (args[1] !== "touch") dropInstallRights(); // which looks at any path of ours
    const { errand } = await import("./lib/commands/errand.ts");
    return await errand(args[1]);
  }
  const { attend, ATTENDED, attendedCall, isAttended, tellEnd } = await import(
    "./lib/commands/attended.ts"
  );
  if (isAttended(args)) return await attend(args);
  const { cli } = await import("./lib/cli/cli.ts");
  if (internal !== ATTENDED) return await cli(args);
  const { beAttendedBy } = await import("./lib/base/attendance.ts");
  const call = attendedCall(args.slice(1));
  beAttendedBy(call.by);
  const code = await cli(call.args);
  tellEnd(code);
  return code;
}

if (import.meta.main) {
  let code: number;
  try {
    code = await run(Deno.args);
  } catch (error) {
    const { complain } = await import("./lib/base/print.ts");
    const { defectText } = await import("./lib/base/plain_text.ts");
    await complain(defectText(error));
    code = 1;
  }
  Deno.exit(code);
}
