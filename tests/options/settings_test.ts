import assert from "node:assert/strict";

import fc from "fast-check";

import {
  type OptionFile,
  type OptionWarning,
  readOptionFile,
} from "../../lib/options/option_file.ts";
import { type Caller, CALLER_TABLE } from "../../lib/callers/table.ts";
import { type Settings, settingsFrom } from "../../lib/options/settings.ts";
import { EXIT, isRefusal, type Refusal } from "../../lib/base/refusal.ts";
import { memoryReader } from "./memory_reader.ts";

const TOP = "/root/.my.cnf";

function options(text: string): OptionFile {
  const read = readOptionFile(memoryReader({ files: { [TOP]: text } }), TOP);
  assert.ok(!isRefusal(read), JSON.stringify(read));
  return read;
}

function fromText(text: string, caller: Caller | null = null) {
  const result = settingsFrom(
    options(text),
    caller === null ? undefined : CALLER_TABLE[caller].freezeTimeoutMs,
  );
  assert.ok(!isRefusal(result), `refused: ${JSON.stringify(result)}`);
  return result;
}

function refused(text: string): Refusal {
  const result = settingsFrom(options(text));
  assert.ok(isRefusal(result), `not refused: ${JSON.stringify(result)}`);
  assert.equal(result.code, EXIT.badSetup);
  assert.equal(result.reason, "bad-setting");
  assert.match(result.summary, /^[A-Z]/);
  assert.ok(!/[\r\n]/.test(result.summary + result.hint));
  return result;
}

function textsOf(warnings: readonly OptionWarning[]): string[] {
  return warnings.map(({ text }) => text);
}

const DEFAULTS: Settings = {
  method: "auto",
  holdTimeoutMs: 60_000,
  stallLimitMs: 5_000,
  freezeTimeoutMs: 60_000,
  lockWaitTimeoutMs: 3_000,
  longQueryGuardMs: 1_000,
  killLongQueries: "off",
  connectionMark: 0.9,
  release: "auto",
  onFailure: "abort",
  outlets: { log: true, metricsFile: "found" },
  instances: [{ name: "main", connection: { user: "root", password: null, socket: null } }],
};

Deno.test("no file means root on the first known socket, with every default", () => {
  assert.deepEqual(fromText(""), { settings: DEFAULTS, warnings: [] });
});

/** Where the metrics may be written: what is compiled in, and below a link of root's. */
const METRICS = [
  "/var/lib/prometheus/node-exporter/locktables.prom",
  "/var/lib/node_exporter/textfile_collector/locktables.prom",
  "/var/lib/locktables/textfile/locktables.prom",
  "/var/lib/locktables/a/b/db_1.prom",
];

const NO_METRICS = [
  "/var/lib/prometheus/node-exporter/other.prom",
  "/srv/locktables.prom",
  "/var/lib/locktables/locktables.prom",
  "/var/lib/locktables/textfile/locktables.txt",
  "/var/lib/locktables/textfile/../x.prom",
  "/var/lib/locktables/.x/x.prom",
  "textfile/x.prom",
];

const FREEZE: readonly (readonly [caller: Caller | null, ms: number])[] = [
  ["aws", 8_000],
  ["azure", 25_000],
  ["google", 50_000],
  ["vmware", 60_000],
  ["qemu", 60_000],
  ["veeam", 60_000],
  ["nutanix", 60_000],
  ["run", 60_000],
  [null, 60_000],
];

for (const [caller, ms] of FREEZE) {
  Deno.test(`pre-freeze takes at most ${ms} ms for ${caller ?? "nobody in particular"}`, () => {
    assert.equal(fromText("", caller).settings.freezeTimeoutMs, ms);
  });
}

Deno.test("freeze_timeout in the file counts for every caller", () => {
  assert.equal(
    fromText("[locktables]\nfreeze_timeout=9s\n", "aws").settings.freezeTimeoutMs,
    9_000,
  );
});

/** Lines of `[locktables]`, and what they change. */
const ACCEPTED: readonly (readonly [lines: string, changed: Partial<Settings>])[] = [
  ["method=ftwrl", { method: "ftwrl" }],
  ["method = 'backup-stage' # why", { method: "backup-stage" }],
  ["hold_timeout=1s", { holdTimeoutMs: 1_000 }],
  ["hold-timeout=15m", { holdTimeoutMs: 900_000 }],
  ["Hold_Timeout=2m", { holdTimeoutMs: 120_000 }],
  ["loose-hold_timeout=2m", { holdTimeoutMs: 120_000 }],
  ["hold_timeout=x\nhold-timeout=2m", { holdTimeoutMs: 120_000 }],
  ["freeze_timeout=1500ms\nlock_wait_timeout=1s", {
    freezeTimeoutMs: 1_500,
    lockWaitTimeoutMs: 1_000,
  }],
  ["lock_wait_timeout=60s", { lockWaitTimeoutMs: 60_000 }],
  ["long_query_guard=100ms", { longQueryGuardMs: 100 }],
  ["kill_long_queries=select", { killLongQueries: "select" }],
  ["kill_long_queries=all", { killLongQueries: "all" }],
  ["kill_long_queries=all\nkill-long-queries=off", {}],
  ["connection_mark=10%", { connectionMark: 0.1 }],
  ["connection_mark=75%", { connectionMark: 0.75 }],
  ["connection-mark=100%", { connectionMark: 1 }],
  ["connection_mark=off", { connectionMark: null }],
  ["connection_mark=x\nconnection_mark=90%", {}],
  ["release=thaw-hook", { release: "thaw-hook" }],
  ["release=filesystem-thaw", { release: "filesystem-thaw" }],
  ["log=off", { outlets: { log: false, metricsFile: "found" } }],
  ["metrics_file=off", { outlets: { log: true, metricsFile: "off" } }],
  ...METRICS.map((path) =>
    [`metrics_file=${path}`, { outlets: { log: true, metricsFile: { path } } }] as const
  ),
  ["on_failure=proceed", { onFailure: "proceed" }],
];

for (const [lines, changed] of ACCEPTED) {
  Deno.test(`[locktables] takes ${JSON.stringify(lines)}`, () => {
    const { settings, warnings } = fromText(`[locktables]\n${lines}\n`);
    assert.deepEqual(settings, { ...DEFAULTS, ...changed });
    assert.deepEqual(warnings, []);
  });
}

/** Line 2 of the file, under `[locktables]`, and the whole summary of the refusal. */
const REFUSED: readonly (readonly [line: string, summary: string])[] = [
  [
    "method=BACKUP",
    "Bad setting /root/.my.cnf:2: method is BACKUP; expected one of auto, ftwrl, backup-stage",
  ],
  [
    "method",
    "Bad setting /root/.my.cnf:2: method has no value; expected one of auto, ftwrl, backup-stage",
  ],
  [
    "kill_long_queries=yes",
    "Bad setting /root/.my.cnf:2: kill_long_queries is yes; expected one of off, select, all",
  ],
  ...NO_METRICS.map((path) =>
    [
      `metrics_file=${path}`,
      `Bad setting /root/.my.cnf:2: metrics_file is ${path}; expected off, /var/lib/prometheus/node-exporter/locktables.prom, /var/lib/node_exporter/textfile_collector/locktables.prom, or /var/lib/locktables/LINK/NAME.prom`,
    ] as const
  ),
  ["log=syslog", "Bad setting /root/.my.cnf:2: log is syslog; expected one of on, off"],
  [
    "connection_mark=9%",
    "Bad setting /root/.my.cnf:2: connection_mark is 9%; expected a share from 10% to 100%, or off",
  ],
  [
    "connection_mark=09%",
    "Bad setting /root/.my.cnf:2: connection_mark is 09%; expected a share from 10% to 100%, or off",
  ],
  [
    "connection_mark=0%",
    "Bad setting /root/.my.cnf:2: connection_mark is 0%; expected a share from 10% to 100%, or off",
  ],
  [
    "connection_mark=101%",
    "Bad setting /root/.my.cnf:2: connection_mark is 101%; expected a share from 10% to 100%, or off",
  ],
  [
    "connection_mark=999%",
    "Bad setting /root/.my.cnf:2: connection_mark is 999%; expected a share from 10% to 100%, or off",
  ],
  [
    "connection_mark=-50%",
    "Bad setting /root/.my.cnf:2: connection_mark is -50%; expected a share from 10% to 100%, or off",
  ],
  [
    "connection_mark=90",
    "Bad setting /root/.my.cnf:2: connection_mark is 90; expected a share from 10% to 100%, or off",
  ],
  [
    "connection_mark=0.9",
    "Bad setting /root/.my.cnf:2: connection_mark is 0.9; expected a share from 10% to 100%, or off",
  ],
  [
    "connection_mark=90.5%",
    "Bad setting /root/.my.cnf:2: connection_mark is 90.5%; expected a share from 10% to 100%, or off",
  ],
  [
    "connection_mark=90 %",
    "Bad setting /root/.my.cnf:2: connection_mark is 90 %; expected a share from 10% to 100%, or off",
  ],
  [
    "connection_mark=1e1%",
    "Bad setting /root/.my.cnf:2: connection_mark is 1e1%; expected a share from 10% to 100%, or off",
  ],
  [
    "connection_mark=OFF",
    "Bad setting /root/.my.cnf:2: connection_mark is OFF; expected a share from 10% to 100%, or off",
  ],
  [
    "connection_mark=none",
    "Bad setting /root/.my.cnf:2: connection_mark is none; expected a share from 10% to 100%, or off",
  ],
  [
    "connection_mark",
    "Bad setting /root/.my.cnf:2: connection_mark has no value; expected a share from 10% to 100%, or off",
  ],
  [
    "connection_mark=",
    "Bad setting /root/.my.cnf:2: connection_mark is empty; expected a share from 10% to 100%, or off",
  ],
  [
    "connection_marc=90%",
    "Unknown setting /root/.my.cnf:2: connection_marc in [locktables]; expected connection_mark",
  ],
  [
    "kill_long_queries=SELECT",
    "Bad setting /root/.my.cnf:2: kill_long_queries is SELECT; expected one of off, select, all",
  ],
  [
    "kill_long_queries",
    "Bad setting /root/.my.cnf:2: kill_long_queries has no value; expected one of off, select, all",
  ],
  [
    "release=thaw",
    "Bad setting /root/.my.cnf:2: release is thaw; expected one of auto, thaw-hook, filesystem-thaw",
  ],
  [
    "on_failure=",
    "Bad setting /root/.my.cnf:2: on_failure is empty; expected one of abort, proceed",
  ],
  [
    "hold_timeout=16m",
    "Bad setting /root/.my.cnf:2: hold_timeout is 16m; expected a duration from 1s to 15m",
  ],
  [
    "hold-timeout=999ms",
    "Bad setting /root/.my.cnf:2: hold-timeout is 999ms; expected a duration from 1s to 15m",
  ],
  [
    "hold_timeout=60",
    "Bad setting /root/.my.cnf:2: hold_timeout is 60; expected a duration with its unit ms, s or m, from 1s to 15m",
  ],
  [
    "freeze_timeout=1h",
    "Bad setting /root/.my.cnf:2: freeze_timeout is 1h; expected a duration from 1s to 15m",
  ],
  [
    "lock_wait_timeout=61s",
    "Bad setting /root/.my.cnf:2: lock_wait_timeout is 61s; expected a duration from 1s to 1m",
  ],
  [
    "lock_wait_timeout=500ms",
    "Bad setting /root/.my.cnf:2: lock_wait_timeout is 500ms; expected a duration from 1s to 1m",
  ],
  [
    "long_query_guard=0s",
    "Bad setting /root/.my.cnf:2: long_query_guard is 0s; expected a duration from 100ms to 15m",
  ],
  [
    "loose-hold_timeout=x",
    "Bad setting /root/.my.cnf:2: loose-hold_timeout is x; expected a duration from 1s to 15m",
  ],
  [
    "instances=a,,b",
    "Bad setting /root/.my.cnf:2: instances is a,,b; expected different names of letters, digits, _ and - with commas between them",
  ],
  [
    "instances=a,A",
    "Bad setting /root/.my.cnf:2: instances is a,A; expected different names of letters, digits, _ and - with commas between them",
  ],
  [
    "instances",
    "Bad setting /root/.my.cnf:2: instances has no value; expected different names of letters, digits, _ and - with commas between them",
  ],
  [
    "hold_timout=8s",
    "Unknown setting /root/.my.cnf:2: hold_timout in [locktables]; expected hold_timeout",
  ],
  [
    "hodl-timeout=8s",
    "Unknown setting /root/.my.cnf:2: hodl-timeout in [locktables]; expected hold_timeout",
  ],
  [
    "lock_wait=8s",
    "Unknown setting /root/.my.cnf:2: lock_wait in [locktables]; expected lock_wait_timeout",
  ],
  ["pasword=s3cret", "Unknown setting /root/.my.cnf:2: pasword in [locktables]; expected password"],
  ["pass=s3cret", "Unknown setting /root/.my.cnf:2: pass in [locktables]; expected password"],
  [
    "ssl-ca=/etc/ca.pem",
    "Unknown setting /root/.my.cnf:2: ssl-ca in [locktables]; expected one of method, hold_timeout, stall_limit, freeze_timeout, " +
    "lock_wait_timeout, long_query_guard, kill_long_queries, connection_mark, release, on_failure, log, metrics_file, instances, user, password, socket, host, protocol, port",
  ],
  [
    "host=db.example",
    "Bad setting /root/.my.cnf:2: host is db.example; expected localhost, locktables reaches the servers of its own guest by their Unix sockets",
  ],
  [
    "host=127.0.0.1",
    "Bad setting /root/.my.cnf:2: host is 127.0.0.1; expected localhost, locktables reaches the servers of its own guest by their Unix sockets",
  ],
  [
    "protocol=TCP",
    "Bad setting /root/.my.cnf:2: protocol is TCP; expected socket, locktables has no network permission",
  ],
  [
    "protocol=memory",
    "Bad setting /root/.my.cnf:2: protocol is memory; expected socket, locktables has no network permission",
  ],
  [
    "protocol=carrier",
    "Bad setting /root/.my.cnf:2: protocol is carrier; expected socket, locktables has no network permission",
  ],
  [
    "protocol",
    "Bad setting /root/.my.cnf:2: protocol has no value; expected socket, locktables has no network permission",
  ],
  [
    "socket=mysqld.sock",
    "Bad setting /root/.my.cnf:2: socket is mysqld.sock; expected an absolute path",
  ],
];

for (const [line, summary] of REFUSED) {
  Deno.test(`[locktables] refuses ${line}`, () => {
    const no = refused(`[locktables]\n${line}\n`);
    assert.equal(no.summary, summary);
    assert.ok(!`${no.summary}${no.hint}`.includes("s3cret"));
  });
}

Deno.test("the hint for a bad setting is a line that works", () => {
  assert.equal(
    refused("[locktables]\n\nhold_timeout=60\n").hint,
    "Write for example hold_timeout=1m in line 3 of /root/.my.cnf, then run: locktables check",
  );
});

Deno.test("the hint for a bad share is a line that works", () => {
  const { hint } = refused("[locktables]\nconnection_mark=90\n");
  assert.equal(
    hint,
    "Write for example connection_mark=90% in line 2 of /root/.my.cnf, then run: locktables check",
  );
  const example = /connection_mark=\S+/.exec(hint)?.[0];
  assert.deepEqual(fromText(`[locktables]\n${example}\n`).settings, DEFAULTS);
});

Deno.test("every whole percentage from 10 to 100 is that share, and no other is one", () => {
  for (let percent = 0; percent <= 120; percent += 1) {
    const text = `[locktables]\nconnection_mark=${percent}%\n`;
    if (percent < 10 || percent > 100) refused(text);
    else assert.equal(fromText(text).settings.connectionMark, percent / 100);
  }
});

Deno.test("the first bad setting of the file is the one refused", () => {
  const { summary } = refused("[locktables]\non_failure=x\nmethod=y\n");
  assert.match(summary, /my\.cnf:2: on_failure/);
});

Deno.test("an unknown key with loose- is a warning", () => {
  assert.deepEqual(textsOf(fromText("[locktables]\nloose_colour=blue\n").warnings), [
    "Unknown /root/.my.cnf:2: loose_colour is ignored because of its prefix loose-",
  ]);
});

Deno.test("warnings of reading come first", () => {
  const FIRST: OptionWarning = { reason: "include-ignored", text: "First", remedy: null };
  const read = { ...options("[locktables]\nloose-x=1\n"), warnings: [FIRST] };
  const result = settingsFrom(read);
  assert.ok(!isRefusal(result));
  assert.equal(result.warnings.length, 2);
  assert.equal(result.warnings[0], FIRST);
});

Deno.test("lock_wait_timeout counts in whole seconds and says so", () => {
  const { settings, warnings } = fromText("[locktables]\nlock_wait_timeout=1500ms\n");
  assert.equal(settings.lockWaitTimeoutMs, 2_000);
  assert.deepEqual(textsOf(warnings), [
    "Setting /root/.my.cnf:2: lock_wait_timeout is 1500ms and counts as 2s, " +
    "the server takes whole seconds",
  ]);
});

Deno.test("lock_wait_timeout may exceed freeze_timeout, with a warning", () => {
  const { settings, warnings } = fromText("[locktables]\nlock_wait_timeout=10s\n", "aws");
  assert.equal(settings.lockWaitTimeoutMs, 10_000);
  assert.deepEqual(textsOf(warnings), [
    "Setting /root/.my.cnf:2: lock_wait_timeout is 10s, " +
    "but freeze_timeout ends the attempt after 8s",
  ]);
});

Deno.test("a group that is almost [locktables] is a warning", () => {
  const { warnings } = fromText("[locktable]\nmethod=ftwrl\n[ locktables]\nmethod=ftwrl\n");
  assert.deepEqual(textsOf(warnings), [
    "Group [locktable] near /root/.my.cnf:2 is ignored; did you mean [locktables]?",
    "Group [ locktables] near /root/.my.cnf:4 is ignored; did you mean [locktables]?",
  ]);
});

/** A file, and the connection of its only instance. */
const CONNECTIONS: readonly (readonly [
  sentence: string,
  text: string,
  connection: { user?: string; password?: string | null; socket?: string | null },
])[] = [
  ["user, password and socket come from [client]", "[client]\nuser=u\npassword=p\nsocket=/s\n", {
    user: "u",
    password: "p",
    socket: "/s",
  }],
  [
    "[client-server] and [client-mariadb] count",
    "[client-server]\nsocket=/s\n[client-mariadb]\nuser=u\n",
    {
      user: "u",
      socket: "/s",
    },
  ],
  ["[locktables] further down wins", "[client]\nuser=a\n[locktables]\nuser=b\n", { user: "b" }],
  ["other programs' groups do not count", "[mysqld]\nuser=mysql\n[mysql]\nuser=m\n", {}],
  ["the name of a group in another case counts", "[Client]\nuser=u\n", { user: "u" }],
  ["the name of a key in another case counts", "[client]\nUSER=u\n", { user: "u" }],
  ["a key with loose- counts", "[client]\nloose-user=u\n", { user: "u" }],
  ["an empty user is root", "[client]\nuser=\n", {}],
  ["a user without a value is root", "[client]\nuser\n", {}],
  ["an empty password is one", "[client]\npassword=\n", { password: "" }],
  ["a password without a value is none", "[client]\npassword=x\npassword\n", {}],
  ["an empty socket is the first known one", "[client]\nsocket=\n", {}],
  [
    "localhost, socket and any port are fine",
    "[client]\nhost=localhost\nport=abc\nprotocol=SOCK\n",
    {},
  ],
  ["an empty host is none", "[client]\nhost=\nprotocol=socket\n", {}],
  ["only the host that wins is judged", "[client]\nhost=db\n[locktables]\nhost=localhost\n", {}],
  ["unknown keys of the clients are ignored", "[client]\nssl-ca=/a\nfoo\n=x\n", {}],
  ["a suffixed group does not count without instances", "[client_main]\nuser=u\n", {}],
];

for (const [sentence, text, connection] of CONNECTIONS) {
  Deno.test(sentence, () => {
    const { settings, warnings } = fromText(text);
    const [instance] = settings.instances;
    assert.deepEqual(instance, {
      name: "main",
      connection: { user: "root", password: null, socket: null, ...connection },
    });
    assert.deepEqual(warnings, []);
  });
}

Deno.test("a general group below [locktables] wins, with a warning", () => {
  const { settings, warnings } = fromText("[locktables]\nuser=a\n[client]\nuser=b\n");
  assert.equal(settings.instances[0]?.connection.user, "b");
  assert.deepEqual(textsOf(warnings), [
    "Option /root/.my.cnf:4: user in [client] overrides line 2 in [locktables], " +
    "the later line wins; move [locktables] to the end",
  ]);
});

Deno.test("an abbreviated key is a warning, because only some clients take it", () => {
  assert.deepEqual(textsOf(fromText("[client]\npass=s3cret\n").warnings), [
    "Option /root/.my.cnf:2: pass is ignored; write password in full",
  ]);
});

Deno.test("the hint for another host leaves other programs alone", () => {
  assert.equal(
    refused("[client]\nhost=127.0.0.1\n").hint,
    "If the server runs in this guest: put host=localhost into [locktables] at the end of " +
      "/root/.my.cnf; other programs do not read that group",
  );
});

const TWO = `[client]
user=backup
password=p
[client_reporting]
socket=/run/mysqld/reporting.sock
[locktables_reporting]
user=reporter
[locktables]
instances = main, Reporting
hold_timeout = 30s
`;

Deno.test("each instance takes [client], then the groups with its name", () => {
  const { settings, warnings } = fromText(TWO);
  assert.deepEqual(settings.instances, [
    { name: "main", connection: { user: "backup", password: "p", socket: null } },
    {
      name: "Reporting",
      connection: { user: "reporter", password: "p", socket: "/run/mysqld/reporting.sock" },
    },
  ]);
  assert.deepEqual(warnings, []);
});

Deno.test("a general group below an instance's own group wins, with a warning", () => {
  const { settings, warnings } = fromText(
    "[client_a]\nuser=special\n[client]\nuser=general\n[locktables]\ninstances=a\n",
  );
  assert.equal(settings.instances[0]?.connection.user, "general");
  assert.deepEqual(textsOf(warnings), [
    "Option /root/.my.cnf:4: user in [client] overrides line 2 in [client_a], " +
    "the later line wins; move [client_a] to the end",
  ]);
});

const BAD_INSTANCES: readonly (readonly [sentence: string, text: string, summary: string])[] = [
  [
    "two instances on the default socket are refused",
    "[locktables]\ninstances=a,b\n",
    "Bad setting /root/.my.cnf:2: instances is a,b; expected a socket of its own for each instance, a and b both use the default one",
  ],
  [
    "two instances on one socket are refused",
    "[client]\nsocket=/s\n[locktables]\ninstances=a,b\n",
    "Bad setting /root/.my.cnf:4: instances is a,b; expected a socket of its own for each instance, a and b both use /s",
  ],
  [
    "a group of ours for an instance that is not named is refused",
    "[locktables]\ninstances=main\n[locktables_rep]\nuser=u\n",
    "Unknown group [locktables_rep] at /root/.my.cnf:4: user; expected one of [locktables], [locktables_main]",
  ],
  [
    "a group of ours for an instance is refused without instances",
    "[locktables_main]\nuser=u\n",
    "Unknown group [locktables_main] at /root/.my.cnf:2: user; expected [locktables]",
  ],
  [
    "a setting for all instances is refused in the group of one",
    "[locktables]\ninstances=a\n[locktables_a]\nhold_timeout=8s\n",
    "Bad setting /root/.my.cnf:4: hold_timeout in [locktables_a]; expected one of user, password, socket, host, protocol, port in the group of one instance",
  ],
  [
    "the host of each instance is judged",
    "[locktables]\ninstances=a,b\n[client_a]\nsocket=/a\n[client_b]\nhost=db\nsocket=/b\n",
    "Bad setting /root/.my.cnf:6: host is db; expected localhost, locktables reaches the servers of its own guest by their Unix sockets",
  ],
];

for (const [sentence, text, summary] of BAD_INSTANCES) {
  Deno.test(sentence, () => assert.equal(refused(text).summary, summary));
}

Deno.test("any options give settings or a refusal of one line, and never throw", () => {
  const key = fc.constantFrom(
    "method",
    "hold_timeout",
    "lock_wait_timeout",
    "kill_long_queries",
    "connection_mark",
    "instances",
    "loose-x",
    "password",
    "socket",
    "host",
    "protocol",
    "__proto__",
    "constructor",
  );
  const value = fc.oneof(
    fc.string(),
    fc.constantFrom(
      "auto",
      "8s",
      "90%",
      "%",
      "off",
      "a,b",
      "a",
      "localhost",
      "socket",
      "/s",
      "__proto__",
    ),
  );
  const group = fc.constantFrom("client", "locktables", "client_a", "locktables_a", "__proto__");
  const line = fc.record({
    group,
    key,
    rawKey: key,
    loose: fc.boolean(),
    value: fc.option(value),
    file: fc.constant(TOP),
    line: fc.nat(),
  });
  fc.assert(
    fc.property(fc.array(line, { maxLength: 8 }), (lines) => {
      const result = settingsFrom({ options: lines, warnings: [] });
      if (isRefusal(result)) assert.ok(!/[\r\n]/.test(result.summary + result.hint));
      else assert.ok(result.settings.instances.length > 0);
    }),
    { numRuns: 2_000 },
  );
});
