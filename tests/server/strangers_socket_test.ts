/** A stranger that listens where the server should: it gets no password, and not one byte. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { assertOneLine } from "../support/guest.ts";
import { type FakeServerOptions, openFakeServer, packet } from "../support/fake_server.ts";
import { openSandbox, type Sandbox } from "../support/sandbox.ts";
import { findingsOf, reportOf } from "../support/check_guest.ts";

const NOBODY = 65534;
const PASSWORD = "s3cret-of-the-backup";
const OPTIONS = `[client]\nuser=backup\npassword=${PASSWORD}\n`;

interface StrangerCase {
  readonly name: string;
  /** Makes the place, in the sandbox. */
  readonly place: string;
  readonly at: string;
  /** Who owns the socket; default: nobody. */
  readonly uid?: number;
  /** `socket=` of the option file; null: none. */
  readonly socket: string | null;
  readonly code: number;
  readonly line: RegExp;
}

/** The sandbox's own /tmp, as every machine has it. */
const TMP = "mount -t tmpfs -o mode=1777 tmpfs /tmp";
const LINKED = "ln -s /tmp/mysql.sock /var/lib/locktables/mysql.sock";

const CASES: readonly StrangerCase[] = [
  {
    name: "/tmp/mysql.sock, which nobody named",
    place: TMP,
    at: "/tmp/mysql.sock",
    socket: null,
    code: 20,
    line: /at \/run\/mysqld\/mysqld\.sock: there is no such socket/,
  },
  {
    name: "/tmp/mysql.sock, named",
    place: TMP,
    at: "/tmp/mysql.sock",
    socket: "/tmp/mysql.sock",
    code: 22,
    line:
      /\/tmp has mode 1777.*Nothing was sent.*ln -s \/tmp\/mysql\.sock \/var\/lib\/locktables\//,
  },
  {
    name: "/tmp/mysql.sock, named by root's own link",
    place: `${TMP} && ${LINKED}`,
    at: "/tmp/mysql.sock",
    socket: "/var/lib/locktables/mysql.sock",
    code: 22,
    line: /anybody may make sockets in \/tmp, and .* belongs to the user 65534/,
  },
  {
    name: "a known directory that is the stranger's own",
    place: `mkdir /run/mysqld && chown ${NOBODY} /run/mysqld`,
    at: "/run/mysqld/mysqld.sock",
    socket: null,
    code: 22,
    line: /\/run\/mysqld belongs to the user 65534/,
  },
  {
    name: "a known directory that everybody may write",
    place: "mkdir -m 1777 /run/mysqld && chmod 1777 /run/mysqld",
    at: "/run/mysqld/mysqld.sock",
    uid: 0,
    socket: null,
    code: 22,
    line: /\/run\/mysqld has mode 1777/,
  },
  {
    name: "a stranger's socket in root's directory",
    place: "mkdir /run/mysqld",
    at: "/run/mysqld/mysqld.sock",
    socket: null,
    code: 22,
    line: /mysqld\.sock belongs to the user 65534/,
  },
  {
    name: "a known path that is a link to a stranger's directory",
    place:
      `mkdir -m 0755 /run/theirs && chown ${NOBODY} /run/theirs && ln -s /run/theirs /run/mysqld`,
    at: "/run/theirs/mysqld.sock",
    socket: null,
    code: 22,
    line: /\/run\/theirs belongs to the user 65534/,
  },
];

Deno.test("a stranger's socket is sent nothing, by pre-freeze and by check", async (t) => {
  for (const one of CASES) {
    await t.step(one.name, async () => {
      await withStranger(one, async (sandbox, received) => {
        const refused = await sandbox.run([sandbox.binary, "pre-freeze"]);
        assert.equal(refused.code, one.code, refused.stderr);
        assertOneLine(refused, one.line);
        const report = reportOf(await sandbox.run([sandbox.binary, "check", "--json"]));
        assert.equal(report.exit_code, one.code);
        const code = one.code === 22 ? "socket-untrusted" : "no-socket";
        assert.equal(findingsOf(report, code).length, 1, JSON.stringify(report.findings));
        assert.equal(received().length, 0);
      });
    });
  }
});

Deno.test("a server that asks for the password in clear gets it on a socket that is trusted", async (t) => {
  const trusted: readonly Pick<StrangerCase, "name" | "place" | "at" | "uid" | "socket">[] = [
    {
      name: "root's socket in root's directory",
      place: "mkdir /run/mysqld",
      at: "/run/mysqld/mysqld.sock",
      uid: 0,
      socket: null,
    },
    {
      name: "the server's own socket in its own directory",
      place: "mkdir /run/mysqld && chown 777:777 /run/mysqld /var/lib/mysql",
      at: "/run/mysqld/mysqld.sock",
      uid: 777,
      socket: null,
    },
    {
      name: "the server's own socket in /tmp, by root's link",
      place: `${TMP} && ${LINKED} && chown 777:777 /var/lib/mysql`,
      at: "/tmp/mysql.sock",
      uid: 777,
      socket: "/var/lib/locktables/mysql.sock",
    },
    {
      name: "a container's socket, by root's link",
      place:
        "mkdir -m 0755 /run/db && chown 999 /run/db && ln -s /run/db/mysqld.sock /var/lib/locktables/db.sock",
      at: "/run/db/mysqld.sock",
      uid: 999,
      socket: "/var/lib/locktables/db.sock",
    },
  ];
  for (const one of trusted) {
    await t.step(one.name, async () => {
      await withStranger(one, async (sandbox, received) => {
        await sandbox.run([sandbox.binary, "pre-freeze"]);
        assert.ok(Buffer.from(received()).includes(`${PASSWORD}\0`), "the password is sent");
      });
    });
  }
});

Deno.test("the plugin for passwords in clear is refused, even on a trusted socket", async () => {
  for (const plugin of ["mysql_clear_password", "dialog"]) {
    const place = "mkdir /run/mysqld";
    const at = "/run/mysqld/mysqld.sock";
    const switchTo = packet(2, Buffer.from(`\u00fe${plugin}\0`, "latin1"));
    const answer = async (connection: Deno.Conn) => void await connection.write(switchTo);
    await withStranger({ place, at, uid: 0, socket: null, answer }, async (sandbox, received) => {
      const refused = await sandbox.run([sandbox.binary, "pre-freeze"]);
      assert.equal(refused.code, 21, refused.stderr);
      assertOneLine(refused, new RegExp(`login plugin ${plugin}, which locktables does not have`));
      assert.ok(received().length > 0, "it has been asked");
      assert.ok(!Buffer.from(received()).includes(PASSWORD));
    });
  }
});

async function withStranger(
  one: Pick<StrangerCase, "place" | "at" | "uid" | "socket"> & Pick<FakeServerOptions, "answer">,
  use: (sandbox: Sandbox, received: () => Uint8Array) => Promise<void>,
): Promise<void> {
  const sandbox = await openSandbox();
  try {
    const placed = await sandbox.sh(one.place);
    assert.equal(placed.code, 0, placed.stderr);
    const fake = openFakeServer(sandbox, one.at, {
      uid: one.uid ?? NOBODY,
      ...(one.answer === undefined ? {} : { answer: one.answer }),
    });
    try {
      const socket = one.socket === null ? "" : `socket=${one.socket}\n`;
      await sandbox.writeFile("/root/.my.cnf", OPTIONS + socket);
      await use(sandbox, fake.received);
    } finally {
      await fake.close();
    }
  } finally {
    await sandbox.close();
  }
}
