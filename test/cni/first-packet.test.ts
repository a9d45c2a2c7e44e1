/**
 * A pod's very first packet, sent as soon as the plugin lets the pod start, with the agent, its socket and the kernel: what
 * policies allow arrives, what they deny does not, and before that nothing leaves.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { runAgent } from "../../src/agent/agent.ts";
import { noEvents } from "../../src/agent/events.ts";
import { FakeFeed } from "../../src/agent/fake-feed.arbitrary.ts";
import { LogBook, namespace, node, pod, put } from "../../src/agent/worlds.arbitrary.ts";
import { installCni } from "../../src/cni/install.ts";
import { addressBytes, socketAddress } from "../../src/netns/bytes.ts";
import { close, receive, sendTo } from "../../src/netns/libc.ts";
import { Namespace } from "../../src/netns/namespace.ts";
import { udpSocket } from "../../src/netns/sockets.ts";
import { openRunner, type Runner } from "../../src/nftables/runner.ts";
import type { NetworkPolicy } from "../../src/policy/model/policy.ts";
import { requireKernel } from "../kernel/support.ts";
import { describeChain, type Result, Runtime, referencePlugins, type Sandbox } from "./runtime.ts";

const [open, shut] = [7000, 7001];

/** Pods `server` take UDP from pods `client` on one port. */
const policy: NetworkPolicy = {
  kind: "NetworkPolicy",
  metadata: { namespace: "shop", name: "server" },
  spec: {
    podSelector: { matchLabels: { app: "server" } },
    policyTypes: ["Ingress"],
    ingress: [
      { from: [{ podSelector: { matchLabels: { role: "client" } } }], ports: [{ protocol: "UDP", port: open }] },
    ],
  },
  source: null,
};

const clientPod = (name: string) => pod(name, { labels: { role: "client" }, phase: "Pending" });

/** Where a pod sends from and listens. */
class End {
  readonly ip: string;
  readonly #sandbox: Sandbox;
  readonly #sockets = new Map<number, number>();

  constructor(sandbox: Sandbox, ip: string) {
    this.ip = ip;
    this.#sandbox = sandbox;
  }

  #socket(port: number): number {
    const seat = { namespace: this.#sandbox.namespace, address: addressBytes(this.ip), foreign: false };
    const fd = this.#sockets.get(port) ?? udpSocket(seat, port);
    this.#sockets.set(port, fd);
    return fd;
  }

  listen(...ports: readonly number[]): void {
    for (const port of ports) this.#socket(port);
  }

  send(to: End, port: number, text: string): void {
    sendTo(this.#socket(9000), Buffer.from(text), socketAddress(addressBytes(to.ip), port));
  }

  /** What has arrived on a port since the last call. */
  received(port: number): string[] {
    const texts: string[] = [];
    const into = Buffer.alloc(100);
    for (let n = receive(this.#socket(port), into); n >= 0; n = receive(this.#socket(port), into))
      texts.push(into.toString("utf8", 0, n));
    return texts;
  }

  close(): void {
    for (const fd of this.#sockets.values()) close(fd);
  }
}

describeChain("a pod's first packet", () => {
  let folder: string;
  let runtime: Runtime;
  let home: Namespace;
  let runner: Runner;
  let feed: FakeFeed;
  let stop: AbortController;
  let agent: Promise<void>;
  const ends: End[] = [];
  const namespaces: Namespace[] = [];

  const newSandbox = (name: string): Sandbox => {
    const place = Namespace.create();
    namespaces.push(place);
    return { id: `sandbox-${name}`, namespace: place, pod: name };
  };
  const endOf = (sandbox: Sandbox, { ips }: Result): End => {
    const end = new End(sandbox, ips[0]!.address.replace(/\/.*/, ""));
    ends.push(end);
    return end;
  };

  beforeEach(async () => {
    requireKernel();
    folder = mkdtempSync(join(tmpdir(), "bulkhead-first-"));
    const [conf, bin, socket] = ["net.d", "bin", "cni.sock"].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ];
    mkdirSync(conf);
    const ipam = {
      type: "host-local",
      subnet: "10.8.0.0/24",
      routes: [{ dst: "0.0.0.0/0" }],
      dataDir: join(folder, "ipam"),
    };
    writeFileSync(
      join(conf, "10-lab.conflist"),
      JSON.stringify({ cniVersion: "1.0.0", name: "lab", plugins: [{ type: "ptp", ipam }] }),
    );
    installCni({ program: { folder: bin, onHost: bin }, conf }, { socket });
    home = Namespace.create();
    namespaces.push(home);
    runtime = new Runtime(
      home,
      [bin, referencePlugins],
      readFileSync(join(conf, readdirSync(conf).sort()[0]!), "utf8"),
    );
    runner = await openRunner({ netns: home.fd });
    feed = new FakeFeed({
      namespaces: [namespace("shop")],
      nodes: [node("n1", [], ["10.8.0.0/24"])],
      policies: [policy],
    });
    stop = new AbortController();
    agent = runAgent(
      {
        node: "n1",
        podCIDRs: [],
        podInterfaces: [],
        table: { table: "bulkhead" },
        health: { host: "127.0.0.1", port: 0 },
        metrics: null,
        cni: { socket, confDir: null },
      },
      { openFeed: () => feed, runner, network: home, log: new LogBook(), events: noEvents, signal: stop.signal },
    );
  });

  afterEach(async () => {
    stop.abort();
    await agent;
    await runner.close();
    for (const end of ends.splice(0)) end.close();
    for (const place of namespaces.splice(0)) place.close();
    rmSync(folder, { recursive: true });
  });

  /** A running pod `server`, as kubelet and the API server bring it about: the address is in the object last. */
  const startServer = async (): Promise<End> => {
    feed.tell([put.pod(pod("server", { phase: "Pending" }))]);
    const sandbox = newSandbox("server");
    const end = endOf(sandbox, await runtime.add(sandbox));
    end.listen(open, shut);
    return end;
  };

  test("is judged right at once, before any address is in the API server", async () => {
    const server = await startServer();
    for (let i = 0; i < 5; i++) {
      const name = `client-${i}`;
      feed.tell([put.pod(clientPod(name))]);
      const sandbox = newSandbox(name);
      const client = endOf(sandbox, await runtime.add(sandbox));
      client.send(server, shut, "denied");
      client.send(server, open, name);
      await vi.waitFor(() => expect(server.received(open)).toEqual([name]));
      expect(server.received(shut)).toEqual([]);
    }
    const sandbox = newSandbox("stranger");
    feed.tell([put.pod(pod("stranger"))]);
    const stranger = endOf(sandbox, await runtime.add(sandbox));
    const last = newSandbox("client-last");
    feed.tell([put.pod(clientPod("client-last"))]);
    const client = endOf(last, await runtime.add(last));
    stranger.send(server, open, "stranger");
    client.send(server, open, "last");
    await vi.waitFor(() => expect(server.received(open)).toEqual(["last"]));
  });

  test("leaves nothing that a held pod sends, and loses nothing once it is let go", async () => {
    const server = await startServer();
    const sandbox = newSandbox("late");
    let added = false;
    const adding = runtime.add(sandbox).then((result) => {
      added = true;
      return result;
    });
    // The network is there, the Pod object is not: nobody knows what may be sent. The address is the pool's next.
    const early = new End(
      sandbox,
      server.ip.replace(/\d+$/, (last) => String(Number(last) + 1)),
    );
    ends.push(early);
    await vi.waitFor(() => early.send(server, open, "early"), 20_000);
    for (let i = 0; i < 20; i++) early.send(server, open, "early");
    expect(added).toBe(false);
    feed.tell([put.pod(clientPod("late"))]);
    expect((await adding).ips[0]!.address).toContain(early.ip);
    early.send(server, open, "first");
    await vi.waitFor(() => expect(server.received(open)).toEqual(["first"]));
  });
});
