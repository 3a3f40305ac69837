/** Findings about the option file. */
import type { OptionLine, OptionWarning } from "../options/option_file.ts";
import type { Settings } from "../options/settings.ts";
import { isRefusal, type Refusal } from "../report/refusal.ts";
import { shellWord } from "../report/shell.ts";
import type { FileLook } from "../sys/guest_files.ts";
import { type Finding, finding, fromRefusal } from "./finding.ts";

/** What is known of the option file. */
export interface OptionFileFacts {
  readonly read:
    | { readonly settings: Settings; readonly warnings: readonly OptionWarning[] }
    | Refusal;
  /** The file and those that it includes, those that there are. */
  readonly files: readonly { readonly path: string; readonly look: FileLook }[];
}

/** The permission bits of everybody but the owner. */
const OTHERS = 0o077;

/** Says what is wrong with the option file. */
export function optionFileFindings({ read, files }: OptionFileFacts): Finding[] {
  return [
    ...files.flatMap(({ path, look }) => rightsFindings(path, look)),
    ...(isRefusal(read)
      ? [fromRefusal(read)]
      : [...read.warnings.map(ofWarning), ...failureFinding(read.settings)]),
  ];
}

function ofWarning({ reason, text, remedy }: OptionWarning): Finding {
  return finding(reason, text, { remedy });
}

/** A password may be in it, now or later. */
function rightsFindings(path: string, { mode }: FileLook): Finding[] {
  const word = shellWord(path);
  return [
    ...((mode & OTHERS) === 0 ? [] : [finding(
      "option-file-readable",
      `${path} has mode ${octal(mode)}; want 0600, it may hold a password`,
      { remedy: `chmod 0600 ${word}` },
    )]),
  ];
}

function failureFinding({ onFailure }: Settings): Finding[] {
  return onFailure === "abort" ? [] : [finding(
    "proceeds-without-lock",
    "on_failure=proceed: where there is no lock, pre-freeze says so and lets the snapshot happen",
  )];
}

/** The groups of the clients and of ours that an instance's connection comes from. */
const READ_GROUPS = /^(client|client-server|client-mariadb|locktables)(_|$)/i;

/** Programs that an administrator may have given the password to instead. */
const CLIENT_GROUPS = [
  "mysql",
  "mariadb",
  "mariadb-client",
  "mysqladmin",
  "mariadb-admin",
  "mysqldump",
  "mariadb-dump",
  "mariadbbackup",
  "mariabackup",
  "xtrabackup",
];

/**
 * Where a login was denied: the group of another program that has a password, while those that
 * we read have none.
 */
export function passwordElsewhere(options: readonly OptionLine[]): Finding[] {
  const isPassword = ({ key }: OptionLine) => key.toLowerCase() === "password";
  if (options.some((option) => isPassword(option) && READ_GROUPS.test(option.group))) return [];
  const found = options.find((option) =>
    isPassword(option) && CLIENT_GROUPS.includes(option.group.toLowerCase())
  );
  if (found === undefined) return [];
  // Without a remedy: a password is for a person to move.
  return [finding(
    "password-elsewhere",
    `The password at ${found.file}:${found.line} is in [${found.group}], which locktables does not read; move user and password into [client]`,
  )];
}

/** A mode as chmod takes it. */
export function octal(mode: number): string {
  return mode.toString(8).padStart(4, "0");
}
