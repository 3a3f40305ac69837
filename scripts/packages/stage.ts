/** Puts the files of a package into a folder, the same wherever and whenever. */

import { constants, gzipSync } from "node:zlib";
import type { PackagedFile } from "./layout.ts";

/** Writes files below a folder; `program` is linked where it can be. All get one time. */
export async function stageFiles(
  folder: string,
  files: readonly PackagedFile[],
  program: string,
  time: Date,
): Promise<void> {
  const directories = new Set<string>([folder]);
  for (const { path, text, isCompressed, mode } of files) {
    const place = `${folder}${path}`;
    for (
      let end = place.lastIndexOf("/");
      end > folder.length;
      end = place.lastIndexOf("/", end - 1)
    ) {
      directories.add(place.slice(0, end));
    }
    await Deno.mkdir(place.slice(0, place.lastIndexOf("/")), { recursive: true });
    if (text === null) await Deno.copyFile(program, place);
    else {
      const bytes = new TextEncoder().encode(text);
      // Without a name and a time, and as small as Debian's rules want it.
      await Deno.writeFile(
        place,
        isCompressed ? gzipSync(bytes, { level: constants.Z_BEST_COMPRESSION }) : bytes,
      );
    }
    await Deno.chmod(place, mode);
    await Deno.utime(place, time, time);
  }
  // Innermost first, and not left to the umask of whoever makes the package.
  for (const directory of [...directories].sort().reverse()) {
    await Deno.chmod(directory, 0o755);
    await Deno.utime(directory, time, time);
  }
}
