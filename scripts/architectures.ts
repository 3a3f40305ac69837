/** The processors that the program is built for, and what each is called where. */

/** One of them, as the kernel calls it (`uname -m`). */
export type Architecture = "x86_64" | "aarch64";

/** What a build and a package of it need to know. */
export interface ArchitectureFacts {
  readonly name: Architecture;
  /** As Debian calls it; rpm has the kernel's name. */
  readonly deb: string;
}

/** Every architecture, by its name. */
export const ARCHITECTURES: Readonly<Record<Architecture, ArchitectureFacts>> = {
  x86_64: { name: "x86_64", deb: "amd64" },
  aarch64: { name: "aarch64", deb: "arm64" },
};
