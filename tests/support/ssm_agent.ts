/**
 * What runs an SSM document in a guest, and what Data Lifecycle Manager makes of it.
 * amazon-ssm-agent: agent/plugins/runscript/runscript.go, agent/executers/executers{,_unix}.go;
 * docs.aws.amazon.com, ebs: script-flow.html; dlm: API_Script.html.
 */
import assert from "node:assert/strict";
import { killChild } from "../../scripts/shell.ts";
import type { Sandbox } from "./sandbox.ts";

/** A parameter as a document declares it. */
interface Parameter {
  readonly type: string;
  readonly default?: string;
  readonly allowedValues?: readonly string[];
  readonly allowedPattern?: string;
}

/** The parts of a document of schema 2.2 that the service and the agent look at. */
interface SsmDocument {
  readonly schemaVersion: string;
  readonly parameters: Readonly<Record<string, Parameter>>;
  readonly mainSteps: readonly {
    readonly action: string;
    readonly name: string;
    readonly precondition: Readonly<Record<string, readonly string[]>>;
    readonly inputs: { readonly timeoutSeconds: string; readonly runCommand: readonly string[] };
  }[];
}

/** What Data Lifecycle Manager passes as `command`. */
export type SsmCommand = "pre-script" | "post-script" | "dry-run";

/** How one command ended. */
export interface SsmResult {
  /** 137 where the agent killed it at its limit. */
  readonly code: number;
  readonly output: string;
}

/** Largest document that the service takes, in bytes. */
const DOCUMENT_LIMIT = 64 * 1024;

/** Data Lifecycle Manager's default, and its shortest. */
export const SCRIPT_LIMIT_MS = 10_000;

/** The agent's code for what it has killed (128 + SIGKILL). */
const KILLED = 137;

/** Longest wait for a killed group's end: it cannot be long, but must not be for ever. */
const KILLED_LIMIT_MS = 5_000;

/** Where the agent keeps what it runs. */
const ORCHESTRATION = "/var/lib/amazon/ssm/i-0123456789abcdef0/document/orchestration/step/awsrun";

/** The environment of the agent's unit, and what the agent adds to it. */
const AGENT_ENV: Readonly<Record<string, string>> = {
  LANG: "C.UTF-8",
  PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin",
  INVOCATION_ID: "0123456789abcdef0123456789abcdef",
  AWS_SSM_INSTANCE_ID: "i-0123456789abcdef0",
  AWS_SSM_REGION_NAME: "eu-central-1",
  AWS_SSM_PLATFORM_NAME: "Debian GNU/Linux",
  AWS_SSM_PLATFORM_VERSION: "12",
};

const PLACEHOLDER = /{{\s*([^}]*?)\s*}}/g;

/** Reads a document and insists on everything that the service would refuse it for. */
export function parseDocument(text: string): SsmDocument {
  assert.ok(new TextEncoder().encode(text).length <= DOCUMENT_LIMIT, "small enough");
  const document: SsmDocument = JSON.parse(text);
  assert.equal(document.schemaVersion, "2.2");
  for (const [name, parameter] of Object.entries(document.parameters)) {
    assert.match(name, /^[A-Za-z0-9]+$/);
    assert.equal(parameter.type, "String", name);
    if (parameter.default !== undefined) assertAllowed(name, parameter, parameter.default);
  }
  assert.equal(document.mainSteps.length, 1);
  for (const step of document.mainSteps) {
    assert.equal(step.action, "aws:runShellScript");
    assert.match(step.name, /^[A-Za-z0-9_.-]{1,128}$/);
    assert.deepEqual(step.precondition, { StringEquals: ["platformType", "Linux"] });
    assert.match(step.inputs.timeoutSeconds, /^[0-9]+$/);
  }
  for (const [, name] of text.matchAll(PLACEHOLDER)) {
    assert.ok(Object.hasOwn(document.parameters, name ?? ""), `{{ ${name} }} is declared`);
  }
  // All three, whichever of them a policy uses.
  assert.deepEqual(
    document.parameters["command"]?.allowedValues,
    ["pre-script", "post-script", "dry-run"],
  );
  assert.ok(document.parameters["executionId"] !== undefined);
  return document;
}

function assertAllowed(name: string, parameter: Parameter, value: string): void {
  const { allowedValues, allowedPattern } = parameter;
  assert.ok(allowedValues?.includes(value) ?? true, `${name}: ${value}`);
  assert.ok(allowedPattern === undefined || new RegExp(allowedPattern).test(value), name);
}

/** The document in a guest, ready to be run. */
export async function loadDocument(sandbox: Sandbox): Promise<SsmDocument> {
  return parseDocument(await sandbox.read("/etc/locktables/aws-ssm-document.json"));
}

/** Writes the script of one command where the agent does; returns its path. */
export async function writeScript(
  sandbox: Sandbox,
  document: SsmDocument,
  command: SsmCommand,
): Promise<string> {
  const values: Readonly<Record<string, string>> = { command, executionId: crypto.randomUUID() };
  for (const [name, value] of Object.entries(values)) {
    assertAllowed(name, document.parameters[name] ?? { type: "String" }, value);
  }
  const lines = document.mainSteps[0]?.inputs.runCommand ?? [];
  const text = lines.join("\n").replaceAll(PLACEHOLDER, (_, name) => values[name] ?? "") + "\n";
  const folder = `${ORCHESTRATION}/${values["executionId"]}`;
  await sandbox.sh(`mkdir -p ${folder}`);
  await sandbox.writeFile(`${folder}/_script.sh`, text, 0o700);
  return `${folder}/_script.sh`;
}

/**
 * Runs one command as the agent does: in a process group of its own, and until its output ends,
 * because the agent waits for that too; at the limit the whole group is killed.
 */
export async function runCommand(
  sandbox: Sandbox,
  document: SsmDocument,
  command: SsmCommand,
  limitMs = SCRIPT_LIMIT_MS,
): Promise<SsmResult> {
  const script = await writeScript(sandbox, document, command);
  // setsid: a group of its own, whose leader keeps the pid.
  const child = sandbox.spawn(["/usr/bin/setsid", "/bin/sh", "-c", script], {
    env: AGENT_ENV,
    cwd: "/usr/bin",
  });
  const ended = child.output();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const limit = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), limitMs);
  });
  try {
    const output = await Promise.race([ended, limit]);
    if (output !== null) {
      const decoder = new TextDecoder();
      return {
        code: output.code,
        output: decoder.decode(output.stdout) + decoder.decode(output.stderr),
      };
    }
    Deno.kill(-child.pid, "SIGKILL");
    // The agent does not wait any more; the test does, so that it leaves nothing running.
    const fallback = setTimeout(() => killChild(child, "SIGKILL"), KILLED_LIMIT_MS);
    const { stdout, stderr } = await ended;
    clearTimeout(fallback);
    return {
      code: KILLED,
      output: new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr),
    };
  } finally {
    clearTimeout(timer);
  }
}

/** A policy's `Script`. */
export interface Policy {
  /** MaximumRetryCount, 0 to 3. */
  readonly retries: number;
  /** ExecuteOperationOnScriptFailure: a crash-consistent snapshot if the pre script fails. */
  readonly snapshotAnyway: boolean;
  readonly limitMs?: number;
}

/** What Data Lifecycle Manager tags a snapshot with; null: that script was not run. */
export interface LifecycleResult {
  readonly snapshots: number;
  readonly pre: "SUCCESS" | "FAILED";
  readonly post: "SUCCESS" | "FAILED" | null;
  /** Every command that was run, with its code. */
  readonly commands: readonly (readonly [SsmCommand, number])[];
}

/** One scheduled snapshot of an instance, with its scripts. */
export async function takeSnapshot(
  sandbox: Sandbox,
  document: SsmDocument,
  policy: Policy,
  snapshot: () => Promise<void>,
): Promise<LifecycleResult> {
  const commands: (readonly [SsmCommand, number])[] = [];
  const run = async (command: SsmCommand): Promise<boolean> => {
    const { code } = await runCommand(sandbox, document, command, policy.limitMs);
    commands.push([command, code]);
    return code === 0;
  };
  const withRetries = async (command: SsmCommand): Promise<boolean> => {
    for (let attempt = 0; attempt <= policy.retries; attempt += 1) {
      if (await run(command)) return true;
    }
    return false;
  };
  if (!await withRetries("pre-script")) {
    if (policy.snapshotAnyway) await snapshot();
    return { snapshots: policy.snapshotAnyway ? 1 : 0, pre: "FAILED", post: null, commands };
  }
  await snapshot();
  const post = await withRetries("post-script") ? "SUCCESS" : "FAILED";
  return { snapshots: 1, pre: "SUCCESS", post, commands };
}
