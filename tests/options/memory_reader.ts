import type { OptionFileReader } from "../../lib/options/option_file.ts";

/** What stands in for a disk: texts by absolute path, and what is special about some paths. */
export interface MemoryDisk {
  readonly files: Readonly<Record<string, string>>;
  /** Modes as Deno.chmod takes them, 0o600 for those not named. */
  readonly modes?: Readonly<Record<string, number>>;
  /** Paths, and everything under them, that permissions forbid. */
  readonly denied?: readonly string[];
}

/** Option files in memory. Directories are there when a file is in them. */
export function memoryReader({ files, modes = {}, denied = [] }: MemoryDisk): OptionFileReader {
  const has = (path: string) => Object.hasOwn(files, path);
  const isDenied = (path: string) => denied.some((d) => path === d || path.startsWith(`${d}/`));
  const namesIn = (dir: string) => {
    const prefix = `${dir.replace(/\/+$/, "")}/`;
    const inside = Object.keys(files).filter((path) => path.startsWith(prefix));
    return new Set(inside.map((path) => path.slice(prefix.length).split("/")[0]!));
  };
  return {
    read(path) {
      if (isDenied(path)) return { kind: "denied", why: "not permitted" };
      if (has(path)) {
        const worldWritable = ((modes[path] ?? 0o600) & 0o002) !== 0;
        return { kind: "text", text: files[path]!, worldWritable };
      }
      if (namesIn(path).size > 0) return { kind: "not-a-file", why: "a directory" };
      return { kind: "missing" };
    },
    list(dir) {
      if (isDenied(dir)) return { kind: "denied", why: "not permitted" };
      const names = namesIn(dir);
      return names.size === 0 ? { kind: "missing" } : { kind: "names", names: [...names] };
    },
  };
}
