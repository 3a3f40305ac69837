/** What install and uninstall do, and what there is to install, in lines for people. Pure. */
import { octal } from "../base/mode.ts";
import { type CallerFacts, type Form, installCommand } from "../callers/table.ts";
import type { Product } from "../callers/products.ts";
import type { Receipt } from "../hooks/receipt.ts";
import type { Step } from "../hooks/tree.ts";
import { formatDuration } from "../base/duration.ts";
import { aligned, type Line, type Row, styled } from "../base/styled.ts";

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

/** Every caller, where its hooks go, and what it does with them: those of this guest first. */
export function listText(
  callers: readonly CallerFacts[],
  isHere: (caller: CallerFacts) => boolean,
  receipt: Receipt,
  program: string,
): Line[] {
  const here = callers.filter(isHere);
  const others = callers.filter((caller) => !here.includes(caller));
  const group = (heading: string, members: readonly CallerFacts[]): Line[] => [
    [styled("heading", heading)],
    ...members.flatMap((caller) => [[], ...callerLines(caller, receipt, program)]),
  ];
  if (here.length === 0) return group("No caller's agent is on this guest. Callers:", others);
  return [...group("On this guest:", here), [], ...group("Other callers:", others)];
}

/** Products that people know by other names, and whose hooks they run. */
export function productLines(products: readonly Product[]): Line[] {
  return [
    [styled("heading", "Products, and whose hooks they run:")],
    ...aligned(products.map(({ name, entries, condition }): Row => [
      name,
      `${
        entries.map(({ caller, option }) =>
          [caller, ...(option === null ? [] : [option])].join(" ")
        )
          .join(", ")
      }${condition === null ? "" : `: ${condition}`}`,
    ])),
    ["  Of another: vmware where it takes quiesced snapshots of vSphere, qemu where it asks the"],
    ["  QEMU guest agent, veeam where it runs scripts by their paths."],
  ];
}

function callerLines(caller: CallerFacts, receipt: Receipt, program: string): Line[] {
  const installed = receipt.installs.find(({ caller: name }) => name === caller.name);
  const state = installed === undefined
    ? []
    : [styled("good", ` [installed: ${installed.form}, version ${installed.version}]`)];
  const links = caller.forms.flatMap(({ files }) =>
    files.flatMap(({ path }) => isLinkable(caller, path) ? [`ln -s ${program} ${path}`] : [])
  );
  const forms = Map.groupBy(caller.forms, ({ name }) => name);
  return [
    [styled("heading", caller.name), `: ${caller.title}`, ...state],
    ...[...forms.values()].flatMap((variants) => formLines(caller, variants)),
    ...(caller.forms.length > 0 ? [] : [[`  nothing to install: docs/callers/${caller.name}.md`]]),
    ...aligned([
      ["calls", caller.calls],
      ["limits", `${caller.limits}; freeze_timeout ${formatDuration(caller.freezeTimeoutMs)}`],
      ["between", caller.freezesFilesystems ? "filesystems are frozen" : "filesystems go on"],
      ...links.map((command): Row => ["or link", styled("command", command)]),
      ["source", styled("aside", caller.source)],
    ]),
  ];
}

/** One form; several variants differ in their paths, and in which of them is there before. */
function formLines(caller: CallerFacts, variants: readonly Form[]): Line[] {
  const [usual] = variants;
  if (usual === undefined) return [];
  const veto = usual.canVeto === null
    ? "what a failing freeze does is not published"
    : `a failing freeze ${usual.canVeto ? "stops" : "does not stop"} the snapshot${
      usual.vetoWith === null ? "" : ` only with ${usual.vetoWith}`
    }`;
  return [
    ["  ", styled("command", installCommand(caller.name, usual.option))],
    [`      ${usual.brief}; ${veto}`],
    ...variants.flatMap((form): Line[] => [
      ...(form.needs === null ? [] : [[`      where there is ${form.needs.path}:`]]),
      ...pathsOf(form).map((path): Line => [form.needs === null ? "      " : "        ", path]),
    ]),
  ];
}

function pathsOf({ files, switches, logs }: Form): string[] {
  return [
    ...files.map(({ path, mode }) => `${path} (root, ${octal(mode)})`),
    ...switches.map(({ path, section, key, value }) => `${path}: [${section}] ${key}=${value}`),
    ...logs,
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
