/** Which files a package has, and where: by the rules of Debian and of Fedora. Pure. */

import { RUN_DIRECTORY_ENTRY } from "../../lib/install/steps.ts";
import { PACKAGED_PROGRAM } from "./removal.ts";

/** The kinds of packages. */
export type PackageKind = "deb" | "rpm";

/** What of a release goes into its packages. */
export interface PackageParts {
  /** Each shell's completion. */
  readonly completions: Readonly<Record<"bash" | "zsh" | "fish", string>>;
  readonly manPage: string;
  readonly sbom: string;
  readonly alertRules: string;
  readonly license: string;
  readonly changelog: string;
  readonly readme: string;
  /** The pages of docs/ by their paths below it. */
  readonly pages: ReadonlyMap<string, string>;
}

/** One file of a package. */
export interface PackagedFile {
  /** Absolute. */
  readonly path: string;
  /** null: the program itself. */
  readonly text: string | null;
  /** Whether it is compressed; its name then ends in .gz. */
  readonly isCompressed: boolean;
  readonly mode: number;
  /** What an rpm calls it. */
  readonly role: "" | "%doc" | "%license";
}

/** Where documents are. */
export const DOC_DIR = "/usr/share/doc/locktables";

/** Where zsh looks: distributions differ. */
const ZSH_DIR: Readonly<Record<PackageKind, string>> = {
  deb: "/usr/share/zsh/vendor-completions",
  rpm: "/usr/share/zsh/site-functions",
};

/** What both kinds have; a kind adds its own documents. */
export function packagedFiles(kind: PackageKind, parts: PackageParts): readonly PackagedFile[] {
  const { completions, pages } = parts;
  const files: readonly PackagedFile[] = [
    { path: PACKAGED_PROGRAM, text: null, isCompressed: false, mode: 0o755, role: "" },
    file("/usr/lib/tmpfiles.d/locktables.conf", `# See tmpfiles.d(5).\n${RUN_DIRECTORY_ENTRY}\n`),
    file("/usr/share/bash-completion/completions/locktables", completions.bash),
    file(`${ZSH_DIR[kind]}/_locktables`, completions.zsh),
    file("/usr/share/fish/vendor_completions.d/locktables.fish", completions.fish),
    { ...file("/usr/share/man/man8/locktables.8.gz", parts.manPage), isCompressed: true },
    doc("README.md", parts.readme),
    ...[...pages].map(([path, text]) => doc(`docs/${path}`, text)),
    doc("locktables.cdx.json", parts.sbom),
    doc("examples/locktables.rules.yml", parts.alertRules),
  ];
  return files.toSorted((a, b) => a.path < b.path ? -1 : 1);
}

/** A plain file that all may read. */
export function file(path: string, text: string): PackagedFile {
  return { path, text, isCompressed: false, mode: 0o644, role: "" };
}

/** A document. */
export function doc(name: string, text: string): PackagedFile {
  const isCompressed = name.endsWith(".gz");
  return { ...file(`${DOC_DIR}/${name}`, text), isCompressed, role: "%doc" };
}

/**
 * The version of a package: what comes before a release, 1.0.0-rc.1, sorts before it by a tilde in
 * both kinds. The last number is that of the packaging.
 */
export function packageVersion(version: string): { upstream: string; revision: string } {
  return { upstream: version.replaceAll("-", "~"), revision: "1" };
}
