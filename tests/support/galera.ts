/** A real Galera cluster: three MariaDB servers and Debian's provider, on the loopback interface. */

import { galeraProviderPath } from "../../scripts/provision.ts";
import { ScriptError, tail } from "../../scripts/shell.ts";
import { connect, discard, freePort, LOOPBACK, type Server, startServer } from "./server.ts";

/** A running cluster. */
export interface Cluster {
  readonly nodes: readonly [Server, Server, Server];
  /** What each was started with, for a server that takes its place. */
  readonly arguments: readonly (readonly string[])[];
  /** Ends all servers at once and removes their folders. */
  stop(): Promise<void>;
}

/** What a node needs to find the others. */
interface Node {
  /** Its identity in the cluster's last view. */
  readonly uuid: string;
  readonly name: string;
  /** Where it talks to the group. */
  readonly port: number;
  /** Where it would receive what it missed. */
  readonly transferPort: number;
}

/** How long the nodes may take until all are Synced; 2 to 4 s on two busy cores. */
const SYNC_TIMEOUT_MS = 30_000;

/** How often a node is asked for its state. */
const POLL_MS = 50;

/**
 * Starts a cluster and returns when all three nodes are Synced. `args`: further arguments of each.
 *
 * The nodes are told that they have been a cluster before, and where it stopped: at the template
 * that all of them start from. So they come together by themselves, as after a power cut, and
 * nobody needs a state transfer, with its scripts, its rsync and its seconds.
 */
export async function startCluster(args: readonly string[] = []): Promise<Cluster> {
  const provider = `--wsrep-provider=${await galeraProviderPath()}`;
  const members: readonly Node[] = [1, 2, 3].map((number) => ({
    uuid: crypto.randomUUID(),
    name: `node${number}`,
    port: freePort(),
    transferPort: freePort(),
  }));
  const state = crypto.randomUUID();
  const all = members.map((member, index) => [
    provider,
    ...nodeArguments(member, members),
    `--server-id=${index + 1}`,
    ...args,
  ]);
  const starts = await Promise.allSettled(members.map((member, index) =>
    startServer("mariadb", {
      args: all[index] ?? [],
      files: { "grastate.dat": lastState(state), "gvwstate.dat": lastView(member, members) },
    })
  ));
  const nodes = starts.flatMap((start) => start.status === "fulfilled" ? [start.value] : []);
  const stop = async (): Promise<void> => {
    await Promise.all(nodes.map(discard));
  };
  try {
    for (const start of starts) if (start.status === "rejected") throw start.reason;
    await Promise.all(nodes.map((node) => synced(node, nodes.length)));
    return { nodes: nodes as [Server, Server, Server], arguments: all, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/**
 * Stands in for the script of a state transfer, which has a copy to give; this one has none, so that a
 * node that comes back gets what it missed alone. Called before the cluster is started; returns what the
 * node is started with.
 */
export async function incrementalTransfer(dir: string): Promise<string> {
  const method = "incremental";
  await Deno.writeTextFile(`${dir}/wsrep_sst_${method}`, transferScript(dir), { mode: 0o755 });
  // Where the servers look for it.
  Deno.env.set("PATH", `${dir}:${Deno.env.get("PATH") ?? ""}`);
  return `--wsrep-sst-method=${method}`;
}

function transferScript(dir: string): string {
  return `#!/bin/sh
while [ $# -gt 0 ]; do
  case $1 in
  --role) role=$2 ;;
  --gtid) gtid=$2 ;;
  --bypass) has_log=1 ;;
  esac
  shift
done
if [ "$role" = joiner ]; then
  echo "ready ${LOOPBACK}:1"
  timeout 20 sh -c 'until [ -s ${dir}/place ]; do sleep 0.1; done'
  cat ${dir}/place
elif [ -n "$has_log" ]; then
  echo "$gtid" >${dir}/place
  echo "done $gtid"
else
  exit 22
fi
`;
}

function nodeArguments(node: Node, members: readonly Node[]): string[] {
  const address = (port: number) => `${LOOPBACK}:${port}`;
  const provider = [
    `base_host=${LOOPBACK}`,
    `base_port=${node.port}`,
    `gmcast.listen_addr=tcp://${address(node.port)}`,
    `ist.recv_addr=${address(node.transferPort)}`,
    "gcache.size=16M",
    "socket.ssl=NO",
  ];
  return [
    "--wsrep-on=ON",
    "--wsrep-cluster-name=locktables",
    `--wsrep-cluster-address=gcomm://${members.map(({ port }) => address(port)).join(",")}`,
    `--wsrep-node-name=${node.name}`,
    `--wsrep-node-address=${address(node.port)}`,
    `--wsrep-provider-options=${provider.join(";")}`,
    "--wsrep-sst-method=skip",
    "--binlog-format=ROW",
    "--log-slave-updates=ON",
    "--innodb-autoinc-lock-mode=2",
  ];
}

/** `grastate.dat`: what the node's data is. */
function lastState(uuid: string): string {
  return `version: 2.1\nuuid: ${uuid}\nseqno: 0\nsafe_to_bootstrap: 0\n`;
}

/** `gvwstate.dat`: who was there when the node was last part of a cluster. */
function lastView(node: Node, members: readonly Node[]): string {
  return [
    `my_uuid: ${node.uuid}`,
    "#vwbeg",
    `view_id: 3 ${members[0]?.uuid} 1`,
    "bootstrap: 0",
    ...members.map(({ uuid }) => `member: ${uuid} 0`),
    "#vwend",
    "",
  ].join("\n");
}

/** Waits until a node is Synced in a cluster of this size. */
export async function synced(node: Server, size = 3): Promise<void> {
  const deadline = performance.now() + SYNC_TIMEOUT_MS;
  while (true) {
    const { wsrep_local_state_comment: state, wsrep_cluster_size } = await wsrepStatus(node);
    if (state === "Synced" && wsrep_cluster_size === String(size)) return;
    if (performance.now() > deadline) {
      throw new ScriptError(
        `The node is ${state} in a cluster of ${wsrep_cluster_size}:\n` +
          tail(await Deno.readTextFile(node.errorLog), 20),
      );
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** A node's wsrep status variables. */
export async function wsrepStatus(node: Server): Promise<Readonly<Record<string, string>>> {
  const session = await connect(node);
  try {
    // With wsrep_sync_wait set on the server, asking a locked node would wait for its release.
    await session.query("SET SESSION wsrep_sync_wait = 0");
    const rows = await session.query("SHOW GLOBAL STATUS LIKE 'wsrep_%'");
    return Object.fromEntries(
      rows.map((row) => [String(row["Variable_name"]), String(row["Value"])]),
    );
  } finally {
    await session.close();
  }
}
