/** InnoDB's own log writer, where commits do not write the log. */
import { sleep } from "../base/sleep.ts";
import { EXIT, type Refusal, refusal } from "../base/refusal.ts";
import { QUERY_LIMIT_MS } from "./limits.ts";
import type { Session } from "./session.ts";

/** What InnoDB's log writer may be late, beyond its interval. */
const LOG_WRITER_SLACK_MS = 1_000;

/**
 * Waits for the server's own log writer to pass what was committed before the lock. MariaDB shows
 * both ends from 10.5.2 on, without a privilege.
 */
export async function waitForLog(
  control: Session,
  intervalS: number,
  name: string,
): Promise<Refusal | null> {
  const ends = async () => {
    const rows = await control.query(
      "SHOW /* locktables */ GLOBAL STATUS WHERE Variable_name IN ('Innodb_lsn_current', 'Innodb_lsn_flushed')",
      QUERY_LIMIT_MS,
    );
    const end = (which: string) =>
      Number(rows.find((row) => row["Variable_name"] === `Innodb_lsn_${which}`)?.["Value"]);
    return { current: end("current"), flushed: end("flushed") };
  };
  const limitMs = intervalS * 1_000 + LOG_WRITER_SLACK_MS;
  const deadline = performance.now() + limitMs;
  const { current } = await ends();
  while (performance.now() < deadline) {
    if ((await ends()).flushed >= current) return null;
    await sleep(10);
  }
  return refusal(
    EXIT.lockNotObtained,
    "log-not-written",
    `${name}: InnoDB did not write its log within ${limitMs} ms (innodb_flush_log_at_trx_commit=0, innodb_flush_log_at_timeout=${intervalS})`,
    "Set innodb_flush_log_at_trx_commit to 1 or 2",
  );
}
