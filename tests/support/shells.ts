/** The shells that hooks are run with. */

/** A shell that some caller or distribution runs a hook with. */
export interface Shell {
  readonly name: string;
  readonly argv: readonly string[];
  /** What has to be so in the sandbox. */
  readonly given?: string;
  /** Which descriptors it can close. */
  readonly closes: "all" | "3 to 9";
}

/** All of them. */
export const SHELLS: readonly Shell[] = [
  { name: "dash, with a bash beside it", argv: ["/usr/bin/dash"], closes: "all" },
  {
    name: "dash alone",
    argv: ["/usr/bin/dash"],
    given: "mount --bind /dev/null /usr/bin/bash",
    closes: "3 to 9",
  },
  { name: "bash", argv: ["/usr/bin/bash"], closes: "all" },
  { name: "bash as sh of RHEL", argv: ["/usr/bin/bash", "--posix"], closes: "all" },
  { name: "busybox ash", argv: ["/usr/bin/busybox", "ash"], closes: "all" },
];
