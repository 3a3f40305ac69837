/** The commands that README prints work as they are printed, on a network with a proxy too. */
import assert from "node:assert/strict";
import { repositoryRoot } from "../../scripts/shell.ts";

const VARIABLE = "DENO_TLS_CA_STORE=system,mozilla";

Deno.test("every npx command that a page prints has the variable, or follows its export", async () => {
  for (const page of ["README.md", ".github/CONTRIBUTING.md"]) {
    const text = await Deno.readTextFile(`${repositoryRoot()}/${page}`);
    const blocks = [...text.matchAll(/^```sh\n([^]*?)^```/gm)].map(([, block = ""]) => block);
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
