/** check --notify: tries the operator's program out, with a notice of nothing. */
import { systemClock } from "../base/clock.ts";
import { runErrand } from "../base/errand.ts";
import { NOTIFY } from "../base/paths.ts";
import { complain, sayAll } from "../base/print.ts";
import { EXIT, type ExitCode } from "../base/refusal.ts";
import { testNotice } from "../outlets/notice.ts";
import type { Notified } from "../outlets/notify.ts";

/** The program's own thirty seconds, and the start of the process that starts it. */
const TRY_LIMIT_MS = 35_000;

/** Starts it as a report would. */
export async function checkNotify(): Promise<ExitCode> {
  const notice = testNotice(systemClock.now());
  const brought = await runErrand<Notified>("try-notify", notice, TRY_LIMIT_MS);
  const tried = brought?.value;
  switch (tried?.kind) {
    case "done":
      await sayAll(`${NOTIFY} was started with a test notice, and ended well.`);
      return EXIT.ok;
    case "none":
      await complain(`${NOTIFY} is not there: no notices are sent. See: docs/monitoring.md`);
      return EXIT.badSetup;
    case "failed":
      await complain(tried.why);
      return EXIT.badSetup;
    case undefined:
      await complain(`${NOTIFY} could not be tried within ${TRY_LIMIT_MS} ms. See: dmesg | tail`);
      return EXIT.badSetup;
  }
}
