/** Every command, with its options and its page of the help. */
import { formatDuration } from "../base/duration.ts";
import { type Caller, CALLER_TABLE, CALLERS, INSTALLABLE } from "../callers/table.ts";
import { hookCallOf, hookNamesOf } from "../callers/call.ts";
import { helpOf, namesOf, overview } from "./help.ts";
import { sayUnknown } from "../commands/plugin.ts";
import {
  ageOption,
  choiceArgument,
  choiceArguments,
  choiceOption,
  type Command,
  completionScript,
  define,
  durationOption,
  fields,
  flag,
  foundArgument,
  hintFor,
  PROGRAM,
  SHELL_NAMES,
  textOption,
} from "./parser.ts";
import { print, refuse } from "./say.ts";

/** Longest hold of a rehearsal: longer holds are maintenance, not a rehearsal. */
const HOLD_LIMIT_MS = 15 * 60_000;

/** A hold long enough to see writers wait, and short enough for a server in use. */
const HOLD_DEFAULT_MS = 2_000;

/** Ten years: the history is cut long before. */
const HISTORY_LIMIT_MS = 3_660 * 24 * 60 * 60_000;

/** A year: whoever backs up less often is not reminded by a monitor. */
const AGE_LIMIT_MS = 366 * 24 * 60 * 60_000;

const WHO = `Who takes the snapshot: ${CALLERS.join(", ")}`;

const json = flag("--json", "Print one JSON object instead of sentences");

const dryRun = flag("--dry-run", "Say exactly what would be done, and do nothing");

/** What install and uninstall know besides callers; as in `lib/commands/install_metrics.ts`. */
const PROMETHEUS = "prometheus";

const callers = choiceArguments(
  "CALLER",
  [...INSTALLABLE, PROMETHEUS],
  `Who takes the snapshot: ${
    INSTALLABLE.join(", ")
  }; or ${PROMETHEUS}, which reads the windows' numbers`,
);

/** The callers among them, each once, and whether the metrics are meant. */
function chosenOf(words: readonly (Caller | typeof PROMETHEUS)[]) {
  const isCaller = (word: typeof words[number]): word is Caller => word !== PROMETHEUS;
  return { chosen: [...new Set(words.filter(isCaller))], metrics: words.includes(PROMETHEUS) };
}

/** `--caller`, with what it is good for in this command. */
function callerOption(purpose: string) {
  return choiceOption("--caller", CALLERS, `${WHO}. ${purpose}`);
}

/** Options that choose another than the usual form of a caller's hooks. */
const formOptions = {
  legacy: flag("--legacy", "vmware: the legacy script names, for products that call no other"),
  direct: flag("--direct", "qemu: in place of the dispatcher, so that a failing freeze is heard"),
} as const;

/** In the order of the help. The internal `locker` command is deliberately left out. */
export const COMMANDS: readonly Command[] = [
  define({
    name: "pre-freeze",
    brief: "Lock the servers, before the snapshot",
    details: `
Opens a window: waits until no long statement is in the way, locks every
configured server, writes binlog coordinates to disk, flushes the disks, and
returns while a background process keeps the lock. Close it with post-thaw.
Otherwise the lock is released automatically after hold_timeout (60s unless
set).

Exit 0: every server is locked, its data is on disk, and its coordinates are
recorded on disk. After any other exit nothing is locked by this call.
(With on_failure=proceed also 0 without a lock; a line on stderr says so.)

Also called as: ${namesOf("pre-freeze")}`,
    parser: fields({
      caller: callerOption("Decides how long the freeze may take, unless freeze_timeout is set"),
    }),
    run: async (value) => {
      const { preFreeze } = await import("../commands/pre_freeze.ts");
      return await preFreeze(value.caller ?? null);
    },
  }),
  define({
    name: "post-thaw",
    brief: "Unlock, after the snapshot, and say what it is worth",
    details: `
Closes the window: releases the lock first, then compares the coordinates and
says whether the snapshot is application-consistent. Safe to repeat, and safe
when nothing is open. While pre-freeze still works, it cancels it.

Exit 0: the lock was held without a gap since pre-freeze returned, or there was
nothing to close (it says which).
Exit 12: the lock expired or was lost: that snapshot is only crash-consistent.
(Or pre-freeze was killed, which VMware Tools treat as success.)

Also called as: ${namesOf("post-thaw")}
(freezeFail: the caller gave up its snapshot; closed as aborted, exit 0)`,
    parser: fields({ caller: callerOption("Accepted for symmetry; changes nothing here") }),
    run: async () => {
      const { postThaw } = await import("../commands/post_thaw.ts");
      return await postThaw(false, null);
    },
  }),
  define({
    name: "status",
    brief: "Say whether a lock is held now, and how the last window ended",
    details: `
Only looks; changes nothing and needs no connection to a server.

Exit 0: printed, whatever the state is; with --max-age: the last window was
application-consistent, and not longer ago.
Exit 12: with --max-age, it was not; stderr says why. Rehearsals do not count.

With --nagios it is a plugin for Nagios, Icinga and the like: one line with
measures, and exit 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.

Examples: locktables status --max-age 26h
          locktables status --nagios --max-age 26h --warn-hold 5s`,
    parser: fields({
      json,
      nagios: flag("--nagios", "One line and the exit code of a monitoring plugin"),
      maxAge: ageOption(
        "--max-age",
        { minMs: 1_000, maxMs: AGE_LIMIT_MS, examples: ["26h", "8d"] },
        "How old the last application-consistent window may be",
      ),
      warnHold: ageOption(
        "--warn-hold",
        { minMs: 1, maxMs: HOLD_LIMIT_MS, examples: ["5s", "30s"] },
        "With --nagios: WARNING where the last window held its lock for longer",
      ),
    }),
    run: async ({ json, nagios, maxAge = null, warnHold = null }) => {
      if (nagios && json) return await sayUnknown("--nagios prints one line; leave out --json");
      if (!nagios && warnHold !== null) {
        return await refuse("--warn-hold is for --nagios.", "status ");
      }
      const { status } = await import("../commands/status.ts");
      return await status({
        asJson: json,
        asPlugin: nagios,
        maxAgeMs: maxAge,
        warnHoldMs: warnHold,
      });
    },
  }),
  define({
    name: "history",
    brief: "Show the windows so far, and what each was worth",
    details: `
One line for each of the last 500 windows, and before them of 90 days for each
bad one and for one good one an hour, the newest last: when and by whom it was
opened, what its image is worth, how long pre-freeze took, how long the lock
was held, the longest time for which writers had to wait, and why a bad one is
bad. With WINDOW, the beginning of its id or the word last, that one alone, and
drawn as bars: # where writers waited, = where they did not, * where the disks
were frozen.

--html prints a page to look at or to mail: a calendar of the nights, what they
cost, the slowest windows, and what to do about the bad ones. It is one file
without scripts.

Exit 0: printed.

Examples: locktables history --since 7d
          locktables history last
          locktables history --html > windows.html`,
    parser: fields({
      window: foundArgument(
        "WINDOW",
        (word) =>
          /^([0-9a-f-]{4,36}|last)$/i.test(word)
            ? { found: word }
            : { wrong: `WINDOW is "${word}", expected the beginning of an id, or last.` },
        () => ["last"],
        "The beginning of a window's id, or last; without it, all",
      ),
      since: ageOption(
        "--since",
        { minMs: 1_000, maxMs: HISTORY_LIMIT_MS, examples: ["24h", "7d", "30d"] },
        "Only windows that were opened so long ago or later",
      ),
      caller: callerOption("Only windows of this caller"),
      json,
      html: flag("--html", "Print one page of HTML to look at"),
    }),
    run: async ({ window = null, since = null, caller = null, json, html }) => {
      if (json && html) return await refuse("--json and --html exclude each other.", "history ");
      const { history } = await import("../commands/history.ts");
      return await history({
        sinceMs: since,
        caller,
        form: json ? "json" : html ? "html" : "text",
        window,
      });
    },
  }),
  define({
    name: "metrics",
    brief: "Print the windows' numbers for Prometheus",
    details: `
The same text is written into the directory of node_exporter's textfile
collector after each window (metrics_file in [locktables] of /root/.my.cnf).
Only looks; locktables_window_open is that of now.

Exit 0: printed.`,
    parser: fields({}),
    run: async () => {
      const { metrics } = await import("../commands/metrics.ts");
      return await metrics();
    },
  }),
  define({
    name: "check",
    brief: "Find what would make tonight's freeze fail, without locking",
    details: `
Logs in as pre-freeze does and asks; locks nothing, changes nothing, starts no
program, and ends within 10 seconds. Prints errors, warnings and notes, each
with a command that ends it, ready to be copied, where there is one.

With --notify it only starts /etc/locktables/notify with a notice of nothing, as
a report of a bad window would.

Exit 0: no error was found; warnings and notes do not count.
Otherwise the code that pre-freeze would have had: 20, 21, 22, 10 or 11.

Example: locktables check --json`,
    parser: fields({
      json,
      notify: flag("--notify", "Try out /etc/locktables/notify, and check nothing else"),
    }),
    isGranted: true,
    run: async (value) => {
      if (value.notify) {
        if (value.json) return await refuse("--json is not for --notify.", "check ");
        const { checkNotify } = await import("../commands/check_notify.ts");
        return await checkNotify();
      }
      const { check } = await import("../commands/check.ts");
      return await check(value.json);
    },
  }),
  define({
    name: "rehearse",
    brief: "Open and close a real window without a snapshot, and time it",
    details: `
Locks the servers for real, as pre-freeze does: writers wait for as long as the
rehearsal holds. Shows what took how long, and how long writers would stall.

Exit 0: the window was good: locked, held without a gap, released.

Example: locktables rehearse --hold 500ms`,
    parser: fields({
      hold: durationOption(
        "--hold",
        { minMs: 0, maxMs: HOLD_LIMIT_MS, defaultMs: HOLD_DEFAULT_MS },
        `How long to hold the lock, 0s to ${formatDuration(HOLD_LIMIT_MS)}; ${
          formatDuration(HOLD_DEFAULT_MS)
        } by default`,
      ),
      json,
    }),
    run: async (value) => {
      const { rehearse } = await import("../commands/rehearse.ts");
      return await rehearse({ holdMs: value.hold, asJson: value.json });
    },
  }),
  define({
    name: "verify",
    brief: "In a restored image: say whether it is what the record promises",
    details: `
Reads the record that lies in the image and compares with it the server that was
started on the image: who it is, up to which transaction it goes, whether its
tables are sound. Locks nothing and changes nothing. Ctrl-C ends it in good
order. What it cannot know, it says.

The record was written under the lock. Whether the lock held until the snapshot
was taken is known on the source, and --verdict brings it: what
${PROGRAM} status --json printed there.

--datadir looks at the binlog of an image before a server runs on it, and asks
only a server that runs on that directory. The record is the one beside it, as
in /var/lib: mount the image below /var/lib/locktables/image.

Exit 0: as-promised. 30: recoverable, sound but not as promised. 31: damaged.
32: unknown, with the reasons.

Examples: ${PROGRAM} verify
          ${PROGRAM} verify --full --json
          ssh SOURCE ${PROGRAM} status --json | ${PROGRAM} verify --verdict -`,
    parser: fields({
      json,
      quick: flag("--quick", "Ask the server alone, and leave the contents of tables out"),
      full: flag("--full", "Check every table; by default only those without transactions"),
      commands: flag("--commands", "Print how to go on from the image, and nothing else"),
      verdict: textOption("--verdict", "FILE", "What the source says of the window; - is stdin"),
      datadir: textOption(
        "--datadir",
        "DIR",
        "Look at the files of an image, before a server runs",
      ),
    }),
    run: async ({ json, quick, full, commands, verdict, datadir }) => {
      if (quick && full) return await refuse("--quick and --full exclude each other.", "verify ");
      const { verify } = await import("../commands/verify.ts");
      return await verify({
        level: quick ? "quick" : full ? "full" : "default",
        asJson: json,
        commandsOnly: commands,
        verdictFile: verdict ?? null,
        datadir: datadir ?? null,
      });
    },
  }),
  define({
    name: "install",
    brief: "Put hooks where the snapshot's caller looks for them",
    details: `
CALLER is who takes the snapshot; ${PROGRAM} install --list shows each with its
paths, its rules and its limits, and which of them a product with another name
is. Files that it did not create are never
overwritten (exit 22, names the file). It makes directories, sets the caller's
switches, and prints what it cannot do itself. Safe to repeat.

With prometheus it writes the windows' numbers where node_exporter's textfile
collector looks (metrics_file in [locktables]), and check sees that they stay
fresh there.

Exit 0: the hooks are in place, and have been verified.

Examples: ${PROGRAM} install vmware
          ${PROGRAM} install qemu --direct --dry-run
          ${PROGRAM} install prometheus`,
    parser: fields({
      callers,
      list: flag("--list", "Show every caller, and install nothing"),
      dryRun,
      replace: flag("--replace", "Keep what is in the way beside it; uninstall puts it back"),
      ...formOptions,
    }),
    isGranted: true,
    run: async ({ callers, list, dryRun, replace, legacy, direct }) => {
      const { install, listCallers } = await import("../commands/install.ts");
      if (list) return await listCallers();
      const { chosen, metrics } = chosenOf(callers);
      if (callers.length === 0) {
        await listCallers();
        return await refuse(`No CALLER: ${INSTALLABLE.join(", ")}, ${PROMETHEUS}.`, "install ");
      }
      const options = [...(legacy ? ["--legacy"] : []), ...(direct ? ["--direct"] : [])];
      const stray = options.find((name) =>
        !chosen.some((caller) => CALLER_TABLE[caller].forms.some((form) => form.option === name))
      );
      if (stray !== undefined) {
        return await refuse(`${stray} is not for ${callers.join(", ")}.`, "install ");
      }
      const hooks = chosen.length === 0
        ? 0
        : await install({ callers: chosen, formOptions: options, replace, dryRun });
      if (hooks !== 0 || !metrics) return hooks;
      const { installMetrics } = await import("../commands/install_metrics.ts");
      return await installMetrics(dryRun);
    },
  }),
  define({
    name: "uninstall",
    brief: "Take the hooks away, and put back what was there before",
    details: `
Without CALLER: all of them, and with the last one the records of windows too,
if they began with the installation. Refuses while a window is open (exit 11),
and where a hook was changed since it was installed (exit 22). The program
itself stays.

Exit 0: done, or there was nothing to do.`,
    parser: fields({
      callers,
      dryRun,
      force: flag("--force", "Remove also what was changed since it was installed"),
      own: flag("--own", "Leave hooks that call a program at another path"),
    }),
    isGranted: true,
    run: async ({ callers, dryRun, force, own }) => {
      const { uninstall } = await import("../commands/uninstall.ts");
      const { chosen, metrics } = chosenOf(callers);
      return await uninstall({ callers: chosen, metrics, own, force, dryRun });
    },
  }),
  define({
    name: "completions",
    brief: "Print the script that completes locktables in a shell",
    details: `
  bash  locktables completions bash > /etc/bash_completion.d/locktables
  zsh   locktables completions zsh > "\${fpath[1]}/_locktables"
  fish  locktables completions fish > ~/.config/fish/completions/locktables.fish

To try it in this shell first: eval "$(locktables completions bash)"

Exit 0: printed.`,
    parser: fields(
      { shell: choiceArgument("SHELL", SHELL_NAMES, "bash, zsh or fish") },
      "completions needs a SHELL: bash, zsh or fish.",
    ),
    run: (value) => print(completionScript(value.shell)),
  }),
  define({
    name: "help",
    brief: "Explain a command",
    details: `
Exit 0: printed.`,
    parser: fields({
      topic: foundArgument(
        "COMMAND",
        (word) => {
          const found = commandNamed(word);
          return found === undefined ? { wrong: unknownCommand(word) } : { found: found.name };
        },
        () => COMMANDS.map(({ name }) => name),
        "A command, or a caller's name for it; without it, everything",
      ),
    }),
    run: (value) => print(pageOf(commandNamed(value.topic ?? ""))),
  }),
];

/** A command by its name or by one of a caller's. */
export function commandNamed(name: string): Command | undefined {
  const own = hookCallOf("", [name])?.command ?? name;
  return COMMANDS.find((one) => one.name === own);
}

/** The page of one command, or that of all. */
export function pageOf(one: Command | undefined): string {
  return one === undefined ? overview(COMMANDS) : helpOf(COMMANDS, one);
}

/** What is wrong with a first word that is no command. */
export function unknownCommand(name: string): string {
  const { verbs: pre } = hookNamesOf("pre-freeze");
  const { verbs: post } = hookNamesOf("post-thaw");
  const names = [...COMMANDS.map((one) => one.name), ...pre, ...post];
  return `Unknown command "${name}". ${hintFor(name, names)}`.trim();
}
