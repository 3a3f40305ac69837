/** What a command for people shows where it is looked at: colours, and times of this time zone. */
// @ts-types="./std_colors.d.ts"
import { bold, cyan, gray, green, red, setColorEnabled, yellow } from "@std/fmt/colors";
import { isForTerminal } from "../base/attendance.ts";
import { type Paint, type Style, unpainted } from "../base/styled.ts";

/** Colours where a terminal shows the text and NO_COLOR is not set (https://no-color.org). */
export function terminalPaint(): Paint {
  if (!isForTerminal()) return unpainted;
  // The process that does the work writes to a pipe; the one that attends it has looked.
  setColorEnabled(true);
  const paints: Readonly<Record<Style, (text: string) => string>> = {
    heading: bold,
    error: red,
    warning: yellow,
    good: green,
    command: cyan,
    aside: gray,
  };
  return (text, as) => paints[as](text);
}

/**
 * A moment of a record (RFC 3339, UTC) in the time zone of this machine, with its distance from UTC:
 * `2026-01-02 04:04:05 +01:00`.
 */
export function localTime(moment: string): string {
  const time = new Date(moment);
  const eastMinutes = -time.getTimezoneOffset();
  const two = (value: number) => String(Math.floor(value)).padStart(2, "0");
  const shifted = new Date(time.getTime() + eastMinutes * 60_000).toISOString();
  const zone = `${eastMinutes < 0 ? "-" : "+"}${two(Math.abs(eastMinutes) / 60)}:${
    two(Math.abs(eastMinutes) % 60)
  }`;
  return `${shifted.slice(0, 10)} ${shifted.slice(11, 19)} ${zone}`;
}
