/**
 * Azure Backup's extension in a guest, with its script framework.
 * azure-linux-extensions VMBackup/main: PluginHost.py, ScriptRunner.py, handle.py:daemon.
 */
import type { Sandbox } from "./sandbox.ts";

/** The plugin's configuration, as far as the extension reads it. */
interface PluginConfig {
  readonly preScriptLocation: string;
  readonly postScriptLocation: string;
  readonly preScriptParams?: readonly string[];
  readonly postScriptParams?: readonly string[];
  readonly timeoutInSeconds?: number;
  readonly continueBackupOnFailure?: boolean;
  readonly fsFreezeEnabled?: boolean;
}

/** What the portal shows of a backup. */
export type AzureVerdict = "application-consistent" | "file-system-consistent" | "failed";

/** How a script ended: the extension's own codes (common.py), or 0. */
export type ScriptOutcome = "success" | "warning" | "failed" | "timed out" | "not run";

/** One backup. */
export interface AzureResult {
  readonly verdict: AzureVerdict;
  readonly wasSnapshotTaken: boolean;
  readonly pre: ScriptOutcome;
  readonly post: ScriptOutcome;
}

/** What a test changes of the extension's own numbers, to be quicker. */
export interface AzureOptions {
  /** Step of the look whether a script has ended; the extension's is 3 s. */
  readonly pollMs?: number;
  /** In place of timeoutInSeconds of the plugin's configuration. */
  readonly timeoutMs?: number;
  readonly snapshot?: () => Promise<void>;
}

const CONFIG = "/etc/azure/VMSnapshotScriptPluginConfig.json";

/** Where the configuration has none, and at most: PluginHost.py, ScriptRunner.py. */
const DEFAULT_TIMEOUT_S = 10;
const MAX_TIMEOUT_S = 1800;

/** A script's exit code that the extension calls a warning. */
const WARNING = 2;

/** Scripts that the extension has started; what was not waited for still runs. */
export interface AzureBackup {
  readonly result: AzureResult;
  /** Ends the extension: the pipes that it never read are closed. */
  close(): Promise<void>;
  /** Exit codes of the scripts, in the order of their start, once all have ended. */
  readonly codes: Promise<readonly number[]>;
}

/** What keeps the extension from running the scripts; null: nothing. */
export async function precheck(sandbox: Sandbox): Promise<string | null> {
  const config = await fileIn(sandbox, CONFIG);
  if (config === null) return "FailedPrepostPluginConfigNotFound";
  const { mode, owner } = config;
  if ((mode & 0o100) !== 0 || (mode & 0o077) !== 0 || owner !== "root") {
    return "FailedPrepostPluginConfigPermissionError";
  }
  const read = await readConfig(sandbox);
  if (read === null) return "FailedPrepostPluginConfigParsing";
  for (
    const [name, path] of [["Pre", read.preScriptLocation], ["Post", read.postScriptLocation]]
  ) {
    const script = await fileIn(sandbox, path ?? "");
    if (script === null) return `FailedPrepost${name}ScriptNotFound`;
    if ((script.mode & 0o077) !== 0 || script.owner !== "root") {
      return `FailedPrepost${name}ScriptPermissionError`;
    }
  }
  return null;
}

async function fileIn(sandbox: Sandbox, path: string) {
  const { code, stdout } = await sandbox.run(["/usr/bin/stat", "-L", "-c", "%a %U %F", path]);
  const [mode = "", owner = "", ...kind] = stdout.trim().split(" ");
  return code === 0 && kind.join(" ").startsWith("regular")
    ? { mode: Number.parseInt(mode, 8), owner }
    : null;
}

async function readConfig(sandbox: Sandbox): Promise<PluginConfig | null> {
  try {
    const config: PluginConfig = JSON.parse(await sandbox.read(CONFIG));
    const hasBoth = [config.preScriptLocation, config.postScriptLocation]
      .every((path) => typeof path === "string");
    return hasBoth ? config : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

/** Makes one backup. */
export async function backUp(
  sandbox: Sandbox,
  { pollMs = 3_000, timeoutMs, snapshot = () => Promise.resolve() }: AzureOptions = {},
): Promise<AzureBackup> {
  const obstacle = await precheck(sandbox);
  const config = await readConfig(sandbox);
  const isLenient = config?.continueBackupOnFailure ?? true;
  if (obstacle !== null || config === null) {
    if (isLenient) await snapshot();
    const verdict = isLenient ? "file-system-consistent" : "failed";
    return {
      result: { verdict, wasSnapshotTaken: isLenient, pre: "not run", post: "not run" },
      close: () => Promise.resolve(),
      codes: Promise.resolve([]),
    };
  }
  const limitMs = timeoutMs ??
    Math.min(config.timeoutInSeconds ?? DEFAULT_TIMEOUT_S, MAX_TIMEOUT_S) * 1000;
  const children: Deno.ChildProcess[] = [];
  const runScript = async (
    path: string,
    params: readonly string[] = [],
  ): Promise<ScriptOutcome> => {
    // The shebang is not asked; both pipes are made, and read by nobody.
    const child = sandbox.spawn(["/bin/sh", path, ...params], {
      env: {
        LANG: "C.UTF-8",
        PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
      },
      cwd: "/usr/lib",
    });
    children.push(child);
    let code: number | undefined;
    child.status.then((status) => code = status.code);
    for (let step = 0; code === undefined; step += 1) {
      // Not killed, and looked at no more.
      if (step >= limitMs / pollMs) return "timed out";
      await new Promise((resolve) => setTimeout(resolve, pollMs));
    }
    return code === 0 ? "success" : code === WARNING ? "warning" : "failed";
  };
  const mayGoOn = (outcome: ScriptOutcome) =>
    isLenient || outcome === "success" || outcome === "warning";

  const pre = await runScript(config.preScriptLocation, config.preScriptParams);
  // Without a frozen filesystem nothing would make such a snapshot consistent.
  const freezes = config.fsFreezeEnabled ?? true;
  const wasSnapshotTaken = mayGoOn(pre) && (freezes || pre === "success");
  if (wasSnapshotTaken) await snapshot();
  // Also after a pre script that failed or still runs.
  const post = await runScript(config.postScriptLocation, config.postScriptParams);
  const isGood = pre === "success" && post === "success";
  const isBackup = wasSnapshotTaken && mayGoOn(post) && (freezes || isGood);
  return {
    result: {
      verdict: !isBackup ? "failed" : isGood ? "application-consistent" : "file-system-consistent",
      wasSnapshotTaken,
      pre,
      post,
    },
    async close() {
      for (const child of children) {
        await child.stdout.cancel();
        await child.stderr.cancel();
      }
    },
    codes: Promise.all(children.map(async ({ status }) => (await status).code)),
  };
}
