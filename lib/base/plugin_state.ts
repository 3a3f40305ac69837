/** How a command ends that is called as a monitoring plugin. */
import type { ExitCode } from "./refusal.ts";

/**
 * What a plugin's exit status means to Nagios, Icinga and all that read it in the same way. Other
 * numbers than those of {@linkcode ExitCode}, hence only where a plugin was asked for.
 */
export const PLUGIN_STATE = { ok: 0, warning: 1, critical: 2, unknown: 3 } as const;

/** One of {@linkcode PLUGIN_STATE}, by its name. */
export type PluginStateName = keyof typeof PLUGIN_STATE;

/** One of {@linkcode PLUGIN_STATE}, as an exit status. */
export type PluginState = typeof PLUGIN_STATE[PluginStateName];

/** How any command ends. */
export type CommandEnd = ExitCode | PluginState;
