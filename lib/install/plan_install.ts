/**
 * What install would do to a guest: steps, and the receipt that will be true afterwards; or why it
 * refuses. Pure: a tree to look at comes in, nothing is changed.
 */
import { parentOf } from "../base/paths.ts";
import { isRefusal, type Refusal } from "../base/refusal.ts";
import { INSTALL_PATHS } from "../callers/install_paths.ts";
import {
  type Caller,
  CALLER_TABLE,
  DIRECTORY_MODES,
  type Form,
  installCommand,
} from "../callers/table.ts";
import { readMark } from "../hooks/hook_text.ts";
import { type Install, type InstalledFile, isUntouched, type Receipt } from "../hooks/receipt.ts";
import { digestOf, type Entry, type Step, type Tree } from "../hooks/tree.ts";
import { type Wanted, wantedFiles } from "../hooks/wanted.ts";
import { LOG_MODE, type Plan, refuse, TMPFILES, writeStep } from "./steps.ts";
import { planSwitch } from "./switch.ts";

/** The usual mode of a directory for hooks. */
const DIRECTORY_MODE = 0o755;

/** What is to be installed. */
export interface InstallRequest {
  readonly caller: Caller;
  /** The option that chooses a form, null for the usual one. */
  readonly option: string | null;
  /** Absolute path of the program that the hooks start. */
  readonly program: string;
  readonly version: string;
  /** Whether files that locktables did not create may be moved out of the way. */
  readonly replace: boolean;
  /** RFC 3339. */
  readonly now: string;
}

/** The form that an option chooses, as far as it depends on the guest. */
function chooseForm(caller: Caller, option: string | null, tree: Tree): Form | Refusal {
  const forms = CALLER_TABLE[caller].forms.filter((form) => form.option === option);
  const usable = forms.find(({ needs }) => needs === null || tree.look(needs.path) !== null);
  if (usable !== undefined) return usable;
  const needed = forms.flatMap(({ needs }) => needs === null ? [] : [needs]);
  if (needed[0] === undefined) {
    throw new Error(`The command line let ${option} of ${caller} through`);
  }
  return refuse(
    "agent-missing",
    `Cannot install hooks for ${caller}: there is no ${
      needed.map(({ path }) => path).join(" and no ")
    }`,
    needed[0].otherwise,
  );
}

/** What install would do, on top of what the receipt says was done before. */
export function planInstall(
  request: InstallRequest,
  tree: Tree,
  receipt: Receipt,
): Plan | Refusal {
  const { caller, option, program, version } = request;
  const before = receipt.installs.find((one) => one.caller === caller);
  if (before !== undefined && before.option !== option) {
    return refuse(
      "other-form",
      `Hooks for ${caller} are installed as ${before.form}; installing both would freeze the server twice`,
      `Run: locktables uninstall ${caller}`,
    );
  }
  const form = chooseForm(caller, option, tree);
  if (isRefusal(form)) return form;

  const steps: Step[] = [];
  const files: InstalledFile[] = [];
  const directories = [...before?.directories ?? []];
  const told: string[] = [];
  const put = (wanted: Wanted): Refusal | null => {
    const old = before?.files.find(({ path }) => path === wanted.path) ??
      receipt.installs.flatMap((one) => one.files).find(({ path }) => path === wanted.path);
    const entry = tree.look(wanted.path);
    const replaced = replacementOf(entry, old, wanted, request, tree);
    if (isRefusal(replaced)) return replaced;
    if (replaced === "linked") {
      told.push(`${wanted.path} is a link to the program already and stays as it is`);
      return null;
    }
    const missing = makeDirectories(wanted.path, tree, steps, directories);
    if (missing !== null) return missing;
    steps.push(...replaced.steps);
    files.push({
      path: wanted.path,
      sha256: digestOf(wanted.text),
      previous_sha256: replaced.previous,
      mode: wanted.mode,
      kept: replaced.kept,
      edit: null,
      is_log: false,
    });
    return null;
  };

  for (const wanted of wantedFiles(caller, form, program, version)) {
    const refused = put(wanted);
    if (refused !== null) return refused;
  }
  for (const one of form.switches) {
    const refused = planSwitch(one, {
      caller,
      replace: request.replace,
      before,
      tree,
      steps,
      files,
    });
    if (refused !== null) return refused;
  }
  for (const path of form.logs) {
    const old = before?.files.find((file) => file.path === path);
    if (tree.look(path) === null) {
      steps.push(writeStep({ path, text: "", mode: LOG_MODE, keepAt: path }, null));
      files.push(logEntry(path));
    } else if (old !== undefined) files.push(old);
  }
  // Without systemd no program reads it, and the directory is not there.
  if (tree.look(parentOf(TMPFILES.path)) !== null) {
    const refused = put(TMPFILES);
    if (refused !== null) return refused;
  }
  const { agents } = CALLER_TABLE[caller];
  if (agents.length > 0 && agents.every((path) => tree.look(path) === null)) {
    told.push(`The agent of ${caller} is not on this guest yet: no ${agents.join(", no ")}`);
  }
  const install: Install = {
    caller,
    form: form.name,
    option,
    version,
    program,
    installed_at: steps.length === 0 && before !== undefined ? before.installed_at : request.now,
    files,
    directories,
  };
  return {
    steps,
    receipt: {
      ...receipt,
      installs: [...receipt.installs.filter((one) => one.caller !== caller), install],
    },
    // A running agent has nothing to notice where nothing was changed.
    told: [...told, ...(steps.length === 0 ? [] : form.told)],
  };
}

/** How a file gets into its place. */
interface Replacement {
  readonly steps: readonly Step[];
  /** Where the file that was there before is kept. */
  readonly kept: string | null;
  /** Digest of the file of ours that is there until then. */
  readonly previous: string | null;
}

/** How to get a wanted file into its place, given what is there. */
function replacementOf(
  entry: Entry | null,
  old: InstalledFile | undefined,
  wanted: Wanted,
  { caller, option, program, replace }: InstallRequest,
  tree: Tree,
): Replacement | "linked" | Refusal {
  // After a lost receipt what was kept is known by its name.
  const kept = old?.kept ??
    (entry !== null && tree.look(wanted.keepAt) !== null ? wanted.keepAt : null);
  if (entry === null) {
    return { steps: [writeStep(wanted, null)], kept: old?.kept ?? null, previous: null };
  }
  if (entry.kind === "link" && entry.target === program) return "linked";
  if (entry.kind === "file") {
    const isWanted = entry.sha256 === digestOf(wanted.text);
    const isRight = entry.mode === wanted.mode && entry.uid === 0;
    const previous = old?.previous_sha256 ?? null;
    if (isWanted && isRight) return { steps: [], kept, previous };
    if (entry.text !== null && wanted.isAsGood(entry.text)) {
      const { text, mode } = entry;
      const steps = isRight ? [] : [writeStep({ ...wanted, text }, { text, mode })];
      return { steps, kept, previous };
    }
    const isOurs = isWanted || (old !== undefined && isUntouched(old, entry.sha256)) ||
      (old === undefined && entry.text !== null && readMark(entry.text) !== null);
    if (isOurs && entry.text !== null) {
      const { text, mode } = entry;
      return { steps: [writeStep(wanted, { text, mode })], kept, previous: entry.sha256 };
    }
  }
  const again = installCommand(caller, option);
  if (entry.kind !== "file" && entry.kind !== "link") {
    return refuse(
      "foreign-hook",
      `${wanted.path} exists but is not a regular file`,
      `Move it away: ls -ld ${wanted.path}`,
    );
  }
  if (old !== undefined) {
    // Not kept for uninstall to put back: it would be a hook of ours again.
    return refuse(
      "changed-since",
      `${wanted.path} was changed since it was installed`,
      `Look at it, then: mv ${wanted.path} /root/ && ${again}`,
    );
  }
  if (!replace) {
    return refuse(
      "foreign-hook",
      `${wanted.path} is there and is not ours`,
      `Look at it, then: ${again} --replace, which keeps it as ${wanted.keepAt} until uninstall puts it back`,
    );
  }
  if (tree.look(wanted.keepAt) !== null) {
    return refuse(
      "kept-twice",
      `${wanted.path} is not ours, and ${wanted.keepAt}, where it would be kept, is taken`,
      "Move one of the two away",
    );
  }
  return {
    steps: [
      { do: "move", path: wanted.path, to: wanted.keepAt },
      writeStep(wanted, null),
    ],
    kept: wanted.keepAt,
    previous: null,
  };
}

function logEntry(path: string): InstalledFile {
  return {
    path,
    sha256: digestOf(""),
    previous_sha256: null,
    mode: LOG_MODE,
    kept: null,
    edit: null,
    is_log: true,
  };
}

/** Steps for the directories above a path that are missing, outermost first. */
function makeDirectories(
  path: string,
  tree: Tree,
  steps: Step[],
  made: string[],
): Refusal | null {
  const missing: string[] = [];
  for (let at = parentOf(path); at !== "/" && tree.look(at) === null; at = parentOf(at)) {
    missing.unshift(at);
  }
  for (const directory of missing) {
    if (!INSTALL_PATHS.some((ours) => directory === ours || directory.startsWith(`${ours}/`))) {
      return refuse(
        "directory-missing",
        `There is no directory ${directory} for ${path}`,
        `Make it: mkdir -p ${directory}`,
      );
    }
    if (!steps.some((step) => step.do === "make-directory" && step.path === directory)) {
      const mode = DIRECTORY_MODES[directory] ?? DIRECTORY_MODE;
      steps.push({ do: "make-directory", path: directory, mode });
    }
    if (!made.includes(directory)) made.push(directory);
  }
  return null;
}
