/**
 * Who runs hooks in a guest, and how: the one table of paths, names, modes, limits and traps.
 * Pure data, and on the hook path: no package. Facts and their sources: `docs/callers/`;
 * each entry names where its own were read.
 */

/** Callers by name, in the order in which help lists them. */
export const CALLERS = [
  "vmware",
  "qemu",
  "veeam",
  "nutanix",
  "aws",
  "azure",
  "google",
  "alibaba",
  "snapper",
  "sanoid",
  "zrepl",
  "zfs-autobackup",
  "vzdump",
  "velero",
  "run",
] as const;

/** One of {@linkcode CALLERS}. */
export type Caller = typeof CALLERS[number];

/** The caller of this name; null where this version knows none: a newer one may have more. */
export function parseCaller(name: string | null | undefined): Caller | null {
  return CALLERS.find((caller) => caller === name) ?? null;
}

/**
 * What a hook file is for. `by-verb`: one file for both, told by its first argument; `pre` and
 * `post`: one file each, whatever the arguments; `around`: one file that is called with the command
 * that takes the snapshot; `snapper`, `sanoid`, `zrepl`: one file for both, told by words or an
 * environment of that caller's alone; `ssm-document`, `azure-config`: not run by a shell in the guest
 * but read by the caller.
 */
export type HookRole =
  | "by-verb"
  | "pre"
  | "post"
  | "around"
  | "snapper"
  | "sanoid"
  | "zrepl"
  | "ssm-document"
  | "azure-config";

/** A file that a caller looks for. Always owned by root. */
export interface HookFile {
  readonly path: string;
  readonly role: HookRole;
  readonly mode: number;
  /** Where the file that was there before is kept while ours is in its place. */
  readonly keepAt: string;
}

/** A key of a configuration file of the caller's that must have a value for hooks to be run. */
export interface Switch {
  readonly path: string;
  readonly section: string;
  readonly key: string;
  readonly value: string;
  /** Values that say nothing but "off" and may be changed. */
  readonly offValues: readonly string[];
  /** Whether hooks are run where nothing is said. */
  readonly isOnByDefault: boolean;
  /** Mode of the file where it has to be made. */
  readonly mode: number;
  readonly keepAt: string;
  /** Units that may switch it on as well, by starting the agent with an option; null: none does. */
  readonly unit: { readonly files: readonly string[]; readonly option: RegExp } | null;
}

/** A configuration of the caller's that the operator writes, and that must name a hook. */
export interface Naming {
  readonly path: string;
  /** What the caller runs no hook without. */
  readonly hook: string;
}

/** One way of putting hooks where a caller looks; the first of a caller's is its usual one. */
export interface Form {
  readonly name: string;
  /** The option of `install` that chooses it, null for the usual one. */
  readonly option: string | null;
  /** For the list: what is special about it. */
  readonly brief: string;
  readonly files: readonly HookFile[];
  readonly switches: readonly Switch[];
  /** Logs that must exist, empty, before the caller first writes to them. */
  readonly logs: readonly string[];
  /** Whether a failing freeze keeps the caller from taking its snapshot; null: not published. */
  readonly canVeto: boolean | null;
  /** The setting of the caller's that it needs for that; null where it needs none. */
  readonly vetoWith: string | null;
  /** Why the form cannot be used where this path is missing; null: it can be used anywhere. */
  readonly needs: { readonly path: string; readonly otherwise: string } | null;
  /** Null where the caller finds its hooks by their place. */
  readonly namedIn: Naming | null;
  /** What is left for the operator: commands, one a line, or sentences. */
  readonly told: readonly string[];
}

/** A caller. */
export interface CallerFacts {
  readonly name: Caller;
  /** Who that is, for the list. */
  readonly title: string;
  /** How it calls, for the list. */
  readonly calls: string;
  /** Program names by which it calls, so that a link to the program is a hook. */
  readonly programs: { readonly pre: readonly string[]; readonly post: readonly string[] };
  /** Verbs that tell who it is; those that several might use are in `call.ts`. */
  readonly verbs: { readonly pre: readonly string[]; readonly post: readonly string[] };
  /** Default of `freeze_timeout`, in milliseconds: its own limit less starting and reporting. */
  readonly freezeTimeoutMs: number;
  /**
   * How often it looks whether a hook has ended, in milliseconds from the hook's start on; null where
   * it waits for the end itself.
   */
  readonly looksEveryMs: number | null;
  /** Its own limits, for the list. */
  readonly limits: string;
  /**
   * How long it waits for pre-freeze unless it is set otherwise, in milliseconds; null where no limit
   * is known.
   */
  readonly limitMs: number | null;
  /** Whether filesystems are frozen between the two hooks. */
  readonly freezesFilesystems: boolean;
  /** Directories of the caller alone: install may write anywhere in them. */
  readonly directories: readonly string[];
  /**
   * Where a thaw of the filesystems between the hooks means that the snapshot is taken or given up:
   * within how many milliseconds the thaw hook follows it. Null where it does not mean that.
   */
  readonly hookAfterThawMs: number | null;
  /** Any of these is there where the caller's agent is installed; empty: it has none. */
  readonly agents: readonly string[];
  /** What its snapshots are of: all volumes of the guest, or some, which need not be a server's. */
  readonly scope: "guest" | "chosen volumes";
  /**
   * Whether its post-thaw comes though its pre-freeze was refused: it then leaves alone a window that
   * another caller has open.
   */
  readonly thawsRegardless: boolean;
  /**
   * Several where the paths differ between distributions: the first whose `needs` are met. None where
   * it has no place for hooks in the guest: `docs/callers/` then has a recipe.
   */
  readonly forms: readonly Form[];
  readonly source: string;
}

/** Where our own files for callers lie that are configured with a path or take a document. */
export const OWN_DIR = "/etc/locktables";

/** Suffix of files that were there before and give way to ours. */
export const KEPT = ".locktables-kept";

function hook(path: string, role: HookRole, mode: number, keepAt = `${path}${KEPT}`): HookFile {
  return { path, role, mode, keepAt };
}

/** Defaults for the optional parts of a {@linkcode Form}. */
const PLAIN = {
  option: null,
  switches: [],
  logs: [],
  vetoWith: null,
  needs: null,
  namedIn: null,
} as const;

/** Defaults for a caller that takes snapshots of the guest as a whole. */
const OF_GUEST = { limitMs: null, scope: "guest", thawsRegardless: false } as const;

/**
 * Defaults for a caller that snapshots chosen volumes, without a freeze: it looks for no program name
 * and passes no verb of several.
 */
const OF_VOLUMES = {
  programs: { pre: [], post: [] },
  verbs: { pre: [], post: [] },
  looksEveryMs: null,
  limitMs: null,
  freezesFilesystems: false,
  directories: [],
  hookAfterThawMs: null,
  scope: "chosen volumes",
  thawsRegardless: true,
} as const;

/**
 * `stateMachine.c`: `pollPeriod`, 1,000 ms, armed when a script is started or after a look, which is
 * what starts every script but the first.
 */
const VMWARE_LOOKS_EVERY_MS = 1_000;

/**
 * VMware Tools look once a second: the first thaw script starts at
 * the next look, and each thaw script of others before ours takes one more. Two looks, and room for
 * eight: nothing is locked meanwhile, and a snapshot that was good must not be called bad.
 */
const VMWARE_HOOK_AFTER_THAW_MS = 10_000;

/** open-vm-tools give all scripts 15 minutes; an operator wants an answer sooner. */
const PATIENT_MS = 60_000;

/** No limit of these scripts is published; other clouds' agents wait for a minute. */
const ALIBABA_MS = 50_000;

/** People wait at a terminal, and zypper ends a plugin that is too slow. */
const SNAPPER_MS = 5_000;

/** sanoid waits for 5 s and leaves a late script alone, which would lock after it. */
const SANOID_MS = 4_000;

/** zrepl kills after 30 s. */
const ZREPL_MS = 25_000;

/** Velero gives up after 30 s and leaves a late command alone. */
const VELERO_MS = 25_000;

/**
 * open-vm-tools run scripts unless a setting says otherwise
 * (`docs/callers/vmware.md#where-the-hook-is-looked-for`).
 */
const VMWARE_SWITCHES: readonly Switch[] = [{
  path: "/etc/vmware-tools/tools.conf",
  section: "vmbackup",
  key: "execScripts",
  value: "true",
  offValues: ["false"],
  isOnByDefault: true,
  mode: 0o644,
  keepAt: `/etc/vmware-tools/tools.conf${KEPT}`,
  unit: null,
}];

/**
 * The log of the stock dispatcher. Where it is missing, that of January 2025 pipes hooks into logger:
 * a locker that kept its output would hang it, and under dash it fails after the hook has locked.
 */
const QEMU_LOG = "/var/log/qga-fsfreeze-hook.log";

/**
 * The two homes of qemu-ga's dispatcher: RHEL and Fedora, then Debian and upstream. In this order,
 * because /etc/qemu may be there on RHEL for other reasons.
 */
const QEMU_HOMES: readonly string[] = ["/etc/qemu-ga", "/etc/qemu"];

/**
 * RHEL's unit passes -F already; Debian's does not, and reads only this file
 * (`docs/callers/qemu.md#where-the-hook-is-looked-for`).
 */
function qemuSwitches(home: string): readonly Switch[] {
  return home !== "/etc/qemu" ? [] : [{
    path: "/etc/qemu/qemu-ga.conf",
    section: "general",
    key: "fsfreeze-hook",
    value: `${home}/fsfreeze-hook`,
    offValues: [],
    isOnByDefault: false,
    mode: 0o644,
    keepAt: `/etc/qemu/qemu-ga.conf${KEPT}`,
    unit: {
      files: [
        "/etc/systemd/system/qemu-guest-agent.service.d/override.conf",
        "/etc/systemd/system/qemu-guest-agent.service",
        "/usr/lib/systemd/system/qemu-guest-agent.service",
      ],
      option: /^ExecStart=.*\s(-F|--fsfreeze-hook)/m,
    },
  }];
}

/** What makes a running agent notice, and what SELinux wants of a hook on RHEL. */
function qemuTold(home: string, label: string): readonly string[] {
  return home === "/etc/qemu" ? ["systemctl restart qemu-guest-agent"] : [
    `restorecon -Fv ${label}`,
    "setsebool -P virt_qemu_ga_run_unconfined on",
    "systemctl restart qemu-guest-agent",
  ];
}

function qemuForms(home: string): readonly Form[] {
  const dispatcher = `${home}/fsfreeze-hook`;
  const inDirectory = `${dispatcher}.d/99-locktables`;
  return [
    {
      ...PLAIN,
      name: "dispatcher",
      brief: "run by the stock dispatcher, beside other hooks",
      // The dispatcher skips some names only, so the kept file waits outside its directory.
      files: [hook(inDirectory, "by-verb", 0o755, `${home}/99-locktables${KEPT}`)],
      switches: qemuSwitches(home),
      logs: [QEMU_LOG],
      canVeto: false,
      needs: {
        path: dispatcher,
        otherwise: "Install the package qemu-guest-agent, or take the agent's place: --direct",
      },
      told: qemuTold(home, inDirectory),
    },
    {
      ...PLAIN,
      name: "direct",
      option: "--direct",
      brief: "in place of the dispatcher, which then runs no other hook",
      files: [hook(dispatcher, "by-verb", 0o755)],
      switches: qemuSwitches(home),
      canVeto: true,
      needs: { path: home, otherwise: "Install the package qemu-guest-agent" },
      told: qemuTold(home, dispatcher),
    },
  ];
}

/** Every caller. */
export const CALLER_TABLE: Readonly<Record<Caller, CallerFacts>> = {
  vmware: {
    ...OF_GUEST,
    name: "vmware",
    title:
      "VMware Tools (open-vm-tools), for quiesced snapshots of vSphere and its backup products",
    calls: "bash -c '\"PATH\" freeze', then thaw or freezeFail; a scriptArg may follow",
    programs: { pre: ["pre-freeze-script"], post: ["post-thaw-script"] },
    verbs: { pre: [], post: [] },
    freezeTimeoutMs: PATIENT_MS,
    looksEveryMs: VMWARE_LOOKS_EVERY_MS,
    limitMs: 15 * 60_000,
    limits: "15 min for everything; then TERM, and KILL 5 s later",
    freezesFilesystems: true,
    directories: ["/etc/vmware-tools"],
    // FITHAW is called in the very handler of the host's "snapshot done" and, for an abort, before
    // freezeFail; nothing else thaws (`docs/callers/vmware.md#when-the-lock-is-released`).
    hookAfterThawMs: VMWARE_HOOK_AFTER_THAW_MS,
    agents: ["/usr/bin/vmtoolsd", "/usr/sbin/vmtoolsd"],
    forms: [
      {
        ...PLAIN,
        name: "directory",
        brief: "the last script to freeze and the first to thaw",
        // Every regular file in there is run, hidden ones and backups too: nothing is kept in it.
        files: [
          hook(
            "/etc/vmware-tools/backupScripts.d/99-locktables",
            "by-verb",
            0o755,
            `/etc/vmware-tools/99-locktables${KEPT}`,
          ),
        ],
        switches: VMWARE_SWITCHES,
        canVeto: true,
        told: [],
      },
      {
        ...PLAIN,
        name: "legacy",
        option: "--legacy",
        brief: "the two legacy script names, for products that call no other: first to freeze",
        files: [
          hook("/usr/sbin/pre-freeze-script", "pre", 0o755),
          hook("/usr/sbin/post-thaw-script", "post", 0o755),
        ],
        switches: VMWARE_SWITCHES,
        canVeto: true,
        told: [],
      },
    ],
    source: "open-vm-tools 13.1: services/plugins/vmbackup/{scriptOps,stateMachine}.c, lib/procMgr",
  },
  qemu: {
    ...OF_GUEST,
    name: "qemu",
    title: "QEMU guest agent: libvirt, Proxmox VE, oVirt, KubeVirt, OpenStack",
    calls: "PATH freeze, then PATH thaw",
    programs: { pre: [], post: [] },
    verbs: { pre: [], post: [] },
    freezeTimeoutMs: PATIENT_MS,
    looksEveryMs: null,
    limits: "none of the agent's; it answers nobody while a hook runs",
    freezesFilesystems: true,
    directories: QEMU_HOMES,
    // The agent thaws for whoever asks, and calls the hook at once.
    hookAfterThawMs: null,
    agents: ["/usr/sbin/qemu-ga", "/usr/bin/qemu-ga"],
    forms: QEMU_HOMES.flatMap(qemuForms),
    source: "QEMU qga/main.c, qga/commands-posix.c, scripts/qemu-guest-agent/fsfreeze-hook",
  },
  veeam: {
    ...OF_GUEST,
    name: "veeam",
    title: "Veeam: scripts of a job, uploaded by the backup server or run by the agent for Linux",
    calls: "PATH, without arguments",
    programs: { pre: [], post: [] },
    verbs: { pre: [], post: [] },
    freezeTimeoutMs: PATIENT_MS,
    looksEveryMs: null,
    limitMs: 10 * 60_000,
    limits: "10 min unless set in the job",
    freezesFilesystems: false,
    directories: [],
    hookAfterThawMs: null,
    agents: [],
    forms: [{
      ...PLAIN,
      name: "scripts",
      brief: "two scripts: to upload to the backup server, or to name in the agent's job",
      files: [
        hook(`${OWN_DIR}/veeam-pre-freeze.sh`, "pre", 0o755),
        hook(`${OWN_DIR}/veeam-post-thaw.sh`, "post", 0o755),
      ],
      canVeto: true,
      told: [
        `Name them in the job: pre-freeze ${OWN_DIR}/veeam-pre-freeze.sh, post-thaw ${OWN_DIR}/veeam-post-thaw.sh (the backup server wants copies of its own)`,
      ],
    }],
    source: "helpcenter.veeam.com: Pre-Freeze and Post-Thaw Scripts; Agent for Linux, backup job",
  },
  nutanix: {
    ...OF_GUEST,
    name: "nutanix",
    title: "Nutanix Guest Tools",
    calls: "PATH",
    programs: { pre: ["pre_freeze"], post: ["post_thaw"] },
    verbs: { pre: [], post: [] },
    freezeTimeoutMs: PATIENT_MS,
    looksEveryMs: null,
    limits: "not published",
    freezesFilesystems: false,
    directories: [],
    hookAfterThawMs: null,
    agents: ["/usr/local/nutanix/ngt"],
    forms: [{
      ...PLAIN,
      name: "scripts",
      brief: "the two fixed paths",
      files: [
        hook("/usr/local/sbin/pre_freeze", "pre", 0o700),
        hook("/usr/local/sbin/post_thaw", "post", 0o700),
      ],
      canVeto: null,
      told: [],
    }],
    source: "documentation.commvault.com 2024: Pre-Freeze and Post-Thaw Using Nutanix Guest Tools",
  },
  aws: {
    ...OF_GUEST,
    name: "aws",
    title: "Amazon Data Lifecycle Manager, through a Systems Manager document",
    calls: "sh -c _script.sh with command = pre-script, post-script or dry-run",
    programs: { pre: [], post: [] },
    verbs: { pre: ["pre-script"], post: ["post-script"] },
    freezeTimeoutMs: 8_000,
    looksEveryMs: null,
    limitMs: 10_000,
    limits: "10 s a script unless set (120 s at most), then KILL of the process group",
    freezesFilesystems: false,
    directories: [],
    hookAfterThawMs: null,
    agents: ["/usr/bin/amazon-ssm-agent", "/snap/amazon-ssm-agent"],
    forms: [{
      ...PLAIN,
      name: "document",
      brief: "the text of the document, to be registered with your account",
      files: [hook(`${OWN_DIR}/aws-ssm-document.json`, "ssm-document", 0o644)],
      canVeto: false,
      told: [
        `aws ssm create-document --name locktables --document-type Command --document-format JSON --tags Key=DLMScriptsAccess,Value=true --content file://${OWN_DIR}/aws-ssm-document.json`,
      ],
    }],
    source:
      "docs.aws.amazon.com ebs: automate-app-consistent-backups; amazon-ssm-agent executers.go",
  },
  azure: {
    ...OF_GUEST,
    name: "azure",
    title: "Azure Backup, application-consistent script framework",
    calls: "sh PATH",
    programs: { pre: [], post: [] },
    verbs: { pre: [], post: [] },
    freezeTimeoutMs: 25_000,
    looksEveryMs: null,
    limitMs: 30_000,
    limits: "timeoutInSeconds of its configuration, 30 here; a late pre script is not killed",
    freezesFilesystems: true,
    directories: ["/etc/azure"],
    // Its freezer thaws by itself after 60 s, snapshot or not.
    hookAfterThawMs: null,
    agents: ["/usr/sbin/waagent", "/usr/bin/waagent"],
    forms: [{
      ...PLAIN,
      name: "scripts",
      brief: "two scripts and the plugin's configuration that names them",
      files: [
        hook(`${OWN_DIR}/azure-pre.sh`, "pre", 0o700),
        hook(`${OWN_DIR}/azure-post.sh`, "post", 0o700),
        hook("/etc/azure/VMSnapshotScriptPluginConfig.json", "azure-config", 0o600),
      ],
      // continueBackupOnFailure is true: a backup without the lock is better than none.
      canVeto: false,
      told: [],
    }],
    source: "azure-linux-extensions VMBackup/main/{PluginHost,ScriptRunner}.py",
  },
  google: {
    ...OF_GUEST,
    name: "google",
    title: "Google Compute Engine, snapshots with guest-flush",
    calls: "PATH DISK,DISK",
    programs: { pre: ["pre.sh"], post: ["post.sh"] },
    verbs: { pre: [], post: [] },
    freezeTimeoutMs: 50_000,
    looksEveryMs: null,
    limitMs: 60_000,
    limits: "60 s a script unless set, then KILL of the script",
    freezesFilesystems: false,
    directories: ["/etc/google"],
    hookAfterThawMs: null,
    agents: [
      "/usr/bin/google_guest_agent",
      "/usr/bin/google_guest_agent_manager",
      "/usr/lib/google/guest_agent",
    ],
    forms: [{
      ...PLAIN,
      name: "scripts",
      brief: "the two fixed paths, and the agent's switch",
      files: [
        hook("/etc/google/snapshots/pre.sh", "pre", 0o755),
        hook("/etc/google/snapshots/post.sh", "post", 0o755),
      ],
      switches: [{
        path: "/etc/default/instance_configs.cfg",
        section: "Snapshots",
        key: "enabled",
        value: "true",
        offValues: ["false"],
        isOnByDefault: false,
        mode: 0o644,
        keepAt: `/etc/default/instance_configs.cfg${KEPT}`,
        unit: null,
      }],
      canVeto: true,
      told: ["systemctl restart google-guest-agent"],
    }],
    source: "google-guest-agent cmd/core_plugin/snapshot/snapshot_linux.go, internal/cfg/cfg.go",
  },
  alibaba: {
    ...OF_GUEST,
    name: "alibaba",
    title: "Alibaba Cloud ECS, application-consistent snapshots through Cloud Assistant",
    calls: "/tmp/prescript.sh, then /tmp/postscript.sh",
    programs: { pre: [], post: [] },
    verbs: { pre: [], post: [] },
    freezeTimeoutMs: ALIBABA_MS,
    looksEveryMs: null,
    limits: "not published",
    freezesFilesystems: false,
    directories: [],
    hookAfterThawMs: null,
    agents: ["/usr/local/share/aliyun-assist"],
    forms: [{
      ...PLAIN,
      name: "scripts",
      brief: "two scripts, to be copied to /tmp at each boot",
      files: [
        hook(`${OWN_DIR}/alibaba-prescript.sh`, "pre", 0o700),
        hook(`${OWN_DIR}/alibaba-postscript.sh`, "post", 0o700),
      ],
      // A failure changes the snapshot's tag and nothing else.
      canVeto: false,
      told: [
        `printf 'C /tmp/%s.sh 0700 root root - ${OWN_DIR}/alibaba-%s.sh\\n' prescript prescript postscript postscript >/etc/tmpfiles.d/locktables-alibaba.conf`,
        "rm -f /tmp/prescript.sh /tmp/postscript.sh; systemd-tmpfiles --create locktables-alibaba.conf",
      ],
    }],
    source: "alibabacloud.com/help ecs: Create application-consistent snapshots (2025-01-20)",
  },
  snapper: {
    ...OF_VOLUMES,
    name: "snapper",
    title: "snapper, for subvolumes of btrfs and thin volumes of LVM",
    calls: "PATH create-snapshot-pre SUBVOLUME FSTYPE NUMBER, then create-snapshot-post",
    freezeTimeoutMs: SNAPPER_MS,
    limits: 'none of its own; its manual wants "a few seconds"',
    directories: ["/usr/lib/snapper/plugins"],
    agents: ["/usr/bin/snapper"],
    forms: [{
      ...PLAIN,
      name: "plugin",
      brief: "for subvolumes that a server's data are in, from snapper 0.10.5 on",
      // Every file whose name begins with a digit is run: nothing is kept in that directory.
      files: [
        hook(
          "/usr/lib/snapper/plugins/99-locktables",
          "snapper",
          0o755,
          `/usr/lib/snapper/99-locktables${KEPT}`,
        ),
      ],
      canVeto: false,
      needs: { path: "/usr/lib/snapper", otherwise: "Install the package snapper" },
      told: [],
    }],
    source: "snapper 640aa0e7: doc/snapper.xml.in, snapper/PluginsImpl.cc",
  },
  sanoid: {
    ...OF_VOLUMES,
    name: "sanoid",
    title: "sanoid, for datasets of ZFS",
    calls: "sh -c PATH, with SANOID_SCRIPT=pre or post",
    freezeTimeoutMs: SANOID_MS,
    limitMs: 5_000,
    limits: "script_timeout, 5 s; a late pre script is not killed and goes on",
    agents: ["/usr/sbin/sanoid"],
    forms: [{
      ...PLAIN,
      name: "script",
      brief: "one script, to be named in sanoid.conf",
      files: [hook(`${OWN_DIR}/sanoid.sh`, "sanoid", 0o755)],
      canVeto: true,
      vetoWith: "no_inconsistent_snapshot = yes",
      namedIn: { path: "/etc/sanoid/sanoid.conf", hook: `${OWN_DIR}/sanoid.sh` },
      told: [
        `Name it for the dataset, in /etc/sanoid/sanoid.conf: pre_snapshot_script = ${OWN_DIR}/sanoid.sh, post_snapshot_script = ${OWN_DIR}/sanoid.sh, no_inconsistent_snapshot = yes, force_post_snapshot_script = yes`,
      ],
    }],
    source: "sanoid 8e1d11e: runscript and take_snapshots, sanoid.defaults.conf",
  },
  zrepl: {
    ...OF_VOLUMES,
    name: "zrepl",
    title: "zrepl, for datasets of ZFS",
    calls: "PATH, with ZREPL_HOOKTYPE=pre_snapshot or post_snapshot",
    freezeTimeoutMs: ZREPL_MS,
    limitMs: 30_000,
    limits: "timeout of the hook, 30 s; then KILL of the process",
    // Only where its pre-freeze succeeded.
    thawsRegardless: false,
    agents: ["/usr/bin/zrepl"],
    forms: [{
      ...PLAIN,
      name: "command",
      brief: "one script, to be named in zrepl.yml",
      files: [hook(`${OWN_DIR}/zrepl.sh`, "zrepl", 0o755)],
      canVeto: true,
      vetoWith: "err_is_fatal: true",
      namedIn: { path: "/etc/zrepl/zrepl.yml", hook: `${OWN_DIR}/zrepl.sh` },
      told: [
        `Name it for the one dataset with the server's data, in snapshotting of /etc/zrepl/zrepl.yml: hooks: [{type: command, path: ${OWN_DIR}/zrepl.sh, err_is_fatal: true, filesystems: {"POOL/DATASET": true, "<": false}}]`,
      ],
    }],
    source: "zrepl b93a06d: internal/daemon/hooks/hook_type_command.go, docs snapshotting.rst",
  },
  "zfs-autobackup": {
    ...OF_VOLUMES,
    name: "zfs-autobackup",
    title: "zfs_autobackup, for datasets of ZFS",
    calls: "sh -c COMMAND, on the machine with the datasets",
    freezeTimeoutMs: PATIENT_MS,
    limits: "none",
    agents: [],
    forms: [],
    source: "zfs_autobackup a805889: ZfsNode.py consistent_snapshot, ExecuteNode.py run",
  },
  vzdump: {
    ...OF_VOLUMES,
    name: "vzdump",
    title: "Proxmox VE, backups of LXC containers",
    calls: "on the host: SCRIPT PHASE MODE VMID, without an environment; then pct exec",
    freezeTimeoutMs: PATIENT_MS,
    limits: "none",
    agents: [],
    forms: [],
    source: "pve-manager 14a22df3: PVE/VZDump.pm run_hook_script, exec_backup_task",
  },
  velero: {
    ...OF_VOLUMES,
    name: "velero",
    title: "Velero, for pods of Kubernetes",
    calls: "the command of an annotation, in the server's container",
    freezeTimeoutMs: VELERO_MS,
    limitMs: 30_000,
    limits: "timeout of the annotation, 30 s (4 h at most); a late command goes on",
    agents: [],
    forms: [],
    source: "velero d30d389b5: pkg/podexec, internal/hook, docs backup-hooks.md",
  },
  run: {
    ...OF_VOLUMES,
    // The command is not run without a lock, and post-thaw not called.
    thawsRegardless: false,
    name: "run",
    title: "one command that takes a snapshot: LVM, btrfs, ZFS, Ceph, a cloud's command line",
    calls: "locktables-run [--] COMMAND [ARGUMENT ...]",
    freezeTimeoutMs: PATIENT_MS,
    limits: "none; the lock is released at hold_timeout, whatever the command does",
    agents: [],
    forms: [{
      ...PLAIN,
      name: "command",
      brief: "locks, runs the command, releases the lock",
      files: [hook("/usr/local/sbin/locktables-run", "around", 0o755)],
      canVeto: true,
      told: [],
    }],
    source: "this program: docs/callers/run.md",
  },
};

/** Those that have a place for hooks in the guest. */
export const INSTALLABLE: readonly Caller[] = CALLERS.filter((caller) =>
  CALLER_TABLE[caller].forms.length > 0
);

/** The command that installs a form of a caller's hooks. */
export function installCommand(caller: Caller, option: string | null): string {
  return ["locktables", "install", caller, ...(option === null ? [] : [option])].join(" ");
}

/** Modes of directories that have to be made, where it is not 0755. */
export const DIRECTORY_MODES: Readonly<Record<string, number>> = {
  // The agent makes it so itself.
  "/etc/google/snapshots": 0o700,
};
