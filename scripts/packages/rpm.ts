/** The package for RHEL, Fedora and SUSE: built by rpmbuild, without the step that strips programs. */

import type { Architecture } from "../architectures.ts";
import { runOrFail } from "../shell.ts";
import { DESCRIPTION, PACK_TIMEOUT_MS, SUMMARY, XZ_LEVEL } from "./about.ts";
import type { PackageInput } from "./deb.ts";
import { doc, file, type PackagedFile, packagedFiles, packageVersion } from "./layout.ts";
import { RPM_PREUN } from "./removal.ts";
import { stageFiles } from "./stage.ts";

/** The file's name, by rpm's rules. */
export function rpmName(version: string, { name }: Architecture): string {
  const { upstream, revision } = packageVersion(version);
  return `locktables-${upstream}-${revision}.${name}.rpm`;
}

/**
 * The spec. What it needs is written down, not found by tools, which differ between distributions;
 * `folder` has the files as they will be installed.
 */
export function rpmSpec(
  version: string,
  files: readonly PackagedFile[],
  folder: string,
): string {
  const { upstream, revision } = packageVersion(version);
  const summary = SUMMARY[0]?.toUpperCase() + SUMMARY.slice(1);
  return `Name: locktables
Version: ${upstream}
Release: ${revision}
Summary: ${summary}
License: MIT
Group: System/Base
AutoReqProv: no
Provides: locktables = %{version}-%{release}
Requires: libc.so.6(GLIBC_2.27)(64bit)
Requires: libgcc_s.so.1()(64bit)

%description
${DESCRIPTION.map((lines) => lines.map((line) => `${line}\n`).join("")).join("\n")}
%install
cp -a ${folder}/. %{buildroot}/

%preun
${RPM_PREUN}
%files
%defattr(-,root,root,0755)
${ownDirectories(files).map((path) => `%dir ${path}\n`).join("")}${
    files.map(({ path, mode, role }) =>
      `${role === "" ? "" : `${role} `}%attr(0${mode.toString(8)},root,root) ${path}\n`
    ).join("")
  }`;
}

/** Those that no package has where the shell is not installed; all packages that have them own them. */
const SHARED = "bash-completion|fish|zsh";

/** Directories that go with the package. */
function ownDirectories(files: readonly PackagedFile[]): readonly string[] {
  const own = new RegExp(`^/usr/share/(?:doc/locktables|licenses/locktables|${SHARED})(?=/)`);
  const found = new Set<string>();
  for (const { path } of files) {
    const [first] = own.exec(path) ?? [];
    if (first === undefined) continue;
    for (let at = first.length; at > 0; at = path.indexOf("/", at + 1)) {
      found.add(path.slice(0, at));
    }
  }
  return [...found].sort();
}

/** What decides the bytes besides the files: nothing of the machine, of its name or of the moment. */
function macros(folder: string): Readonly<Record<string, string>> {
  return {
    _topdir: folder,
    _rpmdir: folder,
    _build_name_fmt: "%%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm",
    _buildhost: "localhost",
    use_source_date_epoch_as_buildtime: "1",
    clamp_mtime_to_source_date_epoch: "1",
    source_date_epoch_from_changelog: "0",
    _binary_payload: `w${XZ_LEVEL}.xzdio`,
    _binary_filedigest_algorithm: "8",
    _docdir: "/usr/share/doc",
    _build_id_links: "none",
    debug_package: "%{nil}",
    // Would strip the program, which is appended to its runtime, and compress manuals anew.
    __os_install_post: "%{nil}",
  };
}

/** Makes the package, and returns its name. */
export async function buildRpm(input: PackageInput): Promise<string> {
  const { version, architecture, program, parts, time, directory, scratch } = input;
  const files = [
    ...packagedFiles("rpm", parts),
    doc("CHANGELOG.md", parts.changelog),
    { ...file("/usr/share/licenses/locktables/LICENSE", parts.license), role: "%license" as const },
  ];
  await stageFiles(`${scratch}/root`, files, program, time);
  await Deno.writeTextFile(`${scratch}/spec`, rpmSpec(version, files, `${scratch}/root`));
  await runOrFail("rpmbuild", [
    "rpmbuild",
    "-bb",
    "--quiet",
    "--target",
    `${architecture.name}-linux`,
    ...Object.entries(macros(scratch)).flatMap(([name, value]) => ["--define", `${name} ${value}`]),
    `${scratch}/spec`,
  ], {
    // Else the settings of whoever builds: ~/.rpmmacros.
    env: {
      HOME: scratch,
      SOURCE_DATE_EPOCH: String(time.getTime() / 1000),
      LC_ALL: "C.UTF-8",
    },
    timeoutMs: PACK_TIMEOUT_MS,
  });
  const name = rpmName(version, architecture);
  await Deno.rename(`${scratch}/${name}`, `${directory}/${name}`);
  return name;
}
