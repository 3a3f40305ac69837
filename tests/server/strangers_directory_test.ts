/** Directories of ours that are somebody else's: nothing there is believed, and locks go all the same. */
import assert from "node:assert/strict";
import { assertOneLine, type Guest, openGuest, until } from "../support/guest.ts";
import { findingsOf, reportOf } from "../support/check_guest.ts";
import { processesOf } from "../support/sandbox.ts";

const NOBODY = 65534;

/** A stranger that answers `heard` to whoever asks the locker. */
function listenAsLocker({ sandbox }: Guest) {
  const path = `/proc/${sandbox.keeperPid}/root/run/veeam/locker.sock`;
  const listener = Deno.listen({ transport: "unix", path });
  let asked = 0;
  const accepting = (async () => {
    for await (const connection of listener) {
      asked += 1;
      await connection.write(new TextEncoder().encode("heard\n"));
      connection.close();
    }
  })();
  return {
    asked: () => asked,
    async close() {
      listener.close();
      await accepting;
    },
  };
}

async function withGuest(use: (guest: Guest) => Promise<void>): Promise<void> {
  const guest = await openGuest("mariadb");
  try {
    await use(guest);
  } finally {
    await guest.close();
  }
}

async function modeOf({ sandbox }: Guest, path: string): Promise<string> {
  return (await sandbox.sh(`stat -c '%a %u' ${path}`)).stdout.trim();
}

const REPAIRED: readonly (readonly [name: string, given: string])[] = [
  [
    "the run directory is another's, and empty",
    `mkdir -m 0777 /run/veeam; chown ${NOBODY} /run/veeam`,
  ],
  [
    "other software has made the run directory",
    "mkdir /run/veeam; chmod 0755 /run/veeam; touch /run/veeam/theirs",
  ],
  [
    "everybody may write to the run directory",
    "mkdir /run/veeam; chmod 0777 /run/veeam; touch /run/veeam/theirs",
  ],
  [
    "the state directory is another's, and empty",
    `chmod 0777 /var/lib/locktables; chown ${NOBODY} /var/lib/locktables`,
  ],
  ["others may look into the state directory", "chmod 0755 /var/lib/locktables"],
];

Deno.test("pre-freeze makes its directories root's alone", async (t) => {
  for (const [name, given] of REPAIRED) {
    await t.step(name, () =>
      withGuest(async (guest) => {
        await guest.sandbox.sh(given);
        const opened = await guest.locktables("pre-freeze");
        assert.equal(opened.code, 0, opened.stderr);
        assert.equal(await modeOf(guest, "/run/veeam"), "700 0");
        assert.equal(await modeOf(guest, "/var/lib/locktables"), "700 0");
        const closed = await guest.locktables("post-thaw");
        assert.equal(closed.code, 0, closed.stderr);
        assert.match(closed.stdout, /application-consistent/);
      }));
  }
});

const REFUSED: readonly {
  readonly name: string;
  readonly given: string;
  readonly line: RegExp;
  /** Where the trouble is. */
  readonly path: "/run/veeam" | "/var/lib/locktables";
}[] = [
  {
    name: "the run directory is another's, with something in it",
    given: `mkdir -m 0777 /run/veeam; touch /run/veeam/window.json; chown -R ${NOBODY} /run/veeam`,
    line: /\/run\/veeam belongs to the user 65534, and is not empty.*mv \/run\/veeam/,
    path: "/run/veeam",
  },
  {
    name: "a stranger's file in root's run directory",
    given:
      `mkdir -m 0700 /run/veeam; touch /run/veeam/window.json; chown ${NOBODY} /run/veeam/window.json`,
    line: /\/run\/veeam\/window\.json belongs to the user 65534.*rm -r/,
    path: "/run/veeam",
  },
  {
    name: "a hard link where the window is written down",
    given:
      "echo theirs > /run/theirs; mkdir -m 0700 /run/veeam; ln /run/theirs /run/veeam/window.json.tmp",
    line: /window\.json\.tmp is a hard link to another file/,
    path: "/run/veeam",
  },
  {
    name: "a stranger's link where the record is reserved",
    given:
      `echo theirs > /run/theirs; ln -s /run/theirs /var/lib/locktables/record.json.tmp; chown -h ${NOBODY} /var/lib/locktables/record.json.tmp`,
    line: /record\.json\.tmp belongs to the user 65534/,
    path: "/var/lib/locktables",
  },
  {
    name: "the run directory is a link",
    given: "mkdir -m 0777 /run/elsewhere; ln -s /run/elsewhere /run/veeam",
    line: /\/run\/veeam is a symbolic link/,
    path: "/run/veeam",
  },
  {
    name: "everybody may write above the run directory",
    given: "chmod 0777 /run",
    line: /\/run, above \/run\/veeam, has mode 0777.*chmod go-w \/run/,
    path: "/run/veeam",
  },
  {
    name: "the state directory is another's, with a record in it",
    given: `echo '{}' > /var/lib/locktables/record.json; chown -R ${NOBODY} /var/lib/locktables`,
    line: /\/var\/lib\/locktables belongs to the user 65534, and is not empty/,
    path: "/var/lib/locktables",
  },
  {
    name: "a stranger's receipt",
    given:
      `echo '{}' > /var/lib/locktables/receipt.json; chown ${NOBODY} /var/lib/locktables/receipt.json`,
    line: /receipt\.json belongs to the user 65534/,
    path: "/var/lib/locktables",
  },
  {
    name: "the state directory is a link",
    given: "mv /var/lib/locktables /var/lib/elsewhere; ln -s elsewhere /var/lib/locktables",
    line: /\/var\/lib\/locktables is a symbolic link/,
    path: "/var/lib/locktables",
  },
  {
    name: "everybody may write above the state directory",
    given: "chmod 0777 /var/lib",
    line: /\/var\/lib, above \/var\/lib\/locktables, has mode 0777/,
    path: "/var/lib/locktables",
  },
];

Deno.test("a directory that is not root's alone is refused, before anything is believed", async (t) => {
  for (const one of REFUSED) {
    await t.step(one.name, () =>
      withGuest(async (guest) => {
        await guest.sandbox.sh(one.given);
        const before = await listing(guest, one.path);
        const verbs = one.path === "/run/veeam"
          ? ["pre-freeze", "status", "post-thaw"]
          : ["pre-freeze", "status"];
        for (const verb of verbs) {
          const refused = await guest.locktables(verb);
          assert.equal(refused.code, 22, `${verb}: ${refused.stdout}${refused.stderr}`);
          assertOneLine(refused, one.line);
        }
        assert.equal(await listing(guest, one.path), before, "nothing was written");
        if (one.path === "/var/lib/locktables") {
          const removed = await guest.locktables("uninstall");
          assert.equal(removed.code, 22, removed.stdout + removed.stderr);
        }
        const report = reportOf(await guest.locktables("check", "--json"));
        const [found] = findingsOf(report, "directory-untrusted");
        assert.ok(found !== undefined, JSON.stringify(report.findings));
        assert.equal((await guest.sandbox.sh(found.remedy ?? "false")).code, 0);
        const opened = await guest.locktables("pre-freeze");
        assert.equal(opened.code, 0, opened.stderr);
        assert.equal((await guest.locktables("post-thaw")).code, 0);
        const theirs = await guest.sandbox.sh("cat /run/theirs 2>/dev/null || echo theirs");
        assert.equal(theirs.stdout, "theirs\n", "nothing was written through a link");
      }));
  }
});

/** What there is below a path. */
async function listing({ sandbox }: Guest, path: string): Promise<string> {
  const { stdout } = await sandbox.sh(
    `ls -lAR --time-style=full-iso ${path}/ 2>/dev/null`,
  );
  return stdout;
}

Deno.test("a stranger that answers in the locker's place is not asked", () =>
  withGuest(async (guest) => {
    await guest.sandbox.sh("mkdir /run/veeam; chmod 0777 /run/veeam");
    const stranger = listenAsLocker(guest);
    try {
      for (const verb of ["pre-freeze", "post-thaw", "status"]) {
        const refused = await guest.locktables(verb);
        assert.equal(refused.code, 22, refused.stdout + refused.stderr);
        assertOneLine(refused, /\/run\/veeam has mode 0777: others than root may write there/);
      }
      await guest.locktables("check");
      assert.equal(stranger.asked(), 0);
    } finally {
      await stranger.close();
    }
  }));

Deno.test("post-thaw releases a lock whose run directory was opened to others meanwhile", () =>
  withGuest(async (guest) => {
    assert.equal((await guest.locktables("pre-freeze")).code, 0);
    await guest.sandbox.sh("chmod 0777 /run/veeam");
    const write = await guest.write();
    const closed = await guest.locktables("post-thaw");
    assert.equal(closed.code, 22, closed.stdout);
    assertOneLine(closed, /A lock, if there was one, is released unseen/);
    await write.finished(2_000);
    await until(
      "the locker has ended",
      5_000,
      async () =>
        (await processesOf(guest.sandbox)).every(({ cmdline }) => !cmdline.includes(" locker")),
    );
  }));
