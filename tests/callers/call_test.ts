import assert from "node:assert/strict";

import fc from "fast-check";

import { type HookCall, hookCallOf, hookNamesOf } from "../../lib/callers/call.ts";
import { type Caller, CALLERS } from "../../lib/callers/table.ts";

type Case = readonly [sentence: string, programName: string, args: string, call: HookCall | null];

function preFreeze(caller: Caller | null): HookCall {
  return { command: "pre-freeze", isAborted: false, caller };
}

function postThaw(caller: Caller | null): HookCall {
  return { command: "post-thaw", isAborted: false, caller };
}

function aborted(caller: Caller | null): HookCall {
  return { command: "post-thaw", isAborted: true, caller };
}

const OURS = "/usr/local/sbin/locktables";

const CASES: readonly Case[] = [
  // The program's name
  ["VMware's legacy pair freezes", "/usr/sbin/pre-freeze-script", "freeze", preFreeze("vmware")],
  ["VMware's legacy pair thaws", "/usr/sbin/post-thaw-script", "thaw", postThaw("vmware")],
  ["VMware's legacy pair aborts", "/usr/sbin/post-thaw-script", "freezeFail", aborted("vmware")],
  [
    "the manual's spelling aborts too",
    "/usr/sbin/post-thaw-script",
    "freezefail",
    aborted("vmware"),
  ],
  [
    "the legacy pair needs no verb to freeze",
    "/usr/sbin/pre-freeze-script",
    "",
    preFreeze("vmware"),
  ],
  ["the legacy pair needs no verb to thaw", "/usr/sbin/post-thaw-script", "", postThaw("vmware")],
  ["a scriptArg is not a verb", "/usr/sbin/pre-freeze-script", "freeze thaw", preFreeze("vmware")],
  [
    "a scriptArg aborts nothing",
    "/usr/sbin/post-thaw-script",
    "thaw freezeFail",
    postThaw("vmware"),
  ],
  ["the name decides before the verb", "/usr/sbin/post-thaw-script", "freeze", postThaw("vmware")],
  ["Nutanix freezes", "/usr/local/sbin/pre_freeze", "", preFreeze("nutanix")],
  ["Nutanix thaws", "/usr/local/sbin/post_thaw", "", postThaw("nutanix")],
  ["Google's disk list is no verb", "/etc/google/snapshots/pre.sh", "sda,sdb", preFreeze("google")],
  ["nor is it after the snapshot", "/etc/google/snapshots/post.sh", "sda,sdb", postThaw("google")],
  [
    "a disk may be called as a verb is",
    "/etc/google/snapshots/pre.sh",
    "thaw",
    preFreeze("google"),
  ],
  ["a name without a folder counts", "pre.sh", "", preFreeze("google")],
  ["a name in a folder called so does not", "/opt/pre.sh/other", "", null],
  [
    "a caller in words outranks the name's",
    "/usr/sbin/pre-freeze-script",
    "freeze --caller veeam",
    preFreeze("veeam"),
  ],
  // The verb
  ["qemu-ga freezes", OURS, "freeze", preFreeze(null)],
  ["qemu-ga thaws", OURS, "thaw", postThaw(null)],
  [
    "VMware's directory freezes",
    "/etc/vmware-tools/backupScripts.d/99-db",
    "freeze",
    preFreeze(null),
  ],
  [
    "VMware's directory aborts",
    "/etc/vmware-tools/backupScripts.d/99-db",
    "freezeFail",
    aborted(null),
  ],
  ["VMware's directory aborts as documented", OURS, "freezefail", aborted(null)],
  ["VMware's scriptArg is ignored", OURS, "freeze some-arg", preFreeze(null)],
  ["VMware's scriptArg is ignored on thaw", OURS, "thaw freezeFail", postThaw(null)],
  ["an SSM document freezes", OURS, "pre-script", preFreeze("aws")],
  ["an SSM document thaws", OURS, "post-script", postThaw("aws")],
  ["pre is short for pre-freeze", OURS, "pre", preFreeze(null)],
  ["post is short for post-thaw", OURS, "post", postThaw(null)],
  ["a verb may name its caller", OURS, "freeze --caller qemu", preFreeze("qemu")],
  ["a verb may name its caller in one word", OURS, "thaw --caller=azure", postThaw("azure")],
  ["a hook does not fail over a wrong caller", OURS, "freeze --caller nobody", preFreeze(null)],
  ["nor over a caller left out", OURS, "freeze --caller", preFreeze(null)],
  ["a verb counts as the first word only", OURS, "x freeze", null],
  ["a verb is not spelt in capitals", OURS, "FREEZE", null],
  // Our own names: people type them, so every other word must be understood
  ["pre-freeze by its own name", OURS, "pre-freeze", preFreeze(null)],
  ["post-thaw by its own name", OURS, "post-thaw", postThaw(null)],
  ["pre-freeze with a caller", OURS, "pre-freeze --caller azure", preFreeze("azure")],
  ["pre-freeze with a caller in one word", OURS, "pre-freeze --caller=aws", preFreeze("aws")],
  ["post-thaw with a caller", OURS, "post-thaw --caller google", postThaw("google")],
  ["an unknown caller is explained", OURS, "pre-freeze --caller nobody", null],
  ["a caller left out is explained", OURS, "pre-freeze --caller", null],
  ["an empty caller is explained", OURS, "pre-freeze --caller=", null],
  ["a mistyped option is explained", OURS, "pre-freeze --caler aws", null],
  ["a word too many is explained", OURS, "pre-freeze --caller aws x", null],
  ["a word too many before is explained", OURS, "pre-freeze x --caller=aws", null],
  ["a word too many after is explained", OURS, "post-thaw --caller=aws x", null],
  ["a second caller is explained", OURS, "post-thaw --caller=aws --caller=aws", null],
  ["a mistyped command is explained", OURS, "pre-freze", null],
  // Help never freezes a server
  ["help on our own name", OURS, "pre-freeze --help", null],
  ["help on a verb", OURS, "freeze --help", null],
  ["help on a verb, in short", OURS, "thaw -h", null],
  ["help on a caller's program name", "/usr/sbin/pre-freeze-script", "--help", null],
  [
    "a scriptArg that looks like help",
    "/usr/sbin/pre-freeze-script",
    "freeze -h",
    preFreeze("vmware"),
  ],
  // Neither
  ["no word at all", OURS, "", null],
  ["a command for people", OURS, "status --json", null],
  ["the locker", OURS, "locker --caller aws", null],
  ["a word that every object knows", OURS, "constructor", null],
  ["a name that every object knows", "/opt/toString", "", null],
  ["the word __proto__", "__proto__", "__proto__", null],
];

for (const [sentence, programName, args, call] of CASES) {
  const line = `${programName.replace(/^.*\//, "")} ${args}`.trim();
  Deno.test(`hook call: ${sentence}: ${line}`, () => {
    assert.deepEqual(hookCallOf(programName, args === "" ? [] : args.split(" ")), call);
  });
}

Deno.test("hook call: no words of a caller make a hook throw or change the command", () => {
  const programs = (["pre-freeze", "post-thaw"] as const).flatMap((command) =>
    hookNamesOf(command).programs.map((program) => ({ command, program }))
  );
  fc.assert(fc.property(
    fc.constantFrom(...programs),
    fc.constantFrom("freeze", "thaw", "freezeFail", "pre", "post"),
    fc.array(fc.oneof(fc.string(), fc.constantFrom("--caller", "--help", ...CALLERS))),
    ({ command, program }, verb, words) => {
      const call = hookCallOf(`/x/${program}`, [verb, ...words]);
      assert.equal(call?.command, command);
      assert.ok(call.caller !== null && (CALLERS as readonly string[]).includes(call.caller));
    },
  ));
});

Deno.test("hook call: the names for the help are those that are accepted", () => {
  for (const command of ["pre-freeze", "post-thaw"] as const) {
    const { verbs, programs } = hookNamesOf(command);
    assert.ok(verbs.length >= 3 && programs.length === 3);
    for (const verb of verbs) assert.equal(hookCallOf(OURS, [verb])?.command, command);
    for (const name of programs) assert.equal(hookCallOf(name, [])?.command, command);
  }
});
