/** What the packages say of themselves. */

/** One line, without the name. */
export const SUMMARY = "application-consistent VM snapshots of MySQL and MariaDB";

/** Paragraphs of lines that end before column 75. */
export const DESCRIPTION: readonly (readonly string[])[] = [
  [
    "Hooks for whoever snapshots the disks of a virtual machine from outside:",
    "VMware Tools, the QEMU guest agent, Veeam, Nutanix, AWS, Azure, Google.",
    "Before the snapshot every MySQL and MariaDB server of the guest is locked",
    "for writing, and its data is flushed to disk; afterwards the lock is",
    "released, and it is reported whether it was held all the time. The binlog",
    "coordinates of the snapshot are recorded inside of it.",
  ],
  [
    "No hook is installed and no service is touched before: locktables install.",
  ],
];

/** Who answers for a package that names nobody else. `invalid` is a domain that has no mail. */
export const MAINTAINER = "The locktables authors <locktables@packages.invalid>";

/**
 * A fast level of xz: the default takes a minute longer and saves a twentieth. In one thread, because
 * the bytes depend on how the work is divided.
 */
export const XZ_LEVEL = 1;

/** Bound of compressing 90 MB, 7 s on a quiet machine. */
export const PACK_TIMEOUT_MS = 300_000;
