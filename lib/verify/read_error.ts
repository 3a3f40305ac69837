/** The words of what was thrown while a file was read. */
export function messageOf(error: unknown): string {
  return String((error as { message?: unknown } | null)?.message ?? error)
    .replace(/[:,] \w+ '.*$/, "");
}
