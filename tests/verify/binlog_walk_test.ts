/** Binlog files, whole, damaged and made up, in parts of any size. */
import assert from "node:assert/strict";
import { crc32 } from "node:zlib";
import fc from "fast-check";
import { type BinlogFacts, binlogWalk } from "../../lib/verify/binlog_walk.ts";
import { type DatadirFacts, fileFindings } from "../../lib/verify/file_findings.ts";
import { coordinates, recordedServer } from "./records.ts";

interface EventOptions {
  readonly type: number;
  readonly body: Uint8Array;
  /** Whether a checksum is added. */
  readonly sum?: boolean;
  readonly flags?: number;
}

/** A binlog file of these events. */
function binlog(events: readonly EventOptions[], magic = [0xfe, 0x62, 0x69, 0x6e]): Uint8Array {
  const parts: Uint8Array[] = [new Uint8Array(magic)];
  let at = 4;
  for (const { type, body, sum = true, flags = 0 } of events) {
    const event = new Uint8Array(19 + body.length + (sum ? 4 : 0));
    const view = new DataView(event.buffer);
    at += event.length;
    event[4] = type;
    view.setUint32(9, event.length, true);
    view.setUint32(13, at, true);
    event.set(body, 19);
    if (sum) view.setUint32(event.length - 4, crc32(event.subarray(0, event.length - 4)), true);
    view.setUint16(17, flags, true);
    parts.push(event);
  }
  const file = new Uint8Array(at);
  let offset = 0;
  for (const part of parts) {
    file.set(part, offset);
    offset += part.length;
  }
  return file;
}

/** The first event: its last byte names the kind of checksum that the others have. */
function format(algorithm: 0 | 1 = 1): EventOptions {
  // The server that writes the file has it marked as in use, which is no part of the sum.
  return { type: 15, body: new Uint8Array([4, 0, ...new Array(80).fill(7), algorithm]), flags: 1 };
}

function query(length = 50): EventOptions {
  return { type: 2, body: new Uint8Array(length).fill(length % 256) };
}

function walked(file: Uint8Array, position = file.length, chunk = file.length): BinlogFacts {
  const walk = binlogWalk(position);
  for (let at = 0; at < file.length; at += Math.max(chunk, 1)) {
    walk.push(file.subarray(at, at + Math.max(chunk, 1)));
  }
  return walk.facts();
}

Deno.test("a whole file ends with its last event, in parts of any size", () => {
  const file = binlog([format(), query(), query(0), query(300), query(1)]);
  for (const chunk of [1, 2, 3, 7, 19, 100, file.length]) {
    assert.deepEqual(walked(file, file.length, chunk), {
      kind: "walked",
      bytes: file.length,
      endsAt: file.length,
      events: 5,
      checksummed: 5,
      hasBoundary: true,
      isCompressed: false,
      broken: null,
    });
  }
});

Deno.test("a file without checksums is walked by its lengths", () => {
  const file = binlog([format(0), { ...query(), sum: false }]);
  const facts = walked(file);
  assert.ok(facts.kind === "walked");
  assert.deepEqual([facts.events, facts.checksummed, facts.broken], [2, 1, null]);
});

Deno.test("files that are sealed, compressed or none are said to be so", () => {
  assert.equal(walked(binlog([], [0xfd, 0x62, 0x69, 0x6e])).kind, "encrypted");
  const started = binlog([format(), { type: 164, body: new Uint8Array(17) }]);
  const sealed = new Uint8Array([...started, ...new Uint8Array(500).fill(0x77)]);
  assert.deepEqual(walked(sealed), {
    kind: "encrypted",
    from: started.length,
    bytes: sealed.length,
  });
  const payload = walked(binlog([format(), { type: 40, body: new Uint8Array(9) }]));
  assert.ok(payload.kind === "walked" && payload.isCompressed);
  for (const bytes of [[], [0xfe], [0xfe, 0x62, 0x69], [1, 2, 3, 4, 5], [0x7f, 0x45, 0x4c, 0x46]]) {
    assert.equal(walked(new Uint8Array(bytes)).kind, "no-binlog");
  }
});

Deno.test("every byte that is cut off and every byte that is flipped is seen", () => {
  const file = binlog([format(), query(), query(40)]);
  for (let length = 4; length < file.length; length += 1) {
    const facts = walked(file.subarray(0, length), file.length);
    assert.ok(facts.kind === "walked" && facts.endsAt < file.length, `cut to ${length}`);
    assert.equal(facts.hasBoundary, false);
  }
  for (let at = 4; at < file.length; at += 1) {
    // Of the flags of the first event, the one that is no part of the sum.
    if (at === 4 + 17) continue;
    const damaged = file.slice();
    damaged[at] = (damaged[at] ?? 0) ^ 0x40;
    const facts = walked(damaged);
    assert.ok(facts.kind === "walked" && facts.broken !== null, `flipped at ${at}`);
  }
});

Deno.test("lengths that a file claims cost nothing", () => {
  const head = binlog([format()]);
  for (const length of [0, 1, 18, 0xffffffff]) {
    const event = new Uint8Array(19);
    const view = new DataView(event.buffer);
    view.setUint32(9, length, true);
    view.setUint32(13, (head.length + length) % 2 ** 32, true);
    const facts = walked(new Uint8Array([...head, ...event]));
    assert.ok(facts.kind === "walked" && facts.broken?.at === head.length, String(length));
  }
});

Deno.test("10,000 files that were damaged or made up end in facts and in nothing else", () => {
  const whole = binlog([format(), query(), query(3), query(200)]);
  const file = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc.uint8Array({ maxLength: 300 }).map((rest) =>
      new Uint8Array([0xfe, 0x62, 0x69, 0x6e, ...rest])
    ),
    fc.tuple(fc.nat({ max: whole.length - 1 }), fc.uint8Array({ maxLength: 30 })).map(
      ([at, other]) =>
        new Uint8Array([...whole.subarray(0, at), ...other, ...whole.subarray(at + other.length)]),
    ),
  );
  fc.assert(
    fc.property(file, fc.integer({ min: 1, max: 400 }), fc.nat({ max: 600 }), (one, chunk, end) => {
      const facts = walked(one, end, chunk);
      assert.equal(facts.bytes, one.length);
      if (facts.kind === "walked") assert.ok(facts.endsAt <= Math.max(4, one.length));
      const { findings } = fileFindings(
        recordedServer({ coordinates: coordinates({ position: end }) }),
        { ...FACTS, binlog: { kind: "read", facts, tookMs: 1 } },
      );
      assert.equal(findings.length, 1);
    }),
    { numRuns: 10_000 },
  );
});

const FACTS: DatadirFacts = {
  datadir: "/image/mysql",
  binlog: null,
  serverUuid: null,
  myisam: { looked: 0, open: [], crashed: [] },
  hasRedoLog: true,
};

const FILE = binlog([format(), query(), query(60)]);
const LAST = FILE.length;

const CASES: readonly (readonly [
  sentence: string,
  position: number,
  binlog: DatadirFacts["binlog"],
  code: string,
])[] = [
  ["ends as recorded", LAST, read(FILE), "binlog-proven"],
  ["goes on", LAST - 83, read(FILE), "binlog-long"],
  ["goes on and is cut", LAST - 83, read(FILE.subarray(0, LAST - 5)), "binlog-long"],
  ["is cut by a byte", LAST, read(FILE.subarray(0, LAST - 1)), "binlog-short"],
  ["is cut by an event", LAST, read(FILE.subarray(0, LAST - 83)), "binlog-short"],
  ["has no event there", LAST - 10, read(FILE), "history-differs"],
  [
    "has a wrong byte",
    LAST,
    read(FILE.map((byte, at) => at === 150 ? byte ^ 1 : byte)),
    "binlog-broken",
  ],
  ["is none", LAST, read(new Uint8Array(LAST)), "binlog-broken"],
  ["is sealed", LAST, sealed(LAST + 512), "binlog-sealed"],
  ["is sealed, and cut by a byte", LAST, sealed(LAST + 511), "binlog-short"],
  ["is sealed, and goes on", LAST, sealed(LAST + 513), "binlog-long"],
  ["is elsewhere", LAST, { kind: "missing", others: [] }, "binlog-unread"],
  ["is not there yet", LAST, { kind: "missing", others: ["binlog.000001"] }, "binlog-lost"],
  ["is purged", LAST, { kind: "missing", others: ["binlog.000003"] }, "binlog-purged"],
  ["cannot be read", LAST, { kind: "unreadable", why: "os error 5" }, "binlog-unread"],
];

/** As MySQL encrypts it: nothing of it can be read. */
function sealed(bytes: number): DatadirFacts["binlog"] {
  const file = new Uint8Array(bytes);
  file.set([0xfd, 0x62, 0x69, 0x6e, 1]);
  return read(file);
}

function read(file: Uint8Array): DatadirFacts["binlog"] {
  return { kind: "read", facts: walked(file, 0), tookMs: 1 };
}

Deno.test("the recorded binlog file ends at the recorded position, or what it does instead", () => {
  for (const [sentence, position, found, code] of CASES) {
    const again = found?.kind === "read" && found.facts.kind === "walked"
      ? { ...found, facts: { ...found.facts, hasBoundary: [LAST, LAST - 83].includes(position) } }
      : found;
    const { findings } = fileFindings(
      recordedServer({ coordinates: coordinates({ position }) }),
      { ...FACTS, binlog: again },
    );
    assert.deepEqual(findings.map((one) => one.code), [code], sentence);
  }
});

Deno.test("another server's files, and files without a redo log, are said", () => {
  const [one, other] = [1, 2].map((n) => `aaaaaaaa-0000-4000-8000-00000000000${n}`);
  const codes = (recorded: Parameters<typeof recordedServer>[0], facts: Partial<DatadirFacts>) =>
    fileFindings(recordedServer(recorded), { ...FACTS, ...facts }).findings.map(({ code }) => code);
  assert.deepEqual(
    codes({ server_uuid: one ?? "" }, { serverUuid: other ?? "" }),
    ["record-of-other-server"],
  );
  assert.deepEqual(codes({}, { hasRedoLog: false }), ["redo-missing"]);
  assert.deepEqual(
    codes({ data_directories: ["/var/lib/mysql", "/redo"] }, { hasRedoLog: false }),
    [],
  );
});
