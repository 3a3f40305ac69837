/**
 * install.sh under three shells. Its decisions are tried with a small program in place of ours and
 * with a PATH of chosen tools; the rest on the real program, in a guest of its own.
 */
import assert from "node:assert/strict";
import { pinInstaller } from "../../scripts/release.ts";
import { PUBLIC_KEY_FILE, type ReleaseKey, SIGNATURE_FILE, signFile } from "../../scripts/sign.ts";
import { repositoryRoot, run, runOrFail, type RunResult } from "../../scripts/shell.ts";
import { sha256OfFile } from "../../scripts/hashes.ts";
import { VERSION } from "../../lib/base/version.ts";
import { type Keys, withKeys } from "../support/openpgp.ts";
import { openSandbox, type Sandbox } from "../support/sandbox.ts";

interface Shell {
  readonly name: string;
  readonly argv: readonly string[];
  /** Whether the tools are busybox's as well: it has others, and knows fewer options. */
  readonly isBusybox: boolean;
}

const SHELLS: readonly Shell[] = [
  { name: "dash", argv: ["/usr/bin/dash"], isBusybox: false },
  { name: "bash", argv: ["/usr/bin/bash"], isBusybox: false },
  { name: "busybox ash", argv: ["/usr/bin/busybox", "ash"], isBusybox: true },
];
const [DASH] = SHELLS as [Shell];

/** Every program that the script calls, but for those that download. */
const TOOLS = [
  "cat",
  "chmod",
  "cp",
  "dirname",
  "getconf",
  "id",
  "ldd",
  "mkdir",
  "mktemp",
  "mv",
  "rm",
  "rmdir",
  "sed",
  "sha256sum",
  "uname",
];

/** Those of them that busybox does not have. */
const NOT_IN_BUSYBOX = ["getconf", "ldd"];

const PROGRAM = '#!/bin/sh\necho "locktables 9.9.9"\n';
const OLD_PROGRAM = '#!/bin/sh\necho "locktables 9.9.8"\n';

/** Where one test installs: nothing outside of it can change. */
interface Ground {
  readonly dir: string;
  /** The whole PATH. */
  readonly tools: string;
  /** What the script takes for /tmp. */
  readonly tmp: string;
  readonly prefix: string;
  /** The release: install.sh and locktables. */
  readonly release: string;
  /** Gives the PATH a program of this machine. */
  tool(name: string): Promise<void>;
  /** Gives the PATH a shell script in place of a program. */
  stub(name: string, script: string): Promise<void>;
  /** Makes install.sh anew, for the program that is in the release now. */
  pin(pin: { baseUrl?: string; version?: string; signedBy?: string }): Promise<void>;
}

async function withGround(shell: Shell, test: (ground: Ground) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "lt-install-" });
  try {
    // Another account tries it, too.
    await Deno.chmod(dir, 0o755);
    const [tools, tmp, prefix, release] = ["tools", "tmp", "prefix", "release"]
      .map((name) => `${dir}/${name}`) as [string, string, string, string];
    for (const path of [tools, tmp, prefix, release]) await Deno.mkdir(path);
    const ground: Ground = {
      dir,
      tools,
      tmp,
      prefix,
      release,
      async tool(name) {
        await Deno.remove(`${tools}/${name}`).catch(ignoreMissing);
        await Deno.symlink(
          shell.isBusybox ? "/usr/bin/busybox" : `/usr/bin/${name}`,
          `${tools}/${name}`,
        );
      },
      async stub(name, script) {
        await Deno.remove(`${tools}/${name}`).catch(ignoreMissing);
        await Deno.writeTextFile(`${tools}/${name}`, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
      },
      async pin({ version = "9.9.9", baseUrl, signedBy }) {
        const template = await Deno.readTextFile(`${repositoryRoot()}/install.sh`);
        const sha256 = await sha256OfFile(`${release}/locktables`);
        await Deno.writeTextFile(
          `${release}/install.sh`,
          pinInstaller(template, {
            version,
            sha256,
            ...(baseUrl === undefined ? {} : { baseUrl }),
            ...(signedBy === undefined ? {} : { signedBy }),
          }),
        );
      },
    };
    for (const name of TOOLS) {
      if (!shell.isBusybox || !NOT_IN_BUSYBOX.includes(name)) await ground.tool(name);
    }
    await Deno.writeTextFile(`${release}/locktables`, PROGRAM);
    await ground.pin({});
    await test(ground);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

function ignoreMissing(error: unknown): void {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}

/** Runs the installer of the release. */
function install(
  shell: Shell,
  ground: Ground,
  args: readonly string[],
  options: { readonly script?: string; readonly stdin?: string; readonly as?: readonly string[] } =
    {},
): Promise<RunResult> {
  const script = options.stdin === undefined
    ? [options.script ?? `${ground.release}/install.sh`]
    : ["-s", "--"];
  return run([...options.as ?? [], ...shell.argv, ...script, ...args], {
    cwd: ground.dir,
    clearEnv: true,
    env: { PATH: ground.tools, TMPDIR: ground.tmp },
    ...(options.stdin === undefined ? {} : { stdin: options.stdin }),
  });
}

/** Everything below a directory, with what would show that it was touched. */
async function treeOf(dir: string): Promise<readonly string[]> {
  const { stdout } = await runOrFail("find", [
    "find",
    dir,
    "-type",
    "d",
    "-printf",
    "%P %m\\n",
    "-o",
    "-printf",
    "%P %m %s %T@ %i %l\\n",
  ]);
  return stdout.trim().split("\n").sort();
}

/** What was added below a directory by something; nothing may be changed or removed. */
async function addedTo(dir: string, something: () => Promise<void>): Promise<readonly string[]> {
  const before = await treeOf(dir);
  await something();
  const after = await treeOf(dir);
  assert.deepEqual(before.filter((line) => !after.includes(line)), []);
  return after.filter((line) => !before.includes(line)).map((line) => line.split(" ")[0] ?? "");
}

function assertRefused(result: RunResult, message: RegExp, code = 1): void {
  assert.match(result.stderr, /^install\.sh: [^\n]+\. [A-Z][^\n]+\.\n$/);
  assert.match(result.stderr, message);
  assert.equal(result.code, code, result.stderr);
}

async function assertInstalled(ground: Ground, { code, stdout, stderr }: RunResult): Promise<void> {
  assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
  const program = `${ground.prefix}/sbin/locktables`;
  assert.ok(stdout.includes(`Installed locktables 9.9.9: ${program}\n`), stdout);
  assert.equal(await Deno.readTextFile(program), PROGRAM);
  assert.equal((await Deno.stat(program)).mode! & 0o7777, 0o755);
}

/** A server on this machine; `url` has no slash at its end. */
async function withServer(
  ground: Ground,
  test: (url: string) => Promise<void>,
): Promise<void> {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const { pathname } = new URL(request.url);
    const name = pathname.replace(/^\/dir\/(?=[^/]+$)/, "");
    const file = await Deno.readFile(`${ground.release}/${name}`).catch(ignoreMissing);
    return file === undefined
      ? new Response("none", { status: 404 })
      : new Response(file as Uint8Array<ArrayBuffer>);
  });
  try {
    await test(`http://127.0.0.1:${server.addr.port}`);
  } finally {
    await server.shutdown();
  }
}

/** A server that promises a program, sends half of it, and then closes or says no more. */
async function withHalfServer(
  then: "close" | "hang",
  test: (url: string, sent: Promise<void>) => Promise<void>,
): Promise<void> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const open: Deno.Conn[] = [];
  const { promise: sent, resolve } = Promise.withResolvers<void>();
  const serving = (async () => {
    for await (const connection of listener) {
      open.push(connection);
      await connection.read(new Uint8Array(4096));
      const half = PROGRAM.slice(0, PROGRAM.length / 2);
      const head = `HTTP/1.1 200 OK\r\nContent-Length: ${PROGRAM.length}\r\n\r\n`;
      await connection.write(new TextEncoder().encode(head + half));
      if (then === "close") open.pop()?.close();
      resolve();
    }
  })();
  try {
    await test(`http://127.0.0.1:${listener.addr.port}/locktables`, sent);
  } finally {
    listener.close();
    for (const connection of open) connection.close();
    await serving;
  }
}

// ---------------------------------------------------------------------------------------------
// Installing

interface Source {
  readonly name: string;
  readonly downloader?: "curl" | "wget";
  readonly from: (ground: Ground, url: string) => string;
}

const SOURCES: readonly Source[] = [
  { name: "a file", from: ({ release }) => `${release}/locktables` },
  { name: "a file named from the working directory", from: () => "release/locktables" },
  { name: "a directory", from: ({ release }) => release },
  { name: "a file URL", from: ({ release }) => `file://${release}/locktables` },
  { name: "the file URL of a directory", from: ({ release }) => `file://localhost${release}/` },
  ...(["curl", "wget"] as const).flatMap((downloader) => [
    {
      name: `a URL with ${downloader}`,
      downloader,
      from: (_: Ground, url: string) => `${url}/dir/locktables`,
    },
    {
      name: `the URL of a directory with ${downloader}`,
      downloader,
      from: (_: Ground, url: string) => `${url}/dir/`,
    },
  ]),
];

for (const shell of SHELLS) {
  for (const { name, downloader, from } of SOURCES) {
    // Busybox has no curl.
    if (shell.isBusybox && downloader === "curl") continue;
    Deno.test(`install.sh: ${shell.name} installs from ${name}, and changes nothing else`, async () => {
      await withGround(shell, async (ground) => {
        if (downloader !== undefined) await ground.tool(downloader);
        await withServer(ground, async (url) => {
          const added = await addedTo(ground.dir, async () => {
            const args = ["--from", from(ground, url), "--prefix", ground.prefix];
            await assertInstalled(ground, await install(shell, ground, args));
          });
          assert.deepEqual(added, ["prefix/sbin", "prefix/sbin/locktables"]);
        });
      });
    });
  }

  Deno.test(`install.sh: ${shell.name} installs from the release's own place when it is piped in`, async () => {
    await withGround(shell, async (ground) => {
      await ground.tool("wget");
      await withServer(ground, async (url) => {
        await ground.pin({ baseUrl: `${url}/dir/` });
        const stdin = await Deno.readTextFile(`${ground.release}/install.sh`);
        const result = await install(shell, ground, ["--prefix=prefix"], { stdin });
        await assertInstalled(ground, result);
        assert.ok(result.stdout.startsWith(`Downloading ${url}/dir/locktables\n`), result.stdout);
        // Not in the PATH, so with all of it.
        const program = `${ground.prefix}/sbin/locktables`;
        assert.match(result.stdout, new RegExp(`^ {2}${program} check {2}`, "m"));
        assert.match(result.stdout, new RegExp(`^ {2}${program} install CALLER {2}`, "m"));
      });
    });
  });

  Deno.test(`install.sh: ${shell.name} leaves what is installed already, and says so without a source`, async () => {
    await withGround(shell, async (ground) => {
      const args = ["--prefix", ground.prefix];
      await assertInstalled(ground, await install(shell, ground, ["--from", "release", ...args]));
      const added = await addedTo(ground.dir, async () => {
        const { code, stdout, stderr } = await install(shell, ground, args);
        assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
        const program = `${ground.prefix}/sbin/locktables`;
        assert.ok(stdout.startsWith(`locktables 9.9.9 is already installed: ${program}\nNext:\n`));
      });
      assert.deepEqual(added, []);
    });
  });

  Deno.test(`install.sh: ${shell.name} replaces an older program, and one that is a link`, async () => {
    await withGround(shell, async (ground) => {
      const args = ["--from", "release", "--prefix", ground.prefix];
      await Deno.mkdir(`${ground.prefix}/sbin`);
      await Deno.writeTextFile(`${ground.prefix}/sbin/locktables`, OLD_PROGRAM, { mode: 0o700 });
      await assertInstalled(ground, await install(shell, ground, args));

      // What a link leads to may go, even if it is the right program now.
      await Deno.chmod(`${ground.release}/locktables`, 0o755);
      await Deno.remove(`${ground.prefix}/sbin/locktables`);
      await Deno.symlink(`${ground.release}/locktables`, `${ground.prefix}/sbin/locktables`);
      await assertInstalled(ground, await install(shell, ground, args));
      assert.ok((await Deno.lstat(`${ground.prefix}/sbin/locktables`)).isFile);
    });
  });
}

Deno.test("install.sh: openssl will do where there is no sha256sum", async () => {
  await withGround(DASH, async (ground) => {
    await Deno.remove(`${ground.tools}/sha256sum`);
    await ground.tool("openssl");
    const args = ["--from", "release", "--prefix", ground.prefix];
    await assertInstalled(ground, await install(DASH, ground, args));
  });
});

for (
  const [says, getconf, ldd] of [
    ["glibc 2.27 by getconf", 'echo "glibc 2.27"', "exit 1"],
    ["glibc 2.100 by ldd", "exit 1", 'echo "ldd (GNU libc) 2.100"; echo "Copyright"'],
    ["glibc 3.0 by ldd", "exit 1", 'echo "ldd (Ubuntu GLIBC 3.0-3ubuntu1) 3.0"'],
    ["nothing", "exit 1", "exit 1"],
    ["something else", 'echo "undefined"', "exit 1"],
  ] as const
) {
  Deno.test(`install.sh: a system that says ${says} is installed on`, async () => {
    await withGround(DASH, async (ground) => {
      await ground.stub("getconf", getconf);
      await ground.stub("ldd", ldd);
      const args = ["--from", "release", "--prefix", ground.prefix];
      await assertInstalled(ground, await install(DASH, ground, args));
    });
  });
}

// ---------------------------------------------------------------------------------------------
// Refusing

interface Refused {
  readonly name: string;
  readonly says: RegExp;
  readonly prepare?: (ground: Ground) => Promise<void>;
  /** Default: --from release --prefix prefix. */
  readonly args?: readonly string[];
  readonly code?: number;
}

const uname = (system: string, machine: string) =>
  `case $1 in -s) echo ${system} ;; -m) echo ${machine} ;; esac`;

const REFUSED: readonly Refused[] = [
  {
    name: "another program than the release's",
    prepare: ({ release }) => Deno.writeTextFile(`${release}/locktables`, OLD_PROGRAM),
    says: /Wrong checksum: release\/locktables is [\da-f]{64}, expected [\da-f]{64}\./,
  },
  {
    name: "a system without a tool for sha256",
    prepare: ({ tools }) => Deno.remove(`${tools}/sha256sum`),
    says: /neither sha256sum nor openssl is here\. Install coreutils/,
  },
  {
    name: "a tool for sha256 that fails",
    prepare: (ground) => ground.stub("sha256sum", "exit 1"),
    says: /Wrong checksum/,
  },
  {
    name: "another architecture",
    prepare: (ground) => ground.stub("uname", uname("Linux", "aarch64")),
    says: /for Linux on x86_64, and this is Linux on aarch64\./,
  },
  {
    name: "another system",
    prepare: (ground) => ground.stub("uname", uname("FreeBSD", "x86_64")),
    says: /for Linux on x86_64, and this is FreeBSD on x86_64\./,
  },
  {
    name: "musl",
    prepare: async (ground) => {
      await ground.stub(
        "getconf",
        "echo 'getconf: GNU_LIBC_VERSION: unknown variable' >&2; exit 1",
      );
      await ground.stub("ldd", "printf 'musl libc (x86_64)\\nVersion 1.2.5\\n' >&2; exit 1");
    },
    says: /needs glibc 2\.27 or later, and this system has musl\./,
  },
  {
    name: "a glibc that getconf says is too old",
    prepare: (ground) => ground.stub("getconf", "echo glibc 2.17"),
    says: /needs glibc 2\.27 or later, and this system has 2\.17\./,
  },
  {
    name: "a glibc that ldd says is too old",
    prepare: async (ground) => {
      await ground.stub("getconf", "exit 1");
      await ground.stub("ldd", "printf 'ldd (Debian GLIBC 2.24-11+deb9u4) 2.24\\nCopyright\\n'");
    },
    says: /needs glibc 2\.27 or later, and this system has 2\.24\./,
  },
  {
    name: "a glibc of an older major version",
    prepare: (ground) => ground.stub("getconf", "echo glibc 1.99"),
    says: /this system has 1\.99\./,
  },
  {
    name: "a URL without a downloader",
    args: ["--from", "http://127.0.0.1:9/", "--prefix", "prefix"],
    says: /Cannot download http:\/\/127\.0\.0\.1:9\/locktables: neither curl nor wget is here\./,
  },
  {
    name: "a URL of another kind",
    args: ["--from", "ftp://127.0.0.1/", "--prefix", "prefix"],
    says: /Cannot download from ftp:\/\/127\.0\.0\.1\/\. Use an http, https or file URL\./,
  },
  {
    name: "a release without a place, when it is given none",
    args: ["--prefix", "prefix"],
    says: /has no place to download from\. .*--from/,
  },
  {
    name: "a file that is not there",
    args: ["--from", "release/none", "--prefix", "prefix"],
    says: /There is no file release\/none\./,
  },
  {
    name: "a directory without the program",
    args: ["--from", "tmp", "--prefix", "prefix"],
    says: /There is no file tmp\/locktables\./,
  },
  {
    name: "a prefix that is not there",
    args: ["--from", "release", "--prefix", "none"],
    says: /There is no directory none\./,
  },
  {
    name: "a prefix where a directory has the program's name",
    prepare: ({ prefix }) => Deno.mkdir(`${prefix}/sbin/locktables`, { recursive: true }),
    says: /prefix\/sbin\/locktables is a directory\./,
  },
  {
    name: "a prefix where a file has the directory's name",
    prepare: ({ prefix }) => Deno.writeTextFile(`${prefix}/sbin`, ""),
    says: /Cannot write to \S+\/prefix\/sbin\./,
  },
  {
    name: "a system without a temporary directory",
    prepare: ({ tmp }) => Deno.remove(tmp),
    says: /Cannot make a directory in \S+\/tmp\. .*TMPDIR/,
  },
  {
    name: "a program of another version",
    prepare: (ground) => ground.pin({ version: "9.9.10" }),
    says: /does not run here: it says "locktables 9\.9\.9", expected "locktables 9\.9\.10"\./,
  },
  {
    name: "a program that does not run",
    prepare: async (ground) => {
      await Deno.writeTextFile(`${ground.release}/locktables`, "#!/lib/ld-none.so\n");
      await ground.pin({});
    },
    says: /does not run here: it says ".*(not found|No such file|bad interpreter).*", expected/,
  },
  {
    name: "a program that ends without a word",
    prepare: async (ground) => {
      await Deno.writeTextFile(`${ground.release}/locktables`, "#!/bin/sh\nexit 3\n");
      await ground.pin({});
    },
    says: /does not run here: it says "", expected/,
  },
  { name: "an unknown option", args: ["--form", "x"], says: /Unknown option --form\./, code: 2 },
  { name: "an argument", args: ["release"], says: /Unexpected argument release\./, code: 2 },
  {
    name: "an option without its value",
    args: ["--from"],
    says: /--from needs a value\./,
    code: 2,
  },
  { name: "an empty value", args: ["--prefix", ""], says: /--prefix needs a value\./, code: 2 },
  {
    name: "a source for removing",
    args: ["--uninstall", "--from", "release"],
    says: /--uninstall takes no --from\./,
    code: 2,
  },
];

for (const shell of SHELLS) {
  for (const { name, prepare, args, says, code } of REFUSED) {
    Deno.test(`install.sh: ${shell.name} refuses ${name} in one line, and leaves nothing behind`, async () => {
      await withGround(shell, async (ground) => {
        await prepare?.(ground);
        const added = await addedTo(ground.dir, async () => {
          const line = args ?? ["--from", "release", "--prefix", "prefix"];
          assertRefused(await install(shell, ground, line), says, code);
        });
        assert.deepEqual(added, []);
      });
    });
  }

  Deno.test(`install.sh: ${shell.name} keeps the old program when the new one is not right`, async () => {
    await withGround(shell, async (ground) => {
      await Deno.mkdir(`${ground.prefix}/sbin`);
      await Deno.writeTextFile(`${ground.prefix}/sbin/locktables`, OLD_PROGRAM, { mode: 0o755 });
      const args = ["--from", "release", "--prefix", "prefix"];
      await ground.pin({ version: "9.9.10" });
      const added = await addedTo(ground.dir, async () => {
        assertRefused(await install(shell, ground, args), /does not run here/);
      });
      assert.deepEqual(added, []);
      await Deno.writeTextFile(`${ground.release}/locktables`, "damaged");
      const addedAfter = await addedTo(ground.dir, async () => {
        assertRefused(await install(shell, ground, args), /Wrong checksum/);
      });
      assert.deepEqual(addedAfter, []);
    });
  });

  Deno.test(`install.sh: ${shell.name} refuses a place that another account may not write to`, async () => {
    await withGround(shell, async (ground) => {
      await Deno.chmod(ground.tmp, 0o1777);
      const as = ["/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
      const args = ["--from", "release", "--prefix", "prefix"];
      const refused = await install(shell, ground, args, { as });
      assertRefused(
        refused,
        /Cannot write to \S+\/prefix\/\. Run this as root, or .*--prefix DIR\./,
      );
      await Deno.mkdir(`${ground.prefix}/sbin`);
      const again = await install(shell, ground, args, { as });
      assertRefused(again, /Cannot write to \S+\/prefix\/sbin\. Run this as root, or/);
      assert.deepEqual(await treeOf(ground.tmp), ["1777"]);
    });
  });

  for (const downloader of ["curl", "wget"] as const) {
    if (shell.isBusybox && downloader === "curl") continue;
    Deno.test(`install.sh: ${shell.name} with ${downloader} refuses what it cannot download whole`, async () => {
      await withGround(shell, async (ground) => {
        await ground.tool(downloader);
        const added = await addedTo(ground.dir, async () => {
          const attempt = (url: string) =>
            install(shell, ground, ["--from", url, "--prefix", "prefix"]);
          await withServer(ground, async (url) => {
            assertRefused(
              await attempt(`${url}/none`),
              /Cannot download http:\S+\/none.*--from FILE/,
            );
          });
          await withHalfServer("close", async (url) => {
            // wget of busybox takes the half for all of it: then the checksum tells.
            assertRefused(await attempt(url), /Cannot download|Wrong checksum/);
          });
          // Nobody listens on the discard port.
          assertRefused(await attempt("http://127.0.0.1:9/x"), /Cannot download http:\S+\/x/);
        });
        assert.deepEqual(added, []);
      });
    });

    for (const [signal, code] of [["INT", 130], ["TERM", 143]] as const) {
      Deno.test(`install.sh: ${shell.name} with ${downloader} leaves nothing behind after SIG${signal}`, async () => {
        await withGround(shell, async (ground) => {
          await ground.tool(downloader);
          const added = await addedTo(ground.dir, async () => {
            await withHalfServer("hang", async (url, sent) => {
              const [program = "", ...args] = shell.argv;
              const child = new Deno.Command(program, {
                args: [
                  ...args,
                  `${ground.release}/install.sh`,
                  "--from",
                  url,
                  "--prefix",
                  "prefix",
                ],
                cwd: ground.dir,
                clearEnv: true,
                env: { PATH: ground.tools, TMPDIR: ground.tmp },
                stdin: "null",
                stdout: "null",
                stderr: "null",
                // A group of its own, to be signalled as a terminal does it.
                detached: true,
              }).spawn();
              const ended = child.status;
              const first = await Promise.race([
                sent.then(() => "sent"),
                ended.then(() => "ended"),
              ]);
              assert.equal(first, "sent", "the download did not start");
              await runOrFail("kill", ["/usr/bin/kill", "-s", signal, "--", `-${child.pid}`]);
              assert.equal((await ended).code, code);
            });
          });
          assert.deepEqual(added, []);
        });
      });
    }
  }
}

Deno.test("install.sh: a script of no release, and not in a checkout, says where to get one", async () => {
  await withGround(DASH, async (ground) => {
    const template = await Deno.readTextFile(`${repositoryRoot()}/install.sh`);
    await Deno.writeTextFile(`${ground.release}/install.sh`, template);
    const added = await addedTo(ground.dir, async () => {
      for (const args of [[], ["--from", "release"], ["--version"]]) {
        const refused = await install(DASH, ground, args);
        assertRefused(refused, /not in a checkout\. Take the install\.sh/);
      }
    });
    assert.deepEqual(added, []);
    // Piped in where the working directory is a checkout: that says nothing about the script.
    await Deno.mkdir(`${ground.dir}/scripts`);
    await Deno.writeTextFile(`${ground.dir}/scripts/build.ts`, "");
    await Deno.writeTextFile(`${ground.dir}/deno.json`, '{"version": "9.9.9"}');
    const piped = await install(DASH, ground, [], { stdin: template });
    assertRefused(piped, /not in a checkout\. Take the install\.sh/);
  });
});

Deno.test("install.sh: it prints its version and its options", async () => {
  for (const shell of SHELLS) {
    await withGround(shell, async (ground) => {
      const version = await install(shell, ground, ["--version"]);
      assert.deepEqual([version.code, version.stdout], [0, "locktables 9.9.9\n"]);
      for (const option of ["-h", "--help"]) {
        const { code, stdout, stderr } = await install(shell, ground, [option]);
        assert.deepEqual([code, stderr], [0, ""]);
        for (const name of ["--from", "--prefix", "--uninstall", "--version", "--help"]) {
          assert.match(stdout, new RegExp(`^ {2}.*${name}`, "m"));
        }
        assert.deepEqual(stdout.split("\n").filter((line) => line.length > 80), []);
      }
    });
  }
});

// ---------------------------------------------------------------------------------------------
// The signature

/** Signs the release of a ground anew. */
async function signRelease({ release }: Ground, key: ReleaseKey, sums?: string): Promise<void> {
  await Deno.remove(`${release}/${SIGNATURE_FILE}`).catch(ignoreMissing);
  const sum = await sha256OfFile(`${release}/locktables`);
  await Deno.writeTextFile(`${release}/SHA256SUMS`, sums ?? `${sum}  locktables\n`);
  await Deno.writeFile(`${release}/${PUBLIC_KEY_FILE}`, key.publicKey);
  await signFile(key, `${release}/SHA256SUMS`, `${release}/${SIGNATURE_FILE}`);
}

interface SignatureCase {
  readonly name: string;
  /** The release is signed by us before, and gpgv is there. */
  readonly prepare?: (ground: Ground, keys: Keys) => Promise<void>;
  /** Default: the release's directory. */
  readonly from?: (ground: Ground, url: string) => string;
  readonly signedBy?: (keys: Keys) => string;
  /** What an installation says, or a refusal. */
  readonly says: (keys: Keys) => RegExp;
  readonly isRefused?: true;
  readonly code?: number;
}

const NOT_GOOD = /The signature of \S+\/SHA256SUMS is not good, or not of the key [\dA-F]{40}\./;

const SIGNATURES: readonly SignatureCase[] = [
  {
    name: "a directory that the release's key has signed",
    says: ({ ours }) => new RegExp(`^Signed by ${ours.fingerprint}$`, "m"),
  },
  {
    name: "a URL, by the fingerprint that the operator knows",
    from: (_, url) => `${url}/dir/`,
    signedBy: ({ ours }) => ours.fingerprint.toLowerCase().replaceAll(/(.{4})/g, "$1 ").trim(),
    says: ({ ours }) => new RegExp(`^Signed by ${ours.fingerprint}$`, "m"),
  },
  {
    name: "the program alone, with a word that its signature is not there",
    prepare: ({ release, tmp }) => Deno.copyFile(`${release}/locktables`, `${tmp}/locktables`),
    from: ({ tmp }) => `${tmp}/locktables`,
    says: () => /^The signature of the release was not checked: there is no \S+\/SHA256SUMS\.asc$/m,
  },
  {
    name: "a system without gpgv, with a word",
    prepare: ({ tools }) => Deno.remove(`${tools}/gpgv`),
    says: () => /^The signature of the release was not checked: gpgv is not here$/m,
  },
  {
    name: "a system without gpgv, where a key is named",
    prepare: ({ tools }) => Deno.remove(`${tools}/gpgv`),
    signedBy: ({ ours }) => ours.fingerprint,
    says: () => /Cannot check the signature: gpgv is not here\. Install gpgv/,
    isRefused: true,
  },
  {
    name: "the program alone, where a key is named",
    prepare: ({ release, tmp }) => Deno.copyFile(`${release}/locktables`, `${tmp}/locktables`),
    from: ({ tmp }) => `${tmp}/locktables`,
    signedBy: ({ ours }) => ours.fingerprint,
    says: () => /Cannot check the signature: there is no \S+\/SHA256SUMS\.asc\./,
    isRefused: true,
  },
  {
    name: "a directory without the signature",
    prepare: ({ release }) => Deno.remove(`${release}/${SIGNATURE_FILE}`),
    says: () => /Cannot copy \S+\/SHA256SUMS\.asc: /,
    isRefused: true,
  },
  {
    name: "checksums that were changed after they were signed",
    prepare: ({ release }) =>
      Deno.writeTextFile(`${release}/SHA256SUMS`, "x  y\n", { append: true }),
    says: () => NOT_GOOD,
    isRefused: true,
  },
  {
    name: "a release that somebody else has signed",
    prepare: (ground, { theirs }) => signRelease(ground, theirs),
    says: () => NOT_GOOD,
    isRefused: true,
  },
  {
    name: "somebody else's signature beside both keys",
    prepare: async (ground, { ours, theirs }) => {
      await signRelease(ground, theirs);
      await Deno.writeFile(`${ground.release}/${PUBLIC_KEY_FILE}`, ours.publicKey, {
        append: true,
      });
    },
    says: () => NOT_GOOD,
    isRefused: true,
  },
  {
    name: "a release of another key than the operator names",
    signedBy: ({ theirs }) => theirs.fingerprint,
    says: () => NOT_GOOD,
    isRefused: true,
  },
  {
    name: "signed checksums that have another program",
    prepare: (ground, { ours }) => signRelease(ground, ours, `${"0".repeat(64)}  locktables\n`),
    says: () => /Wrong checksum: \S+\/SHA256SUMS, though signed, has another program/,
    isRefused: true,
  },
  {
    name: "half a fingerprint",
    signedBy: ({ ours }) => ours.fingerprint.slice(-16),
    says: () => /--signed-by [\dA-F]{16} is not the fingerprint of a key\./,
    isRefused: true,
    code: 2,
  },
];

Deno.test("install.sh: a signed release is checked by its key, and by the one that is named", async (step) => {
  await withKeys(async (keys) => {
    for (const shell of SHELLS) {
      for (const { name, prepare, from, signedBy, says, isRefused, code } of SIGNATURES) {
        const verb = isRefused === true ? "refuses" : "installs on or from";
        await step.step(`${shell.name} ${verb} ${name}`, async () => {
          await withGround(shell, async (ground) => {
            await ground.pin({ signedBy: keys.ours.fingerprint });
            await signRelease(ground, keys.ours);
            await Deno.symlink("/usr/bin/gpgv", `${ground.tools}/gpgv`);
            await ground.tool("wget");
            await prepare?.(ground, keys);
            await withServer(ground, async (url) => {
              const args = ["--from", from?.(ground, url) ?? ground.release];
              const key = signedBy?.(keys);
              if (key !== undefined) args.push("--signed-by", key);
              const result = await install(shell, ground, [...args, "--prefix", ground.prefix]);
              if (isRefused === true) {
                assertRefused(result, says(keys), code);
                assert.deepEqual([...Deno.readDirSync(ground.prefix)], []);
              } else {
                await assertInstalled(ground, result);
                assert.match(result.stdout, says(keys));
              }
              const left = [...Deno.readDirSync(ground.tmp)].map((entry) => entry.name);
              assert.deepEqual(left.filter((one) => one !== "locktables"), []);
            });
          });
        });
      }
    }
  });
});

// ---------------------------------------------------------------------------------------------
// A script that is cut short

/**
 * Runs the first n bytes of a script as a pipe would bring them, for the n on standard input, each
 * on a line, until one leaves a trace. Every program of the script's is a stub that leaves one, and
 * a word that is no command leaves one on stderr. $1: the script. $2: the directory. $3…: the shell.
 */
const CUT_SHORT = `set -u
LC_ALL=C
script=$(cat "$1"; echo .)
script=\${script%.}
dir=$2
shift 2
cd "$dir"
while read -r n; do
  printf %s "\${script:0:n}" >part
  PATH=$dir/tools TMPDIR=$dir/tmp "$@" -s -- --from "$dir/release" --prefix "$dir/prefix" \\
    <part >out 2>err
  code=$?
  read -rd '' said <err
  if [[ -e canary || -s out || $said == *"not found"* ]]; then
    echo "trace at $n: $said"
    exit 1
  fi
  ((code == 0)) && ran+=" $n"
done
echo "without a complaint:\${ran-}"
`;

/** A ground where every program that the script can call betrays it. */
async function withTraps(
  shell: Shell,
  test: (cut: (lengths: readonly number[]) => Promise<RunResult>, script: string) => Promise<void>,
): Promise<void> {
  await withGround(shell, async (ground) => {
    for (const name of [...TOOLS, "curl", "wget", "openssl"]) {
      await ground.stub(name, `echo ${name} >>'${ground.dir}/canary'; exit 1`);
    }
    const path = `${ground.release}/install.sh`;
    const script = await Deno.readTextFile(path);
    await test(
      (lengths) =>
        run(["/usr/bin/bash", "-c", CUT_SHORT, "sh", path, ground.dir, ...shell.argv], {
          stdin: lengths.map((length) => `${length}\n`).join(""),
          timeoutMs: CUT_SHORT_TIMEOUT_MS,
        }),
      script,
    );
  });
}

/** Where the script is cut: `LOCKTABLES_CUT_EVERY=1` goes through every byte, in minutes. */
const CUT_EVERY = Number(Deno.env.get("LOCKTABLES_CUT_EVERY") ?? 97);

/** Bound of running a shell fourteen thousand times: 2 ms each on a quiet machine, 5 on a busy one. */
const CUT_SHORT_TIMEOUT_MS = 600_000;

for (const shell of SHELLS) {
  Deno.test(`install.sh: ${shell.name} does nothing with a script that is cut short`, async () => {
    await withTraps(shell, async (cut, script) => {
      // All ASCII, so that a length in characters is one in bytes. The last byte is the line's end
      // after the closing brace: without it nothing is missing.
      // deno-lint-ignore no-control-regex
      assert.match(script, /^[\x00-\x7f]*\n\}\n$/);
      const whole = script.length - 1;
      const lengths = Array.from({ length: whole }, (_, n) => n)
        .filter((n) => n % CUT_EVERY === 0 || n > whole - 100);
      const { code, stdout, stderr } = await cut(lengths);
      assert.equal(code, 0, stdout + stderr);
      // Nothing to complain of there is only in what comes before the brace: comments.
      const ran = stdout.trim().replace("without a complaint:", "").split(" ").map(Number);
      const brace = script.indexOf("\n{\n") + 1;
      assert.ok(ran.every((n) => n <= brace), `ran: ${ran}`);
      assert.ok(script.slice(0, brace).split("\n").every((line) => /^(#.*)?$/.test(line)));

      const traced = await cut([whole]);
      assert.match(traced.stdout, /^trace at \d+: /, "the whole script must leave a trace");
    });
  });
}

// ---------------------------------------------------------------------------------------------
// In a checkout

/** A copy of the checkout, and the PATH with a certain `deno` before the machine's own. */
async function withCheckout(
  test: (
    checkout: string,
    install: (env: Record<string, string>, ...args: readonly string[]) => Promise<RunResult>,
    ground: Ground,
  ) => Promise<void>,
): Promise<void> {
  await withGround(DASH, async (ground) => {
    const checkout = `${ground.dir}/checkout`;
    await Deno.mkdir(checkout);
    const parts = ["main.ts", "lib", "scripts", "deno.json", "deno.lock", "install.sh"];
    await runOrFail("cp", [
      "cp",
      "-r",
      ...parts.map((part) => `${repositoryRoot()}/${part}`),
      checkout,
    ]);
    await test(
      checkout,
      (env, ...args) =>
        run([...DASH.argv, `${checkout}/install.sh`, "--prefix", ground.prefix, ...args], {
          cwd: "/",
          env: { TMPDIR: ground.tmp, ...env },
          timeoutMs: CHECKOUT_TIMEOUT_MS,
        }),
      ground,
    );
  });
}

/** Bound of a build that may first download Deno. */
const CHECKOUT_TIMEOUT_MS = 300_000;

Deno.test("install.sh: in a checkout it builds with npx, and installs what it built", async () => {
  await withCheckout(async (checkout, install, ground) => {
    // A deno of another version is not used.
    await ground.stub("deno", 'echo "deno 2.9.6 (stable, release, x86_64-unknown-linux-gnu)"');
    const { code, stdout, stderr } = await install({
      PATH: `${ground.tools}:${Deno.env.get("PATH")}`,
    });
    assert.deepEqual({ code, stderr }, { code: 0, stderr: "" }, stdout);
    const program = `${ground.prefix}/sbin/locktables`;
    assert.match(
      stdout,
      new RegExp(`^Building locktables ${VERSION}: npx -y deno@2\\.5\\.7 task build\n`),
    );
    assert.ok(stdout.includes(`Installed locktables ${VERSION}: ${program}\n`));
    assert.equal(await sha256OfFile(program), await sha256OfFile(`${checkout}/dist/locktables`));
    assert.deepEqual([...Deno.readDirSync(ground.tmp)], []);
  });
});

Deno.test("install.sh: in a checkout it builds with the right deno, and says why it cannot", async () => {
  await withCheckout(async (checkout, install, ground) => {
    await Deno.symlink(Deno.execPath(), `${ground.tools}/deno`);
    const env = { PATH: `${ground.tools}:${Deno.env.get("PATH")}` };
    const built = await install(env);
    assert.equal(built.code, 0, built.stderr);
    assert.match(built.stdout, new RegExp(`^Building locktables ${VERSION}: deno task build\n`));
    const again = await install(env);
    assert.equal(again.code, 0, again.stderr);
    assert.match(again.stdout, /is already installed: /);
    const version = await install(env, "--version");
    assert.equal(version.stdout, `locktables ${VERSION}\n`);

    const added = await addedTo(ground.dir, async () => {
      assertRefused(await install(env, "--from", `${checkout}/dist`), /leave --from out to build/);
      const signed = await install(env, "--signed-by", "0".repeat(40));
      assertRefused(signed, /leave --signed-by out to build/);
    });
    assert.deepEqual(added, []);
    await Deno.writeTextFile(
      `${checkout}/lib/base/version.ts`,
      'export const VERSION = "0.0.0";\n',
    );
    const broken = await install(env);
    assertRefused(broken, /Cannot build the program: Version differs: .*To see all of it: cd /);
    // Without npx, too; the PATH of the ground has no downloader either.
    await Deno.remove(`${ground.tools}/deno`);
    assertRefused(await install({ PATH: ground.tools }), /neither deno 2\.5\.7 nor npx is here\./);
    assert.deepEqual([...Deno.readDirSync(ground.tmp)], []);
    assert.deepEqual([...Deno.readDirSync(`${ground.prefix}/sbin`)].map(({ name }) => name), [
      "locktables",
    ]);
  });
});

// ---------------------------------------------------------------------------------------------
// The real program in a guest

/** A guest without the program, with its release in /run/release; /tmp is its own. */
async function withGuest(test: (guest: Sandbox) => Promise<void>): Promise<void> {
  const guest = await openSandbox();
  try {
    const script = pinInstaller(await Deno.readTextFile(`${repositoryRoot()}/install.sh`), {
      version: VERSION,
      sha256: await sha256OfFile(
        Deno.env.get("LOCKTABLES_BINARY") ?? `${repositoryRoot()}/dist/locktables`,
      ),
    });
    const made = await guest.sh(`
      mkdir /run/release && cp /usr/local/sbin/locktables /run/release/ &&
      umount /usr/local/sbin/locktables && rm /usr/local/sbin/locktables &&
      mount -t tmpfs -o mode=1777 tmpfs /tmp`);
    assert.equal(made.code, 0, made.stderr);
    await guest.writeFile("/run/release/install.sh", script, 0o644);
    await test(guest);
  } finally {
    await guest.close();
  }
}

/** Every place of the guest that can be written to at all. */
const WRITABLE = "/etc /opt /usr/sbin /usr/local /run /root /var/lib /tmp";

const TREE =
  `find ${WRITABLE} -type d -printf '%p %m\\n' -o -printf '%p %m %s %T@ %i %l\\n' | sort`;

Deno.test("install.sh: piped in without options it puts the program in /usr/local/sbin, and nothing anywhere else", async () => {
  await withGuest(async (guest) => {
    const before = (await guest.sh(TREE)).stdout.split("\n");
    const { code, stdout, stderr } = await guest.sh(
      "cat /run/release/install.sh | sh -s -- --from /run/release",
    );
    assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
    assert.match(stdout, /^Installed locktables \S+: \/usr\/local\/sbin\/locktables$/m);
    // In the PATH, so by its name.
    assert.match(stdout, /\nNext:\n {2}locktables check .*\n {2}locktables install CALLER .*\n$/);
    const after = (await guest.sh(TREE)).stdout.split("\n");
    assert.deepEqual(before.filter((line) => !after.includes(line)), []);
    assert.deepEqual(
      after.filter((line) => !before.includes(line)).map((line) => line.split(" ").slice(0, 2)),
      [["/usr/local/sbin/locktables", "755"]],
    );
    assert.equal((await guest.sh("locktables --version")).stdout, `locktables ${VERSION}\n`);
  });
});

Deno.test("install.sh: it replaces a program that runs, and that one runs on", async () => {
  await withGuest(async (guest) => {
    const { code, stdout, stderr } = await guest.sh(`
      cp /bin/sleep /usr/local/sbin/locktables
      /usr/local/sbin/locktables 60 &
      sh /run/release/install.sh --from /run/release >/dev/null || { kill $!; exit 1; }
      kill -0 $! && readlink /proc/$!/exe
      kill $!
      locktables --version`);
    assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
    assert.equal(stdout, `/usr/local/sbin/locktables (deleted)\nlocktables ${VERSION}\n`);
  });
});

for (
  const [name, prepare, says] of [
    [
      "a full disk",
      "mkdir /run/prefix; mount -t tmpfs -o size=1m tmpfs /run/prefix",
      /Cannot write to \/run\/prefix\/sbin: .*No space left on device\. Make room there\./,
    ],
    [
      "a disk that may run nothing",
      "mkdir /run/prefix; mount -t tmpfs -o noexec tmpfs /run/prefix",
      /does not run here: it says ".*Permission denied", .*noexec/,
    ],
    [
      "a disk that is read-only, for root too",
      "mkdir /run/prefix; mount -t tmpfs -o ro tmpfs /run/prefix",
      /Cannot write to \/run\/prefix\/\. Mount it writable, or choose another place/,
    ],
    [
      "a full temporary directory",
      "mkdir /run/prefix; mount -t tmpfs -o size=1m tmpfs /tmp",
      /Cannot copy \/run\/release\/locktables: .*No space left on device\. .*make room in \/tmp/,
    ],
  ] as const
) {
  Deno.test(`install.sh: ${name} is one line, and leaves nothing behind`, async () => {
    await withGuest(async (guest) => {
      assert.equal((await guest.sh(prepare)).code, 0);
      const before = await guest.sh(TREE);
      assertRefused(
        await guest.sh("sh /run/release/install.sh --from /run/release --prefix /run/prefix"),
        says,
      );
      assert.equal((await guest.sh(TREE)).stdout, before.stdout);
    });
  });
}

for (const shell of SHELLS) {
  Deno.test(`install.sh: ${shell.name} removes the program, but not while hooks call it`, async () => {
    await withGuest(async (guest) => {
      const command = `${shell.argv.join(" ")} /run/release/install.sh`;
      const before = (await guest.sh(TREE)).stdout;
      assert.equal((await guest.sh(`${command} --from /run/release`)).code, 0);
      const hooked = await guest.sh("locktables install vmware");
      assert.equal(hooked.code, 0, hooked.stderr);
      assertRefused(
        await guest.sh(`${command} --uninstall`),
        /Hooks still call locktables \(\/var\/lib\/locktables\/receipt\.json\)\. First run: \/usr\/local\/sbin\/locktables uninstall\./,
      );
      assert.ok(await guest.exists("/usr/local/sbin/locktables"));
      // Whoever cannot look must not guess.
      const other = "setpriv --reuid=65534 --regid=65534 --clear-groups";
      assertRefused(
        await guest.sh(`${other} ${command} --uninstall`),
        /Cannot see whether hooks are installed: .*Run this as root\./,
      );
      // Hooks that call a package's program alone are no reason to keep this one.
      const elsewhere = await guest.sh(`
        cp /usr/local/sbin/locktables /run/kept
        cd /var/lib/locktables && cp receipt.json /run/
        sed -i 's,"program": "/usr/local/,"program": "/usr/,' receipt.json
        ${command} --uninstall; code=$?
        cp /run/kept /usr/local/sbin/locktables && cp /run/receipt.json . && rm /run/kept /run/receipt.json
        exit $code`);
      assert.deepEqual(
        [elsewhere.code, elsewhere.stdout],
        [0, "Removed /usr/local/sbin/locktables\n"],
        elsewhere.stderr,
      );
      const unhooked = await guest.sh("locktables uninstall");
      assert.equal(unhooked.code, 0, unhooked.stderr);
      const removed = await guest.sh(`${command} --uninstall`);
      assert.deepEqual(
        [removed.code, removed.stdout, removed.stderr],
        [0, "Removed /usr/local/sbin/locktables\n", ""],
      );
      assert.equal((await guest.sh(TREE)).stdout, before);
      const again = await guest.sh(`${command} --uninstall`);
      assert.deepEqual(
        [again.code, again.stdout],
        [0, "locktables is not installed: there is no /usr/local/sbin/locktables\n"],
      );
    });
  });
}
