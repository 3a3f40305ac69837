import assert from "node:assert/strict";
import type { Caller } from "../../lib/callers/table.ts";
import { type InstallRequest, planInstall } from "../../lib/install/plan_install.ts";
import type { Plan } from "../../lib/install/steps.ts";
import { planUninstall } from "../../lib/install/plan_uninstall.ts";
import { emptyReceipt, parseReceipt, type Receipt } from "../../lib/hooks/receipt.ts";
import { type Entry, type Tree, treeAfter } from "../../lib/hooks/tree.ts";
import { isRefusal, type Refusal } from "../../lib/base/refusal.ts";
import { DIRECTORY, file, memoryTree } from "../hooks/memory_tree.ts";

const HOOK = "/etc/vmware-tools/backupScripts.d/99-locktables";
const KEPT = "/etc/vmware-tools/99-locktables.locktables-kept";
const CONF = "/etc/qemu/qemu-ga.conf";
const CFG = "/etc/default/instance_configs.cfg";
const PROGRAM = "/usr/local/sbin/locktables";

const request = (caller: Caller, more: Partial<InstallRequest> = {}): InstallRequest => ({
  caller,
  option: null,
  program: PROGRAM,
  version: "1.0.0",
  replace: false,
  now: "2026-01-01T00:00:00.000Z",
  ...more,
});

function planned(value: Plan | Refusal): Plan {
  if (isRefusal(value)) assert.fail(`${value.reason}: ${value.summary}`);
  return value;
}

function refused(value: Plan | Refusal): Refusal {
  if (!isRefusal(value)) assert.fail(`not refused: ${JSON.stringify(value.steps)}`);
  assert.equal(value.code, 22);
  return value;
}

/** The steps in words, without the texts. */
function words({ steps }: Plan): string[] {
  return steps.map((step) =>
    step.do === "move" ? `move ${step.path} ${step.to}` : `${step.do} ${step.path}`
  );
}

/** A guest after an installation, and its receipt. */
function installed(
  entries: Readonly<Record<string, Entry>>,
  ...requests: readonly InstallRequest[]
): { tree: Tree; receipt: Receipt } {
  let tree = memoryTree(entries);
  let receipt = emptyReceipt([]);
  for (const one of requests) {
    const plan = planned(planInstall(one, tree, receipt));
    tree = treeAfter(tree, plan.steps);
    receipt = plan.receipt;
  }
  return { tree, receipt };
}

/** The same tree with some entries changed. */
function changed(tree: Tree, entries: Readonly<Record<string, Entry | null>>): Tree {
  return { look: (path) => path in entries ? entries[path] ?? null : tree.look(path) };
}

const NOTHING = { "/etc/hostname": file("guest\n") };

Deno.test("install makes what is missing, outermost first", () => {
  const plan = planned(planInstall(request("vmware"), memoryTree(NOTHING), emptyReceipt([])));
  assert.deepEqual(words(plan), [
    "make-directory /etc/vmware-tools",
    "make-directory /etc/vmware-tools/backupScripts.d",
    `write ${HOOK}`,
  ]);
});

Deno.test("the run directory is left to systemd-tmpfiles where there is any", () => {
  const tree = memoryTree({ ...NOTHING, "/etc/tmpfiles.d": DIRECTORY });
  const plan = planned(planInstall(request("vmware"), tree, emptyReceipt([])));
  assert.equal(words(plan).at(-1), "write /etc/tmpfiles.d/locktables.conf");
});

Deno.test("a second install has nothing to do", () => {
  const { tree, receipt } = installed(NOTHING, request("vmware"));
  const plan = planned(planInstall(request("vmware", { now: "later" }), tree, receipt));
  assert.deepEqual(plan.steps, []);
  assert.deepEqual(plan.receipt, receipt);
});

Deno.test("a hook of an older version, or for another program, is written again", () => {
  const { tree, receipt } = installed(NOTHING, request("vmware"));
  for (const more of [{ version: "1.1.0" }, { program: "/opt/locktables" }]) {
    const plan = planned(planInstall(request("vmware", more), tree, receipt));
    assert.deepEqual(words(plan), [`write ${HOOK}`]);
  }
});

Deno.test("a hook of ours with another mode or owner is written again", () => {
  const { tree, receipt } = installed(NOTHING, request("vmware"));
  const hook = tree.look(HOOK);
  assert.ok(hook?.kind === "file");
  for (const wrong of [{ ...hook, mode: 0o644 }, { ...hook, uid: 1000 }]) {
    const plan = planned(planInstall(request("vmware"), changed(tree, { [HOOK]: wrong }), receipt));
    assert.deepEqual(words(plan), [`write ${HOOK}`]);
  }
});

Deno.test("a hook of ours whose receipt is lost is known by its mark, and so is what was kept", () => {
  const { tree } = installed(
    { [HOOK]: file("#!/bin/sh\n# theirs\n") },
    request("vmware", { replace: true }),
  );
  const plan = planned(
    planInstall(request("vmware", { version: "1.1.0" }), tree, emptyReceipt([])),
  );
  assert.deepEqual(words(plan), [`write ${HOOK}`]);
  assert.equal(plan.receipt.installs[0]?.files[0]?.kept, KEPT);
});

const IN_THE_WAY: readonly (readonly [string, Entry])[] = [
  ["a file of somebody else's", file("#!/bin/sh\necho theirs\n")],
  ["a file that is no text", { kind: "file", mode: 0o755, uid: 0, sha256: "x", text: null }],
  ["a link to somewhere else", { kind: "link", target: "/usr/bin/true" }],
  ["a link that leads nowhere", { kind: "link", target: null }],
];
for (const [name, entry] of IN_THE_WAY) {
  Deno.test(`${name} is refused, and kept with --replace`, () => {
    const tree = memoryTree({ [HOOK]: entry });
    const refusal = refused(planInstall(request("vmware"), tree, emptyReceipt([])));
    assert.equal(refusal.reason, "foreign-hook");
    assert.match(refusal.summary, new RegExp(HOOK));
    const plan = planned(planInstall(request("vmware", { replace: true }), tree, emptyReceipt([])));
    assert.deepEqual(words(plan), [`move ${HOOK} ${KEPT}`, `write ${HOOK}`]);
  });
}

Deno.test("a directory in the way is refused also with --replace", () => {
  const tree = memoryTree({ [HOOK]: DIRECTORY });
  refused(planInstall(request("vmware", { replace: true }), tree, emptyReceipt([])));
});

Deno.test("a second file is not kept over the first", () => {
  const tree = memoryTree({ [HOOK]: file("theirs\n"), [KEPT]: file("older\n") });
  const refusal = refused(
    planInstall(request("vmware", { replace: true }), tree, emptyReceipt([])),
  );
  assert.equal(refusal.reason, "kept-twice");
});

Deno.test("a link to the program is a hook and stays", () => {
  const tree = memoryTree({ [HOOK]: { kind: "link", target: PROGRAM } });
  const plan = planned(planInstall(request("vmware"), tree, emptyReceipt([])));
  assert.deepEqual(plan.steps, []);
  assert.match(plan.told.join(), /link to the program/);
});

Deno.test("two forms of one caller do not go together", () => {
  const { tree, receipt } = installed(NOTHING, request("vmware"));
  const refusal = refused(planInstall(request("vmware", { option: "--legacy" }), tree, receipt));
  assert.equal(refusal.reason, "other-form");
});

const QEMU: readonly (readonly [string, string | null, Record<string, Entry>, string])[] = [
  [
    "Debian",
    null,
    { "/etc/qemu/fsfreeze-hook": file("x") },
    "/etc/qemu/fsfreeze-hook.d/99-locktables",
  ],
  [
    "RHEL",
    null,
    { "/etc/qemu-ga/fsfreeze-hook": file("x"), "/etc/qemu/bridge.conf": file("") },
    "/etc/qemu-ga/fsfreeze-hook.d/99-locktables",
  ],
  ["Debian, direct", "--direct", { "/etc/qemu": DIRECTORY }, "/etc/qemu/fsfreeze-hook"],
  ["RHEL, direct", "--direct", { "/etc/qemu-ga": DIRECTORY }, "/etc/qemu-ga/fsfreeze-hook"],
];
for (const [name, option, entries, path] of QEMU) {
  Deno.test(`qemu: the hook of ${name} is ${path}`, () => {
    const plan = planned(
      planInstall(request("qemu", { option }), memoryTree(entries), emptyReceipt([])),
    );
    assert.ok(words(plan).includes(`write ${path}`), words(plan).join());
    const isSwitched = words(plan).includes(`write ${CONF}`);
    assert.equal(isSwitched, path.startsWith("/etc/qemu/"), "only Debian's unit names no hook");
  });
}

Deno.test("qemu without an agent is refused with what to install", () => {
  const refusal = refused(planInstall(request("qemu"), memoryTree(NOTHING), emptyReceipt([])));
  assert.equal(refusal.reason, "agent-missing");
  assert.match(refusal.hint, /qemu-guest-agent/);
});

const DISPATCHER = { "/etc/qemu/fsfreeze-hook": file("dispatcher") };

Deno.test("an agent that is started with -F needs no other switch", () => {
  const unit = file("[Service]\nExecStart=-/usr/sbin/qemu-ga -F/etc/qemu/fsfreeze-hook\n", 0o644);
  const tree = memoryTree({
    ...DISPATCHER,
    "/etc/systemd/system/qemu-guest-agent.service.d/override.conf": unit,
  });
  const plan = planned(planInstall(request("qemu"), tree, emptyReceipt([])));
  assert.ok(!words(plan).includes(`write ${CONF}`));
});

Deno.test("a configuration keeps every other line, and what it was is kept", () => {
  const conf = file("# mine\n[general]\nverbose=1\n", 0o600);
  const tree = memoryTree({ ...DISPATCHER, [CONF]: conf });
  const plan = planned(planInstall(request("qemu"), tree, emptyReceipt([])));
  assert.ok(words(plan).includes(`move ${CONF} ${CONF}.locktables-kept`));
  const write = plan.steps.find((step) => step.do === "write" && step.path === CONF);
  assert.ok(write?.do === "write");
  assert.equal(
    write.text,
    "# mine\n[general]\nfsfreeze-hook=/etc/qemu/fsfreeze-hook\nverbose=1\n",
  );
  assert.equal(write.mode, 0o600);
});

Deno.test("a configuration that names another hook is refused, and changed with --replace", () => {
  const conf = file("[general]\nfsfreeze-hook=/opt/theirs\n", 0o644);
  const tree = memoryTree({ ...DISPATCHER, [CONF]: conf });
  const refusal = refused(planInstall(request("qemu"), tree, emptyReceipt([])));
  assert.match(refusal.summary, /\/opt\/theirs/);
  planned(planInstall(request("qemu", { replace: true }), tree, emptyReceipt([])));
});

Deno.test("a switch that is off is turned on without asking", () => {
  const tree = memoryTree({ [CFG]: file("[Snapshots]\nenabled = false\n", 0o644) });
  const plan = planned(planInstall(request("google"), tree, emptyReceipt([])));
  assert.ok(words(plan).includes(`write ${CFG}`));
});

Deno.test("Azure's configuration may be edited, as long as it names our scripts", () => {
  const path = "/etc/azure/VMSnapshotScriptPluginConfig.json";
  const { tree, receipt } = installed(NOTHING, request("azure"));
  const config = tree.look(path);
  assert.ok(config?.kind === "file" && config.text !== null);
  const strict = config.text.replace(
    '"continueBackupOnFailure": true',
    '"continueBackupOnFailure": false',
  );
  const edited = changed(tree, { [path]: file(strict, 0o600) });
  const again = planned(planInstall(request("azure", { version: "1.1.0" }), edited, receipt));
  assert.ok(!words(again).includes(`write ${path}`), words(again).join());
  const open = changed(tree, { [path]: file(strict, 0o644) });
  const write = planned(planInstall(request("azure"), open, receipt)).steps
    .find((step) => step.path === path);
  assert.ok(write?.do === "write" && write.text === strict && write.mode === 0o600);
  refused(planUninstall(ALL, edited, receipt));
  const other = changed(tree, { [path]: file(strict.replace("azure-pre", "their-pre"), 0o600) });
  refused(planInstall(request("azure"), other, receipt));
});

Deno.test("what is on by default is set only where it is off", () => {
  const conf = "/etc/vmware-tools/tools.conf";
  const stepsWith = (text: string) =>
    words(
      planned(
        planInstall(
          request("vmware"),
          memoryTree({ [conf]: file(text, 0o644) }),
          emptyReceipt([]),
        ),
      ),
    );
  for (const on of ["", "[vmbackup]\n#execScripts=false\n", "[vmbackup]\nexecScripts=true\n"]) {
    assert.ok(!stepsWith(on).includes(`write ${conf}`), on);
  }
  assert.ok(stepsWith("[vmbackup]\nexecScripts=false\n").includes(`write ${conf}`));
});

Deno.test("a directory that is not ours to make is refused with the command", () => {
  const refusal = refused(
    planInstall(request("nutanix"), memoryTree(NOTHING), emptyReceipt([])),
  );
  assert.equal(refusal.hint, "Make it: mkdir -p /usr");
});

// -----------------------------------------------------------------------------------------------
// uninstall

const ALL = { callers: null, program: null, force: false } as const;

/** The whole of a small guest, to compare. */
function seen(tree: Tree, paths: readonly string[]): unknown[] {
  return paths.map((path) => tree.look(path));
}

Deno.test("uninstall puts back what was kept, to the letter", () => {
  const before = { [HOOK]: file("#!/bin/sh\necho theirs\n", 0o700) };
  const { tree, receipt } = installed(before, request("vmware", { replace: true }));
  const plan = planned(planUninstall(ALL, tree, receipt));
  const after = treeAfter(tree, plan.steps);
  assert.deepEqual(seen(after, [HOOK, KEPT]), [before[HOOK], null]);
  assert.deepEqual(plan.receipt.installs, []);
});

Deno.test("uninstall refuses what was changed since, and removes it with --force", () => {
  const { tree, receipt } = installed(NOTHING, request("vmware"));
  const edited = changed(tree, { [HOOK]: file("#!/bin/sh\n# edited\n") });
  assert.equal(refused(planUninstall(ALL, edited, receipt)).reason, "changed-since");
  const plan = planned(planUninstall({ ...ALL, force: true }, edited, receipt));
  assert.ok(words(plan).includes(`remove ${HOOK}`));
});

Deno.test("uninstall does not remove what is no longer a regular file", () => {
  const { tree, receipt } = installed(NOTHING, request("vmware"));
  const link = changed(tree, { [HOOK]: { kind: "link", target: PROGRAM } });
  refused(planUninstall({ ...ALL, force: true }, link, receipt));
});

Deno.test("uninstall of one program's hooks leaves those that call another", () => {
  const elsewhere = "/usr/sbin/locktables";
  const qemuHook = "/etc/qemu/fsfreeze-hook.d/99-locktables";
  const { tree, receipt } = installed(
    { ...DISPATCHER, "/etc/tmpfiles.d": DIRECTORY },
    request("vmware"),
    request("qemu", { program: elsewhere }),
  );
  const plan = planned(planUninstall({ ...ALL, program: elsewhere }, tree, receipt));
  assert.deepEqual(plan.receipt.installs.map(({ caller }) => caller), ["vmware"]);
  const after = treeAfter(tree, plan.steps);
  assert.deepEqual(seen(after, [HOOK, qemuHook]), [tree.look(HOOK), null]);
  // The run directory is made at boot for those that stay, too.
  assert.notEqual(after.look("/etc/tmpfiles.d/locktables.conf"), null);
  const none = planned(planUninstall({ ...ALL, program: "/opt/sbin/locktables" }, tree, receipt));
  assert.deepEqual([none.steps, none.receipt], [[], receipt]);
  const mixed = { ...ALL, callers: ["vmware"], program: elsewhere } as const;
  assert.deepEqual(planned(planUninstall(mixed, tree, receipt)).steps, []);
});

Deno.test("hooks that another program's install writes anew are that program's", () => {
  const elsewhere = "/usr/sbin/locktables";
  const { tree, receipt } = installed(
    NOTHING,
    request("vmware"),
    request("vmware", { program: elsewhere }),
  );
  assert.deepEqual(receipt.installs.map(({ program }) => program), [elsewhere]);
  const { steps } = planned(planUninstall({ ...ALL, program: PROGRAM }, tree, receipt));
  assert.deepEqual(steps, []);
});

Deno.test("a hook that somebody has removed is no obstacle, and what was kept comes back", () => {
  const { tree, receipt } = installed(
    { [HOOK]: file("theirs\n") },
    request("vmware", { replace: true }),
  );
  const plan = planned(planUninstall(ALL, changed(tree, { [HOOK]: null }), receipt));
  assert.deepEqual(words(plan), [`move ${KEPT} ${HOOK}`]);
});

Deno.test("an installation that was cut short leaves a file of somebody else's alone", () => {
  const before = { [HOOK]: file("theirs\n") };
  const { receipt } = installed(before, request("vmware", { replace: true }));
  assert.deepEqual(planned(planUninstall(ALL, memoryTree(before), receipt)).steps, []);
});

Deno.test("a configuration that others have edited since loses our key alone", () => {
  const before = { ...DISPATCHER, [CONF]: file("[general]\nverbose=1\n", 0o644) };
  const { tree, receipt } = installed(before, request("qemu"));
  const conf = tree.look(CONF);
  assert.ok(conf?.kind === "file" && conf.text !== null);
  const edited = changed(tree, { [CONF]: file(`${conf.text}statedir=/run\n`, 0o644) });
  const after = treeAfter(edited, planned(planUninstall(ALL, edited, receipt)).steps);
  assert.deepEqual(after.look(CONF), file("[general]\nverbose=1\nstatedir=/run\n", 0o644));
});

Deno.test("a key that had another value gets it back", () => {
  const before = { [CFG]: file("[Snapshots]\nenabled=false\n", 0o644) };
  const { tree, receipt } = installed(before, request("google"));
  const edited = changed(tree, { [CFG]: file("# x\n[Snapshots]\nenabled=true\n", 0o644) });
  const after = treeAfter(edited, planned(planUninstall(ALL, edited, receipt)).steps);
  assert.deepEqual(after.look(CFG), file("# x\n[Snapshots]\nenabled=false\n", 0o644));
});

Deno.test("an upgrade that was cut short before the hook was written can be done or undone", () => {
  const { tree, receipt } = installed(NOTHING, request("vmware"));
  const upgrade = request("vmware", { version: "1.1.0" });
  const cut = planned(planInstall(upgrade, tree, receipt)).receipt;
  assert.deepEqual(words(planned(planInstall(upgrade, tree, cut))), [`write ${HOOK}`]);
  assert.ok(words(planned(planUninstall(ALL, tree, cut))).includes(`remove ${HOOK}`));
});

Deno.test("after a lost receipt a switch is known by what was kept, or by who made the file", () => {
  const before = { ...DISPATCHER, [CONF]: file("[general]\nverbose=1\n", 0o644) };
  for (const entries of [before, DISPATCHER]) {
    const { tree } = installed(entries, request("qemu"));
    const again = planned(planInstall(request("qemu"), tree, emptyReceipt([])));
    const after = treeAfter(tree, planned(planUninstall(ALL, tree, again.receipt)).steps);
    assert.deepEqual(after.look(CONF), memoryTree(entries).look(CONF));
  }
  const theirs = {
    ...DISPATCHER,
    [CONF]: file("[general]\nfsfreeze-hook=/etc/qemu/fsfreeze-hook\n", 0o644),
  };
  const { tree, receipt } = installed(theirs, request("qemu"));
  const after = treeAfter(tree, planned(planUninstall(ALL, tree, receipt)).steps);
  assert.deepEqual(after.look(CONF), theirs[CONF], "what was on before stays on");
});

Deno.test("a log goes whatever is in it", () => {
  const log = "/var/log/qga-fsfreeze-hook.log";
  const { tree, receipt } = installed(
    { ...DISPATCHER, "/var/log/dmesg": file("") },
    request("qemu"),
  );
  const written = changed(tree, { [log]: file("thaw: ok\n", 0o640) });
  assert.ok(words(planned(planUninstall(ALL, written, receipt))).includes(`remove ${log}`));
});

Deno.test("what two callers share goes with the last of them", () => {
  const { tree, receipt } = installed(
    { ...NOTHING, "/etc/tmpfiles.d": DIRECTORY },
    request("veeam"),
    request("aws"),
  );
  const first = planned(planUninstall({ ...ALL, callers: ["veeam"] }, tree, receipt));
  assert.ok(!words(first).includes("remove /etc/tmpfiles.d/locktables.conf"));
  const left = treeAfter(tree, first.steps);
  const second = planned(planUninstall(ALL, left, first.receipt));
  assert.deepEqual(words(second), [
    "remove /etc/locktables/aws-ssm-document.json",
    "remove /etc/tmpfiles.d/locktables.conf",
    "remove-directory /etc/locktables",
  ]);
});

Deno.test("a receipt survives its text, and anything else is none", () => {
  const { receipt } = installed({ [CFG]: file("[Snapshots]\n", 0o644) }, request("google"));
  assert.deepEqual(parseReceipt(JSON.stringify(receipt)), receipt);
  for (const text of ["", "{}", "null", "[]", JSON.stringify({ ...receipt, schema_version: 2 })]) {
    assert.equal(parseReceipt(text), null, text);
  }
});
