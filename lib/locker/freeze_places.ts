/** Where the freeze sensor can look. */
import { diskAnswered } from "../base/disk.ts";
import { ROOT } from "../base/look.ts";
import { FREEZE_SENSOR_DIR } from "../base/paths.ts";

/**
 * Directories in which no files are made or removed while a server is locked: a process that does so
 * locks the directory while it waits for the disk, which looks like a freeze.
 */
const QUIET_DIRECTORIES = ["performance_schema", "mysql"];

/**
 * One directory on each filesystem of the servers' data in which the sensor may ask; where there is
 * none, one on the filesystem of the records. Empty where that cannot be used either.
 * @param ownDirectory of ours, made where it is missing; nothing is ever put in it
 */
export async function freezePlaces(
  dataDirectories: readonly string[],
  ownDirectory: string = FREEZE_SENSOR_DIR,
): Promise<string[]> {
  await Deno.mkdir(ownDirectory, { mode: 0o700 }).catch(() => {}); // there already, or unusable
  const ownDevice = await deviceOf(ownDirectory);
  const places = new Map<number, string>();
  for (const directory of dataDirectories) {
    const device = await deviceOf(directory);
    if (device === null || places.has(device)) continue;
    const place = await firstUsable(
      device === ownDevice ? [ownDirectory] : await quietDirectories(directory, device),
    );
    if (place !== null) places.set(device, place);
  }
  if (places.size > 0) return [...places.values()];
  const own = await firstUsable([ownDirectory]);
  return own === null ? [] : [own];
}

async function quietDirectories(directory: string, device: number): Promise<string[]> {
  const all = [...QUIET_DIRECTORIES.map((name) => `${directory}/${name}`), directory];
  const devices = await Promise.all(all.map(deviceOf));
  return all.filter((_path, index) => devices[index] === device);
}

async function firstUsable(directories: readonly string[]): Promise<string | null> {
  for (const directory of directories) {
    // Without the right to write there, on a read-only filesystem, or in what is not there, no call
    // ever waits.
    const isThere = await deviceOf(directory) !== null;
    if (isThere && await diskAnswered(directory) === "writable") return directory;
  }
  return null;
}

async function deviceOf(path: string): Promise<number | null> {
  return await Deno.stat(ROOT + path).then(({ dev }) => dev, () => null);
}
