/** Facts about the outlets: where closed windows are reported. */
import { atMost } from "../base/at_most.ts";
import { LOGGER, parentOf, STATE_DIR } from "../base/paths.ts";
import { isRefusal } from "../base/refusal.ts";
import { readReceipt } from "../hooks/receipt_file.ts";
import { DEFAULT_OUTLETS, type OutletSettings } from "../options/own_settings.ts";
import { historyBackwards } from "../outlets/history.ts";
import { LOG_SOCKETS } from "../outlets/journal.ts";
import { metricsFile } from "../outlets/metrics_file.ts";
import { readUnreported } from "../outlets/unreported.ts";
import { type Context, type Gathered, PLACE_LIMIT_MS, seen } from "./gathering.ts";
import { type LogFacts, type MetricsFacts, outletFindings } from "./outlet_findings.ts";

export async function gatherOutlets({ now, optionFile: { read } }: Context): Promise<Gathered> {
  const settings = isRefusal(read) ? DEFAULT_OUTLETS : read.settings.outlets;
  const [log, metrics] = await Promise.all([
    settings.log ? logFacts() : null,
    metricsFacts(settings),
  ]);
  const history = [...historyBackwards()];
  const facts = { history, unreported: readUnreported(), log, metrics };
  return { findings: outletFindings(facts, now) };
}

async function logFacts(): Promise<LogFacts> {
  const isThere = async (path: string) => (await seen(path, true)) === null ? [] : [path];
  const sockets = await Promise.all(LOG_SOCKETS.map(isThere));
  return { logger: await seen(LOGGER, true), sockets: sockets.flat() };
}

async function metricsFacts(settings: OutletSettings): Promise<MetricsFacts | null> {
  const path = await atMost(metricsFile(settings), PLACE_LIMIT_MS, null);
  if (path === null) return null;
  const receipt = readReceipt();
  const look = await seen(path, true);
  return {
    path,
    look,
    isInstalled: !isRefusal(receipt) && receipt.metrics?.file === path,
    closed: look === null ? [] : await closedPartsOf(path),
  };
}

/** Others must read a file and enter its directories; those of a user's own the exporter may have. */
async function closedPartsOf(path: string): Promise<string[]> {
  const closed: string[] = [];
  // A link below our own directory is root's alone: the exporter has another name for its place.
  if (path.startsWith(`${STATE_DIR}/`)) return closed;
  for (let at = path; at !== "/"; at = parentOf(at)) {
    const look = await seen(at, true);
    const needed = at === path ? 0o004 : 0o001;
    if (look !== null && look.uid === 0 && (look.mode & needed) === 0) closed.unshift(at);
  }
  return closed;
}
