/** The commands that README prints work as they are printed, on a network with a proxy too. */
import assert from "node:assert/strict";
import { repositoryRoot } from "../../scripts/shell.ts";
import { anchorsOf, pagesOf, shellBlocks } from "../support/pages.ts";

const VARIABLE = "DENO_TLS_CA_STORE=system,mozilla";

Deno.test("every npx command that a page prints has the variable, or follows its export", async () => {
  for (const page of ["README.md", ".github/CONTRIBUTING.md"]) {
    const text = await Deno.readTextFile(`${repositoryRoot()}/${page}`);
    const blocks = shellBlocks(text).map((block) => block.text);
    const commands = blocks.filter((block) => block.includes("npx -y deno@"));
    assert.ok(commands.length > 0, page);
    for (const block of commands) {
      if (block.startsWith(`export ${VARIABLE}\n`)) continue;
      for (const line of block.split("\n").filter((one) => one.includes("npx -y deno@"))) {
        assert.ok(line.startsWith(`${VARIABLE} npx -y deno@`), `${page}: ${line}`);
      }
    }
  }
});

Deno.test("each task sets the variable for the packages that it needs later", async () => {
  const { tasks } = JSON.parse(await Deno.readTextFile(`${repositoryRoot()}/deno.json`));
  for (const [name, { command }] of Object.entries<{ command: string }>(tasks)) {
    assert.ok(command.startsWith(`${VARIABLE} deno run `), name);
  }
});

Deno.test("every link of a page leads to a file, and to a heading in it", async () => {
  const root = repositoryRoot();
  for (const { path, text } of await pagesOf(root)) {
    for (const [, target = "", anchor] of text.matchAll(/\]\(([^)#\s:]*)(?:#([^)\s]+))?\)/g)) {
      const file = target === ""
        ? new URL(`file://${root}/${path}`)
        : new URL(target, `file://${root}/${path}`);
      const linked = await Deno.stat(file);
      if (anchor === undefined) continue;
      assert.ok(linked.isFile, `${path}: ${target}`);
      assert.ok(
        anchorsOf(await Deno.readTextFile(file)).includes(anchor),
        `${path}: ${target}#${anchor}`,
      );
    }
  }
});

Deno.test("every page that a comment names is there, with its heading", async () => {
  const root = repositoryRoot();
  let named = 0;
  for (const file of await sourcesBelow(root, ["lib", "scripts", "tests"])) {
    for (
      const [, page = "", anchor] of (await Deno.readTextFile(file)).matchAll(
        /`(docs\/[a-z/-]+\.md)(?:#([a-z0-9_-]+))?`/g,
      )
    ) {
      const text = await Deno.readTextFile(`${root}/${page}`);
      if (anchor !== undefined) {
        assert.ok(anchorsOf(text).includes(anchor), `${file}: ${page}#${anchor}`);
      }
      named += 1;
    }
  }
  assert.ok(named > 20, `${named} references`);
});

async function sourcesBelow(root: string, folders: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  for (const folder of folders) {
    for await (const { name, isDirectory } of Deno.readDir(`${root}/${folder}`)) {
      if (isDirectory) found.push(...await sourcesBelow(root, [`${folder}/${name}`]));
      else if (name.endsWith(".ts")) found.push(`${root}/${folder}/${name}`);
    }
  }
  return found;
}
