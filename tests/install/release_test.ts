/** What is published: made twice from a commit of its own, in folders of its own. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
// For its copy of the CycloneDX schema; the import is what brings the package here.
import cyclonedx from "@cyclonedx/cyclonedx-library/package.json" with { type: "json" };
import { Ajv } from "ajv";
import ajvFormats from "ajv-formats";
import { denoInfo } from "../../scripts/build/deno.ts";
import { usedNames } from "../../scripts/build/used_names.ts";
import { packageOf, packagesIn } from "../../scripts/build/vendor.ts";
import { sha256OfFile } from "../../scripts/hashes.ts";
import { commandsOf, manPage } from "../../scripts/man_page.ts";
import { pinInstaller, release } from "../../scripts/release.ts";
import { type LockFile, makeSbom, type Sbom } from "../../scripts/sbom.ts";
import { repositoryRoot, run, runOrFail, ScriptError } from "../../scripts/shell.ts";
import {
  PUBLIC_KEY_FILE,
  readPublicKey,
  type ReleaseKey,
  SIGNATURE_FILE,
} from "../../scripts/sign.ts";
import { VERSION } from "../../lib/base/version.ts";
import { withKeys } from "../support/openpgp.ts";

const COMMIT_DATE = "2026-03-04T05:06:07Z";

const FILES = [
  "SHA256SUMS",
  "completions/_locktables",
  "completions/locktables.bash",
  "completions/locktables.fish",
  "install.sh",
  "locktables",
  "locktables.8",
  "locktables.cdx.json",
  "locktables.rules.yml",
];

/** A checkout with one commit, which is the same wherever it is made. */
async function makeCheckout(root: string): Promise<void> {
  await Deno.mkdir(root, { recursive: true });
  const parts = ["main.ts", "lib", "docs", "deno.json", "deno.lock", "install.sh", ".gitignore"];
  await runOrFail("cp", ["cp", "-r", ...parts.map((part) => `${repositoryRoot()}/${part}`), root]);
  await git(root, "init", "-q");
  await git(root, "add", "-A");
  await git(root, "commit", "-q", "-m", "One");
}

async function git(root: string, ...args: readonly string[]): Promise<void> {
  await runOrFail(`git ${args[0]}`, ["git", "-C", root, ...args], {
    env: {
      GIT_CONFIG_GLOBAL: "/dev/null",
      GIT_AUTHOR_NAME: "a",
      GIT_AUTHOR_EMAIL: "a@example.org",
      GIT_AUTHOR_DATE: COMMIT_DATE,
      GIT_COMMITTER_NAME: "a",
      GIT_COMMITTER_EMAIL: "a@example.org",
      GIT_COMMITTER_DATE: COMMIT_DATE,
    },
  });
}

/** Two releases of one commit. */
interface Released {
  readonly dir: string;
  readonly roots: readonly [string, string];
  /** dist of the first. */
  readonly dist: string;
  /** What install.sh of both was given. */
  readonly baseUrl: string;
}

let released: Promise<Released> | undefined;

/** What goes at the end, whether or not the releases could be made. */
let scratch: string | undefined;

/** Makes the releases when the first test asks. */
function releases(): Promise<Released> {
  released ??= (async (): Promise<Released> => {
    const dir = await Deno.makeTempDir({ prefix: "lt-release-" });
    scratch = dir;
    const roots = [`${dir}/one`, `${dir}/deeper/down/other`] as const;
    const baseUrl = `file://${roots[0]}/dist`;
    for (const [index, root] of roots.entries()) {
      await makeCheckout(root);
      const umask = Deno.umask(index === 0 ? 0o022 : 0o077);
      try {
        await release({ root, baseUrl, withoutPackages: true, log() {} });
      } finally {
        Deno.umask(umask);
      }
    }
    return { dir, roots, dist: `${roots[0]}/dist`, baseUrl };
  })();
  return released;
}

Deno.test.afterAll(async () => {
  if (scratch !== undefined) await Deno.remove(scratch, { recursive: true });
});

/** Every file below a directory with what matters of it. */
async function contentOf(directory: string): Promise<Record<string, string>> {
  const { stdout } = await runOrFail("find", [
    "find",
    directory,
    "-type",
    "f",
    "-printf",
    "%P %m\\n",
  ]);
  const content: Record<string, string> = {};
  for (const line of stdout.trim().split("\n").sort()) {
    const [path = "", mode = ""] = line.split(" ");
    content[path] = `${mode} ${await sha256OfFile(`${directory}/${path}`)}`;
  }
  return content;
}

async function readSbom(): Promise<Sbom> {
  const { dist } = await releases();
  return JSON.parse(await Deno.readTextFile(`${dist}/locktables.cdx.json`));
}

async function readLock(): Promise<LockFile> {
  return JSON.parse(await Deno.readTextFile(`${repositoryRoot()}/deno.lock`));
}

Deno.test("release: two releases of one commit are the same to the byte, wherever and whenever", async () => {
  const { roots } = await releases();
  const [one, other] = await Promise.all(roots.map((root) => contentOf(`${root}/dist`)));
  assert.deepEqual(one, other);
});

Deno.test("release: dist has what is published and nothing else, and SHA256SUMS covers it", async () => {
  const { dist } = await releases();
  const content = await contentOf(dist);
  assert.deepEqual(Object.keys(content).sort(), FILES);
  for (const [path, mode] of Object.entries(content)) {
    const wanted = ["install.sh", "locktables"].includes(path) ? "755" : "644";
    assert.equal(mode.split(" ")[0], wanted, path);
  }
  const sums = await Deno.readTextFile(`${dist}/SHA256SUMS`);
  assert.deepEqual(
    sums.trimEnd().split("\n").map((line) => line.split("  ")[1]),
    FILES.filter((path) => path !== "SHA256SUMS"),
  );
  const checked = await run(["sha256sum", "--strict", "-c", "SHA256SUMS"], { cwd: dist });
  assert.equal(checked.code, 0, checked.stdout + checked.stderr);
});

/** Nothing is missing, and the key is the one that install.sh is bound to. */
async function assertSigned(dist: string, key: ReleaseKey): Promise<void> {
  const names = [...FILES, PUBLIC_KEY_FILE, SIGNATURE_FILE].sort();
  const content = await contentOf(dist);
  assert.deepEqual(Object.keys(content).sort(), names);
  for (const name of [PUBLIC_KEY_FILE, SIGNATURE_FILE]) assert.match(content[name] ?? "", /^644 /);
  const published = `${dist}/${PUBLIC_KEY_FILE}`;
  await runOrFail("gpgv", [
    ...["gpgv", "--homedir", dist, "--keyring", published],
    ...[`${dist}/${SIGNATURE_FILE}`, `${dist}/SHA256SUMS`],
  ]);
  assert.match(
    await Deno.readTextFile(`${dist}/SHA256SUMS`),
    new RegExp(`^[\\da-f]{64} {2}${RegExp.escape(PUBLIC_KEY_FILE)}$`, "m"),
  );
  // Whoever makes the release again has this alone of the key.
  assert.deepEqual(await readPublicKey(published), key);
  const installer = await Deno.readTextFile(`${dist}/install.sh`);
  assert.ok(installer.includes(`SIGNED_BY='${key.fingerprint}'\n`));
}

Deno.test("release: a tree that no commit has is refused, or made with a fixed time", async () => {
  const { roots: [, root] } = await releases();
  const before = await contentOf(`${root}/dist`);
  await Deno.writeTextFile(`${root}/lib/stray.txt`, "not committed");
  try {
    await assert.rejects(
      release({ root, log() {} }),
      (error) =>
        error instanceof ScriptError && /lib\/stray\.txt\n.*--allow-dirty/.test(error.message),
    );
    assert.deepEqual(await contentOf(`${root}/dist`), before, "the refused one changed dist");

    await Deno.writeTextFile(`${root}/dist/old`, "of another release");
    await withKeys(async ({ ours }) => {
      const sign = ours.fingerprint;
      await release({ root, allowDirty: true, withoutPackages: true, sign, log() {} });
      await assertSigned(`${root}/dist`, ours);
    });
    const sbom: Sbom = JSON.parse(await Deno.readTextFile(`${root}/dist/locktables.cdx.json`));
    assert.equal(sbom.metadata.timestamp, "2026-01-01T00:00:00Z");
    const leftovers = [...Deno.readDirSync(`${root}/build`)].map(({ name }) => name);
    assert.deepEqual(leftovers, ["vendor"]);
  } finally {
    await Deno.remove(`${root}/lib/stray.txt`);
  }
});

Deno.test("release: a folder without git is refused with git's own reason", async () => {
  const root = await Deno.makeTempDir({ prefix: "lt-release-" });
  try {
    await assert.rejects(
      release({ root, log() {} }),
      (error) => error instanceof ScriptError && error.message.includes("not a git repository"),
    );
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});

for (const url of ["example.org/x", "ftp://example.org/", "https://example.org/?a=b", ""]) {
  Deno.test(`release: refuses the base URL "${url}"`, async () => {
    await assert.rejects(
      release({ root: "/nonexistent", baseUrl: url, log() {} }),
      (error) => error instanceof ScriptError && error.message.includes(`"${url}"`),
    );
  });
}

Deno.test("release: an unknown option is one line with the usage", async () => {
  const script = `${repositoryRoot()}/scripts/release.ts`;
  const ended = await run([Deno.execPath(), "run", "-A", script, "--", "--base-uri", "x"]);
  assert.equal(ended.code, 1);
  assert.match(ended.stderr, /^error: .*--base-uri.*Usage: deno task release[^\n]*\n$/);
});

Deno.test("release: the completions are those that the program prints, and shells can read them", async () => {
  const { dist } = await releases();
  for (
    const [shell, path] of [
      ["bash", "locktables.bash"],
      ["zsh", "_locktables"],
      ["fish", "locktables.fish"],
    ] as const
  ) {
    const { stdout } = await runOrFail(shell, [`${dist}/locktables`, "completions", shell]);
    assert.equal(await Deno.readTextFile(`${dist}/completions/${path}`), stdout);
  }
  await runOrFail("bash -n", ["bash", "-n", `${dist}/completions/locktables.bash`]);
});

// ---------------------------------------------------------------------------------------------
// The manual page

/** A page as a terminal shows it, without the overstriking of bold letters. */
async function rendered(path: string): Promise<string> {
  const { stdout } = await runOrFail("mandoc", ["mandoc", "-T", "ascii", path]);
  // deno-lint-ignore no-control-regex
  return stdout.replaceAll(/.\x08/g, "");
}

/** One line, for comparing texts that are broken differently. */
function flat(text: string): string {
  return text.replaceAll(/\s+/g, " ").trim();
}

Deno.test("manual: mandoc warns of nothing in it", async () => {
  const { dist } = await releases();
  // Not its advice on style, such as the length of lines: nobody reads the source.
  const { code, stdout, stderr } = await run([
    "mandoc",
    "-T",
    "lint",
    "-W",
    "warning",
    `${dist}/locktables.8`,
  ]);
  assert.deepEqual({ code, said: stdout + stderr }, { code: 0, said: "" });
});

Deno.test("manual: it says every word of the help, and has the commit's date", async () => {
  const { dist } = await releases();
  const page = flat(await rendered(`${dist}/locktables.8`));
  const helpOf = async (...args: string[]) =>
    (await runOrFail("help", [`${dist}/locktables`, "help", ...args])).stdout;
  const overview = await helpOf();
  const names = commandsOf(overview);
  for (const name of ["pre-freeze", "post-thaw", "status", "rehearse", "completions", "help"]) {
    assert.ok(names.includes(name), name);
  }
  for (const name of names) {
    for (const paragraph of (await helpOf(name)).split(/\n{2,}/)) {
      const text = flat(paragraph.replace(/^Usage: /, ""));
      assert.ok(page.includes(text), `${name}: ${text}`);
    }
  }
  const [, usage = "", ...sections] = overview.trim().split(/\n{2,}/);
  assert.ok(page.includes(flat(usage.replace(/^Usage: /, ""))));
  for (const section of sections) {
    const [heading = "", ...rest] = section.split("\n");
    assert.ok(page.includes(heading.replace(/( \(.*\))?:$/, "").toUpperCase()), heading);
    if (heading !== "Commands:") assert.ok(page.includes(flat(rest.join("\n"))), section);
  }
  assert.ok(page.includes(COMMIT_DATE.slice(0, 10)));
  assert.ok(page.includes(`locktables ${VERSION}`));
});

Deno.test("manual: a command that is added later is in it, and nothing in a text is taken for roff", async () => {
  const overview = `locktables 9.9.9: what it is

Usage: locktables COMMAND

Commands:
  probe-it    Look at it
  locktables help COMMAND explains one.

Later part (only sometimes):
  .dotted     with a dot
`;
  const text = `Look at it.

Usage: locktables probe-it [--deep]

  --deep, --and-so-on  Look
                       deeper

'quoted', \\back\\slash, ~/.profile, \`tick\`, a^b, and this line goes on to column
eighty.
Short.
.TH starts no page here
`;
  assert.deepEqual(commandsOf(overview), ["probe-it"]);
  const source = manPage({
    version: "9.9.9",
    date: new Date(COMMIT_DATE),
    overview,
    pages: [{ name: "probe-it", text }],
  });
  const path = await Deno.makeTempFile({ suffix: ".8" });
  try {
    await Deno.writeTextFile(path, source);
    const page = await rendered(path);
    assert.match(page, /^ {3}probe-it\n {7}Look at it\.\n\n {7}locktables probe-it \[--deep\]$/m);
    assert.match(page, /^ {7}--deep, --and-so-on\n {14}Look deeper$/m);
    assert.match(
      page,
      /^ {7}'quoted', \\back\\slash, ~\/\.profile, `tick`, a\^b, and this line goes on/m,
    );
    assert.match(page, /column eighty\.\n {7}Short\.\n {7}\.TH starts no page here$/m);
    assert.match(page, /^LATER PART\n {7}Only sometimes\.\n\n {7}\.dotted\s+with a dot$/m);
  } finally {
    await Deno.remove(path);
  }
});

// ---------------------------------------------------------------------------------------------
// The bill of materials

/** CycloneDX's own schema for 1.6, with the formats that it asks for. */
async function schemaErrors(document: unknown): Promise<readonly unknown[]> {
  assert.equal(cyclonedx.name, "@cyclonedx/cyclonedx-library");
  const at = import.meta.resolve("@cyclonedx/cyclonedx-library/package.json");
  const schema = async (name: string) =>
    JSON.parse(await Deno.readTextFile(new URL(`res/schema/${name}.SNAPSHOT.schema.json`, at)));
  const ajv = new Ajv({ strict: false, allErrors: true });
  ajvFormats.default(ajv);
  // Names in other scripts, which no format of ajv's knows; there are none here.
  ajv.addFormat("idn-email", true).addFormat("iri-reference", true);
  for (const name of ["spdx", "jsf-0.82", "cryptography-defs"]) {
    // The library's copies refer to each other by the names of their files.
    ajv.addSchema(await schema(name), `http://cyclonedx.org/schema/${name}.SNAPSHOT.schema.json`);
  }
  const validate = ajv.compile(await schema("bom-1.6"));
  return validate(document) ? [] : validate.errors ?? [];
}

Deno.test("bill of materials: it is valid by CycloneDX's schema, which refuses damaged ones", async () => {
  const sbom = await readSbom();
  assert.deepEqual(await schemaErrors(sbom), []);
  const damaged: readonly (readonly [field: string, document: unknown])[] = [
    ["/serialNumber", { ...sbom, serialNumber: "urn:uuid:1" }],
    ["/components", { ...sbom, components: [sbom.components[0], sbom.components[0]] }],
    ["/components/0/licenses", {
      ...sbom,
      components: [{ ...sbom.components[0], licenses: [{ license: { id: "MIT-ish" } }] }],
    }],
  ];
  for (const [field, document] of damaged) {
    const errors = await schemaErrors(document);
    assert.ok(
      errors.some((error) => (error as { instancePath: string }).instancePath.startsWith(field)),
      `${field}: ${JSON.stringify(errors)}`,
    );
  }
});

Deno.test("bill of materials: it has exactly the packages whose code is in the program", async () => {
  const sbom = await readSbom();
  const listed = sbom.components.filter(({ type }) => type === "library").map(({ purl }) =>
    decodeURIComponent(purl.replace("pkg:npm/", ""))
  );
  const { npmCache } = await denoInfo();

  // By the bundler: all of the program in one piece says where each part came from.
  const output = await Deno.makeTempFile({ suffix: ".js" });
  try {
    await runOrFail("deno bundle", [
      Deno.execPath(),
      "bundle",
      "-q",
      "--config",
      `${repositoryRoot()}/deno.json`,
      "-o",
      output,
      `${repositoryRoot()}/main.ts`,
    ], { cwd: "/" });
    const cache = (await Deno.realPath(npmCache)).slice(1);
    const bundle = (await Deno.readTextFile(output))
      .replaceAll(new RegExp(`${RegExp.escape(cache)}/[^/"\\s]+/`, "g"), "npm/");
    assert.deepEqual(listed, [...packagesIn(bundle)].sort());
  } finally {
    await Deno.remove(output);
  }

  // By the lock file: what is left out of all that can be reached has no code at all.
  const lock = await readLock();
  const keyOf = (name: string) =>
    Object.keys(lock.npm).find((key) => key === name || key.startsWith(`${name}@`)) ?? name;
  const reached = new Set<string>();
  const reach = (key: string): void => {
    if (reached.has(key)) return;
    reached.add(key);
    for (const name of lock.npm[key]?.dependencies ?? []) reach(keyOf(name));
  };
  const { imports } = JSON.parse(await Deno.readTextFile(`${repositoryRoot()}/deno.json`));
  for (const specifier of (await usedNames(repositoryRoot())).keys()) {
    reach(keyOf(packageOf(specifier, imports)));
  }
  const ids = [...reached].map((key) => key.replace(/(?<=.@[^_]*)_.*$/, ""));
  assert.deepEqual(listed.filter((id) => !ids.includes(id)), []);
  for (const id of ids.filter((id) => !listed.includes(id))) {
    const path = `${npmCache}/*/${id.replace(/@(?=[^@]*$)/, "/")}/`;
    const find = (name: string) =>
      runOrFail("find", ["find", npmCache, "-path", `${path}*`, "-name", name]);
    assert.notEqual((await find("package.json")).stdout, "", `${id} is not in the cache`);
    const { stdout } = await find("*js");
    assert.equal(stdout, "", `${id} is left out`);
  }
  assert.ok(!listed.some((id) => id.startsWith("fast-check@")), "fast-check is for tests");
});

Deno.test("bill of materials: hashes are those of the program, the runtime and the lock file", async () => {
  const { dist } = await releases();
  const sbom = await readSbom();
  const lock = await readLock();
  assert.deepEqual(sbom.metadata.component.hashes, [
    { alg: "SHA-256", content: await sha256OfFile(`${dist}/locktables`) },
  ]);
  assert.equal(sbom.metadata.component.version, VERSION);
  assert.equal(sbom.metadata.timestamp, COMMIT_DATE);
  const runtime = sbom.components.find(({ type }) => type === "platform");
  assert.deepEqual([runtime?.name, runtime?.version], ["deno", "2.5.7"]);
  const mysql2 = sbom.components.find(({ name }) => name === "mysql2");
  const key = `mysql2@${mysql2?.version}`;
  const locked = Object.entries(lock.npm).find(([one]) => one.startsWith(key))?.[1].integrity;
  assert.equal(
    `sha512-${Buffer.from(mysql2?.hashes[0]?.content ?? "", "hex").toString("base64")}`,
    locked,
  );
  for (const { name, licenses } of sbom.components) assert.equal(licenses?.length, 1, name);
});

Deno.test("bill of materials: references are unique, and all that is referred to is there", async () => {
  const sbom = await readSbom();
  const refs = [sbom.metadata.component, ...sbom.components].map((one) => one["bom-ref"]);
  assert.equal(new Set(refs).size, refs.length);
  assert.deepEqual(sbom.dependencies.map(({ ref }) => ref), refs);
  const edges = new Map(sbom.dependencies.map(({ ref, dependsOn }) => [ref, dependsOn]));
  // Everything is there because something needs it.
  const reached = new Set<string>();
  const reach = (ref: string): void => {
    assert.ok(edges.has(ref), ref);
    if (reached.has(ref)) return;
    reached.add(ref);
    for (const next of edges.get(ref) ?? []) reach(next);
  };
  reach(sbom.metadata.component["bom-ref"]);
  assert.equal(reached.size, refs.length);
  assert.deepEqual(
    edges.get(refs.find((ref) => ref.startsWith("pkg:npm/generate-function@")) ?? ""),
    [refs.find((ref) => ref.startsWith("pkg:npm/is-property@"))],
  );
});

Deno.test("bill of materials: another content is another serial number, and what is not locked stops it", () => {
  const input = {
    version: "1.0.0",
    license: "MIT",
    sha256: "0".repeat(64),
    packages: ["@a/b@1.0.0", "c@2.0.0"],
    imported: new Set(["@a/b"]),
    lock: {
      npm: {
        "@a/b@1.0.0_@types+node@24.2.0": { integrity: "sha512-AAAA", dependencies: ["c@2.0.0"] },
        "c@1.0.0": { integrity: "sha512-AAEC" },
        "c@2.0.0": { integrity: "sha512-AQID" },
      },
    },
    licenses: new Map([["c@2.0.0", "MIT OR Apache-2.0"]]),
    runtime: { version: "2.5.7", sha256: "1".repeat(64) },
    time: new Date(COMMIT_DATE),
  };
  const sbom = makeSbom(input);
  assert.match(sbom.serialNumber, /^urn:uuid:[\da-f]{8}-[\da-f]{4}-8[\da-f]{3}-[89ab][\da-f]{3}-/);
  assert.equal(makeSbom(input).serialNumber, sbom.serialNumber);
  assert.notEqual(makeSbom({ ...input, version: "1.0.1" }).serialNumber, sbom.serialNumber);
  assert.deepEqual(sbom.components.slice(1), [
    {
      type: "library",
      "bom-ref": "pkg:npm/%40a/b@1.0.0",
      group: "@a",
      name: "b",
      version: "1.0.0",
      hashes: [{ alg: "SHA-512", content: "000000" }],
      purl: "pkg:npm/%40a/b@1.0.0",
    },
    {
      type: "library",
      "bom-ref": "pkg:npm/c@2.0.0",
      name: "c",
      version: "2.0.0",
      hashes: [{ alg: "SHA-512", content: "010203" }],
      licenses: [{ expression: "MIT OR Apache-2.0" }],
      purl: "pkg:npm/c@2.0.0",
    },
  ]);
  assert.deepEqual(sbom.dependencies.slice(2), [
    { ref: "pkg:npm/%40a/b@1.0.0", dependsOn: ["pkg:npm/c@2.0.0"] },
    { ref: "pkg:npm/c@2.0.0", dependsOn: [] },
  ]);
  assert.throws(
    () => makeSbom({ ...input, packages: ["d@1.0.0"] }),
    (error) => error instanceof ScriptError && error.message.includes("d@1.0.0"),
  );
});

// ---------------------------------------------------------------------------------------------
// The installer

Deno.test("release: its install.sh installs what dist holds, from dist and from the base URL", async () => {
  const { dir, dist } = await releases();
  for (const [index, from] of [["--from", dist], []].entries()) {
    const prefix = `${dir}/prefix-${index}`;
    await Deno.mkdir(prefix);
    const { stdout, stderr } = await runOrFail("install.sh", [
      "sh",
      `${dist}/install.sh`,
      ...from,
      "--prefix",
      prefix,
    ]);
    assert.equal(stderr, "");
    assert.match(
      stdout,
      new RegExp(`^Installed locktables ${VERSION}: ${prefix}/sbin/locktables$`, "m"),
    );
    const installed = `${prefix}/sbin/locktables`;
    assert.equal(await sha256OfFile(installed), await sha256OfFile(`${dist}/locktables`));
    const { stdout: version } = await runOrFail("--version", [installed, "--version"]);
    assert.equal(version, `locktables ${VERSION}\n`);
  }
});

Deno.test("release: a value that a shell would read otherwise is not written into install.sh", async () => {
  const template = await Deno.readTextFile(`${repositoryRoot()}/install.sh`);
  const pin = { version: "1.0.0", sha256: "0".repeat(64) };
  for (
    const [text, values, names] of [
      [template, { ...pin, baseUrl: "https://example.org/';reboot;'/" }, "BASE_URL"],
      [template.replace("SHA256=''", "SHA256=''; x"), pin, "SHA256"],
      [pinInstaller(template, pin), pin, "VERSION"],
    ] as const
  ) {
    assert.throws(
      () => pinInstaller(text, values),
      (error) => error instanceof ScriptError && error.message.includes(names),
    );
  }
});
