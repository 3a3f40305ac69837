/** The commands that README and docs/ print are run in a guest, or are marked as examples. */
import assert from "node:assert/strict";
import { repositoryRoot } from "../../scripts/shell.ts";
import { testOnEachServer } from "../support/guest.ts";
import { commandsOf, pagesOf, shellBlocks } from "../support/pages.ts";

testOnEachServer("every command that a page prints ends well", async ({ sandbox }) => {
  // What the package of the guest agent brings; without it `install qemu` is refused.
  await sandbox.sh("mkdir -p /etc/qemu /usr/lib/snapper");
  await sandbox.writeFile("/etc/qemu/fsfreeze-hook", "#!/bin/sh\n", 0o755);
  let ran = 0;
  for (const page of await pagesOf(repositoryRoot())) {
    for (const { isExample, text } of shellBlocks(page.text)) {
      if (isExample) continue;
      for (const command of commandsOf(text)) {
        const { code, stderr } = await sandbox.sh(command);
        assert.equal(code, 0, `${page.path}: ${command}\n${stderr}`);
        ran += 1;
      }
      await sandbox.sh("locktables uninstall");
    }
  }
  assert.ok(ran > 10, `${ran} commands`);
});
