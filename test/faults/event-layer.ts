/** A server between agents and API server that sends every event of a watch twice, each after a while, in their order. */
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdirSync, readFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import https from "node:https";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Connection } from "../../src/kube/connection.ts";
import { lines } from "../../src/kube/lines.ts";

const port = 6445;

export interface EventLayerOptions {
  readonly upstream: Connection;
  /** token and ca.crt of an account; a copy with this server's certificate is made in `folder`. */
  readonly serviceAccount: string;
  readonly folder: string;
  /** An event waits so long at most, in ms. */
  readonly delay: number;
}

export class EventLayer {
  /** For agents. */
  readonly url: URL;
  readonly serviceAccount: string;
  readonly #options: EventLayerOptions;
  readonly #server: https.Server;
  /** Events that were sent twice. */
  events = 0;

  constructor(options: EventLayerOptions) {
    const { folder, upstream } = options;
    this.#options = options;
    this.serviceAccount = join(folder, "event-layer");
    mkdirSync(this.serviceAccount, { recursive: true });
    const [key, cert] = [join(folder, "event-layer.key"), join(this.serviceAccount, "ca.crt")];
    const host = upstream.server.hostname;
    const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key];
    const names = ["-days", "2", "-subj", "/CN=events", "-addext", `subjectAltName=IP:${host}`];
    execFileSync("openssl", ["req", "-x509", ...newKey, "-out", cert, ...names], { stdio: "ignore" });
    copyFileSync(join(options.serviceAccount, "token"), join(this.serviceAccount, "token"));
    this.url = new URL(`https://${host}:${port}`);
    this.#server = https.createServer({ key: readFileSync(key), cert: readFileSync(cert) }, (request, response) => {
      this.#pass(request, response).catch(() => response.destroy());
      response.once("error", () => undefined);
    });
  }

  start(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(port, "0.0.0.0", resolve);
    });
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #pass(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { upstream, delay } = this.#options;
    const settings = await upstream.tls();
    const asked = https.request(new URL(request.url ?? "/", upstream.server), {
      method: request.method,
      headers: { ...request.headers, host: upstream.server.host },
      ca: settings?.ca ?? undefined,
    });
    response.once("close", () => asked.destroy());
    request.pipe(asked);
    const [answer] = (await once(asked, "response")) as [IncomingMessage];
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    response.flushHeaders();
    if (!/[?&]watch=(true|1)/.test(request.url ?? "") || answer.statusCode !== 200) {
      answer.pipe(response);
      return;
    }
    for await (const some of lines(answer)) {
      for (const line of some) {
        const text = `${line.toString()}\n`;
        if (text.includes('"type":"BOOKMARK"')) response.write(text);
        else {
          this.events++;
          response.write(text);
          if (delay > 0) await sleep(Math.random() * delay);
          response.write(text);
        }
      }
    }
    response.end();
  }
}
