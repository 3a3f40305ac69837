/** What the processor that the program is built for is called where. */
export interface Architecture {
  /** By the kernel (`uname -m`), and by rpm. */
  readonly name: string;
  /** By Debian. */
  readonly deb: string;
}

/** The one that there is a runtime for; see docs/runtime.md. */
export const X86_64: Architecture = { name: "x86_64", deb: "amd64" };
