/**
 * What install and uninstall would do to a guest: steps, and the receipt that will be true
 * afterwards; or why they refuse. Pure: a tree to look at comes in, nothing is changed.
 */
import { EXIT, isRefusal, type Refusal, refusal } from "../base/refusal.ts";
import { INSTALL_PATHS } from "../callers/rights.ts";
import {
  type Caller,
  CALLER_TABLE,
  DIRECTORY_MODES,
  type Form,
  installCommand,
  type Switch,
} from "../callers/table.ts";
import { hookText, isAsGood, readMark } from "../hooks/hook_text.ts";
import { iniValue, withIniValue } from "../hooks/ini.ts";
import { type Install, type InstalledFile, isUntouched, type Receipt } from "../hooks/receipt.ts";
import { digestOf, type Entry, type Step, type Tree } from "../hooks/tree.ts";
import { parentOf } from "../base/paths.ts";

/** systemd-tmpfiles makes the run directory at boot, with the label that SELinux wants. */
const TMPFILES = {
  path: "/etc/tmpfiles.d/locktables.conf",
  text: `# Made by: locktables install. See tmpfiles.d(5).
d /run/veeam 0700 root root -
`,
  mode: 0o644,
  keepAt: "/etc/tmpfiles.d/locktables.conf.locktables-kept",
  isAsGood: () => false,
} as const;

/** How a file begins that install made for a caller's switch. */
const MADE_BY = "# Made by: locktables install";

/** The usual mode of a directory for hooks. */
const DIRECTORY_MODE = 0o755;

/** The agent reports into it; others have no business there. */
const LOG_MODE = 0o640;

/** Name of a file that is being written, beside those that it may be moved to. */
const TEMPORARY = ".locktables-new";

/** What is to be installed. */
export interface InstallRequest {
  readonly caller: Caller;
  /** The option that chooses a form, null for the usual one. */
  readonly option: string | null;
  /** Absolute path of the program that the hooks start. */
  readonly program: string;
  readonly version: string;
  /** Whether files of somebody else's may be moved out of the way. */
  readonly replace: boolean;
  /** RFC 3339. */
  readonly now: string;
}

/** What would be done. */
export interface Plan {
  readonly steps: readonly Step[];
  /** What will be true afterwards. */
  readonly receipt: Receipt;
  /** What is worth a line, and what is left to the operator. */
  readonly told: readonly string[];
}

/** A file to put in place. */
interface Wanted {
  readonly path: string;
  readonly text: string;
  readonly mode: number;
  readonly keepAt: string;
  /** Whether what is there instead is as good. */
  readonly isAsGood: (text: string) => boolean;
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

/** The text of every hook file of a form. */
export function wantedFiles(
  caller: Caller,
  form: Form,
  program: string,
  version: string,
): readonly Wanted[] {
  return form.files.map((file) => ({
    path: file.path,
    text: hookText({ caller, form, file, program, version }),
    mode: file.mode,
    keepAt: file.keepAt,
    isAsGood: (text) => isAsGood(text, { form, file }),
  }));
}

/** Whether a caller's switch is on, or its agent is started with the hook named. */
export function isSwitchedOn(one: Switch, tree: Tree): boolean {
  const entry = tree.look(one.path);
  const text = entry?.kind === "file" ? entry.text : null;
  const value = text === null ? null : iniValue(text, one.section, one.key);
  if (
    value === one.value || (one.isOnByDefault && (value === null || !one.offValues.includes(value)))
  ) {
    return true;
  }
  return one.unitFiles.some((path) => {
    const unit = tree.look(path);
    return unit?.kind === "file" && unit.text !== null && one.unitOption.test(unit.text);
  });
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
      `Hooks for ${caller} are installed as ${before.form}; a caller that finds both freezes twice`,
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
    const refused = planSwitch(one, { request, before, tree, steps, files });
    if (refused !== null) return refused;
  }
  for (const path of form.logs) {
    const old = before?.files.find((file) => file.path === path);
    if (tree.look(path) === null) {
      steps.push(writeStep({ path, text: "", mode: LOG_MODE, keepAt: path }, null));
      files.push(logEntry(path));
    } else if (old !== undefined) files.push(old);
  }
  // Without systemd nobody reads it, and the directory is not there.
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
  /** Where the file of somebody else's is kept that was there before. */
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
      `${wanted.path} is there and no file`,
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

/** Sets a key of a caller's configuration, or makes the file. */
function planSwitch(
  one: Switch,
  { request, before, tree, steps, files }: {
    readonly request: InstallRequest;
    readonly before: Install | undefined;
    readonly tree: Tree;
    readonly steps: Step[];
    readonly files: InstalledFile[];
  },
): Refusal | null {
  const { path, section, key, value, mode, keepAt } = one;
  const old = before?.files.find((file) => file.path === path);
  const entry = tree.look(path);
  const noted = (text: string, kept: string | null, previous: string | null) => {
    const edit = { section, key, value, previous };
    const sha256 = digestOf(text);
    files.push({ path, sha256, previous_sha256: null, mode, kept, edit, is_log: false });
  };
  if (isSwitchedOn(one, tree)) {
    const before = tree.look(keepAt);
    const text = entry?.kind === "file" ? entry.text ?? "" : "";
    if (old !== undefined) files.push(old);
    // After a lost receipt: the file was ours, or what was kept tells that we have edited it.
    else if (before?.kind === "file") {
      noted(text, keepAt, iniValue(before.text ?? "", section, key));
    } else if (text.startsWith(MADE_BY)) noted(text, null, null);
    return null;
  }
  if (entry === null) {
    const text = `${MADE_BY} ${request.caller}\n${withIniValue("", section, key, value)}`;
    steps.push(writeStep({ path, text, mode, keepAt }, null));
    noted(text, null, null);
    return null;
  }
  const set = `Set ${key}=${value} in [${section}] of ${path}`;
  if (entry.kind !== "file" || entry.text === null) {
    return refuse("switch-unusable", `${path} is no text file`, set);
  }
  const current = iniValue(entry.text, section, key);
  if (current !== null && !one.offValues.includes(current) && !request.replace) {
    return refuse(
      "foreign-hook",
      `${path} has ${key}=${current}, wanted ${value}`,
      `${set}, or add --replace, and uninstall puts it back`,
    );
  }
  const text = withIniValue(entry.text, section, key, value);
  if (old !== undefined) {
    // Ours already, and switched off since: what was there before stays what is put back.
    steps.push(
      writeStep({ path, text, mode: entry.mode, keepAt }, { text: entry.text, mode: entry.mode }),
    );
    noted(text, old.kept, old.edit?.previous ?? null);
    return null;
  }
  if (tree.look(keepAt) !== null) {
    return refuse("kept-twice", `${keepAt}, where ${path} would be kept, is taken`, "Move it away");
  }
  steps.push({ do: "move", path, to: keepAt });
  steps.push(writeStep({ path, text, mode: entry.mode, keepAt }, null));
  noted(text, keepAt, current);
  return null;
}

/** What is to be uninstalled. */
export interface UninstallRequest {
  /** null: everything. */
  readonly callers: readonly Caller[] | null;
  /** Whether also what was changed since is removed. */
  readonly force: boolean;
}

/** What uninstall would do. */
export function planUninstall(
  { callers, force }: UninstallRequest,
  tree: Tree,
  receipt: Receipt,
): Plan | Refusal {
  const going = receipt.installs.filter(({ caller }) =>
    callers === null || callers.includes(caller)
  );
  const staying = receipt.installs.filter((one) => !going.includes(one));
  const isShared = (path: string) =>
    staying.some((one) => one.files.some((file) => file.path === path));
  const seen = new Set<string>();
  const steps: Step[] = [];
  const told: string[] = [];
  for (const file of going.flatMap(({ files }) => files)) {
    if (seen.has(file.path) || isShared(file.path)) continue;
    seen.add(file.path);
    const refused = planRemoval(file, { force, tree, steps, told });
    if (refused !== null) return refused;
  }
  for (const path of halfWritten(going, tree)) {
    steps.push({ do: "remove", path, temporary: path, before: { text: "", mode: LOG_MODE } });
  }
  const kept = staying.flatMap(({ directories }) => directories);
  const emptied = going.flatMap(({ directories }) => directories)
    .filter((path, index, all) => all.indexOf(path) === index && !kept.includes(path));
  steps.push(
    ...emptied.reverse().map((path) => ({ do: "remove-directory", path }) as const),
  );
  return {
    steps,
    receipt: { ...receipt, installs: staying.map((one) => inherit(one, emptied)) },
    told,
  };
}

/** What an installation that was killed has left: files that had not got their name yet. */
function halfWritten(going: readonly Install[], tree: Tree): readonly string[] {
  const places = going.flatMap(({ caller }) =>
    CALLER_TABLE[caller].forms.flatMap(({ files, switches }) => [...files, ...switches])
  );
  const paths = [TMPFILES, ...places].map(({ keepAt }) => temporaryFor(keepAt));
  return [...new Set(paths)].filter((path) => tree.look(path) !== null);
}

/** A directory made for one caller and needed by another goes with that one. */
function inherit(one: Install, emptied: readonly string[]): Install {
  const needed = emptied.filter((directory) =>
    one.files.some(({ path }) => path.startsWith(`${directory}/`)) &&
    !one.directories.includes(directory)
  ).reverse();
  return needed.length === 0 ? one : { ...one, directories: [...needed, ...one.directories] };
}

function planRemoval(
  file: InstalledFile,
  { force, tree, steps, told }: {
    readonly force: boolean;
    readonly tree: Tree;
    readonly steps: Step[];
    readonly told: string[];
  },
): Refusal | null {
  const { path, kept, edit } = file;
  const entry = tree.look(path);
  const putBack = () => {
    if (kept !== null && tree.look(kept) !== null) steps.push({ do: "move", path: kept, to: path });
  };
  if (entry === null) {
    // Somebody has removed it: what we moved away for it goes back all the same.
    putBack();
    return null;
  }
  const isUnchanged = entry.kind === "file" && isUntouched(file, entry.sha256);
  // The installation was cut short before the file of somebody else's was moved: it is not ours.
  if (!isUnchanged && kept !== null && tree.look(kept) === null && edit === null) return null;
  const isRefusedFor = (hint: string) =>
    refuse("changed-since", `${path} was changed since it was installed`, hint);
  if (entry.kind !== "file") return isRefusedFor(`It is no file any more; remove it: rm ${path}`);
  if (!isUnchanged && !file.is_log && edit === null && !force) {
    return isRefusedFor("Look at it; locktables uninstall --force removes it all the same");
  }
  if (!isUnchanged && edit !== null) {
    // Others have edited the file since: only our key is taken back.
    if (entry.text === null || iniValue(entry.text, edit.section, edit.key) !== edit.value) {
      told.push(`${path} was changed since and stays as it is`);
      return null;
    }
    const text = withIniValue(entry.text, edit.section, edit.key, edit.previous);
    const wanted = { path, text, mode: entry.mode, keepAt: kept ?? path };
    steps.push(writeStep(wanted, { text: entry.text, mode: entry.mode }));
    if (kept !== null) {
      told.push(`${path} was changed since; the file of before the installation is ${kept}`);
    }
    return null;
  }
  steps.push({
    do: "remove",
    path,
    temporary: temporaryFor(kept ?? path),
    before: { text: entry.text ?? "", mode: entry.mode },
  });
  putBack();
  return null;
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

function temporaryFor(keepAt: string): string {
  return `${parentOf(keepAt)}/${TEMPORARY}`;
}

function writeStep(
  { path, text, mode, keepAt }: Omit<Wanted, "isAsGood">,
  before: { readonly text: string; readonly mode: number } | null,
): Step {
  return { do: "write", path, temporary: temporaryFor(keepAt), text, mode, before };
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

function refuse(reason: string, summary: string, hint: string): Refusal {
  return refusal(EXIT.badSetup, reason, summary, hint);
}
