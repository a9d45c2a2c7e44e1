/** Pods of the cluster as tests use them: started, found, and looked at from their own network. */
import { assetPath, images } from "./assets.ts";
import type { Cluster } from "./cluster.ts";
import type { ClusterNode } from "./node.ts";
import { RunError, run, until } from "./run.ts";
import { Traffic } from "./traffic.ts";

export interface PodPlan {
  readonly namespace: string;
  readonly name: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** Which node, by its index from 0; any when left out. */
  readonly node?: number;
  /** agnhost's arguments. Default: `netexec`, HTTP on 8080 and UDP on 8081. */
  readonly args?: readonly string[];
  readonly spec?: object;
}

/** A pod that runs agnhost: https://pkg.go.dev/k8s.io/kubernetes/test/images/agnhost */
export const agnhostPod = ({ namespace, name, labels = {}, node, args = ["netexec"], spec = {} }: PodPlan): object => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { namespace, name, labels },
  spec: {
    terminationGracePeriodSeconds: 0,
    ...(node !== undefined && { nodeName: `node${node + 1}` }),
    containers: [{ name: "agnhost", image: images.agnhost, args }],
    ...spec,
  },
});

interface PodObject {
  readonly metadata: { readonly namespace: string; readonly name: string; readonly uid: string };
  readonly spec: { readonly nodeName?: string };
  readonly status: {
    readonly podIPs?: readonly { readonly ip: string }[];
    readonly containerStatuses?: readonly { readonly containerID?: string }[];
  };
}

export type Outcome = "connected" | "refused" | "timeout";

/** A running pod. */
export class Pod {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly ips: readonly string[];
  readonly node: ClusterNode;
  /** Of its first container, as the host numbers it. */
  readonly pid: number;

  private constructor(object: PodObject, node: ClusterNode, pid: number) {
    const { namespace, name, uid } = object.metadata;
    this.namespace = namespace;
    this.name = name;
    this.uid = uid;
    this.ips = object.status.podIPs!.map(({ ip }) => ip);
    this.node = node;
    this.pid = pid;
  }

  static of(cluster: Cluster, object: PodObject): Pod | null {
    const node = cluster.nodes.find(({ name }) => name === object.spec.nodeName);
    const id = object.status.containerStatuses?.[0]?.containerID?.replace(/^containerd:\/\//, "");
    const pid = node === undefined || id === undefined ? null : node.processOf(id);
    return pid === null || object.status.podIPs === undefined ? null : new Pod(object, node!, pid);
  }

  get netns(): string {
    return `/proc/${this.pid}/ns/net`;
  }

  /** The address of that family. */
  ip(family: 4 | 6): string {
    const found = this.ips.find((ip) => ip.includes(":") === (family === 6));
    if (found === undefined) throw new Error(`pod ${this.namespace}/${this.name} has no IPv${family} address`);
    return found;
  }

  /** Opens a connection from the pod. */
  async connects(
    to: string,
    port: number,
    { protocol = "tcp", within = 1_000 }: ConnectOptions = {},
  ): Promise<Outcome> {
    return connects(this.netns, to, port, { protocol, within });
  }

  /** Requests over one connection, one after the other, until it is stopped. */
  traffic(to: string, port: number): Promise<Traffic> {
    return Traffic.start(this.netns, to, port);
  }
}

export interface ConnectOptions {
  readonly protocol?: "tcp" | "udp";
  /** ms */
  readonly within?: number;
}

/** Opens a connection from a network namespace: TCP, or UDP to a server that answers (agnhost `netexec`'s does). */
export async function connects(
  netns: string,
  to: string,
  port: number,
  { protocol = "tcp", within = 1_000 }: ConnectOptions = {},
): Promise<Outcome> {
  const target = to.includes(":") ? `[${to}]:${port}` : `${to}:${port}`;
  const command = [assetPath("agnhost"), "connect", target, `--timeout=${within}ms`, `--protocol=${protocol}`];
  try {
    await run("nsenter", [`--net=${netns}`, "--", ...command]);
    return "connected";
  } catch (error) {
    if (error instanceof RunError && error.stderr.includes("REFUSED")) return "refused";
    if (error instanceof RunError && error.stderr.includes("TIMEOUT")) return "timeout";
    throw error;
  }
}

/** Waits until these pods are ready. In the order asked for. */
export async function podsReady(cluster: Cluster, namespace: string, names: readonly string[]): Promise<Pod[]> {
  await cluster.kubectl(
    [
      "wait",
      "--for=condition=Ready",
      "--timeout=60s",
      `--namespace=${namespace}`,
      ...names.map((name) => `pod/${name}`),
    ],
    { within: 70_000 },
  );
  return Promise.all(names.map((name) => pod(cluster, namespace, name)));
}

/** Waits until a pod runs. */
export function pod(cluster: Cluster, namespace: string, name: string): Promise<Pod> {
  return until(`pod ${namespace}/${name}`, async () =>
    Pod.of(cluster, await cluster.get<PodObject>("pod", name, `--namespace=${namespace}`)),
  );
}

/** The running pods of a namespace, by label selector. */
export async function podsOf(cluster: Cluster, namespace: string, selector = ""): Promise<readonly Pod[]> {
  const list = await cluster.get<{ readonly items: readonly PodObject[] }>(
    "pods",
    `--namespace=${namespace}`,
    ...(selector === "" ? [] : [`--selector=${selector}`]),
  );
  return list.items.map((object) => Pod.of(cluster, object)).filter((one) => one !== null);
}

/** Makes a namespace, and waits until pods can be made in it. */
export async function makeNamespace(
  cluster: Cluster,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): Promise<void> {
  await cluster.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name, labels } });
  await until(`the service account of namespace ${name}`, () =>
    cluster.kubectl(["get", "serviceaccount", "default", `--namespace=${name}`]),
  );
}

export async function makePods(cluster: Cluster, ...plans: readonly PodPlan[]): Promise<Pod[]> {
  await cluster.apply(...plans.map(agnhostPod));
  const namespaces = [...new Set(plans.map(({ namespace }) => namespace))];
  const made = await Promise.all(
    namespaces.map((namespace) =>
      podsReady(
        cluster,
        namespace,
        plans.filter((plan) => plan.namespace === namespace).map(({ name }) => name),
      ),
    ),
  );
  return plans.map(
    ({ namespace, name }) => made.flat().find((one) => one.namespace === namespace && one.name === name)!,
  );
}
