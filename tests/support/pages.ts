/** README and the pages of docs/: their text, and the shell commands in it. */

/** A page; `path` is below the root. */
export interface Page {
  readonly path: string;
  readonly text: string;
}

/** README and every page below docs/. */
export async function pagesOf(root: string): Promise<Page[]> {
  const paths = ["README.md", ...await markdownBelow(root, "docs")];
  return await Promise.all(
    paths.map(async (path) => ({ path, text: await Deno.readTextFile(`${root}/${path}`) })),
  );
}

async function markdownBelow(root: string, folder: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(`${root}/${folder}`)) {
    const path = `${folder}/${name}`;
    if (isDirectory) found.push(...await markdownBelow(root, path));
    else if (name.endsWith(".md")) found.push(path);
  }
  return found.sort();
}

/** The shell blocks of a page; `sh example` marks commands that cannot be run by a test. */
export function shellBlocks(
  page: string,
): { readonly isExample: boolean; readonly text: string }[] {
  return [...page.matchAll(/^```sh( example)?\n([^]*?)^```/gm)].map(([, mark, text = ""]) => ({
    isExample: mark !== undefined,
    text,
  }));
}

/** The commands of a block, one a line, without comments. */
export function commandsOf(block: string): string[] {
  return block.split("\n").map((line) => line.replace(/(^|\s)#.*$/, "").trim()).filter((line) =>
    line !== ""
  );
}

/** The names by which a link reaches the headings of a page, as GitHub makes them. */
export function anchorsOf(page: string): string[] {
  return [...page.matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
    heading.toLowerCase().replaceAll(/[^\p{L}\p{N}_ -]/gu, "").replaceAll(" ", "-")
  );
}
