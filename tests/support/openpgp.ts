/** OpenPGP keys that sign releases in tests, and are gone afterwards. */
import { type ReleaseKey, releaseKey } from "../../scripts/sign.ts";
import { pathExists, run, runOrFail } from "../../scripts/shell.ts";
import { until } from "./guest.ts";

/** Two keys: the releaser's, and somebody else's. */
export interface Keys {
  readonly ours: ReleaseKey;
  readonly theirs: ReleaseKey;
}

/** Makes both, in a directory of their own. */
export async function withKeys(test: (keys: Keys) => Promise<void>): Promise<void> {
  const home = await Deno.makeTempDir({ prefix: "lt-gpg-" });
  const before = Deno.env.get("GNUPGHOME");
  Deno.env.set("GNUPGHOME", home);
  try {
    // One after the other: the first starts the agent that both use.
    const ours = await makeKey("ours@example.org");
    await test({ ours, theirs: await makeKey("theirs@example.org") });
  } finally {
    const { stdout } = await run(["gpgconf", "--list-dirs", "agent-socket"]);
    await run(["gpgconf", "--kill", "gpg-agent"]);
    // It takes its sockets away when it ends.
    await until("gpg-agent ends", 5_000, async () => !await pathExists(stdout.trim()));
    if (before === undefined) Deno.env.delete("GNUPGHOME");
    else Deno.env.set("GNUPGHOME", before);
    await Deno.remove(home, { recursive: true });
  }
}

async function makeKey(user: string): Promise<ReleaseKey> {
  await runOrFail("gpg", [
    ...["gpg", "--batch", "--quiet", "--passphrase", "", "--pinentry-mode", "loopback"],
    ...["--quick-generate-key", user, "ed25519", "sign", "never"],
  ]);
  return await releaseKey(user);
}
