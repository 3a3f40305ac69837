/** The plan of the house: which folder of lib may import from which, as ARCHITECTURE.md shows it. */
import assert from "node:assert/strict";
import { repositoryRoot } from "../../scripts/shell.ts";

/** From the ground up. Each room may import from itself and from what is listed; nothing else. */
const ROOMS: Readonly<Record<string, readonly string[]>> = {
  base: [],
  callers: ["base"],
  window: ["base"],
  options: ["base"],
  hooks: ["base", "callers"],
  mysql: ["base", "window"],
  outlets: ["base", "window", "options"],
  locker: ["base", "callers", "window", "options", "mysql"],
  check: ["base", "callers", "window", "options", "hooks", "mysql", "outlets", "locker"],
  verify: ["base", "window", "options", "mysql"],
  install: ["base", "callers", "hooks"],
  commands: [
    "base",
    "callers",
    "window",
    "options",
    "hooks",
    "mysql",
    "outlets",
    "locker",
    "check",
    "verify",
    "install",
  ],
  cli: ["base", "callers", "commands"],
};

/** Files and folders that only decide: no clock, file, socket or process is named in them. */
const PURE = [
  "lib/window/",
  "lib/callers/install_paths.ts",
  "lib/callers/table.ts",
  "lib/callers/call.ts",
  "lib/hooks/hook_text.ts",
  "lib/hooks/ini.ts",
  "lib/hooks/receipt.ts",
  "lib/hooks/tree.ts",
  "lib/hooks/wanted.ts",
  "lib/install/",
  "lib/outlets/history_text.ts",
  "lib/outlets/journal_entry.ts",
  "lib/outlets/judgement.ts",
  "lib/outlets/nagios.ts",
  "lib/outlets/notice.ts",
  "lib/outlets/page/",
  "lib/outlets/prometheus.ts",
  "lib/outlets/totals.ts",
  "lib/outlets/window_times.ts",
  "lib/options/bad_setting.ts",
  "lib/options/connection.ts",
  "lib/options/option_file.ts",
  "lib/options/own_settings.ts",
  "lib/options/settings.ts",
  "lib/options/similar.ts",
  "lib/options/stray.ts",
  "lib/mysql/account_statements.ts",
  "lib/mysql/coordinates_from.ts",
  "lib/mysql/errors.ts",
  "lib/mysql/flavor.ts",
  "lib/mysql/guard.ts",
  "lib/mysql/image_position.ts",
  "lib/mysql/methods.ts",
  "lib/mysql/privileges.ts",
  "lib/mysql/session_settings.ts",
  "lib/mysql/socket_trust.ts",
  "lib/mysql/topology.ts",
  "lib/mysql/waiting.ts",
  "lib/check/catalogue.ts",
  "lib/check/finding.ts",
  "lib/check/hook_findings.ts",
  "lib/check/option_file_findings.ts",
  "lib/check/outlet_findings.ts",
  "lib/check/server_findings.ts",
  "lib/check/storage_findings.ts",
  "lib/check/window_findings.ts",
  "lib/verify/binlog_walk.ts",
  "lib/verify/facts.ts",
  "lib/verify/file_findings.ts",
  "lib/verify/go_on.ts",
  "lib/verify/gtid_set.ts",
  "lib/verify/identity_findings.ts",
  "lib/verify/moment_findings.ts",
  "lib/verify/myisam_header.ts",
  "lib/verify/position_findings.ts",
  "lib/verify/record_findings.ts",
  "lib/verify/report.ts",
  "lib/verify/source_findings.ts",
  "lib/verify/table_findings.ts",
  "lib/verify/verdict.ts",
];

/** What is loaded before a hook has done its work. */
const HOOK_PATH = ["main.ts", "lib/commands/pre_freeze.ts", "lib/commands/post_thaw.ts"];

interface Dependency {
  readonly specifier: string;
  readonly isDynamic?: boolean;
  readonly code?: { readonly specifier: string };
  readonly type?: { readonly specifier: string };
}

/** One import. */
interface Arrow {
  readonly from: string;
  readonly to: string;
  readonly isDynamic: boolean;
  /** A type is gone when the program runs. */
  readonly isType: boolean;
}

/** Every import below main.ts, paths relative to the root; packages as they are written. */
async function arrows(): Promise<Arrow[]> {
  const root = `file://${repositoryRoot()}/`;
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", "main.ts"],
    cwd: repositoryRoot(),
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  const { modules } = JSON.parse(new TextDecoder().decode(stdout)) as {
    modules: { specifier: string; dependencies?: Dependency[] }[];
  };
  const inside = (specifier: string) => specifier.replace(root, "");
  return modules.filter(({ specifier }) => specifier.startsWith(root)).flatMap((
    { specifier, dependencies = [] },
  ) =>
    dependencies.map((one) => ({
      from: inside(specifier),
      to: inside(one.code?.specifier ?? one.type?.specifier ?? one.specifier),
      isDynamic: one.isDynamic ?? false,
      isType: one.code === undefined,
    }))
  );
}

async function filesIn(folder: string): Promise<string[]> {
  const files: string[] = [];
  for await (const { name } of Deno.readDir(`${repositoryRoot()}/${folder}`)) {
    if (name.endsWith(".ts")) files.push(`${folder}${name}`);
  }
  return files;
}

function roomOf(path: string): string | null {
  return /^lib\/([a-z]+)\//.exec(path)?.[1] ?? null;
}

Deno.test("no room imports from one that the plan does not allow", async () => {
  const wrong = (await arrows()).filter(({ from, to }) => {
    const [room, other] = [roomOf(from), roomOf(to)];
    return room !== null && other !== null && room !== other &&
      !(ROOMS[room] ?? []).includes(other);
  });
  assert.deepEqual(wrong.map(({ from, to }) => `${from} -> ${to}`), []);
});

Deno.test("every folder of lib is a room of the plan, and each room is below what imports it", async () => {
  const folders: string[] = [];
  for await (const { name } of Deno.readDir(`${repositoryRoot()}/lib`)) folders.push(name);
  assert.deepEqual(folders.sort(), Object.keys(ROOMS).sort());
  const order = Object.keys(ROOMS);
  for (const [room, below] of Object.entries(ROOMS)) {
    for (const other of below) assert.ok(order.indexOf(other) < order.indexOf(room), other);
  }
});

Deno.test("no file imports itself through others", async () => {
  const next = Map.groupBy(
    (await arrows()).filter(({ to }) => to.startsWith("lib/")),
    ({ from }) => from,
  );
  const done = new Set<string>();
  const visit = (path: string, way: readonly string[]): void => {
    assert.ok(!way.includes(path), [...way, path].join(" -> "));
    if (done.has(path)) return;
    for (const { to } of next.get(path) ?? []) visit(to, [...way, path]);
    done.add(path);
  };
  visit("main.ts", []);
});

/** What is loaded with these files, without what is loaded later. */
async function loadedWith(paths: readonly string[]): Promise<ReadonlySet<string>> {
  const all = await arrows();
  const loaded = new Set<string>(paths);
  for (const path of loaded) {
    for (const { from, to, isDynamic, isType } of all) {
      if (from === path && !isDynamic && !isType) loaded.add(to);
    }
  }
  return loaded;
}

Deno.test("neither a hook nor the locker loads an outlet: they send a report off", async () => {
  const loaded = await loadedWith([...HOOK_PATH, "lib/locker/main.ts"]);
  assert.ok(loaded.has("lib/locker/report.ts"));
  assert.deepEqual([...loaded].filter((path) => path.startsWith("lib/outlets/")), []);
});

Deno.test("what a hook loads before its work imports no package", async () => {
  const loaded = await loadedWith(HOOK_PATH);
  assert.deepEqual([...loaded].filter((path) => !/^(main\.ts|lib\/|node:)/.test(path)), []);
});

Deno.test("files that only decide name nothing of the machine", async () => {
  for (const pure of PURE) {
    const files = pure.endsWith("/") ? await filesIn(pure) : [pure];
    assert.ok(files.length > 0, pure);
    for (const file of files) {
      const code = (await Deno.readTextFile(`${repositoryRoot()}/${file}`))
        .replaceAll(/\/\*[^]*?\*\/|\/\/.*$/gm, "");
      assert.doesNotMatch(code, /\bDeno\.|\bperformance\.|\bDate\.now\b|\bprocess\./, file);
    }
  }
});

Deno.test("ARCHITECTURE.md shows this plan", async () => {
  const text = await Deno.readTextFile(`${repositoryRoot()}/.github/ARCHITECTURE.md`);
  const shown = [...text.matchAll(/^\| `([a-z]+)\/` +\| [^|]+ \| ([^|]*?) +\|$/gm)]
    .map(([, room = "", below = ""]) => [
      room,
      below.split(", ").filter((one) => /^[a-z]+$/.test(one)),
    ]);
  assert.deepEqual(shown, Object.entries(ROOMS));
});
