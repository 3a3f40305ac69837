/** `locktables-run` around real LVM snapshots of the guest's own volume, each proven in the guest. */
import { repositoryRoot } from "../../scripts/shell.ts";
import { expect, type Lab } from "./lab.ts";
import { difference, parseLedger, readLedger, rowsQuery, total, waitForRows } from "./load.ts";
import type { Machine } from "./machine.ts";

/** Room for what is written to / while the snapshot is there. */
const SNAPSHOT_SIZE = "500M";

const DRILL = "/run/lab-drill";

/** Installs the command, and brings the drill into the guest. */
export async function prepareLvm(lab: Lab, machine: Machine): Promise<void> {
  await lab.step("locktables install run", () => machine.must("locktables install run"));
  const script = await Deno.readTextFile(`${repositoryRoot()}/tests/vm/guest_drill.sh`);
  await machine.must(`cat >${DRILL} <<'SCRIPT'\n${script}SCRIPT\n`);
}

/** One snapshot under load; its rows are exactly those that were acknowledged under the lock. */
export async function lvmRound(lab: Lab, machine: Machine, round: number): Promise<void> {
  const command =
    `lvcreate --quiet --yes --snapshot --name lab --size ${SNAPSHOT_SIZE} guest/root && wc -l /run/lab-ledger/*`;
  await lab.step(`${round}: locktables-run, a snapshot, a server on it, verify`, async () => {
    const told = await machine.must(`cd /run/lab-ledger && locktables-run -- sh -c '${command}'`);
    const ledger = parseLedger(told);
    expect(ledger.size > 0, `lvcreate and wc said: ${told}`);
    const { code, stdout, stderr } = await machine.run(
      `sh ${DRILL} /dev/guest/lab "${rowsQuery()}"`,
    );
    await machine.must("lvremove --quiet --yes guest/lab");
    expect(code === 0 && stdout.startsWith("verify 0\n"), `exit code ${code}:\n${stdout}${stderr}`);
    const differing = difference(ledger, parseLedger(stdout));
    expect(differing === null, `${differing}`);
    await waitForRows(machine, await readLedger(machine));
    return ledger;
  }, (ledger) => `as promised, ${total(ledger)} rows agree`);
}
