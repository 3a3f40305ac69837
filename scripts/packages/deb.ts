/** The Debian package: built by dpkg-deb, without a step that would strip the program. */

import type { Architecture } from "../architectures.ts";
import { runOrFail } from "../shell.ts";
import { DESCRIPTION, MAINTAINER, PACK_TIMEOUT_MS, SUMMARY, XZ_LEVEL } from "./about.ts";
import { doc, file, packagedFiles, type PackageParts, packageVersion } from "./layout.ts";
import { DEB_SCRIPTS } from "./removal.ts";
import { stageFiles } from "./stage.ts";

/** What a package is made of. */
export interface PackageInput {
  readonly version: string;
  readonly architecture: Architecture;
  /** The program for that architecture. */
  readonly program: string;
  readonly parts: PackageParts;
  /** Every file's time. */
  readonly time: Date;
  /** Where the package goes. */
  readonly directory: string;
  /** A folder that is not there yet. */
  readonly scratch: string;
}

/** The file's name, by Debian's rules. */
export function debName(version: string, { deb }: Architecture): string {
  return `locktables_${debVersion(version)}_${deb}.deb`;
}

/** The control file. `installedBytes`: of all files together. */
export function debControl(
  version: string,
  { deb }: Architecture,
  installedBytes: number,
): string {
  return `Package: locktables
Version: ${debVersion(version)}
Architecture: ${deb}
Maintainer: ${MAINTAINER}
Installed-Size: ${Math.ceil(installedBytes / 1024)}
Depends: libc6 (>= 2.27), libgcc-s1 (>= 3.3) | libgcc1 (>= 1:4.2)
Enhances: mariadb-server, default-mysql-server, open-vm-tools, qemu-guest-agent
Section: admin
Priority: optional
Description: ${SUMMARY}
${DESCRIPTION.map((lines) => lines.map((line) => ` ${line}\n`).join("")).join(" .\n")}`;
}

/** Debian's changelog, which refers to ours. */
export function debChangelog(version: string, time: Date): string {
  return `locktables (${debVersion(version)}) stable; urgency=medium

  * locktables ${version}: changelog.gz says what is new.

 -- ${MAINTAINER}  ${rfc5322(time)}
`;
}

/** Debian's copyright file, of our licence and what is said of the rest. */
export function debCopyright(license: string): string {
  const [, copyright = "", ...rest] =
    /^MIT License\n\nCopyright \(c\) (.*)\n\n([^]*)$/.exec(license) ??
      [];
  const text = rest.join("").trimEnd().split("\n").map((line) => line === "" ? " ." : ` ${line}`);
  return `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: locktables
Comment: The program has the Deno runtime (MIT) and npm packages in it; each is
 listed with its licence in locktables.cdx.json.

Files: *
Copyright: ${copyright}
License: Expat

License: Expat
${text.join("\n")}
`;
}

/** What lintian may not like, and why it is so. */
export const LINTIAN_OVERRIDES =
  `# Deno's runtime is as Deno built it: its own copies of libraries, its comments and its spelling.
# The program is appended to it, so that strip would destroy it.
locktables: embedded-library * [usr/sbin/locktables]
locktables: binary-has-unneeded-section .comment [usr/sbin/locktables]
locktables: spelling-error-in-binary * [usr/sbin/locktables]
# Not a package of Debian's, where a first one closes a request.
locktables: initial-upload-closes-no-bugs *
`;

/** Makes the package, and returns its name. */
export async function buildDeb(input: PackageInput): Promise<string> {
  const { version, architecture, program, parts, time, directory, scratch } = input;
  const files = [
    ...packagedFiles("deb", parts),
    doc("changelog.gz", parts.changelog),
    doc("changelog.Debian.gz", debChangelog(version, time)),
    doc("copyright", debCopyright(parts.license)),
    file("/usr/share/lintian/overrides/locktables", LINTIAN_OVERRIDES),
  ];
  await stageFiles(scratch, files, program, time);
  let bytes = 0;
  const sums: string[] = [];
  for (const { path } of [...files].sort((a, b) => a.path < b.path ? -1 : 1)) {
    bytes += (await Deno.stat(`${scratch}${path}`)).size;
    sums.push(`${scratch}${path}`);
  }
  const { stdout } = await runOrFail("md5sum", ["md5sum", "--", ...sums]);
  const controls = [
    file("/DEBIAN/control", debControl(version, architecture, bytes)),
    file("/DEBIAN/md5sums", stdout.replaceAll(`  ${scratch}/`, "  ")),
    ...Object.entries(DEB_SCRIPTS).map(([name, text]) => ({
      ...file(`/DEBIAN/${name}`, text),
      mode: 0o755,
    })),
  ];
  await stageFiles(scratch, controls, program, time);
  const name = debName(version, architecture);
  await runOrFail("dpkg-deb", [
    "dpkg-deb",
    "--root-owner-group",
    "-Zxz",
    `-z${XZ_LEVEL}`,
    "--threads-max=1",
    "--build",
    scratch,
    `${directory}/${name}`,
  ], {
    env: { SOURCE_DATE_EPOCH: String(time.getTime() / 1000), LC_ALL: "C.UTF-8" },
    timeoutMs: PACK_TIMEOUT_MS,
  });
  return name;
}

function debVersion(version: string): string {
  const { upstream, revision } = packageVersion(version);
  return `${upstream}-${revision}`;
}

/** A date as Debian's changelogs have it. */
function rfc5322(time: Date): string {
  return time.toUTCString().replace("GMT", "+0000");
}
