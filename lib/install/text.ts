/** What install and uninstall do, and what there is to install, in lines for people. Pure. */
import { octal } from "../base/mode.ts";
import { type CallerFacts, type Form, installCommand } from "../callers/table.ts";
import type { Receipt } from "../hooks/receipt.ts";
import type { Step } from "../hooks/tree.ts";
import { formatDuration } from "../base/duration.ts";

/** Steps, one a line; `isDone` tells what has happened from what would. */
export function stepsText(steps: readonly Step[], isDone: boolean): string[] {
  return steps.map((step) => {
    switch (step.do) {
      case "make-directory":
        return line(isDone ? "made" : "make", `${step.path}/ (${octal(step.mode)})`);
      case "move":
        return line(isDone ? "moved" : "move", `${step.path} to ${step.to}`);
      case "write":
        return line(isDone ? "wrote" : "write", `${step.path} (${octal(step.mode)})`);
      case "remove":
        return line(isDone ? "removed" : "remove", step.path);
      case "remove-directory":
        return line(isDone ? "removed" : "remove", `${step.path}/, if empty`);
      default:
        return step satisfies never;
    }
  });
}

/** The same with the text of every file, for --dry-run. */
export function dryRunText(steps: readonly Step[]): string[] {
  const lines = stepsText(steps, false);
  return steps.flatMap((step, index) => [
    lines[index] ?? "",
    ...(step.do === "write" && step.text !== ""
      ? step.text.trimEnd().split("\n").map((text) => `    | ${text}`)
      : []),
  ]);
}

/** Every caller, where its hooks go, and what it does with them. */
export function listText(
  callers: readonly CallerFacts[],
  receipt: Receipt,
  program: string,
): string {
  return callers.map((caller) => {
    const installed = receipt.installs.find(({ caller: name }) => name === caller.name);
    const state = installed === undefined
      ? ""
      : ` [installed: ${installed.form}, version ${installed.version}]`;
    const links = caller.forms.flatMap(({ files }) =>
      files.flatMap(({ path }) => isLinkable(caller, path) ? [`ln -s ${program} ${path}`] : [])
    );
    return [
      `${caller.name}: ${caller.title}${state}`,
      ...caller.forms.flatMap((form) => formLines(caller, form)),
      line("calls", caller.calls),
      line("limits", `${caller.limits}; freeze_timeout ${formatDuration(caller.freezeTimeoutMs)}`),
      line("between", caller.freezesFilesystems ? "filesystems are frozen" : "filesystems go on"),
      ...links.map((command) => line("or link", command)),
      line("source", caller.source),
    ].join("\n");
  }).join("\n\n");
}

function formLines(caller: CallerFacts, form: Form): string[] {
  const veto = form.canVeto === null
    ? "what a failing freeze does is not published"
    : `a failing freeze ${form.canVeto ? "stops" : "does not stop"} the snapshot`;
  return [
    line(form.name, `${installCommand(caller.name, form.option)}: ${form.brief}; ${veto}`),
    ...form.files.map(({ path, mode }) => line("", `${path} (root, ${octal(mode)})`)),
    ...form.switches.map(({ path, section, key, value }) =>
      line("", `${path}: [${section}] ${key}=${value}`)
    ),
    ...form.logs.map((path) => line("", path)),
  ];
}

/** Callers that pass a verb or look for a name of ours need no shell. */
function isLinkable(caller: CallerFacts, path: string): boolean {
  const name = path.slice(path.lastIndexOf("/") + 1);
  return [...caller.programs.pre, ...caller.programs.post].includes(name) ||
    caller.forms.some(({ files }) =>
      files.some((file) => file.path === path && file.role === "by-verb")
    );
}

function line(label: string, text: string): string {
  return `  ${label.padEnd(10)}  ${text}`;
}
