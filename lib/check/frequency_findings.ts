/** Are there so many windows that they are a burden, and how large is it? Pure. */
import type { Instant } from "../base/clock.ts";
import type { WindowRecord } from "../window/record.ts";
import { type Finding, finding } from "./finding.ts";

const HOUR_MS = 60 * 60_000;

/**
 * Backups come once an hour at most, and snapshots for undoing every quarter of an hour. More are a
 * replication's, or of a guest in several jobs.
 */
const MANY_AN_HOUR = 12;

/** Says it of the hour before now. `history`: closed windows, the newest first. */
export function frequencyFindings(history: readonly WindowRecord[], now: Instant): Finding[] {
  const windows = history.filter(({ is_rehearsal, opened_at }) => {
    const agoMs = now.wallMs - Date.parse(opened_at);
    return !is_rehearsal && agoMs >= 0 && agoMs < HOUR_MS;
  });
  if (windows.length < MANY_AN_HOUR) return [];
  const heldMs = windows.reduce((sum, { held_ms }) => sum + (held_ms ?? 0), 0);
  return [finding(
    "windows-frequent",
    `${windows.length} windows in the last hour${byWhom(windows)}, each ${
      seconds(heldMs / windows.length)
    } of lock: writers could wait ${seconds(heldMs)} of the hour (${
      percent(heldMs / HOUR_MS)
    }). Proxmox VE freezes for replication, clones and snapshots, too; docs/callers/qemu.md says how to have fewer`,
  )];
}

function byWhom(windows: readonly WindowRecord[]): string {
  const callers = [...new Set(windows.flatMap(({ caller }) => caller ?? []))];
  return callers.length === 0 ? "" : `, by ${callers.join(" and ")}`;
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}
