/** Every way that the tests know to get a finding of `check` on a server among others. */
import type { CheckCase } from "../support/check_guest.ts";
import type { Server } from "../support/server.ts";

/** What there is without anybody's doing. */
const asItIs: CheckCase["given"] = () => Promise.resolve();

/** On a replica of this source, by position. */
export function replicaCases(source: Pick<Server, "kill9" | "restart">): readonly CheckCase[] {
  return [
    {
      code: "replica-stopped",
      name: "replication was stopped",
      given: async ({ admin, flavor }) => {
        await admin.query(flavor === "mariadb" ? "STOP ALL SLAVES" : "STOP REPLICA");
      },
      remedy: 0,
    },
    {
      code: "replica-failing",
      name: "the source is gone",
      given: async () => {
        await source.kill9();
        return () => source.restart();
      },
      remedy: "none",
    },
    {
      code: "replica-position-inexact",
      name: "workers apply in parallel, and there are no GTIDs",
      flavors: ["mysql"],
      given: async ({ admin }) => {
        await admin.query("SET GLOBAL gtid_mode=ON_PERMISSIVE");
        return () => admin.query("SET GLOBAL gtid_mode=ON");
      },
      remedy: "none",
    },
    {
      code: "replica",
      name: "the server is a replica, until it is none",
      isUsual: true,
      given: ({ admin, flavor }) =>
        Promise.resolve(async () => {
          const statements = flavor === "mariadb"
            ? ["STOP ALL SLAVES", "RESET SLAVE 'east' ALL"]
            : ["STOP REPLICA", "RESET REPLICA ALL"];
          for (const statement of statements) await admin.query(statement);
        }),
      remedy: "none",
    },
  ];
}

/** On a node of a cluster. */
export const GALERA_CASES: readonly CheckCase[] = [
  {
    code: "galera-node",
    name: "the server is a node",
    isUsual: true,
    args: () => [],
    given: asItIs,
    remedy: "none",
  },
  {
    code: "galera-not-synced",
    name: "the node is desynced",
    given: async ({ admin }) => {
      await admin.query("SET GLOBAL wsrep_desync=ON");
    },
    remedy: 0,
  },
  {
    code: "galera-not-ready",
    name: "the node takes no statements",
    given: async ({ admin }) => {
      await admin.query("SET GLOBAL wsrep_reject_queries=ALL");
      return () => admin.query("SET GLOBAL wsrep_reject_queries=NONE");
    },
    remedy: 0,
  },
];

/** On the only member of a replication group. */
export const GROUP_CASES: readonly CheckCase[] = [
  {
    code: "group-member",
    name: "the server is a member",
    isUsual: true,
    args: () => [],
    given: asItIs,
    remedy: "none",
  },
  {
    code: "group-member-not-online",
    name: "the member has left",
    given: async ({ admin }) => {
      // Nobody else is there to be joined.
      await admin.query("SET GLOBAL group_replication_bootstrap_group=ON");
      await admin.query("STOP GROUP_REPLICATION");
      return () => admin.query("SET GLOBAL group_replication_bootstrap_group=OFF");
    },
    remedy: 0,
  },
];
