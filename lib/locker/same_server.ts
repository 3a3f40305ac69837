/** Whether two instances are the same server. */
import { EXIT, type Refusal, refusal } from "../base/refusal.ts";
import type { InstanceFacts } from "../mysql/server_facts.ts";

/** Two names for one server would lock it twice and prove nothing more. */
export function sameServer(all: readonly InstanceFacts[]): Refusal | null {
  const identity = ({ hostname, datadir, server_uuid }: InstanceFacts) =>
    server_uuid ?? `${hostname}:${datadir}`;
  for (const [at, facts] of all.entries()) {
    const twin = all.slice(0, at).find((other) => identity(other) === identity(facts));
    if (twin === undefined) continue;
    return refusal(
      EXIT.badSetup,
      "same-server",
      `The instances ${twin.name} and ${facts.name} are one server: ${twin.socket} and ${facts.socket} have the data directory ${facts.datadir}`,
      // No remedy: the other server's socket is not known here.
      "Give each instance its own socket= in /root/.my.cnf",
    );
  }
  return null;
}
