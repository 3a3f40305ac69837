/** How QEMU runs a guest's processor. */

/** Another accelerator than QEMU's own, for a machine on which it works: `kvm`. */
const CHOSEN = Deno.env.get("LOCKTABLES_VM_ACCELERATOR") ?? "tcg";

/**
 * QEMU imitates the processor unless another way is asked for: `/dev/kvm` may be there and hang.
 *
 * The guest's clocks count its instructions (`icount`), a nanosecond each: it has the same second
 * on every host, and no limit of the product or of systemd is reached because the host has other
 * things to do. That allows one processor. A Nehalem has all that the programs need, and nothing for
 * which Debian loads drivers at each boot; `max` without its virtualization calculates wrongly in
 * QEMU 7.2 (/proc/self/mountinfo is garbage).
 */
export const ACCELERATOR: readonly string[] = CHOSEN === "tcg"
  ? ["-machine", "q35", "-accel", "tcg", "-icount", "shift=0,sleep=on", "-cpu", "Nehalem"]
  : ["-machine", "q35", "-accel", CHOSEN, "-cpu", "host", "-smp", "2"];

/** For who reads the times of a run. */
export const HOW_IT_RUNS = CHOSEN === "tcg"
  ? "QEMU imitates the guests' processor (TCG): times are those of this host, not of a guest"
  : `QEMU runs the guests with ${CHOSEN}`;
