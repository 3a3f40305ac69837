/** Commands for a shell, to be copied by a person. */

/** What a shell reads as one word, unchanged. */
const PLAIN = /^[A-Za-z0-9_@%+=:,./-]+$/;

/** What double quotes do not protect; `!` only in an interactive bash, which is where it is pasted. */
const SPECIAL_IN_DOUBLE_QUOTES = /[\\"$`!]/;

/** One word of a shell command: as it is, in double quotes where that is enough, else in single. */
export function shellWord(text: string): string {
  if (PLAIN.test(text)) return text;
  return SPECIAL_IN_DOUBLE_QUOTES.test(text) ? `'${text.replaceAll("'", `'\\''`)}'` : `"${text}"`;
}

/** Lines of a script, moved to the right; empty ones stay empty. */
export function indent(text: string, columns = 4): string {
  return text.replaceAll(/^(?=.)/gm, " ".repeat(columns));
}
