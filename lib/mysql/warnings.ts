/** What a window has to live with on a server, or with an account. Pure. */
import type { PrivilegeLoss, Purpose } from "./privileges.ts";

/** Something about a server or an account that a window has to live with. */
export interface InstanceWarning {
  readonly reason: "guard-blind" | "kill-denied" | "replicas-unseen" | "thread-pool";
  /** A line, the instance's name first. */
  readonly text: string;
  /** What an administrator of the server runs against it; null where no statement does. */
  readonly statement: string | null;
}

/** `docs/locking.md#23-thread-pool`: writers that fill the pool keep the release from being run. */
export function threadPoolWarning(
  name: string,
  threadHandling: string | undefined,
): InstanceWarning[] {
  if (threadHandling !== "pool-of-threads") return [];
  return [{
    reason: "thread-pool",
    text:
      `${name}: thread_handling=pool-of-threads; writers that fill the pool delay the release, so hold short and leave thread_pool_max_threads high`,
    // How the server runs its threads is decided when it starts.
    statement: null,
  }];
}

/** Which warning the lack of a privilege is. A privilege that is required is a refusal. */
const LOSS_REASONS: Readonly<Partial<Record<Purpose, InstanceWarning["reason"]>>> = {
  guard: "guard-blind",
  kill: "kill-denied",
  replicas: "replicas-unseen",
};

/** The warning about a privilege that is missing. */
export function lossWarning(
  name: string,
  { purpose, text, statement }: PrivilegeLoss,
): InstanceWarning {
  return {
    reason: LOSS_REASONS[purpose] ?? "guard-blind",
    text: `${name}: ${text}: ${statement}`,
    statement,
  };
}
