/** Version of this source tree; the build refuses to run when deno.json says another. */
export const VERSION = "0.1.0";
