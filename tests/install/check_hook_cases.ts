/** Every way that the tests know to get a finding of `check` about hooks. */
import type { FindingCode } from "../../lib/check/catalogue.ts";

/** One of them. */
export interface HookCase {
  readonly code: FindingCode;
  /** What is wrong. */
  readonly name: string;
  /** Shell script that makes it so, in a guest without hooks. */
  readonly given: string;
  /** A script that ends it, for a note without a remedy. */
  readonly otherwise?: string;
}

/** What the package qemu-guest-agent of Debian brings, as far as install looks at it. */
const QEMU = `mkdir -p /etc/qemu/fsfreeze-hook.d
printf '#!/bin/sh\\n' >/etc/qemu/fsfreeze-hook; chmod 755 /etc/qemu/fsfreeze-hook
`;

const VMWARE = "/etc/vmware-tools/backupScripts.d/99-locktables";

/** The cases. */
export const HOOK_CASES: readonly HookCase[] = [
  {
    code: "hook-missing",
    name: "somebody has removed it",
    given: `locktables install vmware; rm ${VMWARE}`,
  },
  {
    code: "hook-missing",
    name: "one of two",
    given: "locktables install nutanix; rm /usr/local/sbin/post_thaw",
  },
  {
    code: "hook-not-runnable",
    name: "it may not be executed",
    given: `locktables install vmware; chmod 644 ${VMWARE}`,
  },
  {
    code: "hook-not-runnable",
    name: "Azure refuses what others may read",
    given: "locktables install azure; chmod 755 /etc/locktables/azure-pre.sh",
  },
  {
    code: "hook-not-runnable",
    name: "Azure refuses a configuration that others may read",
    given: "locktables install azure; chmod 644 /etc/azure/VMSnapshotScriptPluginConfig.json",
  },
  {
    code: "hook-not-runnable",
    name: "it belongs to somebody else",
    given: "locktables install nutanix; chown 65534 /usr/local/sbin/pre_freeze",
  },
  {
    code: "hook-changed",
    name: "somebody has edited it",
    given: `locktables install vmware; echo '# mine' >>${VMWARE}`,
  },
  {
    code: "hook-replaced",
    name: "the package has put its dispatcher back",
    given: `${QEMU} locktables install qemu --direct --replace
      cp /etc/qemu/fsfreeze-hook.locktables-kept /etc/qemu/fsfreeze-hook`,
  },
  {
    code: "hook-replaced",
    name: "it is a link to something else",
    given: `locktables install vmware; ln -sf /usr/bin/true ${VMWARE}`,
  },
  {
    code: "hook-outdated",
    name: "it starts the program of before, which is still there",
    given: `cp /usr/local/sbin/locktables /opt/locktables; /opt/locktables install vmware`,
  },
  {
    code: "hook-program-missing",
    name: "the program was moved",
    given: `cp /usr/local/sbin/locktables /opt/locktables; /opt/locktables install vmware
      rm /opt/locktables`,
  },
  {
    code: "hook-unrecorded",
    name: "the receipt is lost",
    given: "locktables install google; rm /var/lib/locktables/receipt.json",
  },
  {
    code: "hook-unrecorded",
    name: "the receipt of another form is lost",
    given: "locktables install vmware --legacy; rm /var/lib/locktables/receipt.json",
  },
  {
    code: "hook-twice",
    name: "a link beside the hook that was installed",
    given:
      "locktables install vmware; ln -s /usr/local/sbin/locktables /usr/sbin/pre-freeze-script",
  },
  {
    code: "hook-twice",
    name: "links in both places",
    given: `mkdir -p /etc/vmware-tools/backupScripts.d; ln -s /usr/local/sbin/locktables ${VMWARE}
      ln -s /usr/local/sbin/locktables /usr/sbin/pre-freeze-script`,
  },
  {
    code: "hook-not-named",
    name: "sanoid.conf names the hook in a comment alone",
    given: `locktables install sanoid; mkdir -p /etc/sanoid
      echo '# pre_snapshot_script = /etc/locktables/sanoid.sh' >/etc/sanoid/sanoid.conf`,
    otherwise: "echo 'pre_snapshot_script = /etc/locktables/sanoid.sh' >>/etc/sanoid/sanoid.conf",
  },
  {
    code: "freeze-timeout-long",
    name: "sanoid gives up before freeze_timeout",
    given: `locktables install sanoid
      printf '[locktables]\\nfreeze_timeout=10s\\n' >/root/.my.cnf`,
    otherwise: "rm /root/.my.cnf",
  },
  {
    code: "hook-not-named",
    name: "zrepl has no configuration",
    given: "locktables install zrepl",
    otherwise: "mkdir -p /etc/zrepl; echo '  path: /etc/locktables/zrepl.sh' >/etc/zrepl/zrepl.yml",
  },
  {
    code: "other-method-hook",
    name: "a plugin of snapper's beside ours",
    given: `mkdir -p /usr/lib/snapper/plugins; locktables install snapper
      printf '#!/bin/sh\nmysql -e "FLUSH TABLES WITH READ LOCK"\n' >/usr/lib/snapper/plugins/10-mysql`,
  },
  {
    code: "switch-off",
    name: "qemu-ga is not told of its hook",
    given: `${QEMU} locktables install qemu; rm /etc/qemu/qemu-ga.conf`,
  },
  {
    code: "switch-off",
    name: "qemu-ga is told of nothing, in a configuration of before",
    given: `${QEMU} printf '[general]\\nverbose=1\\n' >/etc/qemu/qemu-ga.conf
      locktables install qemu; printf '[general]\\nverbose=1\\n' >/etc/qemu/qemu-ga.conf`,
  },
  {
    code: "switch-off",
    name: "Google's agent was switched off",
    given: `locktables install google
      printf '[Snapshots]\\nenabled = false\\n' >/etc/default/instance_configs.cfg`,
  },
  {
    code: "switch-off",
    name: "VMware Tools are told to run no scripts",
    given: `locktables install vmware
      printf '[vmbackup]\\nexecScripts=false\\n' >/etc/vmware-tools/tools.conf`,
  },
  {
    code: "dispatcher-not-runnable",
    name: "somebody has switched the dispatcher off",
    given: `${QEMU} locktables install qemu; chmod 644 /etc/qemu/fsfreeze-hook`,
  },
  {
    code: "dispatcher-missing",
    name: "the agent's package was removed",
    given: `${QEMU} locktables install qemu; rm /etc/qemu/fsfreeze-hook`,
  },
  {
    code: "program-unsafe",
    name: "others may change the program",
    given: `locktables install vmware; chmod 777 /usr/local/sbin`,
  },
  {
    code: "receipt-damaged",
    name: "the receipt was cut off",
    given: "locktables install vmware; echo '{' >/var/lib/locktables/receipt.json",
  },
  {
    code: "installed-file-missing",
    name: "the dispatcher's log, without which one of QEMU 10 fails",
    given: `${QEMU} locktables install qemu; rm /var/log/qga-fsfreeze-hook.log`,
  },
  {
    code: "installed-file-missing",
    name: "the entry for systemd-tmpfiles",
    given: "locktables install vmware; rm /etc/tmpfiles.d/locktables.conf",
  },
  {
    code: "other-method-hook",
    name: "QEMU's sample is in use",
    given:
      `${QEMU} echo 'echo "FLUSH TABLES WITH READ LOCK;" | mysql' >/etc/qemu/fsfreeze-hook.d/mysql-flush.sh`,
  },
  {
    code: "other-method-hook",
    name: "a second script in VMware's directory",
    given: `locktables install vmware
      echo "mariadb -e 'flush local tables'" >/etc/vmware-tools/backupScripts.d/50-db-lock`,
  },
  {
    code: "other-method-hook",
    name: "a pair of links in VMware's legacy places",
    given: `locktables install vmware; touch /usr/sbin/freeze-mysql-lock
      for name in pre-freeze post-thaw; do ln -s freeze-mysql-lock /usr/sbin/$name-script; done`,
  },
  {
    code: "caller-without-hooks",
    name: "VMware Tools without hooks",
    given: "touch /usr/sbin/vmtoolsd",
  },
  {
    code: "caller-without-hooks",
    name: "the guest agent without its dispatcher",
    given: "touch /usr/sbin/qemu-ga; mkdir -p /etc/qemu",
  },
  {
    code: "several-callers",
    name: "two callers",
    given: "locktables install vmware google",
    otherwise: "locktables uninstall google",
  },
  {
    code: "no-hooks",
    name: "a bare guest",
    given: "rm -f /usr/sbin/qemu-ga",
    otherwise: "locktables install vmware",
  },
];
