/**
 * One key of a file of sections, as GKeyFile (qemu-ga.conf) and Google's agent
 * (instance_configs.cfg) read it: the last of several counts. Everything else in the file stays to
 * the letter. Pure.
 */

/** The value of a key, or null. */
export function iniValue(text: string, section: string, key: string): string | null {
  const at = lineOf(text.split("\n"), section, key);
  return at === null ? null : at.value;
}

/** The text with the key set; a null value takes its line away. */
export function withIniValue(
  text: string,
  section: string,
  key: string,
  value: string | null,
): string {
  const lines = text.split("\n");
  const at = lineOf(lines, section, key);
  if (at !== null) {
    lines.splice(at.index, 1, ...(value === null ? [] : [`${key}=${value}`]));
    return lines.join("\n");
  }
  if (value === null) return text;
  const header = lines.findIndex((line) => sectionOf(line) === section);
  if (header >= 0) {
    lines.splice(header + 1, 0, `${key}=${value}`);
    return lines.join("\n");
  }
  const before = text === "" || text.endsWith("\n") ? text : `${text}\n`;
  return `${before}[${section}]\n${key}=${value}\n`;
}

function sectionOf(line: string): string | null {
  return /^\s*\[([^\]]*)\]\s*$/.exec(line)?.[1]?.trim() ?? null;
}

function lineOf(
  lines: readonly string[],
  section: string,
  key: string,
): { index: number; value: string } | null {
  let current: string | null = null;
  let found: { index: number; value: string } | null = null;
  for (const [index, line] of lines.entries()) {
    current = sectionOf(line) ?? current;
    if (current !== section || /^\s*[#;]/.test(line)) continue;
    const equals = line.indexOf("=");
    if (equals < 0 || line.slice(0, equals).trim() !== key) continue;
    found = { index, value: line.slice(equals + 1).trim() };
  }
  return found;
}
