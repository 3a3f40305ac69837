/**
 * How to go on from an image: the commands with the recorded coordinates filled in, to be pasted into a
 * shell as they stand. Pure. What a record says goes into a command only in a form that cannot be
 * more than a value: it may have been edited.
 */
import { plainLine } from "../base/plain_text.ts";
import { shellWord } from "../base/shell.ts";
import type { Coordinates, ReplicaPosition } from "../window/coordinates.ts";
import type { InstanceRecord } from "../window/record.ts";
import { isAtLeast, parseVersion, type ServerVersion } from "../mysql/flavor.ts";
import { sqlText } from "../mysql/sql_text.ts";
import { parseMariadbList, parseMysqlSet } from "./gtid_set.ts";

/** A way on: what it is for, and its lines; those that begin with `#` explain. */
export interface WayOn {
  readonly title: string;
  readonly lines: readonly string[];
}

/** Added to the recorded `server_id`: a replica needs one that no server around it has. */
const OTHER_SERVER_ID = 1_000;

/** Largest `server_id`. */
const SERVER_ID_MOST = 4_294_967_295;

/** Every way on from one server's image. */
export function waysOn(recorded: InstanceRecord): WayOn[] {
  const then = recorded.coordinates;
  const server = parseVersion(recorded.version, recorded.label);
  if (then === null || server === null) return [];
  return [
    ...recoveryWays(then, server),
    ...replicaWays(recorded, then, server),
    ...then.replicas.flatMap((one) => continueWays(one, then, server)),
    ...clusterWays(recorded, then),
  ];
}

function isMariadb(server: ServerVersion): boolean {
  return server.flavor === "mariadb";
}

/** A binlog's name as every server writes it; what is in none of them is not repeated. */
function binlogOf({ file, position }: Coordinates): { file: string; position: number } | null {
  if (file === null || position === null || !/^[A-Za-z0-9_.-]{1,255}$/.test(file)) return null;
  return Number.isSafeInteger(position) && position >= 0 ? { file, position } : null;
}

/** The recorded GTIDs that a list is made of; null where there are none. */
function gtidsOf({ gtid }: Coordinates, server: ServerVersion): string | null {
  if (isMariadb(server)) {
    const list = gtid["gtid_binlog_pos"] ?? "";
    return list !== "" && parseMariadbList(list) !== null ? list : null;
  }
  const set = gtid["gtid_mode"] === "ON" ? gtid["gtid_executed"] ?? "" : "";
  return set !== "" && parseMysqlSet(set) !== null ? set : null;
}

/** From the binlogs of the source or of an archive, onto this server. */
function recoveryWays(then: Coordinates, server: ServerVersion): WayOn[] {
  const at = binlogOf(then);
  if (at === null) return [];
  const [reader, client] = isMariadb(server)
    ? ["mariadb-binlog", "mariadb"]
    : ["mysqlbinlog", "mysql"];
  const base = at.file.slice(0, at.file.lastIndexOf(".") + 1);
  const escaped = (text: string) => text.replaceAll(".", "\\.");
  // By number: the next after binlog.999999 is binlog.1000000.
  const files = `$(ls | grep -E '^${escaped(base)}[0-9]+$' | sort -V | sed -n '/^${
    escaped(at.file)
  }$/,$p')`;
  const pipe = (option: string) => `${reader} ${option} ${files} | ${client} --binary-mode`;
  const gtids = gtidsOf(then, server);
  const byGtid = gtids === null ? null : !isMariadb(server)
    ? `--exclude-gtids=${shellWord(gtids)}`
    // The reader takes GTIDs from 10.8 on.
    : isAtLeast(server, 10, 8)
    ? `--start-position=${shellWord(gtids)}`
    : null;
  const where = "# In the directory of the source's binlogs, or of an archive of them";
  const until = "# To stop before a mistake: --stop-datetime='YYYY-MM-DD hh:mm:ss'";
  return [
    {
      title: "Point-in-time recovery by position",
      lines: [where, until, pipe(`--start-position=${at.position}`)],
    },
    ...(byGtid === null ? [] : [{
      title: "Point-in-time recovery by GTID",
      lines: [where, until, pipe(byGtid)],
    }]),
  ];
}

/** A replica of the server that the image is of. */
function replicaWays(
  recorded: InstanceRecord,
  then: Coordinates,
  server: ServerVersion,
): WayOn[] {
  const at = binlogOf(then);
  if (at === null) return [];
  const gtids = gtidsOf(then, server);
  const words = replicationWords(server);
  const serverId = recorded.server_id % (SERVER_ID_MOST - OTHER_SERVER_ID) + OTHER_SERVER_ID;
  const source = [
    `${words.source}_HOST=${value(recorded.hostname)}`,
    `${words.source}_USER='replica'`,
    `${words.source}_PASSWORD='PASSWORD'`,
    ...(words.key === null ? [] : [words.key]),
  ].join(", ");
  const own = [
    "# server_id: any number that no server around it has, and the same in its option file",
    ...(recorded.server_uuid === null ? [] : [
      "# The image has the source's server_uuid, and a replica needs its own",
      `systemctl stop mysql && rm -f ${
        shellWord(`${recorded.data_directories[0] ?? ""}/auto.cnf`)
      } && systemctl start mysql`,
    ]),
  ];
  const way = (title: string, statements: readonly string[]): WayOn => ({
    title,
    lines: [
      ...own,
      ...sql(server, [
        `SET GLOBAL server_id=${serverId};`,
        ...statements,
        `START ${words.replica};`,
      ]),
    ],
  });
  return [
    way("A replica of the source by position", [
      `CHANGE ${words.change} ${source}, ${words.noGtid}, ${words.source}_LOG_FILE=${
        value(at.file)
      }, ${words.source}_LOG_POS=${at.position};`,
    ]),
    ...(gtids === null ? [] : [
      way("A replica of the source by GTID", [
        ...(isMariadb(server) ? [`SET GLOBAL gtid_slave_pos=${value(gtids)};`] : []),
        `CHANGE ${words.change} ${source}, ${words.byGtid};`,
      ]),
    ]),
  ];
}

/** The image of a replica goes on as the replica that it was. */
function continueWays(
  was: ReplicaPosition,
  then: Coordinates,
  server: ServerVersion,
): WayOn[] {
  const words = replicationWords(server);
  const channel = plainLine(was.channel);
  const title = `On as a replica of ${plainLine(was.source_host)}${
    channel === "" ? "" : `, channel ${channel}`
  }`;
  const name = channel === "" ? "" : ` ${value(channel)}`;
  const change = isMariadb(server) ? `CHANGE MASTER${name} TO` : `CHANGE ${words.change}`;
  const forChannel = isMariadb(server) || channel === "" ? "" : ` FOR CHANNEL ${value(channel)}`;
  const start = isMariadb(server) ? `START SLAVE${name};` : `START ${words.replica}${forChannel};`;
  const applied = then.gtid["gtid_slave_pos"] ?? "";
  const followsGtid = isMariadb(server)
    ? !["No", undefined].includes(was.gtid["using_gtid"])
    : was.gtid["auto_position"] === "1";
  if (followsGtid) {
    const place = isMariadb(server) && applied !== "" && parseMariadbList(applied) !== null
      ? [`SET GLOBAL gtid_slave_pos=${value(applied)};`]
      : [];
    const warning = then.inexact?.fields.includes("gtid_slave_pos")
      ? [`# Inexact: ${then.inexact.why}`]
      : [];
    // The server knows better what its image has applied than an inexact record.
    const statements = warning.length > 0 ? [start] : [...place, start];
    return [{ title, lines: [...warning, ...sql(server, statements)] }];
  }
  const file = was.relay_source_log_file;
  if (file === null || !Number.isSafeInteger(was.exec_source_log_pos)) return [];
  const inexact = then.inexact?.fields.includes("exec_source_log_pos")
    ? [`# Inexact: ${then.inexact.why}`]
    : [];
  return [{
    title,
    lines: [
      ...inexact,
      ...sql(server, [
        `${change} ${words.source}_HOST=${
          value(was.source_host)
        }, ${words.source}_PORT=${was.source_port}, ${words.source}_LOG_FILE=${
          value(file)
        }, ${words.source}_LOG_POS=${was.exec_source_log_pos}${forChannel};`,
        start,
      ]),
    ],
  }];
}

/** Before the server starts: the place in its cluster that the image stands for. */
function clusterWays(recorded: InstanceRecord, { wsrep }: Coordinates): WayOn[] {
  const directory = recorded.data_directories[0];
  if (
    wsrep === null || directory === undefined || !Number.isSafeInteger(wsrep.last_committed) ||
    !/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(wsrep.cluster_state_uuid)
  ) return [];
  const place = (isFirst: 0 | 1) =>
    `printf 'version: 2.1\\nuuid: ${wsrep.cluster_state_uuid}\\nseqno: ${wsrep.last_committed}\\nsafe_to_bootstrap: ${isFirst}\\n' > ${
      shellWord(`${directory}/grastate.dat`)
    }`;
  // Who was there when the image was taken, and who this node was then: a node that finds it waits for
  // them, and is waited for.
  const withoutView = `rm -f ${shellWord(`${directory}/gvwstate.dat`)}`;
  return [
    {
      title: "On as a node of its cluster, by incremental state transfer",
      lines: [
        "# While the server is stopped; of its cluster, a node must still have what came later (gcache)",
        place(0),
        withoutView,
        "systemctl start mariadb",
      ],
    },
    {
      title: "On as the first node of its cluster, where no other node runs",
      lines: [
        "# While the server is stopped; the cluster goes on from this image, and the others join it",
        place(1),
        withoutView,
        "galera_new_cluster",
      ],
    },
  ];
}

function sql(server: ServerVersion, statements: readonly string[]): string[] {
  return [`${isMariadb(server) ? "mariadb" : "mysql"} <<'SQL'`, ...statements, "SQL"];
}

/** A text of the record in a statement: in one line, quoted. */
function value(text: string): string {
  return sqlText(plainLine(text));
}

/** What a server calls sources and replicas. */
function replicationWords(server: ServerVersion): {
  readonly change: string;
  readonly source: string;
  readonly replica: string;
  readonly noGtid: string;
  readonly byGtid: string;
  /** The password of MySQL's default plugin is sent encrypted with the source's key. */
  readonly key: string | null;
} {
  if (isMariadb(server)) {
    return {
      change: "MASTER TO",
      source: "MASTER",
      replica: "SLAVE",
      noGtid: "MASTER_USE_GTID=no",
      byGtid: "MASTER_USE_GTID=slave_pos",
      key: null,
    };
  }
  const isNew = isAtLeast(server, 8, 0, 23);
  const source = isNew ? "SOURCE" : "MASTER";
  return {
    change: isNew ? "REPLICATION SOURCE TO" : "MASTER TO",
    source,
    replica: isAtLeast(server, 8, 0, 22) ? "REPLICA" : "SLAVE",
    noGtid: `${source}_AUTO_POSITION=0`,
    byGtid: `${source}_AUTO_POSITION=1`,
    key: isAtLeast(server, 8, 0, 4) ? `GET_${isNew ? "SOURCE" : "MASTER"}_PUBLIC_KEY=1` : null,
  };
}
