import assert from "node:assert/strict";
import { socketDistrust } from "../../lib/mysql/socket_trust.ts";
import type { PathPart } from "../../lib/base/path_parts.ts";

const MYSQL = 101;
const NOBODY = 65534;
const CONTAINER = 999;
const LINKS = "/var/lib/locktables";

/** `path kind mode uid gid`, a word each. */
function parts(...texts: readonly string[]): PathPart[] {
  return texts.map((text) => {
    const [path = "", kind = "", mode = "", uid = "0", gid = "0"] = text.split(" ");
    return {
      path,
      kind: kind as PathPart["kind"],
      mode: parseInt(mode, 8),
      uid: Number(uid),
      gid: Number(gid),
      identity: path,
    };
  });
}

const TOP = ["/ directory 0755", "/run directory 0755"];
const RUN = (directory: string, socket: string) => [
  ...TOP,
  `/run/mysqld directory ${directory}`,
  `/run/mysqld/mysqld.sock socket ${socket}`,
];
const TMP = ["/ directory 0755", "/tmp directory 1777"];
const LINK = [
  "/ directory 0755",
  "/var directory 0755",
  "/var/lib directory 0755",
  "/var/lib/locktables directory 0700",
  "/var/lib/locktables/mysql.sock link 0777",
];

const CASES: readonly {
  readonly name: string;
  readonly parts: readonly string[];
  readonly why: RegExp | null;
}[] = [
  { name: "root's directory and socket", parts: RUN("0755", "0777"), why: null },
  {
    name: "the server's directory and socket",
    parts: RUN(`0755 ${MYSQL} ${MYSQL}`, `0777 ${MYSQL} ${MYSQL}`),
    why: null,
  },
  {
    name: "the server's directory, open to the server's group",
    parts: RUN(`0775 ${MYSQL} ${MYSQL}`, `0777 ${MYSQL} ${MYSQL}`),
    why: null,
  },
  {
    name: "the server's directory, open to root's group",
    parts: RUN(`0775 ${MYSQL}`, `0777 ${MYSQL}`),
    why: null,
  },
  {
    name: "a directory that another group may write",
    parts: RUN(`0775 ${MYSQL} 50`, `0777 ${MYSQL}`),
    why: /^\/run\/mysqld has mode 0775: others/,
  },
  {
    name: "a directory that everybody may write",
    parts: RUN("0777", "0777"),
    why: /^\/run\/mysqld has mode 0777: others/,
  },
  {
    name: "a sticky directory that everybody may write, with the server's socket",
    parts: [...TMP, `/tmp/mysql.sock socket 0777 ${MYSQL}`],
    why: /^\/tmp has mode 1777: others/,
  },
  {
    name: "a sticky directory that everybody may write, while there is no socket",
    parts: TMP,
    why: /^\/tmp has mode 1777: others/,
  },
  {
    name: "root's directory in a sticky one",
    parts: [...TMP, "/tmp/run directory 0755", "/tmp/run/mysqld.sock socket 0777"],
    why: null,
  },
  {
    name: "a stranger's directory in a sticky one",
    parts: [
      ...TMP,
      `/tmp/run directory 0755 ${NOBODY}`,
      `/tmp/run/mysqld.sock socket 0777 ${NOBODY}`,
    ],
    why: /^\/tmp\/run belongs to the user 65534/,
  },
  {
    name: "root's directory in one that everybody may write and that is not sticky",
    parts: [
      "/ directory 0755",
      "/all directory 0777",
      "/all/run directory 0755",
      "/all/run/mysqld.sock socket 0777",
    ],
    why: /^\/all has mode 0777/,
  },
  {
    name: "a stranger's directory and socket",
    parts: RUN(`0755 ${NOBODY}`, `0777 ${NOBODY}`),
    why: /^\/run\/mysqld belongs to the user 65534/,
  },
  {
    name: "a stranger's socket in root's directory",
    parts: RUN("0755", `0777 ${NOBODY}`),
    why: /^\/run\/mysqld\/mysqld\.sock belongs to the user 65534/,
  },
  {
    name: "a stranger's link in a sticky directory",
    parts: [...TMP, `/tmp/mysql.sock link 0777 ${NOBODY}`, ...RUN("0755", "0777")],
    why: /^\/tmp\/mysql\.sock belongs to the user 65534/,
  },
  {
    name: "root's link to a container's socket",
    parts: [
      ...LINK,
      "/ directory 0755",
      `/srv directory 0755`,
      `/srv/db directory 0755 ${CONTAINER}`,
      `/srv/db/mysqld.sock socket 0777 ${CONTAINER}`,
    ],
    why: null,
  },
  {
    name: "root's link to the server's socket in /tmp",
    parts: [...LINK, ...TMP, `/tmp/mysql.sock socket 0777 ${MYSQL}`],
    why: null,
  },
  {
    name: "root's link to what is a stranger's socket in /tmp",
    parts: [...LINK, ...TMP, `/tmp/mysql.sock socket 0777 ${NOBODY}`],
    why: /^anybody may make sockets in \/tmp, and \/tmp\/mysql\.sock belongs to the user 65534/,
  },
  {
    name: "root's link to a container's socket in an open directory that nobody can reach",
    parts: [
      ...LINK,
      "/ directory 0755",
      "/volumes directory 0710",
      "/volumes/run directory 1777",
      `/volumes/run/mysqld.sock socket 0777 ${CONTAINER}`,
    ],
    why: null,
  },
  {
    name: "a stranger's link in the state directory",
    parts: [...LINK.slice(0, -1), `${LINKS}/mysql.sock link 0777 ${NOBODY}`, ...TMP],
    why: /^\/var\/lib\/locktables\/mysql\.sock belongs to the user 65534/,
  },
  {
    name: "root's link in a state directory that others may write",
    parts: [
      ...LINK.slice(0, 3),
      `${LINKS} directory 0777`,
      `${LINKS}/mysql.sock link 0777`,
      ...RUN(`0755 ${CONTAINER}`, `0777 ${CONTAINER}`),
    ],
    why: /^\/var\/lib\/locktables has mode 0777/,
  },
];

Deno.test("a socket is trusted only where nobody but root and the server can listen", async (t) => {
  for (const one of CASES) {
    await t.step(one.name, () => {
      const why = socketDistrust({
        parts: parts(...one.parts),
        accounts: { uids: [MYSQL], gids: [MYSQL] },
        linksIn: [LINKS],
      });
      if (one.why === null) assert.equal(why, null);
      else assert.match(why ?? "trusted", one.why);
    });
  }
});
