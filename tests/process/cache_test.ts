/** What several processes put into the cache at once. */
import assert from "node:assert/strict";
import { keepInCache, pathExists } from "../../scripts/shell.ts";

async function folder(dir: string, name: string, content: string): Promise<string> {
  await Deno.mkdir(`${dir}/${name}/inside`, { recursive: true });
  await Deno.writeTextFile(`${dir}/${name}/inside/file`, content);
  return `${dir}/${name}`;
}

Deno.test("of folders that are put into the cache at once one stays, whole, and none is an error", async () => {
  const dir = await Deno.makeTempDir({ prefix: "lt-cache-" });
  try {
    const names = ["first", "second", "third", "fourth"];
    const folders = await Promise.all(names.map((name) => folder(dir, name, name)));
    await Promise.all(folders.map((path) => keepInCache(path, `${dir}/place`)));
    const stayed = await Deno.readTextFile(`${dir}/place/inside/file`);
    assert.ok(names.includes(stayed), stayed);
    const left = await Promise.all(folders.map(pathExists));
    assert.equal(left.filter((isLeft) => isLeft).length, names.length - 1);
    await keepInCache(await folder(dir, "late", "late"), `${dir}/place`);
    assert.equal(await Deno.readTextFile(`${dir}/place/inside/file`), stayed);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("a folder that cannot be put into the cache is an error", async () => {
  const dir = await Deno.makeTempDir({ prefix: "lt-cache-" });
  try {
    await assert.rejects(keepInCache(`${dir}/nothing`, `${dir}/place`), Deno.errors.NotFound);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
