/** Findings about hooks: whether each caller will find its own tonight, and run it. Pure. */
import {
  type Caller,
  CALLER_TABLE,
  type Form,
  type HookFile,
  installCommand,
} from "../callers/table.ts";
import { readMark } from "../hooks/hook_text.ts";
import { isSwitchedOn, wantedFiles } from "../hooks/wanted.ts";
import { type Install, type InstalledFile, isUntouched, type Receipt } from "../hooks/receipt.ts";
import { digestOf, type Entry, type Tree } from "../hooks/tree.ts";
import { parentOf } from "../base/paths.ts";
import { isRefusal, type Refusal } from "../base/refusal.ts";
import { shellWord } from "../base/shell.ts";
import { type Finding, finding, fromRefusal } from "./finding.ts";
import { octal } from "../base/mode.ts";

/** What is known of hooks. */
export interface HookFacts {
  readonly tree: Tree;
  readonly receipt: Receipt | Refusal;
  /** Absolute path of this program. */
  readonly program: string;
  readonly version: string;
  /** Every file in the directories that callers run as a whole. */
  readonly inDirectories: readonly string[];
  /** What of the program's path others than root could change, or null. */
  readonly unsafe: { readonly path: string; readonly why: string; readonly remedy: string } | null;
}

/** Statements by which a script locks or flushes a whole server itself, such as QEMU's sample does. */
const LOCKS_SERVERS =
  /\bflush\s+(?:local\s+|no_write_to_binlog\s+)?tables\b|\bbackup\s+stage\b|\block\s+instance\s+for\s+backup\b/i;

/** What a link leads to by its name, where its content is not ours to read. */
const SOUNDS_LIKE_IT = /mysql|mariadb|percona|quiesce/i;

/** Names that the callers' dispatchers leave out (`fsfreeze-hook` of QEMU, `is_ignored_file`). */
const IGNORED_NAME = /~$|\.(?:bak|orig|sample|rpmnew|rpmorig|rpmsave|dpkg-[a-z]+)$/;

/** The bits that a caller's own check of a hook looks at: what its owner may do. */
const OWNER_BITS = 0o700;

/** Says what is wrong with hooks. */
export function hookFindings(facts: HookFacts): Finding[] {
  const { receipt, unsafe } = facts;
  if (isRefusal(receipt)) return [fromRefusal(receipt)];
  const { installs } = receipt;
  const found = installs.flatMap((install) => ofInstall(install, facts));
  return [
    ...found,
    ...(installs.length === 0 || unsafe === null ? [] : [ofUnsafe(unsafe)]),
    ...ofOthers(facts, receipt),
    ...ofOtherMethods(facts),
    ...(installs.length < 2 ? [] : [finding(
      "several-callers",
      `Hooks for ${
        installs.map(({ caller }) => caller).join(" and ")
      } are installed: each snapshot may be frozen by one of them only`,
    )]),
  ];
}

function ofInstall(install: Install, facts: HookFacts): Finding[] {
  const { caller, option, files } = install;
  const again = installCommand(caller, option);
  const form = CALLER_TABLE[caller].forms.find((one) =>
    one.option === option && one.files.some(({ path }) => files.some((file) => file.path === path))
  );
  return [
    ...ofProgram(install, again, facts),
    ...files.flatMap((file) => ofFile(file, again, install, form, facts)),
    ...(form === undefined ? [] : ofForm(caller, form, again, facts)),
  ];
}

/** A program that is gone takes every hook with it; another one here makes them old. */
function ofProgram({ caller, program }: Install, again: string, { tree }: HookFacts): Finding[] {
  return tree.look(program) !== null ? [] : [finding(
    "hook-program-missing",
    `The hooks for ${caller} start ${program}, which is not there`,
    { remedy: again },
  )];
}

function ofFile(
  file: InstalledFile,
  again: string,
  { caller, program }: Install,
  form: Form | undefined,
  facts: HookFacts,
): Finding[] {
  const { path } = file;
  // What became of a switch is asked for separately.
  if (file.edit !== null) return [];
  const entry = facts.tree.look(path);
  const isHook = form?.files.some((one) => one.path === path) ?? false;
  if (entry === null) {
    return [finding(
      isHook ? "hook-missing" : "installed-file-missing",
      `${path} was installed for ${caller} and is gone`,
      { remedy: again },
    )];
  }
  if (!isHook || isLink(entry, facts.program)) return [];
  const [wanted] = form === undefined
    ? []
    : wantedFiles(caller, form, facts.program, facts.version).filter((one) => one.path === path);
  if (entry.kind === "file" && entry.text !== null && wanted?.isAsGood(entry.text)) {
    return ofRights(path, entry, file.mode, again);
  }
  if (entry.kind !== "file" || !isUntouched(file, entry.sha256)) {
    const remedy = `mv ${path} /root/ && ${again}`;
    const isStillOurs = entry.kind === "file" && entry.text !== null &&
      readMark(entry.text) !== null;
    return [
      isStillOurs
        ? finding("hook-changed", `${path} was changed since it was installed`, { remedy })
        : finding("hook-replaced", `${path} is not ours any more: ${caller} does not freeze`, {
          remedy,
        }),
    ];
  }
  return [
    ...ofRights(path, entry, file.mode, again),
    ...(wanted === undefined || digestOf(wanted.text) === entry.sha256 ||
        facts.tree.look(program) === null
      ? []
      : [finding(
        "hook-outdated",
        `${path} is of version ${readMark(entry.text ?? "")?.version ?? "unknown"} and starts ${
          shellWord(program)
        }; expected ${facts.version} and ${shellWord(facts.program)}`,
        { remedy: again },
      )]),
  ];
}

/** Each caller has its own rules; the modes that were installed keep all of them. */
function ofRights(
  path: string,
  { mode, uid }: Extract<Entry, { kind: "file" }>,
  wanted: number,
  again: string,
): Finding[] {
  const isRunnable = (mode & OWNER_BITS) === (wanted & OWNER_BITS);
  const isTooOpen = (mode & ~wanted) !== 0;
  return isRunnable && !isTooOpen && uid === 0 ? [] : [finding(
    "hook-not-runnable",
    `${path} has mode ${octal(mode)} and user ${uid}; its caller expects ${octal(wanted)} and root`,
    { remedy: again },
  )];
}

function ofForm(caller: Caller, form: Form, again: string, { tree }: HookFacts): Finding[] {
  const { needs } = form;
  const dispatcher = needs === null ? null : tree.look(needs.path);
  return [
    ...form.switches.filter((one) => !isSwitchedOn(one, tree)).map((
      { path, section, key, value },
    ) =>
      finding(
        "switch-off",
        `${path} has no ${key}=${value} in [${section}]: ${caller} runs no hook`,
        {
          remedy: again,
        },
      )
    ),
    ...ofNaming(caller, form, tree),
    ...(needs === null || dispatcher?.kind !== "file" || (dispatcher.mode & 0o100) !== 0 ? [] : [
      finding(
        "dispatcher-not-runnable",
        `${needs.path} is not executable: ${caller} runs no hook`,
        {
          remedy: `chmod 0755 ${needs.path}`,
        },
      ),
    ]),
    ...(needs === null || dispatcher !== null ? [] : [finding(
      "dispatcher-missing",
      `${needs.path}, which runs the hook for ${caller}, is missing`,
      {
        remedy: `locktables uninstall ${caller} && mkdir -p ${parentOf(needs.path)} && ${
          installCommand(caller, "--direct")
        }`,
      },
    )]),
  ];
}

/** A hook that a caller's configuration does not name is never run. */
function ofNaming(caller: Caller, { namedIn }: Form, tree: Tree): Finding[] {
  if (namedIn === null) return [];
  const { path, hook } = namedIn;
  const entry = tree.look(path);
  const lines = entry?.kind === "file" ? (entry.text ?? "").split("\n") : [];
  const isNamed = lines.some((line) => line.includes(hook) && !/^\s*[#;]/.test(line));
  return isNamed ? [] : [finding(
    "hook-not-named",
    `${path} does not name ${hook}: ${caller} runs no hook. See docs/callers/${caller}.md`,
  )];
}

function ofUnsafe({ path, why, remedy }: NonNullable<HookFacts["unsafe"]>): Finding {
  return finding("program-unsafe", `Hooks run as root a program that is not safe: ${path} ${why}`, {
    remedy,
  });
}

/** Hooks that are not in the receipt, and callers that have none. */
function ofOthers({ tree, program }: HookFacts, { installs }: Receipt): Finding[] {
  const placed = Object.values(CALLER_TABLE).flatMap(({ name, forms }) =>
    forms.map((form) => ({
      caller: name,
      form,
      files: form.files.filter(({ path }) => isOurs(tree.look(path), program)),
    }))
  ).filter(({ files }) => files.length > 0);
  const strays = placed.map((one) => ({
    ...one,
    files: one.files.filter(({ path }) => !isReceipted(path, installs)),
  })).filter(({ files }) => files.length > 0);
  return [
    ...strays.flatMap(({ caller, form, files }) => {
      const paths = files.map(({ path }) => path).join(" ");
      const index = placed.findIndex((one) => one.form === form);
      const others = placed.filter((one, other) =>
        one.caller === caller && one.form !== form &&
        (other < index || one.files.some(({ path }) => isReceipted(path, installs)))
      );
      if (others.length > 0) {
        return [finding(
          "hook-twice",
          `${caller} finds hooks of ours twice and would freeze twice: ${paths} beside ${
            others[0]?.files[0]?.path ?? ""
          }`,
          { remedy: `rm ${paths}` },
        )];
      }
      // A link has no version and nothing to take back: it is as good without a receipt.
      const isAllLinks = files.every(({ path }) => tree.look(path)?.kind === "link");
      return isAllLinks ? [] : [finding(
        "hook-unrecorded",
        `${paths}: locktables hooks that are not in the receipt; uninstall would not remove them`,
        { remedy: installCommand(caller, form.option) },
      )];
    }),
    ...(installs.length > 0 || placed.length > 0 ? [] : ofNone(tree)),
  ];
}

/** The directories of hooks that their callers run file by file. */
export const HOOK_DIRECTORIES: readonly string[] = [
  ...new Set(
    Object.values(CALLER_TABLE).flatMap(({ forms }) =>
      forms.flatMap(({ files }) => files.map(({ path }) => parentOf(path)))
    ).filter((path) => /\.d$|\/plugins$/.test(path)),
  ),
];

/** Scripts beside our hooks, or in the place of some, that lock the servers themselves. */
function ofOtherMethods({ tree, program, inDirectories }: HookFacts): Finding[] {
  const places = Object.values(CALLER_TABLE).flatMap(({ forms }) =>
    forms.flatMap(({ files }) => files.map(({ path }) => path))
  );
  const others = [...new Set([...places, ...inDirectories])].filter((path) => {
    if (IGNORED_NAME.test(path)) return false;
    const entry = tree.look(path);
    if (isOurs(entry, program)) return false;
    return entry?.kind === "file" && LOCKS_SERVERS.test(entry.text ?? "") ||
      entry?.kind === "link" && SOUNDS_LIKE_IT.test(entry.target ?? "");
  });
  return others.length === 0 ? [] : [finding(
    "other-method-hook",
    `Another script locks the same servers for each snapshot, beside locktables: ${
      others.map((path) => {
        const entry = tree.look(path);
        return entry?.kind === "link" ? `${path} (a link to ${entry.target})` : path;
      }).join(", ")
    }`,
    { remedy: `mv ${others.map(shellWord).join(" ")} /root/` },
  )];
}

function ofNone(tree: Tree): Finding[] {
  const there = Object.values(CALLER_TABLE).filter(({ agents }) =>
    agents.some((path) => tree.look(path) !== null)
  );
  // Others need not have the servers' volumes in their snapshots.
  const present = there.find(({ scope }) => scope === "guest");
  if (present === undefined) {
    const others = there.map(({ name }) => name).join(" and ");
    return [finding(
      "no-hooks",
      `No hooks are installed, and ${
        others === "" ? "no caller's agent" : `of callers only ${others}, for chosen volumes,`
      } is on this guest: see locktables install --list`,
    )];
  }
  return [finding(
    "caller-without-hooks",
    `No hooks are installed: ${present.name} takes its snapshots without a lock`,
    { remedy: usualInstall(present.name, present.forms, tree) },
  )];
}

/** Where the usual form needs something that is not there, another one may not. */
function usualInstall(caller: Caller, forms: readonly Form[], tree: Tree): string {
  const usable = forms.find(({ needs }) => needs === null || tree.look(needs.path) !== null);
  return installCommand(caller, usable?.option ?? null);
}

function isOurs(entry: Entry | null, program: string): boolean {
  return isLink(entry, program) ||
    entry?.kind === "file" && entry.text !== null && readMark(entry.text) !== null;
}

function isLink(entry: Entry | null, program: string): boolean {
  return entry?.kind === "link" && entry.target === program;
}

function isReceipted(path: HookFile["path"], installs: readonly Install[]): boolean {
  return installs.some(({ files }) => files.some((file) => file.path === path));
}
