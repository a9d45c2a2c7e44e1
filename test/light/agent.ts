/** The agent as it runs in production: a process of its own in a node's network. */
import http from "node:http";
import net from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { addressBytes, socketAddress } from "../../src/netns/bytes.ts";
import { AF_INET, close, connect, SOCK_STREAM, socket } from "../../src/netns/libc.ts";
import type { Namespace } from "../../src/netns/namespace.ts";
import { Program, type Usage } from "./program.ts";

export interface AgentArguments {
  /** The Node's name. */
  readonly node: string;
  readonly netns: Pick<Namespace, "fd" | "run">;
  /** Of the API server, as pods get it from their environment. */
  readonly server: URL;
  /** What a kubelet mounts into pods: token and ca.crt. */
  readonly serviceAccount: string;
  /** For its log. */
  readonly folder: string;
  /** What runs, up to the script. Default: the checkout's sources. */
  readonly command?: readonly string[];
  /** More flags. */
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

const root = new URL("../..", import.meta.url).pathname;
const healthPort = 9650;

/** `sh -c`: the service account where pods have it, in a mount namespace of its own; then the program. */
const inPod =
  'mount -t tmpfs run /run && mkdir -p /run/secrets/kubernetes.io && ln -s "$0" /run/secrets/kubernetes.io/serviceaccount && exec "$@"';

export class LightAgent {
  readonly program: Program;
  readonly #netns: AgentArguments["netns"];

  constructor({ node, netns, server, serviceAccount, folder, command, args = [], env = {} }: AgentArguments) {
    this.#netns = netns;
    const program = [...(command ?? [join(root, "bulkhead")]), "agent", "--node-name", node, ...args];
    this.program = new Program(
      `agent of ${node}`,
      ["unshare", "--mount", "--", "sh", "-c", inPod, serviceAccount, ...program],
      {
        log: join(folder, `agent-${node}.log`),
        netns: netns.fd,
        env: { KUBERNETES_SERVICE_HOST: server.hostname, KUBERNETES_SERVICE_PORT: server.port, ...env },
      },
    );
  }

  /** Resolves when /readyz says so. @throws Error with what it says, after `patience` ms */
  async ready(patience = 60_000): Promise<void> {
    const deadline = performance.now() + patience;
    for (;;) {
      const answer = await this.get("/readyz?verbose");
      if (answer?.status === 200) return;
      if (this.program.pid === null) throw new Error(`${this.program.name} ended: ${this.program.tail()}`);
      if (performance.now() > deadline)
        throw new Error(`${this.program.name} is not ready: ${answer?.text ?? this.program.tail()}`);
      await sleep(20);
    }
  }

  /** null when nobody answers. */
  get(path: string): Promise<{ readonly status: number; readonly text: string } | null> {
    return new Promise((resolve) => {
      const socket = this.#connect();
      if (socket === null) return resolve(null);
      const request = http.get({ path, headers: { host: "agent" }, createConnection: () => socket });
      request.setTimeout(5000, () => request.destroy());
      request.once("error", () => resolve(null));
      request.once("response", (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (part: string) => {
          text += part;
        });
        response.once("end", () => resolve({ status: response.statusCode ?? 0, text }));
      });
    });
  }

  /** A connection over the node's loopback, which is there when the call returns; null: refused. */
  #connect(): net.Socket | null {
    const fd = this.#netns.run<number>(() => socket(AF_INET, SOCK_STREAM, 0));
    try {
      connect(fd, socketAddress(addressBytes("127.0.0.1"), healthPort));
      return new net.Socket({ fd, readable: true, writable: true });
    } catch {
      close(fd);
      return null;
    }
  }

  usage(): Usage {
    return this.program.usage();
  }
}
