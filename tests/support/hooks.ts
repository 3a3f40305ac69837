/** Hooks in a sandbox, as a caller finds them. */
import assert from "node:assert/strict";
import { type Caller, CALLER_TABLE, type Form } from "../../lib/callers/table.ts";
import type { Sandbox } from "./sandbox.ts";

/** Installs a caller's hooks with the program itself, and returns the form that was installed. */
export async function placeHooks(
  sandbox: Sandbox,
  caller: Caller,
  option: string | null = null,
): Promise<Form> {
  if (caller === "qemu") await sandbox.sh(DISPATCHER_HOME);
  const words = [sandbox.binary, "install", caller, "--replace"];
  const result = await sandbox.run(option === null ? words : [...words, option]);
  assert.equal(result.code, 0, result.stderr);
  return await formIn(sandbox, caller, option);
}

/** The form of a caller's hooks that is in a sandbox: the paths are not the same everywhere. */
export async function formIn(
  sandbox: Sandbox,
  caller: Caller,
  option: string | null = null,
): Promise<Form> {
  for (const form of CALLER_TABLE[caller].forms) {
    if (form.option !== option) continue;
    const found = await Promise.all(form.files.map(({ path }) => sandbox.exists(path)));
    if (found.every((isThere) => isThere)) return form;
  }
  return assert.fail(`There are no hooks of ${caller} ${option ?? ""}`);
}

/** What the package qemu-guest-agent brings, where a test has not put the real one there. */
const DISPATCHER_HOME = `mkdir -p /etc/qemu/fsfreeze-hook.d
[ -e /etc/qemu/fsfreeze-hook ] || { printf '#!/bin/sh\\nexit 0\\n' >/etc/qemu/fsfreeze-hook
  chmod 755 /etc/qemu/fsfreeze-hook; }`;
