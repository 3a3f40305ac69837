/**
 * Looks at the files of an image's data directory, before a server runs on them. Only reads, and follows
 * no link: an image comes from anywhere.
 */
import { isMissing } from "../base/files.ts";
import { parentOf, STATE_DIR } from "../base/paths.ts";
import { EXIT, type Refusal, refusal } from "../base/refusal.ts";
import { shellWord } from "../base/shell.ts";
import type { Coordinates } from "../window/coordinates.ts";
import { type BinlogFacts, binlogWalk } from "./binlog_walk.ts";
import type { DatadirFacts } from "./file_findings.ts";
import { HEADER_BYTES, type MyisamState, myisamState } from "./myisam_header.ts";
import { messageOf } from "./read_error.ts";

/** How much of a binlog is read at once. */
const CHUNK_BYTES = 1024 * 1024;

/** How often a long file's progress is shown, in chunks. */
const PROGRESS_CHUNKS = 16;

/** How many MyISAM tables are looked at: each is a file to open. */
const TABLES_MOST = 100_000;

/** Longest `auto.cnf` that is read, in bytes: it has two lines. */
const AUTO_CNF_BYTES = 4_096;

/** How many names of a directory are looked at for other binlog files. */
const NAMES_MOST = 100_000;

/** Where an image is mounted, so that locktables may read it. */
const IMAGE_DIR = `${STATE_DIR}/image`;

/** The data directory that `--datadir` names, or why it cannot be looked at. */
export async function datadirAt(path: string): Promise<string | Refusal> {
  const bad = (summary: string, hint: string) =>
    refusal(EXIT.badSetup, "path-unusable", summary, hint);
  if (!path.startsWith("/") || path.split("/").includes("..")) {
    return bad(`--datadir is ${path}; expected an absolute path`, "Name it from / on");
  }
  const datadir = path.replaceAll(/\/+/g, "/").replace(/\/$/, "") || "/";
  try {
    // By what is in it: below a link locktables may read, whatever it leads to.
    const info = await Deno.stat(datadir);
    if (info.isDirectory) return datadir;
    return bad(`${datadir} is no directory`, "Name the data directory of the image");
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) {
      const name = datadir.slice(datadir.lastIndexOf("/") + 1);
      return bad(
        `locktables has no right to read ${datadir}: it may read below /var/lib/mysql and ${STATE_DIR}`,
        `Mount what holds it there: mkdir -p -m 0700 ${IMAGE_DIR} && mount --bind ${
          shellWord(parentOf(datadir))
        } ${IMAGE_DIR}, and name --datadir ${IMAGE_DIR}/${shellWord(name)}`,
      );
    }
    return bad(`Cannot look at ${datadir}: ${messageOf(error)}`, `ls -ld ${shellWord(datadir)}`);
  }
}

/** Where the record of an image lies: beside its data directory, as in /var/lib. */
export function recordBeside(datadir: string): string {
  return `${parentOf(datadir) === "/" ? "" : parentOf(datadir)}/locktables/record.json`;
}

/** Where progress is reported, and what may end the walk. */
export interface ReadOptions {
  readonly onProgress: (done: number, total: number, elapsedMs: number) => void;
  readonly signal: AbortSignal;
}

/** Looks at everything. */
export async function readDatadir(
  datadir: string,
  recorded: Coordinates | null,
  options: ReadOptions,
): Promise<DatadirFacts> {
  const names = ["ib_logfile0", "#innodb_redo"];
  const redo = await Promise.all(names.map((name) => isThere(`${datadir}/${name}`)));
  return {
    datadir,
    binlog: await readBinlog(datadir, recorded, options),
    myisam: await readMyisam(datadir, options.signal),
    serverUuid: await readServerUuid(`${datadir}/auto.cnf`),
    hasRedoLog: redo.some((one) => one),
  };
}

async function readBinlog(
  datadir: string,
  recorded: Coordinates | null,
  { onProgress, signal }: ReadOptions,
): Promise<DatadirFacts["binlog"]> {
  const { file = null, position = null } = recorded ?? {};
  if (file === null || position === null) return null;
  // A name, and no way out of the directory.
  if (!/^[A-Za-z0-9_.-]{1,255}$/.test(file)) {
    return { kind: "unreadable", why: "it is no name of a binlog file" };
  }
  const path = `${datadir}/${file}`;
  try {
    const info = await Deno.lstat(path);
    if (!info.isFile) return { kind: "unreadable", why: "it is no file" };
    const began = performance.now();
    const facts = await walkFile(path, position, {
      signal,
      onProgress: (done) => onProgress(done, info.size, performance.now() - began),
    });
    if (facts === null) return { kind: "unreadable", why: "interrupted" };
    return { kind: "read", facts, tookMs: Math.round(performance.now() - began) };
  } catch (error) {
    return isMissing(error)
      ? { kind: "missing", others: await otherBinlogs(datadir, file) }
      : { kind: "unreadable", why: messageOf(error) };
  }
}

/** Null where it was interrupted. */
async function walkFile(
  path: string,
  position: number,
  { onProgress, signal }: {
    readonly onProgress: (done: number) => void;
    readonly signal: AbortSignal;
  },
): Promise<BinlogFacts | null> {
  using file = await Deno.open(path, { read: true });
  const walk = binlogWalk(position);
  const buffer = new Uint8Array(CHUNK_BYTES);
  let done = 0;
  for (let chunk = 1;; chunk += 1) {
    if (signal.aborted) return null;
    const count = await file.read(buffer);
    if (count === null) return walk.facts();
    walk.push(buffer.subarray(0, count));
    done += count;
    if (chunk % PROGRESS_CHUNKS === 0) onProgress(done);
  }
}

/** Names of the same binlog's other files, in their order. */
async function otherBinlogs(datadir: string, file: string): Promise<string[]> {
  const base = file.slice(0, file.lastIndexOf(".") + 1);
  const names: string[] = [];
  let looked = 0;
  for await (const { name } of Deno.readDir(datadir)) {
    if (looked++ > NAMES_MOST) break;
    if (name.startsWith(base) && /^[0-9]+$/.test(name.slice(base.length))) names.push(name);
  }
  return names.sort((a, b) => a.length - b.length || (a < b ? -1 : 1));
}

async function readServerUuid(path: string): Promise<string | null> {
  try {
    if (!(await Deno.lstat(path)).isFile) return null;
    using file = await Deno.open(path, { read: true });
    const buffer = new Uint8Array(AUTO_CNF_BYTES);
    const count = await file.read(buffer) ?? 0;
    const text = new TextDecoder().decode(buffer.subarray(0, count));
    return /^server[-_]uuid=([0-9a-f-]{36})$/m.exec(text)?.[1] ?? null;
  } catch {
    return null; // MariaDB has none; and one that cannot be read says nothing
  }
}

/** Every MyISAM index in a schema's directory. */
async function readMyisam(datadir: string, signal: AbortSignal): Promise<DatadirFacts["myisam"]> {
  const found = { looked: 0, open: [] as string[], crashed: [] as string[] };
  for await (const schema of entriesOf(datadir)) {
    if (!schema.isDirectory) continue;
    for await (const { name, isFile } of entriesOf(`${datadir}/${schema.name}`)) {
      if (!isFile || !name.endsWith(".MYI")) continue;
      if (signal.aborted || found.looked >= TABLES_MOST) return found;
      const state = await readState(`${datadir}/${schema.name}/${name}`);
      if (state === null) continue;
      found.looked += 1;
      if (state !== "closed") found[state].push(`${schema.name}/${name}`);
    }
  }
  return found;
}

/** What is in a directory; nothing where it cannot be listed, which the server will say. */
async function* entriesOf(path: string): AsyncGenerator<Deno.DirEntry> {
  try {
    yield* Deno.readDir(path);
  } catch {
    // Its tables are the server's to check.
  }
}

async function readState(path: string): Promise<MyisamState | null> {
  try {
    using file = await Deno.open(path, { read: true });
    const header = new Uint8Array(HEADER_BYTES);
    const count = await file.read(header) ?? 0;
    return myisamState(header.subarray(0, count));
  } catch {
    return null; // CHECK TABLE says it better
  }
}

async function isThere(path: string): Promise<boolean> {
  return await Deno.lstat(path).then(() => true, () => false);
}
