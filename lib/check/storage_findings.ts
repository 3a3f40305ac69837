/** Findings about where a server's files are. */
import type { Place } from "../base/look.ts";
import { type Finding, finding } from "./finding.ts";

/** What is known of the files of one server. */
export interface StorageFacts {
  readonly instance: string;
  /** Its directories of data, redo, undo, binlog and relay log; null where it cannot be seen here. */
  readonly directories: readonly { readonly path: string; readonly place: Place | null }[];
  /** The directories of InnoDB's files outside of those. */
  readonly outside: readonly { readonly path: string; readonly place: Place | null }[];
}

/** How many directories are named. */
const NAMED = 5;

/** Says what the places of a server's files mean. */
export function storageFindings(facts: StorageFacts): Finding[] {
  return [...unseen(facts), ...elsewhere(facts), ...several(facts)];
}

/** Without a remedy: locktables must run where the server's paths mean something. */
function unseen({ instance, directories }: StorageFacts): Finding[] {
  const paths = directories.filter(({ place }) => place === null).map(({ path }) => path);
  return paths.length === 0 ? [] : [finding(
    "path-unseen",
    `${instance}: ${
      named(paths)
    } cannot be seen from here, so pre-freeze cannot flush it; a server in a container or chroot needs the hook in there`,
    { instance },
  )];
}

/** Without a remedy: a table is moved by copying it, and when is the administrator's decision. */
function elsewhere({ instance, directories, outside }: StorageFacts): Finding[] {
  const flushed = new Set(directories.flatMap(({ place }) => place?.device ?? []));
  const paths = outside
    .filter(({ place }) => place === null || !flushed.has(place.device))
    .map(({ path }) => path);
  return paths.length === 0 ? [] : [finding(
    "data-directory-elsewhere",
    `${instance}: tables with a DATA DIRECTORY of their own are in ${
      named(paths)
    }, on a filesystem that pre-freeze does not flush; expected them where the server's other files are`,
    { instance },
  )];
}

function several({ instance, directories }: StorageFacts): Finding[] {
  const places = directories.flatMap(({ place }) => place ?? []);
  if (new Set(places.map(({ device }) => device)).size < 2) return [];
  const list = places.map(({ path, mount_point, device }) =>
    `${path} on ${mount_point} (${device})`
  );
  return [finding(
    "several-filesystems",
    `${instance}: its files are on several filesystems, which must be in one snapshot: ${
      list.join(", ")
    }`,
    { instance },
  )];
}

function named(paths: readonly string[]): string {
  return paths.slice(0, NAMED).join(", ") +
    (paths.length > NAMED ? ` and ${paths.length - NAMED} more` : "");
}
