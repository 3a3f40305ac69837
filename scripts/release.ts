/**
 * `deno task release`: makes everything that is published, in dist/. Two runs on one commit, wherever
 * and whenever, give the same bytes; so whoever doubts a release can make it again.
 */

import { parseArgs } from "node:util";
import { build, STAGED_MTIME } from "./build.ts";
import { DENO_VERSION, denoInfo } from "./build/deno.ts";
import { DENORT } from "./build/runtime.ts";
import { usedNames } from "./build/used_names.ts";
import { packageOf } from "./build/vendor.ts";
import { sha256OfFile } from "./hashes.ts";
import { X86_64 } from "./architectures.ts";
import { commandsOf, manPage } from "./man_page.ts";
import { buildDeb } from "./packages/deb.ts";
import type { PackageParts } from "./packages/layout.ts";
import { buildRpm } from "./packages/rpm.ts";
import { installPackages } from "./provision.ts";
import { makeSbom } from "./sbom.ts";
import { PUBLIC_KEY_FILE, readPublicKey, releaseKey, SIGNATURE_FILE, signFile } from "./sign.ts";
import { pathExists, repositoryRoot, run, runOrFail, ScriptError, scriptMain } from "./shell.ts";

/** Options of {@linkcode release}. */
export interface ReleaseOptions {
  /** Where the release will be downloaded from: a directory. */
  readonly baseUrl?: string;
  /** Release a tree that no commit has. */
  readonly allowDirty?: boolean;
  /** Leave out the packages of Debian and RHEL, which take most of the time. */
  readonly withoutPackages?: boolean;
  /** Sign with this key of gpg's. */
  readonly sign?: string;
  /** Bind install.sh to this public key, and sign nothing: to make again what another signed. */
  readonly publicKey?: string;
  /** Another checkout than the one this script is in. */
  readonly root?: string;
  /** Where progress lines go; default: standard output. */
  readonly log?: (line: string) => void;
}

/** What install.sh is bound to. */
export interface Pin {
  readonly version: string;
  readonly sha256: string;
  readonly baseUrl?: string;
  /** The fingerprint of the key that signs. */
  readonly signedBy?: string;
}

/** The parts of deno.json that a release reads. */
interface ReleaseConfig {
  readonly version: string;
  readonly license: string;
  readonly imports: Readonly<Record<string, string>>;
}

/** Each shell's completion: where it goes in dist. The names are those the shells look for. */
const COMPLETIONS: Readonly<Record<keyof PackageParts["completions"], string>> = {
  bash: "completions/locktables.bash",
  zsh: "completions/_locktables",
  fish: "completions/locktables.fish",
};

/** What packages are built with, besides dpkg-deb, which Debian always has. */
const PACKAGE_TOOLS = ["rpm"];

/** Alerts for who scrapes the metrics. */
const ALERT_RULES = "locktables.rules.yml";

/** Makes dist/; whatever was there is gone. Fails with a {@linkcode ScriptError}. */
export async function release(options: ReleaseOptions = {}): Promise<void> {
  const log = options.log ?? ((line: string) => console.log(line));
  const root = options.root ?? repositoryRoot();
  const baseUrl = options.baseUrl === undefined ? undefined : directoryUrl(options.baseUrl);
  const time = await commitTime(root, options.allowDirty ?? false);
  // Before anything is built: a key that is missing is known at once.
  const key = options.sign !== undefined
    ? await releaseKey(options.sign)
    : options.publicKey !== undefined
    ? await readPublicKey(options.publicKey)
    : undefined;
  const { binary, sha256, packages } = await build({ root, log });
  const config: ReleaseConfig = JSON.parse(
    await Deno.readTextFile(`${root}/deno.json`),
  );
  const { version, license, imports } = config;

  // Complete or not at all: made beside dist, and put in its place at the end.
  const scratch = await Deno.makeTempDir({ dir: `${root}/build`, prefix: "release-" });
  try {
    const stage = `${scratch}/dist`;
    await Deno.mkdir(`${stage}/completions`, { recursive: true });
    // The same file, so that whoever runs it at this moment keeps it.
    await Deno.link(binary, `${stage}/locktables`);
    const write = (path: string, text: string) => Deno.writeTextFile(`${stage}/${path}`, text);

    const template = await Deno.readTextFile(`${root}/install.sh`);
    const pin = {
      version,
      sha256,
      ...(baseUrl === undefined ? {} : { baseUrl }),
      ...(key === undefined ? {} : { signedBy: key.fingerprint }),
    };
    await write("install.sh", pinInstaller(template, pin));
    for (const [shell, path] of Object.entries(COMPLETIONS)) {
      await write(path, await printed(binary, "completions", shell));
    }
    const overview = await printed(binary, "help");
    const pages = await Promise.all(
      commandsOf(overview).map(async (name) => ({
        name,
        text: await printed(binary, "help", name),
      })),
    );
    await write("locktables.8", manPage({ version, date: time, overview, pages }));
    const sbom = makeSbom({
      version,
      license,
      sha256,
      packages,
      imported: new Set(
        [...(await usedNames(root)).keys()].map((name) => packageOf(name, imports)),
      ),
      lock: JSON.parse(await Deno.readTextFile(`${root}/deno.lock`)),
      licenses: await licensesOf(packages),
      runtime: { version: DENO_VERSION, sha256: DENORT.sha256 },
      time,
    });
    await write("locktables.cdx.json", `${JSON.stringify(sbom, null, 2)}\n`);

    await write(ALERT_RULES, await Deno.readTextFile(`${root}/docs/${ALERT_RULES}`));

    if (options.withoutPackages !== true) {
      await installPackages(PACKAGE_TOOLS, log);
      const parts = await packageParts(root, stage);
      for (const [kind, make] of [["deb", buildDeb], ["rpm", buildRpm]] as const) {
        const name = await make({
          version,
          architecture: X86_64,
          program: binary,
          parts,
          time,
          directory: stage,
          scratch: `${scratch}/${kind}`,
        });
        log(`package  ${name}`);
      }
    }

    if (key !== undefined) await Deno.writeFile(`${stage}/${PUBLIC_KEY_FILE}`, key.publicKey);
    const files = await filesBelow(stage);
    const sums = await Promise.all(
      files.map(async (path) => `${await sha256OfFile(`${stage}/${path}`)}  ${path}\n`),
    );
    await write("SHA256SUMS", sums.join(""));
    const signed = ["SHA256SUMS"];
    if (key !== undefined && options.sign !== undefined) {
      await signFile(key, `${stage}/SHA256SUMS`, `${stage}/${SIGNATURE_FILE}`);
      log(`signed   by ${key.fingerprint}`);
      signed.push(SIGNATURE_FILE);
    }
    // Not left to the umask of whoever makes the release.
    await Deno.chmod(stage, 0o755);
    await Deno.chmod(`${stage}/completions`, 0o755);
    for (const path of [...files, ...signed]) {
      await Deno.chmod(
        `${stage}/${path}`,
        path === "locktables" || path === "install.sh" ? 0o755 : 0o644,
      );
    }
    await Deno.rename(`${root}/dist`, `${scratch}/old`);
    await Deno.rename(stage, `${root}/dist`);
    log(`release  ${root}/dist: ${[...files, ...signed].join(" ")}`);
    if (baseUrl === undefined) {
      log("release  install.sh has no place to download from: --base-url gives it one");
    }
  } finally {
    await Deno.remove(scratch, { recursive: true });
  }
}

/** What of a release, and of the checkout that it is made of, goes into its packages. */
export async function packageParts(root: string, stage: string): Promise<PackageParts> {
  const made = (path: string) => Deno.readTextFile(`${stage}/${path}`);
  const source = (path: string) => Deno.readTextFile(`${root}/${path}`);
  const pages = new Map<string, string>();
  for (const path of await filesBelow(`${root}/docs`)) {
    if (path.endsWith(".md")) pages.set(path, await source(`docs/${path}`));
  }
  return {
    completions: {
      bash: await made(COMPLETIONS.bash),
      zsh: await made(COMPLETIONS.zsh),
      fish: await made(COMPLETIONS.fish),
    },
    manPage: await made("locktables.8"),
    sbom: await made("locktables.cdx.json"),
    alertRules: await made(ALERT_RULES),
    license: await source("LICENSE"),
    changelog: await source("CHANGELOG.md"),
    readme: await source("README.md"),
    pages,
  };
}

/** The installer of one release, made of the one in the repository. */
export function pinInstaller(template: string, pin: Pin): string {
  const values = {
    VERSION: pin.version,
    SHA256: pin.sha256,
    BASE_URL: pin.baseUrl ?? "",
    SIGNED_BY: pin.signedBy ?? "",
  };
  let text = template;
  for (const [name, value] of Object.entries(values)) {
    if (value.includes("'")) {
      throw new ScriptError(`${name} cannot be written in a shell: ${value}`);
    }
    const empty = `  ${name}=''\n`;
    if (text.split(empty).length !== 2) {
      throw new ScriptError(`install.sh has not one line ${empty.trim()}: correct pinInstaller`);
    }
    text = text.replace(empty, () => `  ${name}='${value}'\n`);
  }
  return text;
}

/** A URL that names a directory, whether or not it was given with the slash. */
function directoryUrl(given: string): string {
  const url = URL.parse(given);
  if (url === null || !/^(https?|file):$/.test(url.protocol) || url.search + url.hash !== "") {
    throw new ScriptError(`--base-url is "${given}", wanted the http or https URL of a directory`);
  }
  return url.href.replace(/\/*$/, "/");
}

/** When the released commit was made; a tree that is no commit has the time of every such one. */
async function commitTime(root: string, allowDirty: boolean): Promise<Date> {
  const status = await run(["git", "-C", root, "status", "--porcelain"]);
  const isClean = status.code === 0 && status.stdout === "";
  if (!isClean) {
    if (allowDirty) return STAGED_MTIME;
    const why = status.stderr.trim() || `not committed:\n${status.stdout.trimEnd()}`;
    throw new ScriptError(`Cannot release ${root}: ${why}\nCommit first, or add --allow-dirty`);
  }
  const { stdout } = await runOrFail("git log", ["git", "-C", root, "log", "-1", "--format=%ct"]);
  return new Date(Number(stdout) * 1000);
}

/** What the released program prints, without any environment. */
async function printed(binary: string, ...args: readonly string[]): Promise<string> {
  const { stdout } = await runOrFail(`locktables ${args.join(" ")}`, [binary, ...args], {
    clearEnv: true,
  });
  return stdout;
}

/** Licences, as the packages in Deno's cache name them themselves. */
async function licensesOf(packages: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const { npmCache } = await denoInfo();
  const licenses = new Map<string, string>();
  for (const id of packages) {
    const path = id.replace(/@(?=[^@]*$)/, "/");
    // One folder for each registry that was ever used; the lock file has seen to the content.
    for await (const registry of Deno.readDir(npmCache)) {
      const file = `${npmCache}/${registry.name}/${path}/package.json`;
      if (!await pathExists(file)) continue;
      const { license }: { license?: unknown } = JSON.parse(await Deno.readTextFile(file));
      if (typeof license === "string") licenses.set(id, license);
    }
  }
  return licenses;
}

/** Every file below a directory, in the order of their bytes. */
async function filesBelow(directory: string): Promise<string[]> {
  const files: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(directory)) {
    if (!isDirectory) files.push(name);
    else files.push(...(await filesBelow(`${directory}/${name}`)).map((path) => `${name}/${path}`));
  }
  return files.sort();
}

if (import.meta.main) {
  await scriptMain(async () => {
    // `deno task release -- --base-url x` hands the dashes on.
    const args = Deno.args[0] === "--" ? Deno.args.slice(1) : Deno.args;
    let values: {
      "base-url"?: string;
      "allow-dirty"?: boolean;
      "without-packages"?: boolean;
      sign?: string;
      "public-key"?: string;
    };
    try {
      ({ values } = parseArgs({
        args: [...args],
        options: {
          "base-url": { type: "string" },
          "allow-dirty": { type: "boolean" },
          "without-packages": { type: "boolean" },
          sign: { type: "string" },
          "public-key": { type: "string" },
        },
      }));
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      throw new ScriptError(
        `${error.message}. Usage: deno task release [-- [--base-url URL] [--allow-dirty] [--without-packages] [--sign KEY | --public-key FILE]]`,
      );
    }
    const sign = values.sign ??
      (values["public-key"] === undefined ? Deno.env.get("LOCKTABLES_SIGN_KEY") : undefined);
    await release({
      allowDirty: values["allow-dirty"] ?? false,
      withoutPackages: values["without-packages"] ?? false,
      ...(values["base-url"] === undefined ? {} : { baseUrl: values["base-url"] }),
      ...(sign === undefined || sign === "" ? {} : { sign }),
      ...(values["public-key"] === undefined ? {} : { publicKey: values["public-key"] }),
    });
  });
}
