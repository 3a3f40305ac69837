/**
 * A judgement as a monitoring plugin says it: `NAME STATE: text | label=value;warn;crit;min;max` in
 * one line (https://www.monitoring-plugins.org/doc/guidelines.html). Pure.
 */
import { plainLine } from "../base/plain_text.ts";
import type { PluginStateName } from "../base/plugin_state.ts";
import type { Expectation, Judgement } from "./judgement.ts";

/** The line of a judgement, with what can be drawn as a curve. */
export function pluginLine(judgement: Judgement, expected: Expectation): string {
  const { ageMs, heldMs, isOpen } = judgement;
  const { maxAgeMs, warnHoldMs } = expected;
  const measures = [
    `age=${seconds(ageMs, 0)};;${limit(maxAgeMs)};0`,
    `held=${seconds(heldMs, 4)};${limit(warnHoldMs)};;0`,
    `open=${isOpen ? 1 : 0};;;0;1`,
  ];
  return `${stateText(judgement.state, judgement.text)} | ${measures.join(" ")}`;
}

/** The line of what could not be judged. */
export function unknownLine(why: string): string {
  return stateText("unknown", why);
}

function stateText(state: PluginStateName, text: string): string {
  // What comes after a bar is read as measures.
  return `LOCKTABLES ${state.toUpperCase()}: ${plainLine(text).replaceAll("|", "/")}`;
}

/** With its unit; `U` stands for a value that is not known. */
function seconds(ms: number | null, digits: number): string {
  return ms === null ? "U" : `${Number((ms / 1_000).toFixed(digits))}s`;
}

function limit(ms: number | null): string {
  return ms === null ? "" : String(ms / 1_000);
}
