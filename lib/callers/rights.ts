/**
 * The rights that only install, uninstall and check need. They are compiled in with all others
 * (`deno.json`), so every other command gives them back before it does anything.
 */

/** Where hooks are written; the names beside a file are where it is kept, and where it is made. */
export const INSTALL_PATHS: readonly string[] = [
  "/etc/locktables",
  "/etc/vmware-tools",
  "/usr/sbin/pre-freeze-script",
  "/usr/sbin/pre-freeze-script.locktables-kept",
  "/usr/sbin/post-thaw-script",
  "/usr/sbin/post-thaw-script.locktables-kept",
  "/usr/sbin/.locktables-new",
  "/etc/qemu",
  "/etc/qemu-ga",
  "/var/log/qga-fsfreeze-hook.log",
  "/var/log/.locktables-new",
  "/usr/local/sbin/pre_freeze",
  "/usr/local/sbin/pre_freeze.locktables-kept",
  "/usr/local/sbin/post_thaw",
  "/usr/local/sbin/post_thaw.locktables-kept",
  "/usr/local/sbin/.locktables-new",
  "/etc/azure",
  "/etc/google",
  "/etc/default/instance_configs.cfg",
  "/etc/default/instance_configs.cfg.locktables-kept",
  "/etc/default/.locktables-new",
  "/etc/tmpfiles.d/locktables.conf",
  "/etc/tmpfiles.d/locktables.conf.locktables-kept",
  "/etc/tmpfiles.d/.locktables-new",
];

/** What is only read: how a caller's agent is started. */
export const UNIT_PATHS: readonly string[] = [
  "/etc/systemd/system/qemu-guest-agent.service.d/override.conf",
  "/etc/systemd/system/qemu-guest-agent.service",
  "/usr/lib/systemd/system/qemu-guest-agent.service",
];

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
