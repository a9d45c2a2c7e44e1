/**
 * Changes without end that leave what pods may do to each other as it was: policies written in other ways that say the same, others
 * that allow what is allowed, labels that peers are chosen by, and pods and policies around them that come and go.
 */

import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { randomNumbers } from "../../bench/random.ts";
import type { Manifest } from "../../bench/worlds.ts";
import type { NetworkPolicySpec } from "../../src/policy/model/policy.ts";
import { nameOf } from "../light/api.ts";
import type { LightCluster } from "../light/cluster.ts";
import { podAddresses, runningStatus } from "../light/crowd.ts";
import { podManifest } from "../light/kubelet.ts";
import { storeObjects } from "../light/store.ts";

const tcpAndUdp = (first: number, last?: number) =>
  ["TCP", "UDP"].map((protocol) => ({ protocol, port: first, ...(last === undefined ? {} : { endPort: last }) }));
const app = (name: string) => ({ matchLabels: { app: name } });
const isApp = (...values: readonly string[]) => ({
  matchExpressions: [{ key: "app", operator: "In", values: [...values] }],
});

/** Ways to say the same of `db`; ports as in `stage.ts`. */
const dbSpecs: readonly NetworkPolicySpec[] = [
  {
    podSelector: app("db"),
    ingress: [{ from: [{ podSelector: app("web") }], ports: [...tcpAndUdp(8080), ...tcpAndUdp(8000, 8099)] }],
  },
  { podSelector: app("db"), ingress: [{ from: [{ podSelector: app("web") }], ports: tcpAndUdp(8000, 8099) }] },
  {
    podSelector: isApp("db"),
    ingress: [
      { from: [{ podSelector: { ...isApp("web"), matchLabels: { extra: "some" } } }], ports: tcpAndUdp(8000, 8099) },
      { from: [{ podSelector: isApp("web") }], ports: [...tcpAndUdp(8000, 8050), ...tcpAndUdp(8051, 8099)] },
    ],
  },
];

/** Policies that allow only what is allowed. */
const sometimes: Readonly<Record<string, NetworkPolicySpec>> = {
  "db-again": { podSelector: app("db"), ingress: [{ from: [{ podSelector: app("web") }], ports: tcpAndUdp(8080) }] },
  "db-extra": {
    podSelector: app("db"),
    ingress: [
      { from: [{ podSelector: { ...isApp("web"), matchLabels: { extra: "some" } } }], ports: tcpAndUdp(8000, 8020) },
    ],
  },
  "caged-again": { podSelector: isApp("caged", "cell"), policyTypes: ["Egress"] },
  "free-out": {
    podSelector: app("free"),
    policyTypes: ["Egress", "Ingress"],
    egress: [{}],
    ingress: [{}],
  },
  "web-out": { podSelector: app("web"), policyTypes: ["Egress"], egress: [{}] },
  "churn-in": {
    podSelector: app("churn"),
    policyTypes: ["Ingress", "Egress"],
    ingress: [{ from: [{ podSelector: isApp("web", "db") }] }],
    egress: [{ to: [{ podSelector: app("churn") }, { ipBlock: { cidr: "198.51.100.0/24" } }] }],
  },
};

/** Addresses of pods that are objects only; see `LightKubelet`. */
const firstSlot = 120;
const churning = 12;
/** Between two changes, in ms. */
const pause = 5;

export class Storm {
  readonly #cluster: Pick<LightCluster, "api" | "controlPlane">;
  readonly #namespace: string;
  readonly #random = randomNumbers(Date.now() % 1_000_000);
  readonly #there = new Set<string>();
  readonly #pods = new Set<number>();
  #running: Promise<void> | null = null;
  #isOn = false;
  /** Changes that the API server has answered. */
  changes = 0;

  constructor(cluster: Pick<LightCluster, "api" | "controlPlane">, namespace: string) {
    this.#cluster = cluster;
    this.#namespace = namespace;
  }

  start(): void {
    if (this.#running !== null) return;
    this.#isOn = true;
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#isOn = false;
    await this.#running;
    this.#running = null;
  }

  async #run(): Promise<void> {
    while (this.#isOn) {
      try {
        await this.#change();
        this.changes++;
        await sleep(pause); // the machine has others to serve
      } catch {
        // The API server is away, or did more than it could say: what is there is found out again.
        await this.#lookAgain().catch(() => new Promise((resolve) => setTimeout(resolve, 100)));
      }
    }
  }

  async #lookAgain(): Promise<void> {
    for (const name of Object.keys(sometimes)) {
      await this.#cluster.api.delete({ kind: "NetworkPolicy", namespace: this.#namespace, name });
      this.#there.delete(name);
    }
    for (const i of Array.from({ length: churning }, (_, n) => n)) {
      await this.#cluster.api.delete(nameOf(this.#pod(i)));
      this.#pods.delete(i);
    }
  }

  #below(n: number): number {
    return Math.floor(this.#random() * n);
  }

  /** Stored as a kubelet has it at last: with its addresses. */
  #pod(i: number): Manifest {
    const node = i % 2;
    const labels = { app: "churn", extra: this.#below(2) === 0 ? "some" : "none" };
    const pod = podManifest({ namespace: this.#namespace, name: `churn-${i}`, node, labels });
    const metadata = { ...(pod["metadata"] as Manifest), uid: randomUUID(), creationTimestamp: "2026-01-01T00:00:00Z" };
    // Two pods take turns at one address.
    return { ...pod, metadata, status: runningStatus(podAddresses(node, firstSlot + (i >> 2)), []) };
  }

  async #change(): Promise<void> {
    const { api, controlPlane } = this.#cluster;
    const namespace = this.#namespace;
    switch (this.#below(6)) {
      case 0: {
        const spec = dbSpecs[this.#below(dbSpecs.length)]!;
        await api.patch({ kind: "NetworkPolicy", namespace, name: "db" }, { spec } as unknown as Manifest);
        return;
      }
      case 1:
      case 2: {
        const name = Object.keys(sometimes)[this.#below(Object.keys(sometimes).length)]!;
        if (this.#there.has(name)) {
          await api.delete({ kind: "NetworkPolicy", namespace, name });
          this.#there.delete(name);
          return;
        }
        const metadata = { name, namespace };
        await api.create({
          apiVersion: "networking.k8s.io/v1",
          kind: "NetworkPolicy",
          metadata,
          spec: sometimes[name],
        });
        this.#there.add(name);
        return;
      }
      case 3: {
        const role = ["web", "db", "evil", "caged", "free"][this.#below(5)]!;
        const name = `${role}-${this.#below(2)}`;
        await api.patch(
          { kind: "Pod", namespace, name },
          { metadata: { labels: { extra: ["some", "none"][this.#below(2)] } } },
        );
        return;
      }
      default: {
        const i = this.#below(churning);
        const pod = this.#pod(i);
        if (this.#pods.has(i)) {
          await api.delete(nameOf(pod));
          this.#pods.delete(i);
          return;
        }
        this.#pods.add(i);
        await storeObjects(controlPlane.etcdUrl, [pod]);
      }
    }
  }
}
