/**
 * Hooks of programs that snapshot chosen volumes: snapper, sanoid, zrepl. Each is one file for both
 * ends. None releases by itself: post-thaw looks whose window is open, because some of these call it
 * though their pre-freeze was refused. Pure.
 */

import { indent } from "../base/shell.ts";

/** What such a hook does before and after the snapshot; both end in `exec`. */
export interface BothEnds {
  readonly freeze: string;
  readonly thaw: string;
}

/** Where the operator lists directories of servers that are not in the usual place. */
export const SNAPPER_DIRECTORIES = "/etc/locktables/snapper-directories";

/**
 * A snapshot of a btrfs subvolume has nothing of the subvolumes below it, and each has a device number
 * of its own: it has a server's data if theirs is its own.
 */
export function snapperHook({ freeze, thaw }: BothEnds): string {
  return `case \${1-} in
  create-snapshot-pre | create-snapshot-post) ;;
  *) exit 0 ;;
esac
volume=$(stat -L -c %d "\${2-}") || exit 0
listed=${SNAPPER_DIRECTORIES}
found=
for directory in $(cat $listed 2>/dev/null || echo /var/lib/mysql); do
  if [ "$(stat -L -c %d "$directory" 2>/dev/null)" = "$volume" ]; then found=yes; fi
done
if [ -z "$found" ]; then exit 0; fi
if [ "$1" = create-snapshot-post ]; then
${indent(thaw, 2)}fi
${freeze}`;
}

/** It also runs scripts when it prunes. */
export function sanoidHook({ freeze, thaw }: BothEnds): string {
  return `case \${SANOID_SCRIPT-} in
  pre) ;;
  post)
${indent(thaw)}    ;;
  *) exit 0 ;;
esac
${freeze}`;
}

/** A dry run takes no snapshot, and locks nothing. */
export function zreplHook({ freeze, thaw }: BothEnds): string {
  return `if [ "\${ZREPL_DRYRUN-}" = true ]; then exit 0; fi
case \${ZREPL_HOOKTYPE-} in
  pre_snapshot) ;;
  post_snapshot)
${indent(thaw)}    ;;
  *) exit 0 ;;
esac
${freeze}`;
}
