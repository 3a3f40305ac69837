/** The Deno that the build calls: its version, what it may see, and where it keeps things. */

import { runOrFail } from "../shell.ts";

/** The one Deno whose runtime, bundler and permission format this build is known to work with. */
export const DENO_VERSION = "2.5.7";

/** What a Deno called by the build may see: nothing that is baked in, such as DENO_V8_FLAGS. */
export function denoEnvironment(): Record<string, string> {
  const environment: Record<string, string> = { NO_COLOR: "1" };
  for (const [name, value] of Object.entries(Deno.env.toObject())) {
    if (
      /^(PATH|HOME|TMPDIR|DENO_DIR|DENO_TLS_CA_STORE|DENO_CERT|.*_proxy|npm_config_.*)$/i.test(name)
    ) {
      environment[name] = value;
    }
  }
  return environment;
}

/** Where this Deno keeps things. */
export async function denoInfo(): Promise<{ denoDir: string; npmCache: string }> {
  const { stdout } = await runOrFail("deno info", [Deno.execPath(), "info", "--json"], {
    cwd: "/",
    clearEnv: true,
    env: denoEnvironment(),
  });
  const { denoDir, npmCache } = JSON.parse(stdout);
  return { denoDir, npmCache };
}
