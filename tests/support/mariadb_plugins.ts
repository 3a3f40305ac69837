/** Plugins of Debian's MariaDB. */

import { cacheDirectory, pathExists, runOrFail } from "../../scripts/shell.ts";

/**
 * MariaDB's plugins, which are not in the package that the tests install: that one starts a
 * service. They must be of the very build of the server.
 */
export async function mariadbPlugins(): Promise<string> {
  const { stdout } = await runOrFail("dpkg-query", [
    "dpkg-query",
    "--show",
    "--showformat=${Version}",
    "mariadb-server-core",
  ]);
  const destination = `${await cacheDirectory()}/mariadb-plugins-${stdout.replace(/.*:/, "")}`;
  if (!await pathExists(destination)) {
    const scratch = await Deno.makeTempDir({ dir: await cacheDirectory(), prefix: "plugins-" });
    try {
      await runOrFail("Fetching MariaDB's plugins", [
        "apt-get",
        "-qq",
        "-o",
        "APT::Sandbox::User=root",
        "download",
        `mariadb-server=${stdout}`,
      ], { cwd: scratch, timeoutMs: 300_000 });
      for await (const { name } of Deno.readDir(scratch)) {
        await runOrFail(`Unpacking ${name}`, ["dpkg", "-x", `${scratch}/${name}`, `${scratch}/x`]);
      }
      await Deno.rename(`${scratch}/x/usr/lib/mysql/plugin`, destination);
    } finally {
      await Deno.remove(scratch, { recursive: true });
    }
  }
  return destination;
}
