import http from "node:http";
import http2 from "node:http2";
import net, { type AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { inspect } from "node:util";
import { afterEach, describe, expect, test } from "vitest";
import { makeCertificate } from "./certificate.arbitrary.ts";
import { type Client, openClient } from "./client.ts";
import type { Connection } from "./connection.ts";
import { FakeServer, type FakeServerOptions, Relay } from "./fake-server.arbitrary.ts";

const tls = makeCertificate();
const pods = "/api/v1/pods";
const ending: (() => unknown)[] = [];

afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end();
});

async function serve(options: FakeServerOptions): Promise<FakeServer> {
  const server = new FakeServer(options);
  await server.start();
  ending.push(() => server.stop());
  return server;
}

function open(connection: Connection, options = {}): Client {
  const client = openClient(connection, options);
  ending.push(() => client.close());
  return client;
}

const kinds: readonly (readonly [string, FakeServerOptions])[] = [
  ["HTTP/2", { tls }],
  ["HTTP/1.1 over TLS", { tls, http2: false }],
  ["plain HTTP", {}],
];

describe.each(kinds)("%s", (_, options) => {
  test("get, with who asks", async () => {
    const server = await serve(options);
    const client = open(server.connection, { userAgent: "bulkhead/test" });
    server.put(pods, { metadata: { name: "a", uid: "1" } });
    expect(await client.get(pods, { limit: 5 })).toMatchObject({ items: [{ metadata: { name: "a" } }] });
    expect(server.requests).toEqual(["GET /api/v1/pods?limit=5"]);
    expect(server.headers[0]).toMatchObject({ authorization: "Bearer secret", "user-agent": "bulkhead/test" });
  });

  test("the server's own words in errors", async () => {
    const server = await serve(options);
    const client = open(server.connection);
    const message = 'pods is forbidden: User "x" cannot list resource "pods" in API group "" at the cluster scope';
    server.fail(pods, {
      kind: "status",
      status: 403,
      body: { kind: "Status", code: 403, reason: "Forbidden", message },
    });
    await expect(client.get(pods)).rejects.toMatchObject({
      name: "ApiError",
      status: 403,
      reason: "Forbidden",
      message,
    });
    server.fail(pods, { kind: "status", status: 500, body: { message: "etcdserver: leader changed" } });
    await expect(client.get(pods)).rejects.toThrow("cannot list pods: etcdserver: leader changed");
    server.fail("/apis/networking.k8s.io/v1/namespaces/a/networkpolicies/b", { kind: "status", status: 404, body: "" });
    await expect(client.get("/apis/networking.k8s.io/v1/namespaces/a/networkpolicies/b")).rejects.toThrow(
      'cannot get networkpolicies.networking.k8s.io "b" in namespace "a": the server answered with HTTP status 404',
    );
  });

  test("credentials are renewed once after a 401", async () => {
    const server = await serve(options);
    let token = "old";
    const client = open({
      ...server.connection,
      headers: async () => ({ authorization: `Bearer ${token}` }),
      unauthorized: () => {
        token = "new";
      },
    });
    const refusal = { kind: "status", status: 401, body: { code: 401, message: "Unauthorized" } } as const;
    server.fail(pods, refusal);
    await client.get(pods);
    expect(server.headers.map(({ authorization }) => authorization)).toEqual(["Bearer old", "Bearer new"]);
    server.fail(pods, refusal, refusal);
    await expect(client.get(pods)).rejects.toThrow("cannot list pods: Unauthorized: the server does not accept");
  });

  test("no answer, half an answer, no JSON", async () => {
    const server = await serve(options);
    const client = open(server.connection);
    await client.get(pods); // 50 ms are for the answer, not for the connection
    server.fail(pods, { kind: "silence" }, { kind: "reset", after: 10 }, { kind: "garbage", text: "<html>" });
    await expect(client.get(pods, {}, { timeout: 50 })).rejects.toThrow(/fake \(.*\): no answer within 0.05 s/);
    await expect(client.get(pods)).rejects.toMatchObject({ name: "NetworkError" });
    await expect(client.get(pods)).rejects.toThrow("the answer to list pods is no JSON");
    await client.get(pods); // and goes on
  });

  test("an answer that came before anyone read it is whole; one that broke off is none", async () => {
    const server = await serve(options);
    const client = open(server.connection);
    server.put(pods, { metadata: { name: "a", uid: "1" } });
    const readLate = async (): Promise<unknown> => {
      const body = await client.stream(pods, {});
      await sleep(50); // that is what makes the difference, in Node 24.20 and above
      const parts: Buffer[] = [];
      for await (const part of body) parts.push(part);
      return JSON.parse(Buffer.concat(parts).toString());
    };
    expect(await readLate()).toMatchObject({ items: [{ metadata: { name: "a" } }] });
    server.fail(pods, { kind: "reset", after: 10 });
    await expect(readLate()).rejects.toMatchObject({ name: "NetworkError" });
  });

  test("a client that is closed breaks off what has not ended", async () => {
    const server = await serve(options);
    const client = open(server.connection);
    const watch = await client.stream(pods, { watch: true });
    client.close();
    const read = async (): Promise<void> => {
      for await (const _ of watch);
    };
    await expect(read()).rejects.toMatchObject({ name: "NetworkError" });
  });

  test("a server that comes back", async () => {
    const server = await serve(options);
    const client = open(server.connection);
    await client.get(pods);
    server.reset();
    await expect
      .poll(() =>
        client.get(pods).then(
          () => "answered",
          () => "failed",
        ),
      )
      .toBe("answered");
  });

  test("a request can be given up", async () => {
    const server = await serve(options);
    const client = open(server.connection);
    server.fail(pods, { kind: "silence" });
    const abort = new AbortController();
    const answer = client.get(pods, {}, { signal: abort.signal });
    abort.abort(new Error("enough"));
    await expect(answer).rejects.toThrow("enough");
  });
});

describe("connections", () => {
  test("one for all watches of HTTP/2, and pings find it dead", async () => {
    const server = await serve({ tls });
    const relay = new Relay(server.url);
    await relay.start();
    ending.push(() => relay.stop());
    const client = open(relay.through(server.connection), { pingInterval: 50 });
    const bodies = await Promise.all([1, 2, 3, 4].map(() => client.stream(pods, { watch: true, resourceVersion: 1 })));
    expect(server.connections).toBe(1);
    relay.silence();
    const read = async (): Promise<void> => {
      for await (const _ of bodies[0]!);
    };
    await expect(read()).rejects.toThrow("the server does not answer pings");
  });

  test("a request that an HTTP/2 server refuses unseen is sent again", async () => {
    let refusals = 2;
    const server = http2.createSecureServer({ cert: tls.cert, key: tls.key });
    const sessions = new Set<http2.ServerHttp2Session>();
    server.on("session", (session) => sessions.add(session));
    server.on("stream", (stream) => {
      stream.on("error", () => undefined);
      if (refusals-- > 0) return stream.close(http2.constants.NGHTTP2_REFUSED_STREAM);
      stream.respond({ ":status": 200 });
      stream.end("{}");
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    ending.push(() => {
      for (const session of sessions) session.destroy();
      server.close();
    });
    const { connection } = await serve({ tls });
    const { port } = server.address() as AddressInfo;
    const client = open({ ...connection, server: new URL(`https://127.0.0.1:${port}`) });
    expect(await client.post(pods, {})).toEqual({});
    refusals = 3;
    await expect(client.post(pods, {})).rejects.toThrow("the server refuses more requests at a time");
  });

  test("giving a request up cuts the wait for a connection; others go on waiting for it", async () => {
    const server = await serve({ tls });
    const { promise, resolve } = Promise.withResolvers<void>();
    const tlsOf = async (): ReturnType<Connection["tls"]> => {
      await promise;
      return server.connection.tls();
    };
    const client = open({ ...server.connection, tls: tlsOf });
    const abort = new AbortController();
    const given = client.get(pods, {}, { signal: abort.signal });
    const kept = client.get(pods);
    abort.abort(new Error("enough"));
    await expect(given).rejects.toThrow("enough");
    resolve();
    expect(await kept).toMatchObject({ items: [] });
  });

  test("no error quotes a token", async () => {
    const secret = "eyJhbGciOi.very-secret";
    const server = await serve({ tls });
    const { connection } = server;
    const told = async (client: Client): Promise<string> => {
      const error = await client.get(pods, {}, { timeout: 50 }).then(
        () => null,
        (why: unknown) => why,
      );
      expect(error).toBeInstanceOf(Error);
      return `${inspect(error, { depth: 10, showHidden: true })} ${(error as Error).stack}`;
    };
    const client = open({ ...connection, headers: async () => ({ authorization: `Bearer ${secret}` }) });
    await client.get(pods);
    server.fail(pods, { kind: "status", status: 401, body: {} }, { kind: "status", status: 401, body: {} });
    expect(await told(client)).not.toContain(secret);
    server.fail(pods, { kind: "silence" });
    expect(await told(client)).not.toContain(secret);
    server.fail(pods, { kind: "reset", after: 1 });
    expect(await told(client)).not.toContain(secret);
    const plain = await serve({});
    const broken = open({ ...plain.connection, headers: async () => ({ authorization: `Bearer ${secret}\nx` }) });
    expect(await told(broken)).not.toContain(secret);
  });

  test("a refused connection names the server", async () => {
    const server = await serve({});
    const { connection } = server;
    await server.stop();
    ending.length = 0;
    await expect(open(connection).get(pods)).rejects.toThrow(/^fake \(http:\/\/127.0.0.1:\d+\): .*ECONNREFUSED/);
  });

  test("an unknown authority", async () => {
    const server = await serve({ tls });
    const connection = {
      ...server.connection,
      tls: async () => ({ ...(await server.connection.tls())!, ca: makeCertificate().cert }),
    };
    await expect(open(connection).get(pods)).rejects.toThrow("is signed by an unknown authority");
    const careless = { ...connection, tls: async () => ({ ...(await connection.tls()), verify: false }) };
    await open(careless).get(pods);
  });

  test.each([
    ["plain HTTP", {}],
    ["HTTP/2", { tls }],
  ])("a tunnel through a proxy to %s", async (_, options) => {
    const server = await serve(options);
    const asked: string[] = [];
    const proxy = http.createServer().on("connect", (request, socket, head) => {
      asked.push(`${request.url} ${request.headers["proxy-authorization"]}`);
      const [host, port] = request.url!.split(":");
      const to = net.connect(Number(port), host, () => {
        socket.write("HTTP/1.1 200 OK\r\n\r\n");
        to.write(head);
        to.pipe(socket).pipe(to);
      });
      for (const end of [to, socket]) end.on("error", () => undefined);
      ending.push(() => to.destroy());
    });
    await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
    ending.push(() => proxy.close());
    const { port } = proxy.address() as AddressInfo;
    const client = open({ ...server.connection, proxy: new URL(`http://me:secret@127.0.0.1:${port}`) });
    await client.get(pods);
    expect(asked).toEqual([`${server.url.host} Basic ${Buffer.from("me:secret").toString("base64")}`]);
    const refusing = open({ ...server.connection, proxy: server.connection.server });
    await expect(refusing.get(pods)).rejects.toThrow(/proxy http/);
  });
});
