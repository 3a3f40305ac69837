/**
 * A text as SQL writes it. A quote and a backslash are doubled, which every server reads as one of
 * them under the sql_mode that our sessions set.
 */
export function sqlText(text: string): string {
  return `'${text.replaceAll(/['\\]/g, "$&$&")}'`;
}
