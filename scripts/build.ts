/**
 * `deno task build`: compiles `dist/locktables`.
 *
 * Three things decide the layout: the npm part is bundled once because its file count, not our own
 * code, is what start-up costs (`build/vendor.ts`); the compile runs in a staging folder with fixed
 * times because Deno embeds each file's mtime; and the runtime that the program is appended to is
 * checked by hash wherever it came from (`build/runtime.ts`).
 */

import { DENO_VERSION, denoEnvironment } from "./build/deno.ts";
import { findRuntime, requireKnownRuntime, type Runtime, runtimeFromNpm } from "./build/runtime.ts";
import { sourceFiles } from "./build/used_names.ts";
import { bundleVendor } from "./build/vendor.ts";
import { sha256OfFile } from "./hashes.ts";
import { pathExists, repositoryRoot, runOrFail, ScriptError, scriptMain } from "./shell.ts";

/** Every embedded file gets this time: any fixed one makes two builds of one commit identical. */
export const STAGED_MTIME = new Date("2026-01-01T00:00:00Z");

/** Bound of a compile that may first download 40 MB on a slow line. */
const COMPILE_TIMEOUT_MS = 300_000;

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

/** The parts of the root deno.json that the build reads. */
interface RootConfig {
  readonly version: string;
  readonly imports: Readonly<Record<string, string>>;
  readonly compile: { readonly permissions: Readonly<Record<string, unknown>> };
}

/** Compiles the program; says what it does, and fails with a {@linkcode ScriptError}. */
export async function build(options: BuildOptions = {}): Promise<BuildResult> {
  const log = options.log ?? ((line: string) => console.log(line));
  const root = options.root ?? repositoryRoot();
  requireBuildHost();
  const config: RootConfig = JSON.parse(await Deno.readTextFile(`${root}/deno.json`));
  await requireSameVersion(root, config.version);

  const vendor = await bundleVendor(root, config.imports, log);
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
    "--v8-flags=--jitless,--no-lazy",
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

if (import.meta.main) {
  await scriptMain(async () => {
    await build();
  });
}
