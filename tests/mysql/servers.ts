/** Servers by version, for tests. */
import assert from "node:assert/strict";

import { parseVersion, type ServerVersion } from "../../lib/mysql/flavor.ts";

/** The server with this `@@version`, and `@@version_comment` where it matters. */
export function server(version: string, comment = ""): ServerVersion {
  const parsed = parseVersion(version, comment);
  assert.ok(parsed !== null, version);
  return parsed;
}
