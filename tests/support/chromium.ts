/**
 * Debian's Chromium, headless, driven over a pipe (https://chromedevtools.github.io/devtools-protocol).
 * One process for a whole test: a page takes a tenth of its start.
 */
import assert from "node:assert/strict";
import { chromiumTreePath } from "../../scripts/provision.ts";
import { killChild, pathExists } from "../../scripts/shell.ts";
import { atMost } from "../../lib/base/at_most.ts";

/** Bound of one command; the first waits for the browser's start. */
const REPLY_LIMIT_MS = 30_000;

/** How a page is looked at. */
export interface Look {
  readonly width: number;
  readonly height: number;
  readonly scheme: "light" | "dark";
}

/** One page in the browser. */
export interface Page {
  /** Shows a file, and waits until it is there. */
  open(path: string, look: Look): Promise<void>;
  /** What an expression is, in the page; it must be JSON. */
  evaluate<T>(expression: string): Promise<T>;
  /** Presses a key, such as Tab. */
  press(key: string): Promise<void>;
  /** The colours that are shown at points of the screen, as `#rrggbb`. */
  colours(points: readonly (readonly [x: number, y: number])[]): Promise<string[]>;
  /** What the page has fetched, and what its console has said, since it was opened. */
  readonly fetched: readonly string[];
  readonly complaints: readonly string[];
}

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Record<string, unknown>;
  readonly result?: Record<string, unknown>;
  readonly error?: unknown;
}

/** Whether the browser is there; where not, a test of it is skipped. */
export async function hasChromium(): Promise<boolean> {
  return await pathExists(await chromiumProgram());
}

async function chromiumProgram(): Promise<string> {
  return `${await chromiumTreePath()}/usr/lib/chromium/chromium-headless-shell`;
}

/** Starts the browser, and ends it after the test. */
export async function withPage(test: (page: Page) => Promise<void>): Promise<void> {
  const tree = await chromiumTreePath();
  const libraries = `${tree}/usr/lib/x86_64-linux-gnu`;
  const home = await Deno.makeTempDir({ prefix: "chromium-" });
  const child = new Deno.Command("/bin/bash", {
    // The protocol has descriptors of its own, 3 and 4.
    args: [
      "-c",
      'exec "$@" 3<&0 4>&1 0</dev/null 1>&2',
      "bash",
      await chromiumProgram(),
      // Root's browser has no other way; it shows our own page alone.
      "--no-sandbox",
      "--disable-gpu",
      // A container has 64 MB of it.
      "--disable-dev-shm-usage",
      "--remote-debugging-pipe",
      `--user-data-dir=${home}`,
    ],
    clearEnv: true,
    env: {
      HOME: home,
      LD_LIBRARY_PATH: `${libraries}:${libraries}/pulseaudio`,
      FONTCONFIG_SYSROOT: tree,
    },
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const protocol = speak(child);
  try {
    await test(await pageOf(protocol));
  } finally {
    await protocol.send("Browser.close").catch(() => killChild(child, "SIGKILL"));
    await protocol.end();
    await child.status;
    await Deno.remove(home, { recursive: true });
  }
}

interface Protocol {
  send(method: string, params?: unknown, session?: string): Promise<Record<string, unknown>>;
  onEvent: (message: Message) => void;
  end(): Promise<void>;
}

function speak(child: Deno.ChildProcess): Protocol {
  const writer = child.stdin.getWriter();
  const awaited = new Map<number, (message: Message) => void>();
  let last = 0;
  const protocol: Protocol = {
    async send(method, params = {}, sessionId) {
      const id = ++last;
      const reply = new Promise<Message>((resolve) => awaited.set(id, resolve));
      const text = JSON.stringify({ id, method, params, ...(sessionId ? { sessionId } : {}) });
      await writer.write(new TextEncoder().encode(`${text}\0`));
      const message = await atMost(reply, REPLY_LIMIT_MS, null);
      assert.ok(message !== null, `the browser did not answer ${method}`);
      assert.equal(message.error, undefined, `${method}: ${JSON.stringify(message.error)}`);
      return message.result ?? {};
    },
    onEvent: () => {},
    async end() {
      await writer.close().catch(() => {}); // the browser has ended
      await reading;
    },
  };
  const read = async () => {
    let rest = "";
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
      const parts = (rest + text).split("\0");
      rest = parts.pop() ?? "";
      for (const part of parts) {
        const message = JSON.parse(part) as Message;
        if (message.id === undefined) protocol.onEvent(message);
        else awaited.get(message.id)?.(message);
      }
    }
  };
  const reading = read();
  return protocol;
}

async function pageOf(protocol: Protocol): Promise<Page> {
  const attach = async () => {
    const { targetId } = await protocol.send("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await protocol.send("Target.attachToTarget", { targetId, flatten: true });
    return String(sessionId);
  };
  // The page allows no script; another looks at its pictures. The one that is made last is in front.
  const easel = await attach();
  const session = await attach();
  const fetched: string[] = [];
  const complaints: string[] = [];
  let loaded = () => {};
  protocol.onEvent = ({ method, params }) => {
    if (method === "Network.requestWillBeSent") {
      fetched.push((params?.["request"] as { url: string }).url);
    } else if (method === "Page.loadEventFired") loaded();
    else if (/^(Runtime\.(consoleAPICalled|exceptionThrown)|Log\.entryAdded)$/.test(method ?? "")) {
      complaints.push(JSON.stringify(params));
    }
  };
  const send = (method: string, params?: unknown) => protocol.send(method, params, session);
  for (const domain of ["Page", "Network", "Runtime", "Log"]) await send(`${domain}.enable`);
  const evaluateIn = async <T>(where: string, expression: string): Promise<T> => {
    const { result, exceptionDetails } = await protocol.send(
      "Runtime.evaluate",
      { expression, returnByValue: true, awaitPromise: true },
      where,
    );
    assert.equal(exceptionDetails, undefined, JSON.stringify(exceptionDetails));
    return (result as { value: T }).value;
  };
  return {
    fetched,
    complaints,
    async open(path, { width, height, scheme }) {
      fetched.length = 0;
      complaints.length = 0;
      const metrics = { width, height, deviceScaleFactor: 1, mobile: false };
      await send("Emulation.setDeviceMetricsOverride", metrics);
      await send("Emulation.setEmulatedMedia", {
        features: [{ name: "prefers-color-scheme", value: scheme }],
      });
      const loading = new Promise<void>((resolve) => loaded = resolve);
      await send("Page.navigate", { url: `file://${path}` });
      assert.notEqual(await atMost(loading, REPLY_LIMIT_MS, null), null, `${path} was not loaded`);
    },
    evaluate: (expression) => evaluateIn(session, expression),
    async press(key) {
      const windowsVirtualKeyCode = { Tab: 9, Enter: 13 }[key];
      const text = key === "Enter" ? { text: "\r" } : {};
      await send("Input.dispatchKeyEvent", {
        type: "keyDown",
        key,
        windowsVirtualKeyCode,
        ...text,
      });
      await send("Input.dispatchKeyEvent", { type: "keyUp", key, windowsVirtualKeyCode });
    },
    async colours(points) {
      const { data } = await send("Page.captureScreenshot");
      return await evaluateIn(
        easel,
        `(async () => {
          const bytes = Uint8Array.from(atob(${JSON.stringify(data)}), (c) => c.charCodeAt(0));
          const bitmap = await createImageBitmap(new Blob([bytes]));
          const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d");
          context.drawImage(bitmap, 0, 0);
          return ${JSON.stringify(points)}.map(([x, y]) => "#" +
            [...context.getImageData(x, y, 1, 1).data.slice(0, 3)]
              .map((value) => value.toString(16).padStart(2, "0")).join(""));
        })()`,
      );
    },
  };
}
