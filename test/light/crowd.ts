/**
 * A cluster of many objects, as an API server has them stored: of the size that real ones have, with the fields that the
 * server, the scheduler and kubelets fill in. Equal sizes and seeds give equal crowds.
 */
import { randomNumbers } from "../../bench/random.ts";
import { appManifests, type Manifest } from "../../bench/worlds.ts";

export interface CrowdSize {
  readonly nodes: number;
  readonly pods: number;
  /** Deployments too: each has one policy, and its share of the pods. */
  readonly policies: number;
}

export interface Crowd {
  readonly nodes: readonly Manifest[];
  readonly namespaces: readonly Manifest[];
  readonly policies: readonly Manifest[];
  /** Made one by one: a hundred thousand of them are half a gigabyte of text. */
  pods(): Generator<Manifest>;
}

interface Deployment {
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly spec: {
    readonly template: {
      readonly metadata: { readonly labels: Readonly<Record<string, string>> };
      readonly spec: { readonly containers: readonly Manifest[] };
    };
  };
}

const time = "2026-01-01T00:00:00Z";
/** Addresses of a node's pods; the first are its own, the next are for pods that are more than objects. */
const firstPodAddress = 100;

export const nodeName = (i: number): string => `node-${i}`;

/** Of node `i`: a /24 and a /64. */
export const podCIDRs = (i: number): string[] => [
  `10.${64 + (i >> 8)}.${i & 255}.0/24`,
  `fd00:10:64:${i.toString(16)}::/64`,
];

/** Address `k` of node `i`, of each family. @param k 1 to 254 */
export const podAddresses = (i: number, k: number): string[] => [
  `10.${64 + (i >> 8)}.${i & 255}.${k}`,
  `fd00:10:64:${i.toString(16)}::${k.toString(16)}`,
];

export const nodeAddresses = (i: number): string[] => [
  `172.18.${(i + 1) >> 8}.${(i + 1) & 255}`,
  `fd00:172:18::${(i + 1).toString(16)}`,
];

/** @example crowd({ nodes: 100, pods: 10_000, policies: 1000 }) */
export function crowd(size: CrowdSize, seed = 1): Crowd {
  const random = randomNumbers(seed);
  const manifests = size.policies === 0 ? [] : appManifests(size.policies, seed);
  const ofKind = (kind: string): Manifest[] => manifests.filter((one) => one["kind"] === kind);
  const stored = (object: Manifest): Manifest => ({
    ...object,
    metadata: { ...(object["metadata"] as Manifest), ...identity(random) },
  });
  return {
    nodes: Array.from({ length: size.nodes }, (_, i) => stored(nodeManifest(i))),
    namespaces: ofKind("Namespace").map((one) => stored(namespaceManifest(one))),
    policies: ofKind("NetworkPolicy").map(stored),
    pods: () => pods(ofKind("Deployment") as unknown as Deployment[], size, randomNumbers(seed + 1)),
  };
}

function* pods(deployments: readonly Deployment[], size: CrowdSize, random: () => number): Generator<Manifest> {
  if (deployments.length === 0) return;
  const hashes = deployments.map(() => letters(random, 10));
  const next = new Uint16Array(size.nodes).fill(firstPodAddress);
  for (let i = 0; i < size.pods; i++) {
    const at = i % deployments.length;
    const replica = Math.floor(i / deployments.length);
    const node = (at + 37 * replica) % size.nodes; // replicas spread over the nodes
    yield podManifest(deployments[at]!, hashes[at]!, node, next[node]!++, random);
  }
}

const consonants = "bcdfghjklmnpqrstvwxz2456789";
const letters = (random: () => number, n: number): string =>
  Array.from({ length: n }, () => consonants[Math.floor(random() * consonants.length)]).join("");

function uid(random: () => number): string {
  const hex = Array.from({ length: 4 }, () =>
    Math.floor(random() * 2 ** 32)
      .toString(16)
      .padStart(8, "0"),
  ).join("");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20)}`;
}

const identity = (random: () => number) => ({ uid: uid(random), creationTimestamp: time, generation: 1 });

function namespaceManifest(namespace: Manifest): Manifest {
  const { name, labels } = namespace["metadata"] as { readonly name: string; readonly labels: Manifest };
  return {
    ...namespace,
    metadata: { name, labels: { "kubernetes.io/metadata.name": name, ...labels } },
    spec: { finalizers: ["kubernetes"] },
    status: { phase: "Active" },
  };
}

/** A node that is ready, with its addresses and the networks of its pods. */
export function nodeManifest(i: number): Manifest {
  const name = nodeName(i);
  const [podCIDR] = podCIDRs(i);
  const resources = { cpu: "16", memory: "64Gi", pods: "256" };
  const addresses = nodeAddresses(i).map((address) => ({ type: "InternalIP", address }));
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: {
      name,
      labels: {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "topology.kubernetes.io/zone": `zone-${i % 3}`,
      },
    },
    spec: { podCIDR, podCIDRs: podCIDRs(i) },
    status: {
      capacity: resources,
      allocatable: resources,
      addresses: [...addresses, { type: "Hostname", address: name }],
      conditions: [{ ...condition("Ready"), lastHeartbeatTime: time, reason: "KubeletReady" }],
    },
  };
}

const condition = (type: string) => ({ type, status: "True", lastTransitionTime: time });

const podConditions = ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"].map(
  condition,
);

/** What a kubelet reports of a pod that runs. */
export const runningStatus = (ips: readonly string[], hostIPs: readonly string[]): Manifest => ({
  phase: "Running",
  conditions: podConditions,
  hostIP: hostIPs[0],
  hostIPs: hostIPs.map((ip) => ({ ip })),
  podIP: ips[0],
  podIPs: ips.map((ip) => ({ ip })),
  startTime: time,
  qosClass: "BestEffort",
});

const tolerations = ["not-ready", "unreachable"].map((reason) => ({
  key: `node.kubernetes.io/${reason}`,
  operator: "Exists",
  effect: "NoExecute",
  tolerationSeconds: 300,
}));

const tokenVolume = {
  name: "kube-api-access",
  projected: {
    defaultMode: 420,
    sources: [
      { serviceAccountToken: { expirationSeconds: 3607, path: "token" } },
      { configMap: { name: "kube-root-ca.crt", items: [{ key: "ca.crt", path: "ca.crt" }] } },
      {
        downwardAPI: {
          items: [{ path: "namespace", fieldRef: { apiVersion: "v1", fieldPath: "metadata.namespace" } }],
        },
      },
    ],
  },
};

/** Who wrote which field: a third of what a pod takes in storage. */
const managedFields = [
  {
    manager: "kube-controller-manager",
    operation: "Update",
    apiVersion: "v1",
    time,
    fieldsType: "FieldsV1",
    fieldsV1: {
      "f:metadata": {
        "f:generateName": {},
        "f:labels": { ".": {}, "f:app": {}, "f:tier": {} },
        "f:ownerReferences": {},
      },
      "f:spec": {
        "f:containers": {
          'k:{"name":"main"}': { ".": {}, "f:image": {}, "f:name": {}, "f:ports": {}, "f:resources": {} },
        },
        "f:dnsPolicy": {},
        "f:restartPolicy": {},
        "f:schedulerName": {},
        "f:securityContext": {},
        "f:terminationGracePeriodSeconds": {},
      },
    },
  },
  {
    manager: "kubelet",
    operation: "Update",
    apiVersion: "v1",
    time,
    fieldsType: "FieldsV1",
    subresource: "status",
    fieldsV1: {
      "f:status": {
        "f:conditions": Object.fromEntries(
          podConditions.map(({ type }) => [
            `k:{"type":"${type}"}`,
            { ".": {}, "f:lastTransitionTime": {}, "f:status": {}, "f:type": {} },
          ]),
        ),
        "f:containerStatuses": {},
        "f:hostIP": {},
        "f:hostIPs": {},
        "f:phase": {},
        "f:podIP": {},
        "f:podIPs": {},
        "f:startTime": {},
      },
    },
  },
];

function podManifest(deployment: Deployment, hash: string, node: number, k: number, random: () => number): Manifest {
  const { metadata, spec } = deployment;
  const { labels } = spec.template.metadata;
  const container = spec.template.spec.containers[0]!;
  const owner = `${metadata.name}-${hash}`;
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: `${owner}-${letters(random, 5)}`,
      generateName: `${owner}-`,
      namespace: metadata.namespace,
      ...identity(random),
      labels: { ...labels, "pod-template-hash": hash },
      ownerReferences: [
        {
          apiVersion: "apps/v1",
          kind: "ReplicaSet",
          name: owner,
          uid: uid(random),
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
      managedFields,
    },
    spec: {
      volumes: [tokenVolume],
      containers: [
        {
          ...container,
          env: [{ name: "POD_IP", valueFrom: { fieldRef: { apiVersion: "v1", fieldPath: "status.podIP" } } }],
          resources: {},
          volumeMounts: [
            { name: tokenVolume.name, readOnly: true, mountPath: "/var/run/secrets/kubernetes.io/serviceaccount" },
          ],
          terminationMessagePath: "/dev/termination-log",
          terminationMessagePolicy: "File",
          imagePullPolicy: "IfNotPresent",
        },
      ],
      restartPolicy: "Always",
      terminationGracePeriodSeconds: 0,
      dnsPolicy: "ClusterFirst",
      serviceAccountName: "default",
      nodeName: nodeName(node),
      securityContext: {},
      schedulerName: "default-scheduler",
      tolerations,
      priority: 0,
      enableServiceLinks: true,
      preemptionPolicy: "PreemptLowerPriority",
    },
    status: {
      ...runningStatus(podAddresses(node, k), nodeAddresses(node)),
      containerStatuses: [
        {
          name: "main",
          state: { running: { startedAt: time } },
          lastState: {},
          ready: true,
          started: true,
          restartCount: 0,
          image: container["image"],
          imageID: `${String(container["image"])}@sha256:${"0123456789abcdef".repeat(4)}`,
          containerID: `containerd://${"fedcba9876543210".repeat(4)}`,
        },
      ],
    },
  };
}
