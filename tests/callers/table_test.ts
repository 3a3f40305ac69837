import assert from "node:assert/strict";
import { CALLER_TABLE, CALLERS, DIRECTORY_MODES, INSTALLABLE } from "../../lib/callers/table.ts";
import { PRODUCTS } from "../../lib/callers/products.ts";
import { SYNC_PROGRAMS } from "../../lib/locker/flush.ts";
import { INSTALL_PATHS, UNIT_PATHS } from "../../lib/callers/install_paths.ts";
import { LOGGER, METRICS_FILES, NOTIFY_PROGRAM, parentOf } from "../../lib/base/paths.ts";

const CONFIG: {
  readonly compile: { readonly permissions: Record<"read" | "write" | "run", readonly string[]> };
} = JSON.parse(await Deno.readTextFile(new URL("../../deno.json", import.meta.url)));
const { read, write, run } = CONFIG.compile.permissions;

const forms = CALLERS.flatMap((caller) =>
  CALLER_TABLE[caller].forms.map((form) => ({ caller, form }))
);

function isCovered(path: string, rights: readonly string[]): boolean {
  return rights.some((right) => path === right || path.startsWith(`${right}/`));
}

Deno.test("the rights for hooks in deno.json are what the table leads to, and all of them are dropped", () => {
  const ofHooks = (paths: readonly string[]) =>
    paths.filter((path) => /^\/(etc|usr|var\/log)/.test(path));
  assert.deepEqual(ofHooks(write), INSTALL_PATHS);
  assert.deepEqual(ofHooks(read), [...INSTALL_PATHS, ...UNIT_PATHS]);
});

Deno.test("the only other files that may be written outside of our directories are the metrics and their temporaries", () => {
  const files = METRICS_FILES.flatMap((path) => [path, `${path}.tmp`]);
  for (const rights of [read, write]) {
    assert.deepEqual(rights.filter((path) => /prometheus|node_exporter/.test(path)), files);
  }
});

Deno.test("the only programs that may be started are our own, sync, logger and the operator's", () => {
  assert.deepEqual(run, ["/proc/self/exe", ...SYNC_PROGRAMS, LOGGER, NOTIFY_PROGRAM]);
});

Deno.test("no right is for a directory that programs are run from", () => {
  for (const path of [...read, ...write]) {
    assert.ok(
      !["/etc", "/usr", "/usr/sbin", "/usr/local/sbin", "/etc/default"].includes(path),
      path,
    );
  }
});

for (const { caller, form } of forms) {
  Deno.test(`${caller} ${form.name} (${form.files[0]?.path}): every path may be written`, () => {
    const paths = [
      ...form.files.flatMap(({ path, keepAt }) => [path, keepAt]),
      ...form.switches.flatMap(({ path, keepAt }) => [path, keepAt]),
      ...form.logs,
    ];
    for (const path of paths) assert.ok(isCovered(path, write), path);
    const temporary = [...form.files, ...form.switches].map(({ keepAt }) =>
      `${parentOf(keepAt)}/.locktables-new`
    );
    for (const path of temporary) assert.ok(isCovered(path, write), path);
  });
}

Deno.test("what is kept or half-written never lies in a directory that a caller runs as a whole", () => {
  const runAsAWhole = /\/(backupScripts\.d|fsfreeze-hook\.d|plugins)\/[^/]+$/;
  for (const { form } of forms) {
    for (const { keepAt } of form.files) assert.doesNotMatch(keepAt, runAsAWhole);
  }
});

Deno.test("every caller has one usual form, and an option chooses no two callers' forms", () => {
  const options = new Map<string, string>();
  for (const { caller, form } of forms) {
    if (form.option === null) continue;
    assert.equal(options.get(form.option) ?? caller, caller);
    options.set(form.option, caller);
  }
  for (const caller of CALLERS) {
    assert.equal(CALLER_TABLE[caller].name, caller);
    if (INSTALLABLE.includes(caller)) assert.equal(CALLER_TABLE[caller].forms[0]?.option, null);
  }
});

Deno.test("pre-freeze ends before its caller gives up", () => {
  for (const { name, limitMs, freezeTimeoutMs } of Object.values(CALLER_TABLE)) {
    assert.ok(limitMs === null || freezeTimeoutMs < limitMs, name);
  }
});

Deno.test("every caller has a page, and one without a place for hooks a recipe on it", async () => {
  for (const caller of CALLERS) {
    const page = await Deno.readTextFile(
      new URL(`../../docs/callers/${caller}.md`, import.meta.url),
    );
    const wanted = INSTALLABLE.includes(caller)
      ? `locktables install ${caller}`
      : `--caller ${caller}`;
    assert.ok(page.includes(wanted) || page.includes(`"--caller", "${caller}"`), caller);
  }
});

Deno.test("products are entries that there are, in the order of their names", () => {
  for (const { name, entries } of PRODUCTS) {
    assert.ok(entries.length > 0, name);
    for (const { caller, option } of entries) {
      const { forms } = CALLER_TABLE[caller];
      assert.ok(option === null || forms.some((form) => form.option === option), name);
    }
  }
  const names = PRODUCTS.map(({ name }) => name);
  assert.deepEqual(names, names.toSorted((one, other) => one.localeCompare(other)));
});

Deno.test("directories with a mode of their own are those of a hook", () => {
  const homes = forms.flatMap(({ form }) => form.files.map(({ path }) => parentOf(path)));
  for (const directory of Object.keys(DIRECTORY_MODES)) assert.ok(homes.includes(directory));
});
