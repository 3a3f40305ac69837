/**
 * The text of every hook: clean, small, and the same in every shell that callers run it with.
 * A stub stands in for the program and says how it was called.
 */
import assert from "node:assert/strict";
import { run } from "../../scripts/shell.ts";
import { hookCallOf } from "../../lib/callers/call.ts";
import {
  type Caller,
  CALLER_TABLE,
  CALLERS,
  type Form,
  type HookFile,
  type HookRole,
} from "../../lib/callers/table.ts";
import { hookText, readMark } from "../../lib/hooks/hook_text.ts";
import { openSandbox, type Sandbox } from "../support/sandbox.ts";
import { type Shell, SHELLS } from "../support/shells.ts";

/** One hook of one form of one caller. */
interface Hook {
  readonly caller: Caller;
  readonly form: Form;
  readonly file: HookFile;
  readonly title: string;
}

const HOOKS: readonly Hook[] = CALLERS.flatMap((caller) =>
  CALLER_TABLE[caller].forms.flatMap((form) =>
    form.files.map((file) => ({ caller, form, file, title: `${caller} ${form.name} ${file.path}` }))
  )
);
const FREEZING = HOOKS.filter(({ file }) => file.role === "by-verb" || file.role === "pre");
/** One of each kind of text, with the words of its caller; the others differ in names alone. */
const KINDS: readonly (readonly [Hook, readonly string[]])[] = HOOKS
  .filter(({ caller }) => caller === "vmware" || caller === "veeam")
  .flatMap((hook) => {
    const calls = hook.file.role === "by-verb" ? [["freeze"], ["thaw"]] : [[]];
    return calls.map((words) => [hook, words] as const);
  });

const PROGRAM = "/usr/local/sbin/locktables";
const LOCK_FILE = "/run/veeam/waitforsnapshot";

/** Longest time of one hook with the stub: it never waits for anything. */
const LIMIT_MS = 10_000;

function textOf({ caller, form, file }: Hook, program = PROGRAM): string {
  return hookText({ caller, form, file, program, version: "1.2.3" });
}

function isOfVolumes({ file }: Hook): boolean {
  return VOLUME_CALLS.some(({ role }) => role === file.role);
}

/** What a shell gets of a hook; null where it gets none. */
function scriptOf(hook: Hook, command = "pre-script", program = PROGRAM): string | null {
  const text = textOf(hook, program);
  switch (hook.file.role) {
    case "azure-config":
      return null;
    case "ssm-document": {
      const lines: string[] = JSON.parse(text).mainSteps[0].inputs.runCommand;
      return `${lines.join("\n")}\n`.replaceAll("{{ command }}", command);
    }
    default:
      return text;
  }
}

async function inSandbox(shell: Shell, test: (sandbox: Sandbox) => Promise<void>): Promise<void> {
  // The program itself is not needed.
  const sandbox = await openSandbox({ binary: "/bin/sh" });
  try {
    if (shell.given !== undefined) {
      const given = await sandbox.sh(shell.given);
      assert.equal(given.code, 0, given.stderr);
    }
    await test(sandbox);
  } finally {
    await sandbox.close();
  }
}

/** How a hook called the program. */
interface Call {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Null where the program was not started. */
  readonly argv: readonly string[] | null;
  readonly directory: string | undefined;
  readonly hadLockFile: boolean;
  /** Descriptors of the program above 2 and what they are. */
  readonly descriptors: readonly string[];
}

/** Says how it was called; ls shows the descriptors that it inherits, and its own. */
const STUB = `#!/bin/sh
printf 'argument %s\\n' "$@"
printf 'directory %s\\n' "$(pwd)"
if [ -e ${LOCK_FILE} ]; then echo 'lock file'; fi
exec ls -l /proc/self/fd
`;

interface CallOptions {
  readonly args?: readonly string[];
  readonly env?: Record<string, string>;
  /** Shell text in front of the hook, in the process that becomes it. */
  readonly before?: string;
  readonly program?: string;
  readonly stub?: string | null;
}

async function call(
  sandbox: Sandbox,
  shell: Shell,
  hook: Hook,
  { args = [], env = {}, before = ":", program = "/opt/stub", stub = STUB }: CallOptions = {},
): Promise<Call> {
  if (stub !== null && !await sandbox.exists(program)) {
    const folder = program.slice(0, program.lastIndexOf("/"));
    await sandbox.run(["/bin/mkdir", "-p", folder]);
    await sandbox.writeFile(program, stub, 0o755);
  }
  await sandbox.writeFile("/opt/hook", scriptOf(hook, args[0], program) ?? "", 0o700);
  // bash can open descriptors of any number; dash, where it is alone, those that it can close.
  const launcher = shell.closes === "all" ? "/usr/bin/bash" : "/usr/bin/dash";
  const { code, stdout, stderr } = await sandbox.run([
    launcher,
    "-c",
    `mkdir -p /run/veeam\n: >${LOCK_FILE}\n${before}\nexec env -i "$@"`,
    "caller",
    ...Object.entries(env).map(([name, value]) => `${name}=${value}`),
    ...shell.argv,
    "/opt/hook",
    ...args,
  ], { timeoutMs: LIMIT_MS });
  const lines = stdout.trimEnd().split("\n");
  const after = (word: string) =>
    lines.filter((line) => line.startsWith(`${word} `)).map((line) => line.slice(word.length + 1));
  return {
    code,
    stdout,
    stderr,
    argv: lines.some((line) => line.startsWith("argument")) ? after("argument") : null,
    directory: after("directory")[0],
    hadLockFile: lines.includes("lock file"),
    descriptors: lines
      .flatMap((line) => / (\d+ -> .*)$/.exec(line)?.[1] ?? [])
      .filter((line) => Number.parseInt(line) > 2 && !/\/proc\/\d+\/fd$/.test(line)),
  };
}

Deno.test("a hook is text that every caller takes: short lines of ASCII, LF, below 1 KiB", () => {
  assert.ok(HOOKS.length >= 16, "every caller has some");
  for (const hook of HOOKS) {
    const text = textOf(hook);
    assert.match(text, /^[\n\x20-\x7e]+\n$/, `${hook.title}: nothing but LF and printable ASCII`);
    const script = scriptOf(hook);
    if (script === null) continue;
    // What runs a command, or belongs to one caller alone, is read by a shell and by nothing else.
    const limit = hook.file.role === "around" ? 4096 : isOfVolumes(hook) ? 2048 : 1024;
    assert.ok(script.length < limit, `${hook.title}: ${script.length} bytes`);
    assert.ok(script.startsWith("#!/bin/sh\n"), hook.title);
    assert.deepEqual(readMark(text), { caller: hook.caller, version: "1.2.3" }, hook.title);
  }
});

Deno.test("a hook is clean for shellcheck and shfmt, and every shell reads it", async () => {
  const checks: readonly (readonly string[])[] = [
    ["shellcheck", "--shell=sh", "-"],
    ["shfmt", "-ln", "posix", "-i", "2", "-ci", "-d"],
    ["dash", "-n"],
    ["bash", "-n"],
    ["bash", "--posix", "-n"],
    ["busybox", "ash", "-n"],
  ];
  for (const hook of HOOKS) {
    const script = scriptOf(hook);
    if (script === null) continue;
    for (const check of checks) {
      const { code, stdout, stderr } = await run(check, { stdin: script });
      assert.equal(code, 0, `${hook.title}: ${check.join(" ")}\n${stdout}${stderr}`);
      assert.equal(stdout + stderr, "", `${hook.title}: ${check.join(" ")}`);
    }
  }
});

type Verb = "freeze" | "thaw" | "abort";
/** What a caller's words mean to each kind of hook. */
const WORDS: Readonly<
  Partial<Record<HookRole, readonly (readonly [args: string, means: Verb | null])[]>>
> = {
  "by-verb": [
    ["freeze", "freeze"],
    ["freeze thaw", "freeze"],
    ["freeze x;y $HOME", "freeze"],
    ["thaw", "thaw"],
    ["thaw freezeFail", "thaw"],
    ["freezeFail", "abort"],
    ["freezefail", "abort"],
    ["freezeFail x", "abort"],
    ["", null],
    ["status", null],
  ],
  pre: [
    ["", "freeze"],
    ["freeze", "freeze"],
    ["thaw", "freeze"],
    ["sda,sdb", "freeze"],
    ["--help", "freeze"],
  ],
  post: [
    ["", "thaw"],
    ["thaw", "thaw"],
    ["sda,sdb", "thaw"],
    ["--help", "thaw"],
  ],
};
/** How callers of chosen volumes call, and what it means; null: the program is not started. */
const VOLUME_CALLS: readonly {
  readonly role: HookRole;
  readonly args?: readonly string[];
  readonly env?: Record<string, string>;
  readonly before?: string;
  readonly means: "freeze" | "thaw" | null;
}[] = [
  {
    role: "snapper",
    args: ["create-snapshot-pre", "/var/lib/mysql", "btrfs", "7"],
    means: "freeze",
  },
  {
    role: "snapper",
    args: ["create-snapshot-post", "/var/lib/mysql", "btrfs", "7"],
    means: "thaw",
  },
  { role: "snapper", args: ["create-snapshot-pre", "/etc", "btrfs", "7"], means: null },
  { role: "snapper", args: ["create-snapshot-post", "/etc", "btrfs", "7"], means: null },
  { role: "snapper", args: ["create-snapshot-pre", "/no-such", "btrfs", "7"], means: null },
  { role: "snapper", args: ["create-snapshot", "/var/lib/mysql", "btrfs", "7"], means: null },
  { role: "snapper", args: ["delete-snapshot-pre", "/var/lib/mysql", "btrfs"], means: null },
  { role: "snapper", args: [], means: null },
  {
    role: "snapper",
    before: "mkdir -p /etc/locktables; echo /etc >/etc/locktables/snapper-directories",
    args: ["create-snapshot-pre", "/etc/ssl", "lvm(ext4)", "7"],
    means: "freeze",
  },
  {
    role: "snapper",
    args: ["create-snapshot-pre", "/var/lib/mysql", "btrfs", "8"],
    means: null,
  },
  { role: "sanoid", env: { SANOID_SCRIPT: "pre", SANOID_TARGETS: "pool/a" }, means: "freeze" },
  { role: "sanoid", env: { SANOID_SCRIPT: "post", SANOID_PRE_FAILURE: "1" }, means: "thaw" },
  { role: "sanoid", env: { SANOID_SCRIPT: "prune" }, means: null },
  { role: "sanoid", means: null },
  { role: "zrepl", env: { ZREPL_HOOKTYPE: "pre_snapshot", ZREPL_DRYRUN: "" }, means: "freeze" },
  { role: "zrepl", env: { ZREPL_HOOKTYPE: "post_snapshot", ZREPL_DRYRUN: "" }, means: "thaw" },
  { role: "zrepl", env: { ZREPL_HOOKTYPE: "pre_snapshot", ZREPL_DRYRUN: "true" }, means: null },
  { role: "zrepl", env: { ZREPL_HOOKTYPE: "post_snapshot", ZREPL_DRYRUN: "true" }, means: null },
  { role: "zrepl", means: null },
];

/** VMware's old pair gets the verb too. */
const LEGACY_POST: readonly (readonly [string, Verb])[] = [
  ["freezeFail", "abort"],
  ["freezefail", "abort"],
  ["freezeFail x", "abort"],
  ["thaw freezeFail", "thaw"],
];

for (const shell of SHELLS) {
  Deno.test(`in ${shell.name} a hook's words reach the program with their meaning`, async () => {
    await inSandbox(shell, async (sandbox) => {
      for (const hook of HOOKS) {
        const words = [
          ...WORDS[hook.file.role] ?? [],
          ...(hook.caller === "vmware" && hook.file.role === "post" ? LEGACY_POST : []),
        ];
        for (const [args, means] of words) {
          const called = await call(sandbox, shell, hook, {
            args: args === "" ? [] : args.split(" "),
          });
          const what = `${hook.title} ${args}`;
          assert.deepEqual([called.code, called.stderr], [0, ""], what);
          assert.ok(called.argv !== null, what);
          assert.deepEqual(
            hookCallOf(PROGRAM, called.argv),
            means === null ? null : {
              command: means === "freeze" ? "pre-freeze" : "post-thaw",
              isAborted: means === "abort",
              caller: hook.caller,
            },
            `${what}: ${called.argv.join(" ")}`,
          );
          assert.equal(called.directory, "/", what);
          assert.equal(
            called.hadLockFile,
            means === "freeze" || means === null,
            `${what}: the lock file goes first on thaw, and on nothing else`,
          );
        }
      }
    });
  });

  Deno.test(`in ${shell.name} a hook of chosen volumes knows both ends, and leaves the rest alone`, async () => {
    await inSandbox(shell, async (sandbox) => {
      const leak = shell.closes === "all" ? 12 : 9;
      for (const { role, args = [], env = {}, before = ":", means } of VOLUME_CALLS) {
        const hook = HOOKS.find(({ file }) => file.role === role);
        assert.ok(hook !== undefined);
        const called = await call(sandbox, shell, hook, {
          args,
          env,
          before: `${before}\nexec ${leak}</dev/zero`,
        });
        const what = JSON.stringify({ role, args, env });
        // Of a volume that is not there stat itself says so.
        if (args[1] !== "/no-such") assert.equal(called.stderr, "", what);
        assert.equal(called.code, 0, what);
        assert.deepEqual(
          called.argv,
          means === null
            ? null
            : [means === "freeze" ? "pre-freeze" : "post-thaw", "--caller", hook.caller],
          what,
        );
        // post-thaw looks whose window it is before anything is released.
        if (means === "thaw") assert.equal(called.hadLockFile, true, what);
        if (means === "freeze") {
          assert.deepEqual(
            called.descriptors.filter((line) => Number.parseInt(line) === leak),
            [],
            what,
          );
        }
      }
    });
  });

  Deno.test(`in ${shell.name} freeze takes nothing of the caller's along`, async () => {
    await inSandbox(shell, async (sandbox) => {
      const numbers = shell.closes === "all"
        ? [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 40, 250]
        : [3, 4, 5, 6, 7, 8, 9];
      for (const hook of FREEZING) {
        const called = await call(sandbox, shell, hook, {
          args: ["freeze"],
          before: numbers.map((number) => `exec ${number}</dev/zero`).join("\n"),
        });
        assert.equal(called.code, 0, called.stderr);
        const left = called.descriptors
          .filter((line) => shell.closes === "all" || Number.parseInt(line) <= 9);
        assert.deepEqual(left, [], hook.title);
      }
    });
  });

  Deno.test(`in ${shell.name} a hook works in odd surroundings`, async (step) => {
    await inSandbox(shell, async (sandbox) => {
      const names = ["close", "which", "words", "program", "verb", "fd", "said", "command"];
      const surroundings: Readonly<Record<string, CallOptions>> = {
        "a directory that is gone": {
          before: "mkdir /run/gone; cd /run/gone; rmdir /run/gone",
        },
        "a directory in which nothing may be searched": { before: "cd /proc/self/fdinfo" },
        "variables with the names of its own": {
          env: Object.fromEntries(names.map((name) => [name, `no; exit 9 # '"`])),
        },
        "no PATH": { env: { PATH: "" } },
        "a PATH of somebody else's": { env: { PATH: "/opt:/tmp" } },
        "another IFS": { env: { IFS: "/0123456789" } },
        "CDPATH": { env: { CDPATH: "/usr:/" } },
        "start-up files that are not there": { env: { BASH_ENV: "/nowhere", ENV: "/nowhere" } },
        "a start-up file that ends the shell": { env: { BASH_ENV: "/opt/profile" } },
        "no standard streams but the output": { before: "exec <&- 2>&-" },
        "a program whose path has blanks and quotes": {
          program: `/opt/it's "a" $HOME \\ place/lock tables`,
        },
      };
      await sandbox.writeFile("/opt/profile", "echo profile; exit 9\n");
      for (const [name, options] of Object.entries(surroundings)) {
        // bash itself runs that file before the first line of the hook.
        if (options.env?.["BASH_ENV"] === "/opt/profile" && shell.name === "bash") continue;
        await step.step(name, async () => {
          for (const [hook, args] of KINDS) {
            const called = await call(sandbox, shell, hook, { args, ...options });
            assert.equal(called.code, 0, `${hook.title}: ${called.stderr}`);
            assert.equal(called.directory, "/", hook.title);
            assert.ok(called.argv?.includes(hook.caller), hook.title);
          }
        });
      }
    });
  });

  Deno.test(`in ${shell.name} a program that is missing is an error, said in one line`, async () => {
    await inSandbox(shell, async (sandbox) => {
      for (const [hook, args] of KINDS) {
        const called = await call(sandbox, shell, hook, {
          args,
          program: "/opt/missing",
          stub: null,
        });
        assert.equal(called.code, 127, hook.title);
        assert.match(called.stderr, /^[^\n]*\/opt\/missing[^\n]*\n$/, hook.title);
      }
    });
  });
}

interface SsmCase {
  readonly name: string;
  readonly command: string;
  /** How the stub ends and what it says. */
  readonly exit: number;
  readonly says?: string;
  readonly code: number;
}

/** The codes of Amazon's template, which Data Lifecycle Manager hands on to EventBridge. */
const SSM_CASES: readonly SsmCase[] = [
  { name: "a lock", command: "pre-script", exit: 0, code: 0 },
  { name: "no lock in time", command: "pre-script", exit: 10, code: 201 },
  { name: "a window that is open", command: "pre-script", exit: 11, code: 204 },
  { name: "a server that is down", command: "pre-script", exit: 20, code: 206 },
  { name: "a privilege that is missing", command: "pre-script", exit: 21, code: 201 },
  { name: "a bad option file", command: "pre-script", exit: 22, code: 201 },
  { name: "a defect", command: "pre-script", exit: 1, code: 201 },
  { name: "a lock that held", command: "post-script", exit: 0, says: "Thawed: held", code: 0 },
  { name: "a lock that expired", command: "post-script", exit: 12, code: 203 },
  {
    name: "nothing to close",
    command: "post-script",
    exit: 0,
    says: "Nothing to thaw: no window is open",
    code: 205,
  },
  {
    name: "nothing to close, and something else to say",
    command: "post-script",
    exit: 0,
    says: "locktables: Cannot write /x\nNothing to thaw: it is cancelled",
    code: 205,
  },
  { name: "a defect on thaw", command: "post-script", exit: 1, code: 202 },
  { name: "a usage error on thaw", command: "post-script", exit: 2, code: 202 },
  { name: "a check that is content", command: "dry-run", exit: 0, code: 0 },
  { name: "a check with an error", command: "dry-run", exit: 21, code: 206 },
  { name: "a command that is none", command: "reboot", exit: 0, code: 201 },
];
const SSM_CALLS: Readonly<Record<string, string>> = {
  "pre-script": "pre-script --caller aws",
  "post-script": "post-script --caller aws",
  "dry-run": "check",
};

for (const shell of SHELLS) {
  Deno.test(`in ${shell.name} the SSM document tells Amazon's codes`, async (step) => {
    const hook = HOOKS.find(({ file }) => file.role === "ssm-document");
    assert.ok(hook !== undefined);
    await inSandbox(shell, async (sandbox) => {
      for (const { name, command, exit, says, code } of SSM_CASES) {
        await step.step(`${command}: ${name}`, async () => {
          await sandbox.writeFile(
            "/opt/ssm-stub",
            `#!/bin/sh
if [ -e ${LOCK_FILE} ]; then kept=kept; else kept=removed; fi
echo "$*" $kept >/run/called
printf '%s\\n' "${says ?? "what it says"}"
echo 'and why' >&2
exit ${exit}
`,
            0o755,
          );
          await sandbox.sh("rm -f /run/called");
          const called = await call(sandbox, shell, hook, {
            args: [command],
            program: "/opt/ssm-stub",
          });
          assert.equal(called.code, code, called.stderr);
          assert.equal(called.stderr, "");
          const expected = SSM_CALLS[command];
          if (expected === undefined) assert.equal(await sandbox.exists("/run/called"), false);
          else {
            assert.equal(
              await sandbox.read("/run/called"),
              `${expected} ${command === "post-script" ? "removed" : "kept"}\n`,
            );
            assert.match(called.stdout, /^(.+\n)+and why\n$/);
            assert.ok(called.stdout.includes(says ?? "what it says"), called.stdout);
          }
        });
      }
    });
  });
}
