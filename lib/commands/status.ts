/** status: the window now, and the last one; and what a monitor wants to know of them. Only looks. */
import { plainJson } from "../base/plain_text.ts";
import { readWindowState, type WindowState } from "../locker/read_status.ts";
import { complain, complainOf, sayAll } from "../base/print.ts";
import { EXIT, type ExitCode, isRefusal, type Refusal } from "../base/refusal.ts";
import { type CommandEnd, PLUGIN_STATE, type PluginState } from "../base/plugin_state.ts";
import { barsText } from "../window/bars.ts";
import { statusText } from "../window/status_text.ts";
import { privacyNow, RUN_DIRECTORY, STATE_DIRECTORY } from "../base/private_directory.ts";
import { type Instant, rfc3339, systemClock } from "../base/clock.ts";
import { SCHEMA_VERSION } from "../window/record.ts";
import { textOf } from "../base/styled.ts";
import { type Expectation, judge, type Judgement, monitorFacts } from "../outlets/judgement.ts";
import { historyBackwards } from "../outlets/history.ts";
import { pluginLine } from "../outlets/nagios.ts";
import { readTotals } from "../outlets/totals_file.ts";
import { readUnreported, unreportedText } from "../outlets/unreported.ts";
import { rootAlone } from "./root_alone.ts";
import { sayUnknown } from "./plugin.ts";
import { localTime, terminalPaint } from "./terminal.ts";

/** Longest wait for the locker, in milliseconds. */
const STATUS_LIMIT_MS = 2_000;

/** What is asked for. */
export interface StatusOptions extends Expectation {
  readonly asJson: boolean;
  /** One line for a monitor, in place of everything else. */
  readonly asPlugin: boolean;
}

/** Prints the window now and the last one, or what a monitor should do about them. */
export async function status(options: StatusOptions): Promise<CommandEnd> {
  Deno.permissions.revokeSync({ name: "run" }); // starts no program
  const now = systemClock.now();
  const state = await stateNow(now);
  if (options.asPlugin) {
    return isRefusal(state)
      ? await sayUnknown(`${state.summary}. ${state.hint}`)
      : await sayPlugin(judgementOf(state, options, now), options);
  }
  if (isRefusal(state)) return await complainOf(state);
  await say(state, options.asJson, now);
  return options.maxAgeMs === null
    ? EXIT.ok
    : await complainUnlessGood(judgementOf(state, options, now));
}

/** What there is, or why that cannot be known. */
async function stateNow(now: Instant): Promise<WindowState | Refusal> {
  const refused = rootAlone("status") ??
    [RUN_DIRECTORY, STATE_DIRECTORY].map(privacyNow).find(isRefusal);
  return refused ?? await readWindowState(now, STATUS_LIMIT_MS);
}

function judgementOf(state: WindowState, expected: Expectation, now: Instant): Judgement {
  const { last_refusal: lastRefusal } = readTotals();
  return judge(monitorFacts({ ...state, lastRefusal }, historyBackwards()), expected, now);
}

async function say({ locker, window, last }: WindowState, asJson: boolean, now: Instant) {
  const unreported = readUnreported();
  if (asJson) {
    const what = { schema_version: SCHEMA_VERSION, now: rfc3339(now), locker, window, last };
    await sayAll(plainJson({ ...what, unreported }, 2));
    return;
  }
  const lines = [
    ...statusText(window, last, localTime),
    ...(last === null ? [] : barsText(last)),
    ...unreportedText(unreported),
  ];
  await sayAll(textOf(lines, terminalPaint()));
  if (locker === "no-answer") await sayAll("The locker does not answer.");
}

async function sayPlugin(judgement: Judgement, expected: Expectation): Promise<PluginState> {
  await sayAll(pluginLine(judgement, expected));
  return PLUGIN_STATE[judgement.state];
}

async function complainUnlessGood({ state, text }: Judgement): Promise<ExitCode> {
  if (state === "ok") return EXIT.ok;
  await complain(`Not as expected: ${text}. See: locktables status`);
  return EXIT.notHeld;
}
