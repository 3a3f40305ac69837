/** The control socket: nobody but root can come, and whoever comes keeps no thaw waiting. */
import assert from "node:assert/strict";
import { type Guest, openGuest } from "../support/guest.ts";
import { underLoad } from "../support/load.ts";

/** A thaw takes milliseconds; this only says that no client's limit was waited for one by one. */
const THAW_LIMIT_MS = 5_000;

/** More than are heard at once. */
const FLOOD = 200;

const SOCKET = "/run/veeam/locker.sock";

interface Nuisance {
  readonly name: string;
  /** What a client does with its connection. */
  readonly does: (connection: Deno.Conn) => Promise<unknown>;
  readonly clients: number;
}

const bytes = (text: string) => new TextEncoder().encode(text);

const NUISANCES: readonly Nuisance[] = [
  { name: "says nothing", clients: FLOOD, does: () => Promise.resolve() },
  {
    name: "talks garbage",
    clients: FLOOD,
    does: (one) => one.write(Uint8Array.of(0, 255, 10, 7, 10)),
  },
  {
    name: "sends a line without end",
    clients: 2,
    async does(one) {
      const chunk = new Uint8Array(65_536).fill(97);
      for (let sent = 0; sent < 64; sent += 1) await one.write(chunk);
    },
  },
  {
    name: "drips a word",
    clients: 20,
    async does(one) {
      for (const letter of "thaw") {
        await one.write(bytes(letter));
        await new Promise((resolve) => setTimeout(resolve, 400));
      }
    },
  },
  {
    name: "asks again and again and reads nothing",
    clients: FLOOD,
    does: (one) => one.write(bytes("status\n")),
  },
];

Deno.test("no client of the control socket ends a window, or keeps a thaw waiting", async (t) => {
  for (const nuisance of NUISANCES) {
    await t.step(`one that ${nuisance.name}`, () =>
      withWindow(async (guest) => {
        const path = `/proc/${guest.sandbox.keeperPid}/root${SOCKET}`;
        const connections: Deno.Conn[] = [];
        const talking: Promise<unknown>[] = [];
        for (let at = 0; at < nuisance.clients; at += 1) {
          const connection = await Deno.connect({ transport: "unix", path });
          connections.push(connection);
          talking.push(nuisance.does(connection).catch(() => {})); // it is hung up on
        }
        const closed = await guest.locktables("post-thaw");
        assert.equal(closed.code, 0, closed.stdout + closed.stderr);
        assert.match(closed.stdout, /without a gap, application-consistent/);
        assert.ok(closed.ms < underLoad(THAW_LIMIT_MS), `${closed.ms} ms`);
        await Promise.all(talking);
        for (const connection of connections) connection.close();
        await guest.assertNothingLeft();
      }));
  }
});

Deno.test("an unprivileged user reaches neither the control socket nor the records", () =>
  withWindow(async (guest) => {
    for (const path of ["/run/veeam", "/var/lib/locktables"]) {
      const asNobody = "setpriv --reuid=65534 --regid=65534 --clear-groups --";
      const listed = await guest.sandbox.sh(`${asNobody} ls ${path}/`);
      assert.match(listed.stderr, /Permission denied/);
      const written = await guest.sandbox.sh(`${asNobody} touch ${path}/x`);
      assert.match(written.stderr, /Permission denied/);
    }
    assert.equal((await guest.locktables("post-thaw")).code, 0);
  }));

async function withWindow(use: (guest: Guest) => Promise<void>): Promise<void> {
  const guest = await openGuest("mariadb");
  try {
    const opened = await guest.locktables("pre-freeze");
    assert.equal(opened.code, 0, opened.stderr);
    await use(guest);
  } finally {
    await guest.close();
  }
}
