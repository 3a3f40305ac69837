/** Every way that the tests know to get a finding of `check` on a server that stands alone. */
import { HISTORY_FILE, METRICS_FILES, parentOf } from "../../lib/base/paths.ts";
import { growOld } from "../support/aged.ts";
import { openStateDisk } from "../support/state_disk.ts";
import { FLAVORS, onlyLocker } from "../support/guest.ts";
import type { CheckCase, Scene } from "../support/check_guest.ts";
import { processesOf } from "../support/sandbox.ts";
import { connect, type Connection, type Flavor } from "../support/server.ts";
import { startSilentProxy } from "../support/silent_proxy.ts";

/** What an account needs for a window, and the guard's. */
const RIGHTS: Readonly<Record<Flavor, string>> = {
  mariadb: "RELOAD, BINLOG MONITOR, PROCESS",
  mysql: "FLUSH_TABLES, REPLICATION CLIENT, PROCESS",
};

/** The same without the guard's. */
const BLIND: Readonly<Record<Flavor, string>> = {
  mariadb: "RELOAD, BINLOG MONITOR",
  mysql: "FLUSH_TABLES, REPLICATION CLIENT",
};

const METRICS_DIR = parentOf(METRICS_FILES[0] ?? "");

const ACCOUNT = "'o''hara'@'localhost'";
const LOGIN = `[client]\nuser="o'hara"\npassword=s3cret\n`;

/** An option file. */
function option(text: string, mode?: number): CheckCase["given"] {
  return ({ sandbox }) => sandbox.writeFile("/root/.my.cnf", text, mode);
}

/** An option file that a person must change. */
function whileThere(text: string): CheckCase["given"] {
  return async ({ sandbox }) => {
    await sandbox.writeFile("/root/.my.cnf", text);
    return () => sandbox.sh("rm -f /root/.my.cnf");
  };
}

/** A shell script in the guest, and one that ends what it does. */
function script(text: string, end?: string): CheckCase["given"] {
  return async ({ sandbox }) => {
    const { code, stderr } = await sandbox.sh(text);
    if (code !== 0) throw new Error(stderr);
    return end === undefined ? undefined : () => sandbox.sh(end);
  };
}

/** Statements of the server's root. */
function sql(statements: readonly string[], end: readonly string[] = []): CheckCase["given"] {
  return async ({ admin }) => {
    for (const statement of statements) await admin.query(statement);
    return async () => {
      for (const statement of end) await admin.query(statement);
    };
  };
}

/** An account, made by this text, that locktables logs in as. */
function account(
  identified: string,
  rights: Readonly<Record<Flavor, string>>,
  more = "",
): CheckCase["given"] {
  return async ({ admin, sandbox, flavor }) => {
    await admin.query(`DROP USER IF EXISTS ${ACCOUNT}`);
    await admin.query(`CREATE USER ${ACCOUNT} ${identified}`);
    if (rights[flavor] !== "") await admin.query(`GRANT ${rights[flavor]} ON *.* TO ${ACCOUNT}`);
    await sandbox.writeFile("/root/.my.cnf", LOGIN + more);
    return () => admin.query(`DROP USER IF EXISTS ${ACCOUNT}`);
  };
}

/** The same, and without its option file afterwards: the next case begins with none. */
function withoutFileAfter(given: CheckCase["given"]): CheckCase["given"] {
  return async (scene) => {
    const end = await given(scene);
    return async () => {
      await scene.sandbox.sh("rm /root/.my.cnf");
      await end?.();
    };
  };
}

/** A second session, which holds or waits for something as long as the case lasts. */
function session(use: (other: Connection, scene: Scene) => Promise<unknown>): CheckCase["given"] {
  return async (scene) => {
    const other = await connect(scene.server);
    await use(other, scene);
    return () => other.close();
  };
}

/** Starts a statement that does not end by itself, and lets it grow old. */
async function running(other: Connection, statement: string): Promise<void> {
  other.query(statement).catch(() => {}); // it is killed
  await growOld(other);
}

async function makeTables({ admin }: Scene): Promise<void> {
  await admin.query("CREATE TABLE IF NOT EXISTS shop.busy (id INT PRIMARY KEY)");
  await admin.query("INSERT IGNORE INTO shop.busy VALUES (1), (2), (3)");
}

/** A server that never answers a statement with this text. */
function stuckIn(text: string): CheckCase["given"] {
  return async ({ server, sandbox }) => {
    const proxy = await startSilentProxy(server, text);
    await sandbox.bindServer(proxy);
    return async () => {
      await sandbox.sh("umount /run/mysqld");
      await proxy.close();
    };
  };
}

async function connectedTo(admin: Connection): Promise<number> {
  const [row] = await admin.query("SHOW GLOBAL STATUS LIKE 'Threads_connected'");
  return Number(row?.["Value"]);
}

const NOBODY = ["/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"];

/** Root, but without its right to pass over the modes of files. */
const WITHOUT_OVERRIDE = [
  "/usr/bin/setpriv",
  "--inh-caps=-dac_override,-dac_read_search",
  "--bounding-set=-dac_override,-dac_read_search",
  "--",
];

/** A command in the guest that stands in for one that the machine of the tests has not. */
function standIn(name: string, text: string): string {
  const path = `/usr/local/sbin/${name}`;
  return `printf '%s\\n' '#!/bin/sh' '${text}' > ${path} && chmod 0755 ${path}`;
}

const OPTION_FILE: readonly CheckCase[] = [
  {
    code: "not-root",
    name: "locktables runs as nobody",
    given: script(standIn("sudo", 'exec "$@"')),
    through: NOBODY,
    remedy: 0,
  },
  {
    code: "bad-option-file",
    name: "an option stands before any group",
    given: option("user=root\n"),
    remedy: 0,
  },
  {
    code: "bad-option-file",
    name: "the file starts with a byte order mark",
    given: option("\u{feff}[client]\nuser=root\n"),
    remedy: 0,
  },
  {
    code: "bad-option-file",
    name: "a bracket is not closed",
    given: option("[client]\nuser=root\n[locktables\n"),
    remedy: 0,
  },
  {
    code: "bad-option-file",
    name: "a directory that is included is not there",
    given: option("[client]\n!includedir /var/lib/locktables/nowhere\n"),
    remedy: 0,
  },
  {
    code: "bad-option-file",
    name: "a file is included that locktables may not read",
    given: script(
      "printf '[client]\\nuser=root\\n' > /etc/more.cnf; printf '[client]\\n!include /etc/more.cnf\\n' > /root/.my.cnf; chmod 0600 /root/.my.cnf",
      "rm -f /etc/more.cnf",
    ),
    remedy: 0,
  },
  {
    code: "bad-option-file",
    name: "an include names nothing",
    given: option("[client]\n!include\n"),
    remedy: 0,
  },
  {
    code: "bad-option-file",
    name: "it is a directory",
    given: script("mkdir /root/.my.cnf", "rmdir /root/.my.cnf"),
    remedy: "none",
  },
  {
    code: "bad-setting",
    name: "a key of ours is misspelled",
    given: option("[locktables]\nhold_timout=30s\n"),
    remedy: 0,
  },
  {
    code: "bad-setting",
    name: "a key is nobody's",
    given: option("[locktables]\ncolour=blue\n"),
    remedy: 0,
  },
  {
    code: "bad-setting",
    name: "a value is none",
    given: option("[locktables]\nhold_timeout=60\n"),
    remedy: 0,
  },
  {
    code: "bad-setting",
    name: "the server is elsewhere",
    given: option("[client]\nhost=db.example\n"),
    remedy: 0,
  },
  {
    code: "bad-setting",
    name: "the protocol is TCP",
    given: option("[client]\nprotocol=tcp\n"),
    remedy: 0,
  },
  {
    code: "bad-setting",
    name: "the socket's path is relative",
    given: option("[client]\nsocket=mysqld.sock\n"),
    remedy: 0,
  },
  {
    code: "bad-setting",
    name: "a group is of an instance that there is not",
    given: option("[locktables_other]\nuser=root\n"),
    remedy: 0,
  },
  {
    code: "bad-setting",
    name: "a setting for all stands in the group of one",
    given: option(
      "[locktables]\ninstances=main\n[locktables_main]\nuser=root\nhold_timeout=30s\n",
    ),
    remedy: 0,
  },
  {
    code: "bad-setting",
    name: "two instances have one socket",
    given: withoutFileAfter(option("[locktables]\ninstances=a,b\n")),
    remedy: "none",
  },
  {
    code: "option-file-ignored",
    name: "everybody may write the file",
    given: option("[client]\nuser=root\n", 0o666),
    remedy: 0,
  },
  {
    code: "option-file-readable",
    name: "everybody may read the file",
    given: option("[client]\nuser=root\n", 0o644),
    remedy: 0,
  },
  {
    code: "option-file-readable",
    name: "everybody may read a file that is included",
    given: async ({ sandbox }) => {
      await sandbox.writeFile("/var/lib/locktables/more.cnf", "[client]\nuser=root\n", 0o640);
      await sandbox.writeFile("/root/.my.cnf", "!include /var/lib/locktables/more.cnf\n");
      return () => sandbox.sh("rm /var/lib/locktables/more.cnf");
    },
    remedy: 0,
  },
  {
    code: "option-file-owner",
    name: "the file is somebody else's",
    given: script("touch /root/.my.cnf && chown 1000 /root/.my.cnf"),
    remedy: 0,
  },
  {
    code: "option-file-owner",
    name: "a file that is included is the server's",
    given: async ({ sandbox }) => {
      await sandbox.writeFile("/var/lib/mysql/more.cnf", "[client]\nuser=root\n");
      await sandbox.writeFile("/root/.my.cnf", "!include /var/lib/mysql/more.cnf\n");
      await sandbox.sh("chown 1000 /var/lib/mysql/more.cnf");
      return () => sandbox.sh("rm /var/lib/mysql/more.cnf");
    },
    remedy: 0,
  },
  {
    code: "option-file-writable",
    name: "a group may write the file",
    given: script("touch /root/.my.cnf && chgrp 50 /root/.my.cnf && chmod 0660 /root/.my.cnf"),
    remedy: 0,
  },
  {
    code: "option-file-writable",
    name: "everybody may write to the directory of a file that is included",
    given: async ({ sandbox }) => {
      await sandbox.sh("mkdir /etc/locktables && chmod 1777 /etc/locktables");
      await sandbox.writeFile("/etc/locktables/more.cnf", "[client]\nuser=root\n");
      await sandbox.writeFile("/root/.my.cnf", "!includedir /etc/locktables\n");
      return () => sandbox.sh("rm -r /etc/locktables");
    },
    remedy: 0,
  },
  {
    code: "option-file-writable",
    name: "everybody may write where the file's link leads",
    given: script(
      "mkdir -p /etc/conf && chmod 0777 /etc/conf && touch /etc/conf/my.cnf && ln -s /etc/conf/my.cnf /root/.my.cnf",
      "rm -r /etc/conf",
    ),
    remedy: 0,
  },
  {
    code: "include-ignored",
    name: "a directory is included as a file",
    given: option("[client]\n!include /var/lib/locktables\n"),
    remedy: 0,
  },
  {
    code: "include-ignored",
    name: "the file includes itself",
    given: option("!include /root/.my.cnf\n"),
    remedy: 0,
  },
  {
    code: "option-ignored",
    name: "an unknown key has loose- before it",
    given: option("[locktables]\nloose-colour=blue\n"),
    remedy: 0,
  },
  {
    code: "option-ignored",
    name: "a key is cut short",
    given: option("[client]\n  pass = secret\n"),
    remedy: 0,
  },
  {
    code: "option-ignored",
    name: "our group is misspelled",
    given: option("[locktable]\nmethod=ftwrl\n"),
    remedy: 0,
  },
  {
    code: "option-overridden",
    name: "[client] stands below [locktables]",
    given: whileThere("[locktables]\nuser=root\npassword=x\n[client]\nuser=root\n"),
    remedy: "none",
  },
  {
    code: "option-overridden",
    name: "[client] stands below an instance's group",
    given: whileThere("[client_a]\nuser=root\n[client]\nuser=root\n[locktables]\ninstances=a\n"),
    remedy: "none",
  },
  {
    code: "setting-adjusted",
    name: "a bound is no whole second",
    given: option("[locktables]\nlock_wait_timeout=1500ms\n"),
    remedy: 0,
  },
  {
    code: "setting-adjusted",
    name: "one attempt may take longer than all of them",
    given: option("[locktables]\nlock_wait_timeout=10s\nfreeze_timeout=5s\n"),
    remedy: 0,
  },
  {
    code: "password-altered",
    name: "the password is cut at its #",
    flavors: FLAVORS,
    given: async (scene) => {
      const end = await account("IDENTIFIED BY 'se#cret'", RIGHTS)(scene);
      await option(`[client]\nuser="o'hara"\npassword=se#cret\n`)(scene);
      return async () => {
        await end?.();
        await scene.sandbox.sh("rm -f /root/.my.cnf");
      };
    },
    remedy: "none",
  },
  {
    code: "option-file-managed",
    name: "a tool writes the option file",
    given: whileThere("# Ansible managed\n[client]\nhost=127.0.0.1\n"),
    remedy: "none",
  },
  {
    code: "password-elsewhere",
    name: "the password is in [mysql]",
    flavors: FLAVORS,
    given: withoutFileAfter(async (scene) => {
      const end = await account("IDENTIFIED BY 's3cret'", RIGHTS)(scene);
      await option(`[mysql]\npassword=s3cret\nuser="o'hara"\nprompt=x\n`)(scene);
      // As the clients of the test's machine would be, without the password.
      await scene.sandbox.sh(
        `printf '[client]\\nuser="o%shara"\\n' "'" >> /root/.my.cnf`,
      );
      return end;
    }),
    remedy: "none",
  },
  {
    code: "proceeds-without-lock",
    name: "a failure is to be no failure",
    given: withoutFileAfter(option("[locktables]\non_failure=proceed\n")),
    remedy: "none",
  },
];

const DIRECTORIES: readonly CheckCase[] = [
  {
    code: "path-unusable",
    name: "the state directory is a file",
    given: script(
      "mv /var/lib/locktables /var/lib/kept && touch /var/lib/locktables",
      "rm -rf /var/lib/locktables*; mv /var/lib/kept /var/lib/locktables",
    ),
    remedy: 0,
  },
  {
    code: "path-unusable",
    name: "the state directory is read-only",
    given: script(
      "mount -t tmpfs -o ro,mode=0700 tmpfs /var/lib/locktables",
      "umount /var/lib/locktables",
    ),
    remedy: 0,
  },
  {
    code: "path-unusable",
    name: "the run directory is a file",
    given: script("rm -rf /run/veeam && touch /run/veeam", "rm -rf /run/veeam /run/veeam.old"),
    remedy: 0,
  },
  {
    code: "sync-unusable",
    name: "sync is no program",
    given: script("mount --bind /dev/null /usr/bin/sync", "umount /usr/bin/sync"),
    remedy: "none",
  },
  {
    code: "too-slow",
    name: "the process that looks is stopped",
    given: ({ sandbox }) => {
      let isOver = false;
      const stopping = (async () => {
        while (!isOver) {
          for (const { pid, cmdline } of await processesOf(sandbox)) {
            if (!cmdline.includes(" attended ")) continue;
            try {
              Deno.kill(pid, "SIGSTOP");
            } catch {
              // Has ended since.
            }
          }
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
      })();
      return Promise.resolve(() => {
        isOver = true;
        return stopping;
      });
    },
    remedy: "none",
  },
  {
    code: "disk-silent",
    name: "the disk of the state directory is frozen",
    async given({ sandbox }) {
      const disk = await openStateDisk(sandbox);
      await disk.begin("frozen");
      return () => disk.close();
    },
    remedy: "none",
  },
  {
    code: "disk-full",
    name: "the disk of the state directory is full",
    given: script(
      "mount -t tmpfs -o size=16k,mode=0700 tmpfs /var/lib/locktables; dd if=/dev/zero of=/var/lib/locktables/big bs=4k 2>/dev/null; true",
      "umount /var/lib/locktables",
    ),
    remedy: "none",
  },
  {
    code: "directory-not-private",
    name: "everybody may look into the state directory",
    given: script("chmod 0755 /var/lib/locktables"),
    remedy: 0,
  },
  {
    code: "directory-untrusted",
    name: "the run directory is a link",
    given: script(
      "rm -rf /run/veeam && ln -s /run/mysqld /run/veeam",
      "rm -rf /run/veeam /run/veeam.old",
    ),
    remedy: 0,
  },
  {
    code: "directory-not-private",
    name: "the run directory is somebody else's",
    given: script("mkdir -p -m 0700 /run/veeam && chown 1000 /run/veeam"),
    remedy: 0,
  },
];

/** The server's socket out of the way, and a service manager that brings it back. */
const HIDE_SOCKET = `mv /run/mysqld/mysqld.sock /run/mysqld/hidden && ${
  standIn("systemctl", 'test "$2" = mysqld && mv /run/mysqld/hidden /run/mysqld/mysqld.sock')
}`;
const SHOW_SOCKET = "mv /run/mysqld/hidden /run/mysqld/mysqld.sock 2>/dev/null; true";

const LOGIN_CASES: readonly CheckCase[] = [
  {
    code: "socket-untrusted",
    name: "everybody may make a socket where the server's is",
    given: script("chmod 1777 /run/mysqld", "chmod 0755 /run/mysqld"),
    remedy: "none",
  },
  {
    code: "no-socket",
    name: "there is no socket",
    given: script(HIDE_SOCKET, SHOW_SOCKET),
    remedy: 0,
  },
  {
    code: "server-down",
    name: "nobody listens on the socket",
    given: async (scene) => {
      const end = await script(HIDE_SOCKET, SHOW_SOCKET)(scene);
      Deno.listen({ transport: "unix", path: scene.server.socket }).close();
      return end;
    },
    remedy: 0,
  },
  {
    code: "socket-denied",
    name: "the socket may not be used",
    given: script(
      "chown 1000 /var/lib/mysql /run/mysqld/mysqld.sock && chmod 0600 /run/mysqld/mysqld.sock",
      "chown 0 /var/lib/mysql /run/mysqld/mysqld.sock && chmod 0777 /run/mysqld/mysqld.sock",
    ),
    through: WITHOUT_OVERRIDE,
    remedy: "none",
  },
  {
    code: "socket-elsewhere",
    name: "the socket is where locktables may not go",
    given: async ({ server, sandbox }) => {
      await sandbox.writeFile("/root/.my.cnf", `[client]\nsocket=${server.socket}\n`);
      return () => sandbox.sh("rm -f /var/lib/locktables/tmp-*");
    },
    remedy: 0,
  },
  {
    code: "too-many-connections",
    name: "the server is full",
    given: async (scene) => {
      const end = await account("IDENTIFIED BY 's3cret'", RIGHTS)(scene);
      await scene.admin.query("SET GLOBAL max_connections=10");
      // One more is kept for the server's root: it is the remedy's.
      const crowd: Connection[] = [];
      while (await connectedTo(scene.admin) < 10) crowd.push(await connect(scene.server));
      return async () => {
        for (const session of crowd) await session.close();
        await scene.admin.query("SET GLOBAL max_connections=151");
        await end?.();
      };
    },
    remedy: 0,
  },
  {
    code: "too-many-connections",
    name: "the account may have one session",
    given: account("IDENTIFIED BY 's3cret' WITH MAX_USER_CONNECTIONS 1", RIGHTS),
    remedy: 0,
  },
  {
    code: "too-many-connections",
    name: "the account may log in once an hour",
    given: async (scene) => {
      const end = await account("IDENTIFIED BY 's3cret' WITH MAX_CONNECTIONS_PER_HOUR 1", RIGHTS)(
        scene,
      );
      // Of two logins at once MySQL may let in both: this is the one.
      await scene.sandbox.sh("locktables check");
      return end;
    },
    remedy: 0,
  },
  {
    code: "session-limit",
    name: "the account may have two sessions",
    given: account("IDENTIFIED BY 's3cret' WITH MAX_USER_CONNECTIONS 2", RIGHTS),
    remedy: 0,
  },
  {
    code: "session-failed",
    name: "the server is stopped",
    given: ({ server }) => {
      Deno.kill(server.pid, "SIGSTOP");
      return Promise.resolve(() => Promise.resolve(Deno.kill(server.pid, "SIGCONT")));
    },
    remedy: "none",
  },
  {
    code: "unknown-server",
    name: "the server does not say what it is",
    flavors: ["mariadb"],
    args: () => ["--version=unknown", "--skip-log-bin"],
    given: () => Promise.resolve(),
    remedy: "none",
  },
  {
    code: "access-denied",
    name: "the password is wrong",
    given: withoutFileAfter(account("IDENTIFIED BY 'other'", RIGHTS)),
    remedy: "none",
  },
  {
    code: "auth-plugin",
    name: "the server has lost the account's login plugin",
    given: withoutFileAfter(async (scene) => {
      const end = await account("IDENTIFIED BY 's3cret'", RIGHTS)(scene);
      await scene.admin.query(
        scene.flavor === "mariadb"
          ? `UPDATE mysql.global_priv SET priv=JSON_SET(priv, '$.plugin', 'lost') WHERE User="o'hara"`
          : `UPDATE mysql.user SET plugin='lost' WHERE user="o'hara"`,
      );
      await scene.admin.query("FLUSH PRIVILEGES");
      return end;
    }),
    remedy: "none",
  },
  {
    code: "password-expired",
    name: "the password has expired",
    given: withoutFileAfter(account("IDENTIFIED BY 's3cret' PASSWORD EXPIRE", RIGHTS)),
    remedy: "none",
  },
  {
    code: "account-locked",
    name: "the account is locked",
    given: account("IDENTIFIED BY 's3cret' ACCOUNT LOCK", RIGHTS),
    remedy: 0,
  },
  {
    code: "init-connect-failed",
    name: "init_connect fails",
    given: async (scene) => {
      const end = await account("IDENTIFIED BY 's3cret'", RIGHTS)(scene);
      await scene.admin.query("SET GLOBAL init_connect='SELECT nothing'");
      return async () => {
        await scene.admin.query("SET GLOBAL init_connect=''");
        await end?.();
      };
    },
    remedy: 0,
  },
  {
    code: "privilege-missing",
    name: "the account may nothing",
    given: account("IDENTIFIED BY 's3cret'", { mariadb: "", mysql: "" }),
    remedy: 0,
  },
  {
    code: "method-unavailable",
    name: "the method is MariaDB's",
    flavors: ["mysql"],
    given: option("[locktables]\nmethod=backup-stage\n"),
    remedy: 0,
  },
  {
    code: "same-server",
    name: "two instances are one server",
    given: async ({ sandbox }) => {
      await sandbox.sh("ln -s /run/mysqld/mysqld.sock /var/lib/locktables/other.sock");
      await sandbox.writeFile(
        "/root/.my.cnf",
        "[locktables]\ninstances=a,b\n[client_b]\nsocket=/var/lib/locktables/other.sock\n",
      );
      return () => sandbox.sh("rm -f /var/lib/locktables/other.sock /root/.my.cnf");
    },
    remedy: "none",
  },
];

const WINDOWS: readonly CheckCase[] = [
  {
    code: "window-open",
    name: "a window is open",
    given: script("locktables pre-freeze", "locktables post-thaw"),
    remedy: 0,
    says: /^locktables post-thaw$/,
  },
  {
    code: "locker-silent",
    name: "the locker is stopped",
    given: async (scene) => {
      await scene.sandbox.sh("locktables pre-freeze");
      Deno.kill(await onlyLocker(scene.sandbox), "SIGSTOP");
      return () => scene.sandbox.sh("locktables post-thaw; locktables rehearse --hold 0s");
    },
    remedy: 0,
  },
  {
    code: "locker-died",
    name: "the locker was killed",
    given: async (scene) => {
      await scene.sandbox.sh("locktables pre-freeze");
      Deno.kill(await onlyLocker(scene.sandbox), "SIGKILL");
      return () => scene.sandbox.sh("locktables rehearse --hold 0s");
    },
    remedy: 12,
  },
  {
    code: "last-window-bad",
    name: "the last window was lost",
    given: async (scene) => {
      await scene.sandbox.sh("locktables pre-freeze");
      Deno.kill(await onlyLocker(scene.sandbox), "SIGKILL");
      await scene.sandbox.sh("locktables post-thaw");
    },
    remedy: 0,
    says: /^locktables rehearse$/,
  },
  {
    code: "window-never-closed",
    name: "the guest comes from an image",
    given: script(
      "locktables pre-freeze && cp -p /var/lib/locktables/record.json /var/lib/kept.json && locktables post-thaw && mv /var/lib/kept.json /var/lib/locktables/record.json",
    ),
    remedy: 0,
    says: /^locktables rehearse$/,
  },
  {
    code: "image-overdue",
    name: "no window for longer than usual",
    given: script(
      `locktables pre-freeze && locktables post-thaw
      line=$(tail -n 1 /var/lib/locktables/history.jsonl)
      for day in 7 6 5 4; do
        then=$(date -u -d "-$day days" +%FT%TZ)
        echo "$line" | sed 's/"opened_at":"[^"]*/"opened_at":"'"$then"/
      done > /var/lib/locktables/history.jsonl`,
      "rm /var/lib/locktables/history.jsonl",
    ),
    remedy: "none",
  },
  {
    code: "windows-frequent",
    name: "a window every minute",
    flavors: ["mariadb"],
    given: script(
      `locktables pre-freeze && locktables post-thaw
      line=$(tail -n 1 ${HISTORY_FILE})
      for minute in $(seq 40 -1 1); do
        then=$(date -u -d "-$minute minutes" +%FT%TZ)
        echo "$line" | sed 's/"opened_at":"[^"]*/"opened_at":"'"$then"/
      done > ${HISTORY_FILE}`,
      `rm ${HISTORY_FILE}`,
    ),
    remedy: "none",
  },
  {
    code: "not-reported",
    name: "logger fails",
    given: script(
      `mount --bind /bin/false /usr/bin/logger && locktables pre-freeze && locktables post-thaw
      for _ in 1 2 3 4 5 6 7 8 9 10; do
        [ -e /run/veeam/unreported.json ] || sleep 0.5
      done`,
      "umount /usr/bin/logger; locktables rehearse --hold 0s; sleep 2",
    ),
    remedy: "none",
  },
  {
    code: "log-unreachable",
    name: "logger cannot be started",
    flavors: ["mariadb"],
    given: script("mount --bind /etc/passwd /usr/bin/logger", "umount /usr/bin/logger"),
    remedy: "none",
  },
  {
    code: "metrics-stale",
    name: "the last window is not in the metrics",
    flavors: ["mariadb"],
    given: script(
      `mkdir -p ${METRICS_DIR} && locktables install prometheus
      rm ${METRICS_DIR}/locktables.prom
      locktables pre-freeze && locktables post-thaw
      for _ in $(seq 300); do [ -e ${METRICS_DIR}/locktables.prom ] && break || sleep 0.1; done
      touch -d '1 hour ago' ${METRICS_DIR}/locktables.prom
      sed -i 's/"closed_at":"[^"]*/"closed_at":"'"$(date -u -d '-10 minutes' +%FT%TZ)"/ ${HISTORY_FILE}`,
      `locktables uninstall prometheus; rm -rf ${METRICS_DIR} ${HISTORY_FILE}`,
    ),
    remedy: 0,
    says: /^locktables install prometheus$/,
  },
  {
    code: "metrics-unreadable",
    name: "the metrics are root's alone",
    flavors: ["mariadb"],
    given: script(
      `mkdir -p ${METRICS_DIR} && locktables install prometheus
      chmod 0600 ${METRICS_DIR}/locktables.prom`,
      `locktables uninstall prometheus; rm -rf ${METRICS_DIR}`,
    ),
    remedy: 0,
  },
  {
    code: "run-leftovers",
    name: "a lock file is left without a locker",
    given: script("mkdir -p -m 0700 /run/veeam && touch /run/veeam/waitforsnapshot"),
    remedy: 0,
  },
  {
    code: "mysql-flush-fifo",
    name: "QEMU's hook has left its FIFO",
    given: script("mkfifo /run/mysql-flush.fifo && touch -d '1 hour ago' /run/mysql-flush.fifo"),
    remedy: 0,
  },
  {
    code: "veeamhub-flag",
    name: "VeeamHub's hook has left its flag",
    // /tmp is the machine's own: it goes with the case.
    given: script(
      "touch -d '1 hour ago' /tmp/mysql_tables_read_lock",
      "rm -f /tmp/mysql_tables_read_lock",
    ),
    remedy: 0,
  },
];

const SERVER: readonly CheckCase[] = [
  {
    code: "method",
    name: "the server can be frozen",
    isUsual: true,
    given: ({ sandbox }) =>
      Promise.resolve(() => sandbox.writeFile("/root/.my.cnf", "[client]\nuser=nobody\n")),
    remedy: "none",
  },
  {
    code: "server-taken",
    name: "another locktables has a window open",
    given: session((other) => other.query("SELECT GET_LOCK('locktables', 0)")),
    remedy: 0,
  },
  {
    code: "name-held",
    name: "another account has the name of locktables",
    given: async ({ server, admin }) => {
      await admin.query("CREATE USER mallory@localhost");
      const other = await connect(server, { user: "mallory" });
      await other.query("SELECT GET_LOCK('locktables', 0)");
      return async () => {
        await other.close();
        await admin.query("DROP USER mallory@localhost");
      };
    },
    remedy: 0,
  },
  {
    code: "guard-blind",
    name: "the account may not see other accounts' statements",
    given: account("IDENTIFIED BY 's3cret'", BLIND),
    remedy: 0,
  },
  {
    code: "kill-denied",
    name: "the account may not kill what it is to kill",
    given: account("IDENTIFIED BY 's3cret'", RIGHTS, "[locktables]\nkill_long_queries=select\n"),
    remedy: 0,
  },
  {
    code: "replicas-unseen",
    name: "the account may not see the channels of what was a replica",
    flavors: ["mariadb"],
    given: async (scene) => {
      await scene.admin.query("SET GLOBAL gtid_slave_pos='7-99-1'");
      const end = await account("IDENTIFIED BY 's3cret'", RIGHTS)(scene);
      return async () => {
        await scene.admin.query("SET GLOBAL gtid_slave_pos=''");
        await end?.();
      };
    },
    remedy: 0,
  },
  {
    code: "lock-held-elsewhere",
    name: "somebody holds FLUSH TABLES WITH READ LOCK",
    flavors: ["mysql"],
    given: session((other) => other.query("FLUSH TABLES WITH READ LOCK")),
    remedy: 0,
  },
  {
    code: "lock-awaited",
    name: "somebody writes while a backup holds its lock",
    flavors: ["mariadb"],
    given: async (scene) => {
      await makeTables(scene);
      const holder = await connect(scene.server);
      await holder.query("BACKUP STAGE START");
      await holder.query("BACKUP STAGE BLOCK_COMMIT");
      const writer = await connect(scene.server);
      await running(writer, "INSERT INTO shop.busy VALUES (10)");
      return async () => {
        await holder.close();
        await writer.query("DELETE FROM shop.busy WHERE id = 10");
        await writer.close();
      };
    },
    remedy: "none",
  },
  {
    code: "blocker",
    name: "a long SELECT is in the way",
    flavors: ["mysql"],
    given: session(async (other, scene) => {
      await makeTables(scene);
      await running(other, "SELECT SLEEP(60) FROM shop.busy");
    }),
    remedy: 0,
    says: /KILL QUERY \d+/,
  },
  {
    code: "blocker",
    name: "a long UPDATE is in the way of FLUSH TABLES WITH READ LOCK",
    given: async (scene) => {
      await option("[locktables]\nmethod=ftwrl\n")(scene);
      return await session(async (other) => {
        await makeTables(scene);
        await running(other, "UPDATE shop.busy SET id = id + 0 * SLEEP(60)");
      })(scene);
    },
    remedy: 0,
    says: /KILL QUERY \d+/,
  },
  {
    code: "blocker",
    name: "an idle session has locked a table",
    flavors: ["mysql"],
    given: session(async (other, scene) => {
      await makeTables(scene);
      await other.query("LOCK TABLES shop.busy READ");
    }),
    remedy: 0,
    says: /KILL \d+/,
  },
  {
    code: "connections-near-limit",
    name: "the server is nearly full",
    given: async ({ admin, sandbox }) => {
      await admin.query("SET GLOBAL max_connections=10");
      await sandbox.writeFile("/root/.my.cnf", "[locktables]\nconnection_mark=10%\n");
      return () => admin.query("SET GLOBAL max_connections=151");
    },
    remedy: 0,
  },
  {
    code: "read-only-left",
    name: "read_only is on where nobody replicates",
    given: sql(["SET GLOBAL read_only=ON"], ["SET GLOBAL read_only=OFF"]),
    remedy: 0,
  },
  {
    code: "read-only-left",
    name: "super_read_only is on where nobody replicates",
    flavors: ["mysql"],
    given: sql(["SET GLOBAL super_read_only=ON"], ["SET GLOBAL read_only=OFF"]),
    remedy: 0,
  },
  {
    code: "thread-pool",
    name: "threads come from a pool",
    flavors: ["mariadb"],
    args: () => ["--thread-handling=pool-of-threads"],
    given: () => Promise.resolve(),
    remedy: "none",
  },
  {
    code: "unanswered",
    name: "the server is stuck in the question for its tables",
    given: stuckIn("information_schema.tables"),
    remedy: "none",
  },
  {
    code: "unanswered",
    name: "the server is stuck in the question for its process list",
    given: stuckIn("LEFT(info, 1536)"),
    remedy: "none",
  },
  {
    code: "non-transactional-tables",
    name: "there are tables of MyISAM and CSV, with odd names",
    given: async ({ admin }) => {
      for (const name of ["order", 'o\'hara`s "$HOME"!', "naïve"]) {
        const quoted = `shop.\`${name.replaceAll("`", "``")}\``;
        await admin.query(`CREATE TABLE ${quoted} (id INT NOT NULL) ENGINE=MyISAM`);
      }
      await admin.query("CREATE TABLE shop.log (id INT NOT NULL) ENGINE=CSV");
    },
    remedy: 0,
  },
  {
    code: "tables-unseen",
    name: "the account may not see the tables",
    given: withoutFileAfter(account("IDENTIFIED BY 's3cret'", RIGHTS)),
    remedy: "none",
  },
  {
    code: "performance-schema-unseen",
    name: "the account may not read performance_schema",
    flavors: ["mysql"],
    given: account("IDENTIFIED BY 's3cret'", RIGHTS),
    remedy: 0,
  },
  {
    code: "no-binlog",
    name: "the server writes no binlog",
    args: () => ["--skip-log-bin"],
    given: () => Promise.resolve(),
    remedy: "none",
  },
  {
    code: "writers-give-up",
    name: "the server's lock_wait_timeout is shorter than the hold",
    given: sql(["SET GLOBAL lock_wait_timeout=5"], ["SET GLOBAL lock_wait_timeout=86400"]),
    remedy: "none",
  },
  {
    code: "log-in-memory",
    name: "commits stay in memory",
    given: sql(
      ["SET GLOBAL innodb_flush_log_at_trx_commit=0"],
      ["SET GLOBAL innodb_flush_log_at_trx_commit=1"],
    ),
    remedy: 0,
  },
];

const STORAGE: readonly CheckCase[] = [
  {
    code: "path-unseen",
    name: "the data directory is not where the server says",
    given: (scene) =>
      script(`mount -t tmpfs tmpfs ${scene.server.dir}`, `umount ${scene.server.dir}`)(scene),
    remedy: "none",
  },
  {
    code: "several-filesystems",
    name: "the binlog has a disk of its own",
    args: (dir) => [`--log-bin=${dir}/binlog/binlog`],
    given: (scene) => script(`mount -t tmpfs tmpfs ${scene.server.dir}/binlog`)(scene),
    remedy: "none",
  },
  {
    code: "data-directory-elsewhere",
    name: "a table has a disk of its own",
    // MySQL takes only directories that it names in innodb_directories, and those are flushed.
    flavors: ["mariadb"],
    given: async ({ admin, server, sandbox }) => {
      const other = `${server.dir}/other`;
      await Deno.mkdir(other);
      await admin.query(`CREATE TABLE shop.far (id INT PRIMARY KEY) DATA DIRECTORY='${other}'`);
      await sandbox.sh(`mount -t tmpfs tmpfs ${other} && mkdir ${other}/shop`);
      return async () => {
        await sandbox.sh(`umount ${other}`);
        await admin.query("DROP TABLE shop.far");
      };
    },
    remedy: "none",
  },
];

/** All of them, in the order in which they are tried. */
export const SERVER_CASES: readonly CheckCase[] = [
  // What has nothing to do with the server is shown beside one of them.
  ...[...OPTION_FILE, ...DIRECTORIES].map((one): CheckCase => ({ flavors: ["mariadb"], ...one })),
  ...LOGIN_CASES,
  ...WINDOWS,
  ...SERVER,
  ...STORAGE,
];
