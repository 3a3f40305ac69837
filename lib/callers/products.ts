/**
 * Which caller's hooks a product runs that people know by its own name, as far as its maker or its
 * source says so. Pure data.
 */
import type { Caller } from "./table.ts";

/** A product that takes snapshots or backups through somebody else's caller. */
export interface Product {
  readonly name: string;
  /** The callers, the usual one first; the option of `install` where the usual form is not called. */
  readonly entries: readonly { readonly caller: Caller; readonly option: string | null }[];
  /** When that is so; null where it always is. */
  readonly condition: string | null;
  readonly source: string;
}

function entry(caller: Caller, option: string | null = null) {
  return { caller, option };
}

/** Quiesced snapshots of vSphere: VMware Tools run every script, wherever it is. */
const QUIESCED = "with quiesced snapshots of vSphere";

/** In alphabetical order. */
export const PRODUCTS: readonly Product[] = [
  {
    name: "Acronis",
    entries: [entry("vmware")],
    condition: `${QUIESCED}, without an agent in the guest`,
    source: "acronis.com CyberProtectionService: Running pre-freeze and post-thaw scripts",
  },
  {
    name: "AWS Data Lifecycle Manager",
    entries: [entry("aws")],
    condition: null,
    source: "docs.aws.amazon.com ebs: automate-app-consistent-backups",
  },
  {
    name: "Bacula, Bareos",
    entries: [entry("run"), entry("vmware")],
    condition: `around a snapshot of a job's own, or ${QUIESCED}`,
    source: "bareos runscript.cc; docs.baculasystems.com QuiescingGuests",
  },
  {
    name: "borgmatic, btrbk",
    entries: [entry("run")],
    condition: "in front of the command that takes the snapshot",
    source: "borgmatic 5f0786ef hooks/data_source; btrbk 2bda102",
  },
  {
    name: "Commvault",
    entries: [entry("vmware", "--legacy"), entry("nutanix")],
    condition: "on vSphere, on Nutanix",
    source: "documentation.commvault.com 2024",
  },
  {
    name: "Dell PowerProtect Data Manager",
    entries: [entry("vmware")],
    condition: `${QUIESCED}, not with Transparent Snapshots (TSDM)`,
    source: "dell.com PPDM 19.11 Virtual Machine User Guide",
  },
  {
    name: "Kaseya vProtect",
    entries: [entry("vmware", "--legacy")],
    condition: QUIESCED,
    source: "helpdesk.kaseya.com: VMware Backup Pre- and Post-Commands",
  },
  {
    name: "KubeVirt",
    entries: [entry("qemu")],
    condition: null,
    source: "kubevirt d923fdb: storage/fsfreeze.go",
  },
  {
    name: "libvirt",
    entries: [entry("qemu")],
    condition: "snapshots with --quiesce",
    source: "libvirt qemu_snapshot.c",
  },
  {
    name: "NAKIVO",
    entries: [entry("vmware", "--legacy")],
    condition: "in the application-aware mode, over SSH",
    source: "helpcenter.nakivo.com pageId=32685471",
  },
  {
    name: "Nutanix AHV",
    entries: [entry("nutanix")],
    condition: "with Nutanix Guest Tools",
    source: "next.nutanix.com: Post-thaw and Pre-freeze Scripts",
  },
  {
    name: "OpenStack",
    entries: [entry("qemu")],
    condition: "images with os_require_quiesce",
    source: "OpenStack's image properties",
  },
  {
    name: "oVirt, Red Hat Virtualization",
    entries: [entry("qemu")],
    condition: null,
    source: "vdsm fd4b0df: virt/jobs/snapshot.py",
  },
  {
    name: "Proxmox VE",
    entries: [entry("qemu"), entry("vzdump")],
    condition: "virtual machines, containers",
    source: "qemu-server e6352be, pve-manager 14a22df3",
  },
  {
    name: "Rubrik",
    entries: [entry("vmware"), entry("nutanix")],
    condition: `${QUIESCED}, on Nutanix`,
    source: "next.nutanix.com: Post-thaw and Pre-freeze Scripts; rubrikinc.github.io",
  },
  {
    name: "Veeam Backup & Replication, Veeam Agent",
    entries: [entry("veeam"), entry("vmware")],
    condition: `scripts of a job, or ${QUIESCED}`,
    source: "helpcenter.veeam.com: Pre-Freeze and Post-Thaw Scripts",
  },
  {
    name: "Zerto",
    entries: [entry("run")],
    condition: "around the call that sets a checkpoint",
    source: "help.zerto.com: Ensuring Application Consistency",
  },
];
