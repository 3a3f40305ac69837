/**
 * Brings a report to every outlet. In a process of its own that no hook waits for
 * (`lib/base/errand.ts`), after the release: whatever an outlet does, no hook is later for it.
 */
import { atMost } from "../base/at_most.ts";
import { systemClock } from "../base/clock.ts";
import { lookAt } from "../base/look.ts";
import { STATE_DIR } from "../base/paths.ts";
import { VERSION } from "../base/version.ts";
import { isRefusal, type Refusal } from "../base/refusal.ts";
import type { OutletSettings } from "../options/own_settings.ts";
import { isOfImage, type Report } from "../window/report.ts";
import { toJournal } from "./journal.ts";
import { journalEntry } from "./journal_entry.ts";
import { metricsFile, writeMetricsFile } from "./metrics_file.ts";
import { noticeOf } from "./notice.ts";
import { notify } from "./notify.ts";
import { outletSettings } from "./outlet_settings.ts";
import { metricsText } from "./prometheus.ts";
import { count } from "./totals_file.ts";
import { noteUnreported, type Results } from "./unreported.ts";

/** Limit of the look at the state directory: on a disk that hangs the operator is still notified. */
const LOOK_LIMIT_MS = 1_000;

/** Reports to every outlet, and notes which of them failed. */
export async function deliver(report: Report): Promise<void> {
  const settings = await outletSettings();
  // First of all: it waits for no disk.
  const journal = settings.log ? await toJournal(journalEntry(report)) : null;
  // The window's record was in there: uninstall has taken it away, and nothing is to be left behind.
  if (report.kind === "window" && await isStateGone()) return;
  const [metrics, operator] = await Promise.all([toMetrics(report, settings), toOperator(report)]);
  if (metrics === "uninstalled") return;
  noteUnreported({ journal, ...metrics, ...operator });
}

async function toMetrics(
  report: Report,
  settings: OutletSettings,
): Promise<Results | "uninstalled"> {
  if (!isOfImage(report)) return {};
  const counted = await count(report);
  if (counted === null) return "uninstalled";
  if (isRefusal(counted)) return { metrics: textOf(counted) };
  const path = await metricsFile(settings);
  const text = metricsText(counted.totals, { version: VERSION, isOpen: null });
  const unwritten = path === null ? null : await writeMetricsFile(path, `${text}\n`);
  if (path !== null && await isStateGone()) {
    await Deno.remove(path).catch(() => {}); // uninstall has removed it already
    return "uninstalled";
  }
  const refused = counted.unwritten ?? unwritten;
  return { metrics: refused === null ? null : textOf(refused) };
}

function isStateGone(): Promise<boolean> {
  return atMost(lookAt(STATE_DIR).then((found) => found === null), LOOK_LIMIT_MS, false);
}

async function toOperator(report: Report): Promise<Results> {
  const notice = noticeOf(report, systemClock.now());
  if (notice === null) return {};
  const notified = await notify(notice);
  return { notify: notified.kind === "failed" ? notified.why : null };
}

function textOf({ summary, hint }: Refusal): string {
  return `${summary}. ${hint}`;
}
