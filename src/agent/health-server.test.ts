import { type AddressInfo, connect } from "node:net";
import { afterEach, expect, test } from "vitest";
import type { Condition } from "./condition.ts";
import { type Pages, parseListenAddress, serveHealth } from "./health-server.ts";

test.each([
  ["127.0.0.1:9650", { host: "127.0.0.1", port: 9650 }],
  ["[::1]:9650", { host: "::1", port: 9650 }],
  [":9651", { host: undefined, port: 9651 }],
  ["9650", null],
  ["127.0.0.1", null],
  ["::1:9650", null],
  ["127.0.0.1:70000", null],
])("%s", (text, address) => expect(parseListenAddress(text)).toEqual(address));

const open: { close(): void }[] = [];
afterEach(() => {
  for (const server of open.splice(0)) server.close();
});

async function serve(pages: Pages): Promise<(path: string) => Promise<[number, string]>> {
  const patience = { signal: new AbortController().signal, waits: () => undefined };
  const server = await serveHealth({ host: "127.0.0.1", port: 0 }, pages, patience);
  open.push(server);
  const { port } = server.address() as AddressInfo;
  return async (path) => {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, { headers: { connection: "close" } });
    return [answer.status, await answer.text()];
  };
}

test("ready: ok, or a line a condition", async () => {
  let conditions: Condition[] = [
    { name: "rules", state: "ok", text: "in force" },
    { name: "pods", state: "warning", text: "not watched" },
  ];
  const get = await serve({ health: { conditions: () => conditions, dead: () => null } });
  expect(await get("/readyz")).toEqual([200, "ok\n"]);
  expect(await get("/readyz?verbose")).toEqual([
    200,
    "[+]rules ok: in force\n[!]pods warning: not watched\nreadyz passed\n",
  ]);
  conditions = [{ name: "held", state: "failed", text: "not held" }];
  expect(await get("/readyz")).toEqual([503, "[-]held failed: not held\nreadyz failed\n"]);
});

test("alive until something is stuck; pages that are not served are not found", async () => {
  let dead: string | null = null;
  const get = await serve({ health: { conditions: () => [], dead: () => dead } });
  expect(await get("/healthz")).toEqual([200, "ok\n"]);
  dead = "stuck";
  expect(await get("/livez")).toEqual([500, "stuck\n"]);
  expect((await get("/metrics"))[0]).toBe(404);
});

test("an address that another process has is waited for in the background", async () => {
  const pages: Pages = { health: { conditions: () => [], dead: () => null } };
  const stop = new AbortController();
  const told: Error[] = [];
  const patience = { signal: stop.signal, waits: (why: Error) => void told.push(why) };
  const first = await serveHealth({ host: "127.0.0.1", port: 0 }, pages, patience);
  const { port } = first.address() as AddressInfo;
  const second = await serveHealth({ host: "127.0.0.1", port }, pages, patience);
  expect(told).toHaveLength(1);
  const listening = new Promise((resolve) => second.once("listening", resolve));
  first.close();
  await listening;
  second.close();
  stop.abort();
});

test("what is no URL is no page, and ends nothing", async () => {
  const patience = { signal: new AbortController().signal, waits: () => undefined };
  const server = await serveHealth({ host: "127.0.0.1", port: 0 }, {}, patience);
  open.push(server);
  const { port } = server.address() as AddressInfo;
  for (const path of ["//", "http://[", "*", "/readyz%"]) {
    const { promise, resolve } = Promise.withResolvers<string>();
    const socket = connect(port, "127.0.0.1", () => {
      socket.end(`GET ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`);
    });
    socket.once("data", (chunk: Buffer) => resolve(chunk.toString()));
    expect(await promise).toMatch(/^HTTP\/1.1 404 /);
  }
});
