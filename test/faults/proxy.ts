/** A relay of TCP connections to the API server, which it can be made to reset, hold up or leave half-open. */
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

export type ProxyMode =
  | { readonly kind: "open" }
  /** Each piece of what the server says waits so long, in ms; order stays. */
  | { readonly kind: "slow"; readonly delay: number }
  /** Connections stay, or come about, and nothing passes. */
  | { readonly kind: "stalled" }
  /** Who connects is reset. */
  | { readonly kind: "refusing" };

const port = 6444;

export class ApiProxy {
  /** For agents; the certificate is the API server's own. */
  readonly url: URL;
  readonly #upstream: URL;
  readonly #server: net.Server;
  readonly #pairs = new Set<readonly [net.Socket, net.Socket]>();
  readonly #dead = new WeakSet<net.Socket>();
  #mode: ProxyMode = { kind: "open" };
  #changed = Promise.withResolvers<void>();
  /** Connections that were relayed since the start. */
  connections = 0;

  constructor(upstream: URL) {
    this.#upstream = upstream;
    this.url = new URL(upstream);
    this.url.port = String(port);
    this.#server = net.createServer((client) => this.#relay(client));
  }

  start(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(port, "0.0.0.0", resolve);
    });
  }

  get open(): number {
    return this.#pairs.size;
  }

  set mode(mode: ProxyMode) {
    this.#mode = mode;
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  /** Every connection is reset, in both directions. */
  reset(): void {
    for (const pair of this.#pairs) for (const socket of pair) socket.resetAndDestroy();
  }

  /** Nothing passes any more on the connections that are there; new ones work. */
  stallOpen(): void {
    for (const pair of this.#pairs) for (const socket of pair) this.#dead.add(socket);
  }

  async close(): Promise<void> {
    this.mode = { kind: "refusing" };
    this.reset();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #relay(client: net.Socket): void {
    if (this.#mode.kind === "refusing") return void client.resetAndDestroy();
    this.connections++;
    const server = net.connect(Number(this.#upstream.port), this.#upstream.hostname);
    const pair = [client, server] as const;
    this.#pairs.add(pair);
    const end = (): void => {
      this.#pairs.delete(pair);
      for (const socket of pair) socket.destroy();
    };
    for (const socket of pair) socket.setNoDelay(true).on("error", end).on("close", end);
    void this.#pump(client, server, false).catch(end);
    void this.#pump(server, client, true).catch(end);
  }

  async #pump(from: net.Socket, to: net.Socket, isAnswer: boolean): Promise<void> {
    for await (const part of from) {
      while (this.#mode.kind === "stalled") await this.#changed.promise;
      if (this.#dead.has(from)) continue;
      if (isAnswer && this.#mode.kind === "slow") await sleep(this.#mode.delay);
      if (!to.write(part as Buffer)) await new Promise((resolve) => to.once("drain", resolve).once("close", resolve));
    }
    to.end();
  }
}
