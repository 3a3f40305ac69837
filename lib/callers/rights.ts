/**
 * The rights that only install, uninstall and check need. They are compiled in with all others
 * (`deno.json`), so every other command gives them back before it does anything.
 */

import { LOGGER, NOTIFY_PROGRAM } from "../base/paths.ts";
import { INSTALL_PATHS, UNIT_PATHS } from "./install_paths.ts";

/** For everything but install, uninstall and check. */
export function dropInstallRights(): void {
  dropInstallWriteRights();
  for (const path of [...INSTALL_PATHS, ...UNIT_PATHS]) {
    Deno.permissions.revokeSync({ name: "read", path });
  }
}

/** For check, which only looks. */
export function dropInstallWriteRights(): void {
  for (const path of INSTALL_PATHS) Deno.permissions.revokeSync({ name: "write", path });
}

/** The right to start `logger` and the operator's program: for everything but the process that reports. */
export function dropOutletRights(): void {
  for (const command of [LOGGER, NOTIFY_PROGRAM]) {
    Deno.permissions.revokeSync({ name: "run", command });
  }
}
