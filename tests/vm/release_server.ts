/** The web server of the project that an operator downloads from: a real release, on loopback. */
import { release } from "../../scripts/release.ts";
import { repositoryRoot } from "../../scripts/shell.ts";

/** A web server that has the release. */
export interface ReleaseServer {
  /** Of the directory, as a guest sees it. */
  readonly url: string;
  close(): Promise<void>;
}

/** QEMU's user network shows the host's loopback to the guest under this address. */
const HOST_ADDRESS = "10.0.2.2";

/** Makes the release for the place that it will be downloaded from, and serves it. */
export async function serveRelease(log: (line: string) => void): Promise<ReleaseServer> {
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    async (request) => {
      const { pathname } = new URL(request.url);
      try {
        return new Response((await Deno.open(`${repositoryRoot()}/dist${pathname}`)).readable);
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
        return new Response("Not found", { status: 404 });
      }
    },
  );
  const url = `http://${HOST_ADDRESS}:${server.addr.port}/`;
  // What is not committed is tested as well; packages would take most of the time.
  await release({ baseUrl: url, allowDirty: true, withoutPackages: true, log });
  return { url, close: () => server.shutdown() };
}
