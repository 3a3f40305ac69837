/**
 * install prometheus: the windows' numbers where node_exporter reads them, from now on and not only
 * after the next window.
 */
import { rfc3339, systemClock } from "../base/clock.ts";
import { diskAnswered } from "../base/disk.ts";
import { lookAt } from "../base/look.ts";
import { METRICS_FILES, OPTION_FILE, parentOf, STATE_DIR } from "../base/paths.ts";
import { complainOf, sayAll } from "../base/print.ts";
import { EXIT, type ExitCode, isRefusal, type Refusal, refusal } from "../base/refusal.ts";
import { type Line, type Row, styled } from "../base/styled.ts";
import { aligned } from "../base/styled.ts";
import { VERSION } from "../base/version.ts";
import type { Receipt } from "../hooks/receipt.ts";
import { restoreReceipt, writeReceipt } from "../hooks/receipt_file.ts";
import { metricsFile, writeMetricsFile } from "../outlets/metrics_file.ts";
import { outletSettings } from "../outlets/outlet_settings.ts";
import { metricsText } from "../outlets/prometheus.ts";
import { readTotals } from "../outlets/totals_file.ts";
import { prepare } from "./prepare_install.ts";

/** Its name among the callers of install and uninstall. */
export const PROMETHEUS = "prometheus";

/** Writes the file, and notes it in the receipt. */
export async function installMetrics(isDryRun: boolean): Promise<ExitCode> {
  const prepared = await prepare("install", isDryRun);
  if (isRefusal(prepared)) return await complainOf(prepared);
  using ready = prepared;
  const path = await placeOfFile();
  if (isRefusal(path)) return await complainOf(path);
  const { receipt } = ready;
  if (isDryRun) {
    await sayAll(`Would install metrics for Prometheus:\n  write       ${path} (0644)`);
    return EXIT.ok;
  }
  await diskAnswered(parentOf(path));
  const metrics = { file: path, version: VERSION, installed_at: rfc3339(systemClock.now()) };
  // First the receipt, as for hooks: what an installation that is cut short has made can be undone.
  const attempted = { ...receipt, metrics };
  const refused = writeReceipt(attempted) ??
    await writeMetricsFile(
      path,
      `${metricsText(readTotals(), { version: VERSION, isOpen: null })}\n`,
    );
  if (refused !== null) {
    return await complainOf(restoreReceipt(receipt, attempted) ?? refused);
  }
  await sayAll([
    "Installed metrics for Prometheus:",
    `  wrote       ${path} (0644)`,
    "Left for you:",
    "  the alert rules, locktables.rules.yml of the release, among rule_files of the Prometheus server",
    "Next: locktables check",
  ].join("\n"));
  return EXIT.ok;
}

/** Where the collector looks, or why that is not known. */
async function placeOfFile(): Promise<string | Refusal> {
  const settings = await outletSettings();
  if (settings.metricsFile === "off") {
    return refusal(
      EXIT.badSetup,
      "bad-setting",
      `metrics_file is off in [locktables] of ${OPTION_FILE}; expected a file, or no such line`,
      "Remove that line, then: locktables install prometheus",
    );
  }
  const path = await metricsFile(settings);
  const parents = METRICS_FILES.map(parentOf);
  if (path === null) {
    return refusal(
      EXIT.badSetup,
      "directory-missing",
      `No directory of node_exporter's textfile collector is there: no ${parents.join(", no ")}`,
      `Install the exporter: apt-get install prometheus-node-exporter; or, where it looks elsewhere: ln -s DIRECTORY ${STATE_DIR}/textfile, and metrics_file=${STATE_DIR}/textfile/locktables.prom in [locktables]`,
    );
  }
  if ((await lookAt(parentOf(path), true))?.kind === "directory") return path;
  return refusal(
    EXIT.badSetup,
    "directory-missing",
    `Cannot write ${path}: ${parentOf(path)} is not there`,
    `Make it: mkdir -p ${parentOf(path)}`,
  );
}

/** What `install --list` says of it. */
export async function metricsLines({ metrics }: Pick<Receipt, "metrics">): Promise<Line[]> {
  const state = metrics === null
    ? []
    : [styled("good", ` [installed: ${metrics.file}, version ${metrics.version}]`)];
  const found = await metricsFile({ metricsFile: "found" });
  return [
    [styled("heading", "Besides hooks:")],
    [],
    [styled("heading", PROMETHEUS), ": the windows' numbers for Prometheus", ...state],
    ["  ", styled("command", `locktables install ${PROMETHEUS}`)],
    ...aligned([
      ["file", found ?? METRICS_FILES.join(" or ")] satisfies Row,
      ["read by", "node_exporter's textfile collector"],
    ]),
  ];
}
