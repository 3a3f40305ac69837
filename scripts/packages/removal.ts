/**
 * What the packages' scripts do: POSIX sh. On installation and upgrade there are none; the package
 * is files, and hooks are for `locktables install`. Pure.
 */

import {
  FREEZE_SENSOR_DIR,
  METRICS_FILES,
  RECEIPT_FILE,
  RUN_DIR,
  STATE_DIR,
  UNREPORTED_FILE,
  WRITE_PROBE_NAME,
} from "../../lib/base/paths.ts";
import { STATE_DIRECTORY } from "../../lib/base/private_directory.ts";
import { EXIT } from "../../lib/base/refusal.ts";

/** Where packages have the program. */
export const PACKAGED_PROGRAM = "/usr/sbin/locktables";

/** What uninstall ends with when it refuses; any other code says that the program did not run. */
const REFUSALS = [...new Set(Object.values(EXIT))].filter((code) =>
  code !== EXIT.ok && code !== EXIT.defect
).sort((a, b) => a - b);

/**
 * Takes the hooks of this program along, or ends the removal where uninstall refuses: while a window
 * is open, or where a hook was edited. A program that cannot run, in a chroot without /proc for
 * example, keeps the package only where it has hooks.
 */
const TAKE_HOOKS_ALONG = `program=${PACKAGED_PROGRAM}
code=127
if [ -x "$program" ]; then
  code=0
  "$program" uninstall --own || code=$?
fi
case $code in
  0) ;;
  ${REFUSALS.join(" | ")})
    echo 'locktables: not removed, because of the line above' >&2
    exit "$code"
    ;;
  *)
    if [ -e ${RECEIPT_FILE} ] && grep -q '"program": "/usr/s\\{0,1\\}bin/locktables"' ${RECEIPT_FILE}; then
      echo "locktables: not removed: hooks call $program, and it does not run (exit code $code). Install the package again, then run: $program uninstall" >&2
      exit 1
    fi
    ;;
esac
`;

/** Left alone: links that root made there, images that are mounted there, and whatever is not ours. */
const FORGET_WINDOWS = `if [ ! -e ${RECEIPT_FILE} ] && ! command -v locktables >/dev/null 2>&1; then
  rm -f ${
  [
    ...STATE_DIRECTORY.believed,
    `${STATE_DIR}/${WRITE_PROBE_NAME}`,
    UNREPORTED_FILE,
    ...METRICS_FILES.flatMap((path) => [path, `${path}.tmp`]),
  ].join(" \\\n    ")
}
  for directory in ${FREEZE_SENSOR_DIR} ${STATE_DIR} ${RUN_DIR}; do
    if [ -d "$directory" ]; then rmdir --ignore-fail-on-non-empty "$directory"; fi
  done
fi
`;

/** Debian's scripts, by their names. Nothing is done on an upgrade. */
export const DEB_SCRIPTS: Readonly<Record<"prerm" | "postrm", string>> = {
  prerm: `#!/bin/sh
set -e
if [ "$1" != remove ]; then exit 0; fi
${TAKE_HOOKS_ALONG}`,
  postrm: `#!/bin/sh
set -e
if [ "$1" != purge ]; then exit 0; fi
# Another program of this name goes on with the records.
${FORGET_WINDOWS}`,
};

/** What an rpm runs before it goes; on an upgrade another one is left. */
export const RPM_PREUN = `if [ "$1" -ne 0 ]; then exit 0; fi
${TAKE_HOOKS_ALONG}`;
