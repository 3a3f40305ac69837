/**
 * The text of the hooks: POSIX sh that dash, bash and busybox ash run alike, with an empty
 * environment and in any directory; a document for Systems Manager; a configuration for Azure.
 * Pure.
 */
import { indent, shellWord } from "../base/shell.ts";
import { WAIT_FOR_SNAPSHOT } from "../base/paths.ts";
import { type Caller, type Form, type HookFile, installCommand } from "../callers/table.ts";
import { type BothEnds, sanoidHook, snapperHook, zreplHook } from "./volume_hooks.ts";

/** What a hook is made of. */
export interface HookParts {
  readonly caller: Caller;
  readonly form: Form;
  readonly file: HookFile;
  /** Absolute path of the program. */
  readonly program: string;
  readonly version: string;
}

/** The line by which a hook of ours is known: the caller, and the version that made it. */
const MARK = /locktables-hook ([a-z-]+) ([0-9A-Za-z.+-]+)/;

/** Who made a file, and for whom; null where it is not a hook of ours. */
export function readMark(text: string): { caller: string; version: string } | null {
  const [, caller, version] = MARK.exec(text) ?? [];
  return caller === undefined || version === undefined ? null : { caller, version };
}

/** The text of one hook file. */
export function hookText(parts: HookParts): string {
  switch (parts.file.role) {
    case "by-verb":
      return byVerb(parts);
    case "pre":
      return `${head(parts)}${FREEZE}${becomeWithout(parts, "pre-freeze")}`;
    case "post":
      return `${head(parts)}${verbOfPost(parts)}${thaw(parts)}${become(parts, '"$verb"')}`;
    case "around":
      return around(parts);
    case "snapper":
      return `${head(parts)}${snapperHook(bothEnds(parts))}`;
    case "sanoid":
      return `${head(parts)}${sanoidHook(bothEnds(parts))}`;
    case "zrepl":
      return `${head(parts)}${zreplHook(bothEnds(parts))}`;
    case "ssm-document":
      return ssmDocument(parts);
    case "azure-config":
      return azureConfig(parts);
    default:
      return parts.file.role satisfies never;
  }
}

/**
 * Whether a text does for a hook what its own would, though the operator has changed it: in Azure's
 * configuration times and continueBackupOnFailure are for him to decide.
 */
export function isAsGood(text: string, { form, file }: Pick<HookParts, "form" | "file">): boolean {
  if (file.role !== "azure-config") return false;
  try {
    const config = JSON.parse(text) as Readonly<Record<string, unknown>> | null;
    return config?.["preScriptLocation"] === pathOf("pre", form) &&
      config?.["postScriptLocation"] === pathOf("post", form);
  } catch {
    return false;
  }
}

function pathOf(role: HookFile["role"], form: Form): string | undefined {
  return form.files.find((file) => file.role === role)?.path;
}

/** Where a hook finds its commands, whatever its caller's environment. */
const PATH = "PATH=/usr/sbin:/usr/bin:/sbin:/bin\n";

function head({ caller, form, program, version }: HookParts, setting = PATH): string {
  return `#!/bin/sh
# Made by: ${installCommand(caller, form.option)}. Removed by: locktables uninstall ${caller}.
# locktables-hook ${caller} ${version}
${setting}program=${shellWord(program)}
`;
}

/**
 * The locker must not inherit the caller's descriptors: open-vm-tools leak the end of a pipe, of
 * any number. They are closed in the same command that becomes the program, so that it does not
 * matter which of them the shell uses itself. dash takes `10>&-` for the word 10 and `>&-`, and
 * the function tells: it returns how many words it was given. -p: no start-up file, function or
 * option of the caller's environment.
 */
const FREEZE =
  `# The locker must not inherit the caller's descriptors (VMware Tools leak a pipe). dash can
# close only 3 to 9; bash and busybox close any.
words() { return $#; }
if eval 'words 10>&-'; then
  which='*'
elif command -v bash >/dev/null 2>&1; then
  exec bash -p "$0" "$@"
else
  which='[3-9]'
fi
close=
for fd in /proc/$$/fd/$which; do
  if [ -e "$fd" ] && [ "\${fd##*/}" -gt 2 ]; then close="$close \${fd##*/}>&-"; fi
done
`;

/**
 * The shell is up 25 ms before the program: so much sooner the clients continue. The word is what
 * tells this hook from a file that was removed by hand, and a redirection starts no program. The
 * file is removed as well, because the original method waits for its end.
 */
function thaw({ caller }: HookParts): string {
  return `# Releases the lock.
file=${WAIT_FOR_SNAPSHOT}
[ -f $file ] && echo thaw ${caller} >$file && rm -f $file
`;
}

/** A working directory that has been deleted makes the program's runtime fail. */
function become({ caller }: HookParts, word: string): string {
  return `cd / || exit 1
exec "$program" ${word} --caller ${caller}
`;
}

function becomeWithout({ caller }: HookParts, word: string): string {
  return `cd / || exit 1
set -- "$program" ${word} --caller ${caller}
eval "exec \\"\\$@\\"$close"
`;
}

function bothEnds(parts: HookParts): BothEnds {
  return {
    freeze: `${FREEZE}${becomeWithout(parts, "pre-freeze")}`,
    thaw: become(parts, "post-thaw"),
  };
}

function byVerb(parts: HookParts): string {
  return `${head(parts)}verb=\${1-}
case $verb in
  thaw | freezeFail | freezefail)
${indent(thaw(parts))}${indent(become(parts, '"$verb"'))}    ;;
esac
${FREEZE}${becomeWithout(parts, '"$verb"')}`;
}

/** VMware calls its old post-thaw-script with freezeFail when the snapshot failed. */
function verbOfPost({ caller }: HookParts): string {
  if (caller !== "vmware") return "verb=post-thaw\n";
  return `case \${1-} in
  freezeFail | freezefail) verb=freezeFail ;;
  *) verb=thaw ;;
esac
`;
}

/** The command is found by the caller's PATH. shellcheck does not see what traps and eval call. */
const OWN_PATH = "# shellcheck disable=SC2317\n";

/**
 * One window around one command, which runs in the background: a shell hears no signal while a command
 * runs in its foreground. It has the input, the process group and the terminal that it would have had.
 * A shell without job control has it ignore INT and QUIT, and bash alone can take that back: under any
 * other, TERM ends it. The standard output is the command's alone, which may write a snapshot to it.
 */
function around(parts: HookParts): string {
  return `${head(parts, OWN_PATH)}${FREEZE}case \${1-} in
  --) shift ;;
  -h | --help)
    echo 'Usage: locktables-run [--] COMMAND [ARGUMENT ...]'
    echo 'Locks the database servers, runs the command, and releases the lock. Exit code: that of the'
    echo 'command if it failed, 12 if the lock did not hold, else 0. Without a lock the command is not'
    echo 'run, and the exit code is that of: locktables pre-freeze'
    exit 0
    ;;
  -*)
    echo "locktables-run: Unknown option: $1. See: locktables-run --help" >&2
    exit 2
    ;;
esac
if [ $# -eq 0 ]; then
  echo 'locktables-run: The command is missing. See: locktables-run --help' >&2
  exit 2
fi
command=
signal=
interrupt=TERM
if [ -n "\${BASH_VERSION-}" ]; then
  interrupt=INT
  # The terminal sends it to the command itself.
  if [ -t 0 ] || [ -t 2 ]; then interrupt=; fi
fi
pass() {
  signal=$1
  woken=yes
  if [ -n "$command" ] && [ -n "\${2-}" ]; then kill -s "$2" "$command" 2>/dev/null; fi
}
trap 'pass 129 HUP' HUP
trap 'pass 130 $interrupt' INT
trap 'pass 131 $interrupt' QUIT
trap 'pass 143 TERM' TERM
(
  cd / || exit 1
  set -- "$program" pre-freeze --caller ${parts.caller}
  eval "exec \\"\\$@\\"$close" </dev/null >&2
)
code=$?
# One that a signal ended may have locked.
if [ $code -ne 0 ] && [ $code -lt 128 ]; then exit $code; fi
if [ $code -eq 0 ] && [ -n "$signal" ]; then
  code=$signal
elif [ $code -eq 0 ]; then
  exec 9<&0
  (
    trap - HUP INT QUIT TERM
    exec "$@" <&9 9<&-
  ) &
  command=$!
  exec 9<&-
  if [ -n "$signal" ]; then kill -s TERM "$command"; fi
  code=
  woken=yes
  while [ -n "$woken" ]; do
    woken=
    wait "$command"
    now=$?
    # A shell says 127 of a command that it has waited for already.
    if [ $now -ne 127 ] || [ -z "$code" ]; then code=$now; fi
  done
fi
trap '' HUP INT QUIT TERM
${thaw(parts)}(cd / && exec "$program" post-thaw --caller ${parts.caller} </dev/null >&2)
held=$?
if [ $code -eq 0 ]; then code=$held; fi
exit $code
`;
}

/**
 * The document that Data Lifecycle Manager runs. Its exit codes are those of Amazon's template
 * (docs.aws.amazon.com, ebs, "script-flow"): 201 pre-script failed, 202 post-script failed, 203 the
 * lock was gone before the post-script, 204 a window is open already, 205 nothing to close, 206 the
 * application is not ready. A post-script that finds nothing open must not succeed: DLM repeats
 * one that failed, and the first has closed the window.
 */
function ssmScript(parts: HookParts): string {
  return `${head(parts)}cd / || exit 201
finish() {
  printf '%s\\n' "$said"
  exit "$1"
}
command='{{ command }}'
case $command in
  pre-script)
    said=$("$program" pre-script --caller aws 2>&1)
    case $? in
      0) finish 0 ;;
      11) finish 204 ;;
      20) finish 206 ;;
      *) finish 201 ;;
    esac
    ;;
  post-script)
${indent(thaw(parts))}    said=$("$program" post-script --caller aws 2>&1)
    case $? in
      0) ;;
      12) finish 203 ;;
      *) finish 202 ;;
    esac
    case $said in
      *'Nothing to thaw'*) finish 205 ;;
      *) finish 0 ;;
    esac
    ;;
  dry-run)
    said=$("$program" check 2>&1) || finish 206
    finish 0
    ;;
  *)
    said='command must be pre-script, post-script or dry-run'
    finish 201
    ;;
esac
`;
}

/** Schema 2.2 of Systems Manager; DLM passes `command` and `executionId`. */
function ssmDocument(parts: HookParts): string {
  const document = {
    schemaVersion: "2.2",
    description:
      `Application-consistent snapshots of MySQL and MariaDB (locktables-hook ${parts.caller} ${parts.version})`,
    parameters: {
      executionId: {
        type: "String",
        default: "None",
        description: "Identifies the execution in Data Lifecycle Manager",
        allowedPattern:
          "^(None|[a-fA-F0-9]{8}-[a-fA-F0-9]{4}-[a-fA-F0-9]{4}-[a-fA-F0-9]{4}-[a-fA-F0-9]{12})$",
      },
      command: {
        type: "String",
        default: "dry-run",
        description: "What to do",
        allowedValues: ["pre-script", "post-script", "dry-run"],
      },
    },
    mainSteps: [{
      action: "aws:runShellScript",
      name: "locktables",
      precondition: { StringEquals: ["platformType", "Linux"] },
      inputs: {
        // The agent's own limit, above that of Data Lifecycle Manager, which ends us first.
        timeoutSeconds: "120",
        runCommand: ssmScript(parts).trimEnd().split("\n"),
      },
    }],
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

/**
 * The plugin's configuration. A backup without the lock is better than none, hence
 * continueBackupOnFailure; Azure then calls it file-system consistent. 30 s is the template's, and
 * leaves 5 to `freeze_timeout`. Keys: azure-linux-extensions VMBackup/main/PluginHost.py.
 */
function azureConfig({ form, caller, version }: HookParts): string {
  const config = {
    pluginName: "ScriptRunner",
    appName: `locktables-hook ${caller} ${version}`,
    preScriptLocation: pathOf("pre", form),
    postScriptLocation: pathOf("post", form),
    preScriptParams: [],
    postScriptParams: [],
    preScriptNoOfRetries: 0,
    postScriptNoOfRetries: 0,
    timeoutInSeconds: 30,
    continueBackupOnFailure: true,
    fsFreezeEnabled: true,
  };
  return `${JSON.stringify(config, null, 2)}\n`;
}
