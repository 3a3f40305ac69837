/** The story of the product, as an operator and a hypervisor live it, with the proof at its end. */
import { Buffer } from "node:buffer";
import type { WindowRecord } from "../../lib/window/record.ts";
import { expect, type Lab } from "./lab.ts";
import { difference, type Ledger, readLedger, rowsOf, total, waitForRows } from "./load.ts";
import type { Machine } from "./machine.ts";

/** A service that starts anew, on a busy host. */
const AGENT_LIMIT_MS = 300_000;

/** What is frozen: `/`, and nothing else. */
const FILESYSTEMS = 1;

/** Installs the program as README says, and the hooks of the guest agent. */
export async function installProduct(lab: Lab, machine: Machine, url: string): Promise<void> {
  const fetch = `curl -fsSL ${url}install.sh | sh`;
  await lab.step(fetch, () => machine.must(fetch), lastOf(/^Installed .*/m));
  const before = await lab.step(
    "locktables check, before there are hooks",
    () => machine.run("locktables check"),
    ({ code, stdout }) => `exit code ${code}: ${lastLine(stdout)}`,
  );
  expect(before.code <= 1, before.stdout + before.stderr);
  const said = await lab.step(
    "locktables install qemu",
    () => machine.must("locktables install qemu"),
    (text) =>
      /Left for you:[^]*/.exec(text)?.[0].trim().replace(/\s+/g, " ") ?? "nothing left to do",
  );
  const restart = "systemctl restart qemu-guest-agent";
  expect(said.includes(restart), `install does not say: ${restart}`);
  await lab.step(restart, async () => {
    await machine.must(restart);
    await machine.agent.sync(AGENT_LIMIT_MS);
  });
  const after = await lab.step(
    "locktables check",
    () => machine.run("locktables check"),
    ({ code, stdout }) => `exit code ${code}: ${lastLine(stdout)}`,
  );
  expect(after.code === 0, after.stdout + after.stderr);
}

/** What a hypervisor got of one window, and what the clients knew in it. */
export interface Snapshot {
  readonly disk: string;
  /** Rows acknowledged while the lock was held. */
  readonly ledger: Ledger;
  /** `status --json` of the source. */
  readonly status: string;
}

/** Freezes over the agent, takes an external snapshot of the running disk, thaws. */
export async function takeSnapshot(lab: Lab, machine: Machine): Promise<Snapshot> {
  await freeze(lab, machine);
  const ledger = await readLedger(machine);
  const disk = await lab.step(
    "snapshot of the running disk (QMP blockdev-snapshot-sync)",
    () => machine.snapshotDisk(),
  );
  const moved = difference(await readLedger(machine), ledger);
  expect(moved === null, `A writer was served under the lock: ${moved}`);
  await thaw(lab, machine);
  const { status, last } = await lab.step(
    "the source's word",
    () => lastWindow(machine),
    ({ last }) => `${last?.verdict}, ${last?.outcome} by ${last?.reason}, held ${last?.held_ms} ms`,
  );
  expect(last?.verdict === "application-consistent", `the window was ${last?.verdict}: ${status}`);
  await lab.step("the writers go on", () => waitForRows(machine, ledger));
  return { disk, ledger, status };
}

/** `guest-fsfreeze-freeze`, as libvirt and Proxmox VE send it: every filesystem, / included. */
export async function freeze(lab: Lab, machine: Machine): Promise<void> {
  await lab.step("guest-fsfreeze-freeze", async () => {
    const { return: count, error } = await machine.agent.execute("guest-fsfreeze-freeze");
    expect(error === undefined, `refused: ${error?.desc}`);
    expect(count === FILESYSTEMS, `${count} filesystems were frozen, expected ${FILESYSTEMS}`);
    return count;
  }, (count) => `${count} filesystem, and the lock is held`);
}

/** `guest-fsfreeze-thaw`. */
export async function thaw(lab: Lab, machine: Machine): Promise<void> {
  await lab.step("guest-fsfreeze-thaw", async () => {
    const { error } = await machine.agent.execute("guest-fsfreeze-thaw");
    expect(error === undefined, `refused: ${error?.desc}`);
  });
}

/** What `status --json` says of the last window. */
export async function lastWindow(
  machine: Machine,
): Promise<{ readonly status: string; readonly last: WindowRecord | null }> {
  const status = await machine.must("locktables status --json");
  const { last }: { last: WindowRecord | null } = JSON.parse(status);
  return { status, last };
}

/** Boots a machine from a snapshot, and proves what is in it. */
export async function proveSnapshot(
  lab: Lab,
  boot: (disk: string) => Promise<Machine>,
  { disk, ledger, status }: Snapshot,
): Promise<void> {
  const restored = await lab.step("a second machine boots from the snapshot", () => boot(disk));
  try {
    await verifyImage(lab, restored, ledger, status);
  } finally {
    await restored.powerCut();
  }
}

/** `verify` in a restored guest, with the source's word where there is one; then the ledgers. */
export async function verifyImage(
  lab: Lab,
  restored: Machine,
  ledger: Ledger,
  status: string | null,
): Promise<void> {
  const command = status === null
    ? "locktables verify"
    : `echo ${Buffer.from(status).toString("base64")} | base64 -d | locktables verify --verdict -`;
  const { code, stdout, stderr } = await lab.step(
    status === null ? "locktables verify" : "locktables verify --verdict - <(status of the source)",
    () => restored.run(command),
    (end) => `exit code ${end.code}, ${VERDICT_LINE.exec(end.stdout)?.[1]}`,
  );
  expect(code === 0 && VERDICT_LINE.exec(stdout)?.[1] === "as-promised", stdout + stderr);
  await lab.step("the ledgers agree, row by row", async () => {
    const differing = difference(ledger, await rowsOf(restored));
    expect(differing === null, `${differing}`);
  }, () => `${total(ledger)} rows of ${ledger.size} writers, each acknowledged one and no other`);
}

/** How verify begins the line with its verdict. */
const VERDICT_LINE = /^(as-promised|recoverable|damaged|unknown):/m;

function lastLine(text: string): string {
  return text.trim().split("\n").at(-1) ?? "";
}

function lastOf(pattern: RegExp): (text: string) => string {
  return (text) => pattern.exec(text)?.[0] ?? lastLine(text);
}
