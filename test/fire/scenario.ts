/**
 * A cluster that changes all the time. Pods called `calm` go through changes that leave every verdict on them as it was,
 * while the classes, sets and rules that the verdict comes from move; around `wild` ones verdicts change too.
 */
import { randomNumbers } from "../../bench/random.ts";
import type { Family } from "../../src/net/address.ts";
import { parseAddress } from "../../src/net/address.ts";
import { type Change, policyKey } from "../../src/policy/compile/plan.ts";
import { namespaceNameLabel } from "../../src/policy/model/labels.ts";
import {
  type ClusterPolicy,
  type NetworkPolicy,
  type NetworkPolicySpec,
  type Policy,
  policyRef,
} from "../../src/policy/model/policy.ts";
import { emptyWorld, type Namespace, type Pod, type World } from "../../src/policy/model/world.ts";
import { podNamed } from "../../src/policy/objects.arbitrary.ts";
import { allot } from "../../src/sandbox/allot.ts";

const fire = "fire";
const guests = "guests";
/** Pods: name, node, namespace. */
const places = [
  ["calm-0", "a", fire],
  ["calm-1", "a", fire],
  ["calm-2", "a", fire],
  ["wild-0", "a", fire],
  ["wild-1", "a", fire],
  ["guest-0", "a", guests],
  ["calm-3", "b", fire],
  ["calm-4", "b", fire],
  ["wild-2", "b", fire],
  ["guest-1", "b", guests],
] as const;

/** Addresses that are no pods and no nodes. */
export const outside = ["203.0.113.10", "203.0.113.140", "198.51.100.7", "2001:db8:1::10", "2001:db8:1:8000::10"];
export const ports = [4000, 4001, 4002, 4003, 4005, 4006];
export const nodes = ["a", "b"] as const;

type Role = "red" | "blue" | "green";

const label = (name: string, role: Role, extra = "none"): Pod["labels"] => ({
  role,
  mood: name.slice(0, name.indexOf("-")),
  extra,
});

function namespace(name: string, env: string): Namespace {
  return { name, labels: { [namespaceNameLabel]: name, env }, defined: true, source: null };
}

const policy = (name: string, spec: NetworkPolicySpec, where = fire): NetworkPolicy => ({
  kind: "NetworkPolicy",
  metadata: { name, namespace: where },
  spec,
  source: null,
});

const udp = (port: number, endPort?: number) => ({
  protocol: "UDP",
  port,
  ...(endPort === undefined ? {} : { endPort }),
});
const roles = (...values: readonly Role[]) => ({
  matchExpressions: [{ key: "role", operator: "In", values: [...values] }],
});
const friends = roles("red", "blue");
const block = (cidr: string, ...except: readonly string[]) => ({ ipBlock: { cidr, except: [...except] } });

/** Ways to write policies that say the same: who is red or blue lets in whoever is, on UDP 4000-4003. */
const letIn: readonly (readonly NetworkPolicy[])[] = [
  [policy("in", { podSelector: {}, ingress: [{ from: [{ podSelector: friends }], ports: [udp(4000, 4003)] }] })],
  [
    policy("in", {
      podSelector: {},
      ingress: [
        { from: [{ podSelector: roles("red") }], ports: [udp(4000, 4001), udp(4002, 4003)] },
        { from: [{ podSelector: roles("blue") }], ports: [udp(4000), udp(4001, 4003)] },
      ],
    }),
  ],
  [
    policy("in", { podSelector: {}, ingress: [{ from: [{ podSelector: roles("red") }], ports: [udp(4000, 4003)] }] }),
    policy("in-2", {
      podSelector: { matchExpressions: [{ key: "mood", operator: "Exists" }] },
      ingress: [{ from: [{ podSelector: roles("blue") }], ports: [udp(4000, 4002), udp(4003)] }],
    }),
  ],
];

/** To whom, the same three times: friends, the first network, one guest's namespace while it is in production. */
const letOut: readonly (readonly NetworkPolicy[])[] = [
  [
    policy("out", {
      podSelector: {},
      policyTypes: ["Egress"],
      egress: [
        { to: [{ podSelector: friends }], ports: [udp(4000, 4003)] },
        { to: [block("203.0.113.0/24"), block("2001:db8:1::/48")], ports: [udp(4000, 4002)] },
      ],
    }),
  ],
  [
    policy("out", {
      podSelector: {},
      policyTypes: ["Egress"],
      egress: [
        { to: [{ podSelector: roles("blue", "red") }], ports: [udp(4000), udp(4001), udp(4002), udp(4003)] },
        {
          to: [block("203.0.113.0/25"), block("203.0.113.128/25"), block("2001:db8:1::/49")],
          ports: [udp(4000, 4002)],
        },
        { to: [block("2001:db8:1:8000::/49", "2001:db8:1:ffff::/64")], ports: [udp(4000), udp(4001, 4002)] },
      ],
    }),
  ],
  [
    policy("out", {
      podSelector: {},
      policyTypes: ["Egress"],
      egress: [
        { to: [block("203.0.113.0/24", "203.0.113.192/26"), block("2001:db8:1::/48")], ports: [udp(4000, 4002)] },
      ],
    }),
    policy("out-2", {
      podSelector: friends,
      policyTypes: ["Egress"],
      egress: [{ to: [{ podSelector: friends }], ports: [udp(4000, 4003)] }],
    }),
    policy("out-3", {
      podSelector: roles("green"),
      policyTypes: ["Egress"],
      egress: [{ to: [{ podSelector: friends }], ports: [udp(4000, 4001), udp(4002, 4003)] }],
    }),
  ],
];

const admin = (name: string, priority: number, spec: Pick<ClusterPolicy["spec"], "subject" | "ingress" | "egress">) =>
  ({
    kind: "ClusterNetworkPolicy",
    metadata: { name, namespace: "" },
    spec: { tier: "Admin", priority, ...spec },
    source: null,
  }) satisfies ClusterPolicy;

const wild = { matchLabels: { mood: "wild" } };
const pods = (podSelector: object, namespaceSelector = {}) => ({ pods: { namespaceSelector, podSelector } });
const onUdp = (start: number, end: number) => [{ udp: { destinationPort: { range: { start, end } } } }];

/** Policies that come and go without changing what a calm pod may do. */
const sometimes: readonly Policy[] = [
  policy("again", {
    podSelector: roles("red"),
    ingress: [{ from: [{ podSelector: roles("blue") }], ports: [udp(4001)] }],
  }),
  policy("again-2", {
    podSelector: { matchLabels: { extra: "some" } },
    ingress: [{ from: [{ podSelector: { ...friends, matchLabels: { extra: "some" } } }], ports: [udp(4002, 4003)] }],
    egress: [{ to: [{ podSelector: { ...friends, matchLabels: { extra: "some" } } }], ports: [udp(4003)] }],
    policyTypes: ["Ingress", "Egress"],
  }),
  admin("pass", 5, {
    subject: pods(friends),
    ingress: [{ action: "Pass", from: [pods(friends)], protocols: onUdp(4000, 4002) }],
    egress: [{ action: "Pass", to: [pods(roles("blue"))], protocols: onUdp(4001, 4006) }],
  }),
  admin("no-green", 10, {
    subject: pods({ matchLabels: { mood: "calm" } }),
    ingress: [{ action: "Deny", from: [pods({ ...roles("green"), matchLabels: { mood: "wild" } })] }],
  }),
  // These change what wild pods may do.
  policy("extra", {
    podSelector: wild,
    ingress: [{ from: [{ podSelector: {} }], ports: [udp(4005)] }],
  }),
  policy("extra-out", {
    podSelector: wild,
    policyTypes: ["Egress"],
    egress: [{ to: [{ podSelector: wild }, block("198.51.100.0/24")], ports: [udp(4005, 4006)] }],
  }),
  policy("guests-in", {
    podSelector: wild,
    ingress: [{ from: [{ namespaceSelector: { matchLabels: { env: "production" } } }], ports: [udp(4000, 4006)] }],
  }),
  admin("open-wild", 20, {
    subject: pods(wild),
    ingress: [{ action: "Accept", from: [pods(wild)], protocols: onUdp(4006, 4006) }],
    egress: [{ action: "Accept", to: [pods(wild)], protocols: onUdp(4006, 4006) }],
  }),
  admin("shut-wild", 1, {
    subject: pods(wild),
    ingress: [{ action: "Deny", from: [pods(wild)], protocols: onUdp(4001, 4001) }],
  }),
];

/** The cluster before the first change. */
export function startWorld(): World {
  return allot({
    ...emptyWorld,
    nodes: nodes.map((name) => ({ name, labels: {}, ips: [], podCIDRs: [], source: null })),
    namespaces: [namespace(fire, "production"), namespace(guests, "production")],
    pods: places.map(
      ([name, node, where], i): Pod =>
        podNamed(name, { namespace: where, labels: label(name, i % 2 === 0 ? "red" : "blue"), node }),
    ),
    policies: [...letIn[0]!, ...letOut[0]!],
  }).world;
}

/** One flow, but for its source port. */
export interface FlowClass {
  readonly id: number;
  readonly family: Family;
  readonly source: string;
  readonly destination: string;
  readonly port: number;
}

/** Every pair of ends where some node judges, on one port each. */
export function flowClasses(world: World): FlowClass[] {
  const pods = world.pods.flatMap((pod) => pod.ips);
  const own = new Set(pods);
  const out: FlowClass[] = [];
  for (const source of [...pods, ...outside]) {
    const { family } = parseAddress(source)!;
    for (const destination of [...pods, ...outside]) {
      if (source === destination || parseAddress(destination)!.family !== family) continue;
      if (!own.has(source) && !own.has(destination)) continue;
      out.push({ id: out.length, family, source, destination, port: ports[(out.length * 7) % ports.length]! });
    }
  }
  return out;
}

/** An endless, seeded sequence of deltas. */
export class Changes {
  readonly #random: () => number;
  readonly #pods: Map<string, Pod>;
  readonly #gone = new Set<string>();
  readonly #there = new Set<string>();
  readonly #written = { in: letIn[0]!, out: letOut[0]! };
  readonly #env: Record<string, string> = { [fire]: "production", [guests]: "production" };

  constructor(world: World, seed: number) {
    this.#random = randomNumbers(seed);
    this.#pods = new Map(world.pods.map((pod) => [pod.name, pod]));
  }

  /** One to three changes that happen together. */
  next(): Change[] {
    return this.nextApart().flat();
  }

  /** As `next`, each of the changes by itself. */
  nextApart(): Change[][] {
    return Array.from({ length: 1 + this.#below(3) }, () => this.#change());
  }

  #below(n: number): number {
    return Math.floor(this.#random() * n);
  }

  #one<T>(all: readonly T[]): T {
    return all[this.#below(all.length)]!;
  }

  #change(): Change[] {
    switch (this.#below(8)) {
      case 0:
        return this.#write("in", this.#one(letIn));
      case 1:
        return this.#write("out", this.#one(letOut));
      case 2:
      case 3:
        return [this.#toggle(this.#one(sometimes))];
      case 4: {
        const name = this.#one([fire, guests]);
        this.#env[name] = this.#env[name] === "test" ? "production" : "test";
        return [{ op: "put", kind: "namespace", object: namespace(name, this.#env[name]!) }];
      }
      case 5: {
        const pod = this.#one([...this.#pods.values()].filter(({ name }) => !name.startsWith("calm")));
        const key = `${pod.namespace}/${pod.name}`;
        if (!this.#gone.delete(pod.name)) {
          this.#gone.add(pod.name);
          return [{ op: "remove", kind: "pod", key }];
        }
        return [{ op: "put", kind: "pod", object: pod }];
      }
      default:
        return [this.#relabel(this.#one([...this.#pods.values()]))];
    }
  }

  #relabel(pod: Pod): Change {
    const role = this.#one<Role>(pod.name.startsWith("calm") ? ["red", "blue"] : ["red", "blue", "green"]);
    const object = { ...pod, labels: label(pod.name, role, this.#one(["some", "none"])) };
    this.#pods.set(pod.name, object);
    this.#gone.delete(pod.name);
    return { op: "put", kind: "pod", object };
  }

  #toggle(object: Policy): Change {
    const key = policyKey(policyRef(object));
    if (this.#there.delete(key)) return { op: "remove", kind: "policy", key };
    this.#there.add(key);
    return { op: "put", kind: "policy", object };
  }

  #write(which: "in" | "out", policies: readonly NetworkPolicy[]): Change[] {
    const names = new Set(policies.map(({ metadata }) => metadata.name));
    const old = this.#written[which].filter(({ metadata }) => !names.has(metadata.name));
    this.#written[which] = policies;
    return [
      ...policies.map((object): Change => ({ op: "put", kind: "policy", object })),
      ...old.map((one): Change => ({ op: "remove", kind: "policy", key: policyKey(policyRef(one)) })),
    ];
  }
}
