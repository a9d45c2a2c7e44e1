/**
 * Two layouts of one node's rules, measured in the real kernel: run as root, or under `unshare -Urn`.
 *
 *   node bench/nftables-layouts.ts
 *
 * (a) a set of peer address . protocol . port for each subject class, and a rule for each set;
 * (b) address → peer class in one map, then class . peer class → port table (what the product writes).
 *
 * The node is node-0 of the 13,678-policy profile. Times are medians, per packet the least of several rounds.
 */

import { formatAddress } from "../src/net/address.ts";
import { socketAddress } from "../src/netns/bytes.ts";
import { sendTo } from "../src/netns/libc.ts";
import { udpSocket } from "../src/netns/sockets.ts";
import { Desired } from "../src/nftables/desired.ts";
import { Drops } from "../src/nftables/drops.ts";
import { Enforcer } from "../src/nftables/enforcer.ts";
import { allow, elementsOf } from "../src/nftables/port-table.ts";
import { openRunner, type Runner } from "../src/nftables/runner.ts";
import { type KernelState, nobody } from "../src/nftables/state.ts";
import { compile } from "../src/policy/compile/live-plan.ts";
import type { NetworkPolicy } from "../src/policy/model/policy.ts";
import { directions } from "../src/policy/model/verdict.ts";
import { namespacedName, type Pod } from "../src/policy/model/world.ts";
import { Topology } from "../src/sandbox/topology.ts";
import { profileWorld } from "./profile.ts";

const node = "node-0";
const table = "inet peerports";

const median = (values: readonly number[]): number => [...values].sort((x, y) => x - y)[values.length >> 1]!;
/** Median, and the least: what is left of it on a busy machine. */
const spread = (values: readonly number[]): string =>
  `${median(values).toFixed(1)} (${Math.min(...values).toFixed(1)})`;
const milliseconds = async (work: () => Promise<unknown>): Promise<number> => {
  const start = performance.now();
  await work();
  return performance.now() - start;
};

const protocolName = { TCP: "tcp", UDP: "udp", SCTP: "sctp" } as const;

/** Layout (a) of what layout (b)'s goal says: for each subject class the addresses and ports that it allows. */
class PeerPorts {
  readonly #goal: KernelState;
  readonly #addresses = { egress: new Map<string, string[]>(), ingress: new Map<string, string[]>() };

  constructor(goal: KernelState) {
    this.#goal = goal;
    for (const direction of directions) {
      const put = (peer: string, address: string): void => {
        const list = this.#addresses[direction].get(peer);
        if (list === undefined) this.#addresses[direction].set(peer, [address]);
        else list.push(address);
      };
      for (const [address, peer] of goal[direction].exact) put(peer, address);
      for (const { start, end, peer } of goal[direction].nets.IPv4) {
        put(peer, [start, end].map((value) => formatAddress({ family: "IPv4", value })).join("-"));
      }
    }
  }

  /** What a subject class's sets hold for one peer class, by set. */
  *elements(direction: "egress" | "ingress", key: string, addresses: readonly string[]): Generator<[string, string]> {
    const { ports, ranges, protocols, rest } = elementsOf(this.#goal[direction].tables.get(key)!);
    for (const address of addresses) {
      const kind = address.includes("-") ? "net" : "pod";
      for (const p of ports) {
        if (p.answer === allow)
          yield [
            `${kind}_${kind === "net" ? "range" : "port"}`,
            `${address} . ${protocolName[p.protocol]} . ${p.port}`,
          ];
      }
      for (const p of ranges) {
        if (p.answer === allow) {
          yield [`${kind}_range`, `${address} . ${protocolName[p.protocol]} . ${p.start}-${p.end}`];
        }
      }
      for (const p of protocols) {
        if (p.answer === allow) yield [`${kind}_range`, `${address} . ${protocolName[p.protocol]} . 0-65535`];
      }
      if (rest === allow) yield [`${kind}_range`, `${address} . 0-255 . 0-65535`];
    }
  }

  /** Sets and chain of one subject class. */
  subject(direction: "egress" | "ingress", subject: string, name: string): { text: string; elements: number } {
    const end = direction === "egress" ? "ct reply ip saddr" : "ct original ip saddr";
    const port = `meta l4proto { tcp, udp, sctp } ${end} . meta l4proto . ct reply proto-src`;
    const sets = new Map<string, Set<string>>([
      ["pod_port", new Set()],
      ["pod_range", new Set()],
      ["net_range", new Set()],
    ]);
    for (const [peer, key] of this.#goal[direction].subjects.get(subject)!) {
      if (peer === nobody) continue;
      for (const [set, element] of this.elements(direction, key, this.#addresses[direction].get(peer) ?? [])) {
        sets.get(set)!.add(element);
      }
    }
    const lines = [`table ${table} {`];
    for (const set of sets.keys()) {
      const flags = set === "pod_port" ? "" : "; flags interval";
      lines.push(`set ${name}_${set} { type ipv4_addr . inet_proto . inet_service${flags}\n }`);
    }
    lines.push(`chain ${name} {`);
    for (const set of sets.keys()) {
      lines.push(`${port} @${name}_${set} ${direction === "egress" ? "goto admit" : "goto pass"}`);
    }
    lines.push("counter drop", "}", "}");
    let elements = 0;
    for (const [set, all] of sets) {
      elements += all.size;
      if (all.size > 0) lines.push(`add element ${table} ${name}_${set} { ${[...all].join(", ")} }`);
    }
    return { text: `${lines.join("\n")}\n`, elements };
  }

  /** Everything as a script, and the number of elements. */
  script(): { text: string; elements: number } {
    let elements = 0;
    const map = (name: string) => `map ${name} { type ipv4_addr : verdict\n }`;
    const lines = [
      `table ${table} {`,
      map("egress_pods"),
      map("ingress_pods"),
      "chain pass {\nct mark set 1 accept\n}",
      "chain admit {\nct reply ip saddr vmap @ingress_pods\ngoto pass\n}",
      "chain judge {\nct original ip saddr vmap @egress_pods\nct reply ip saddr vmap @ingress_pods\naccept\n}",
      "chain base {\ntype filter hook forward priority -5; policy accept;",
      "ct state new,established ct mark 1 accept\njump judge\ndrop\n}",
      "}",
    ];
    for (const direction of directions) {
      for (const subject of this.#goal[direction].subjects.keys()) {
        const own = this.subject(direction, subject, `${direction[0]}_${subject}`);
        lines.push(own.text);
        elements += own.elements;
      }
      for (const [address, subject] of this.#goal[direction].dispatch) {
        lines.push(`add element ${table} ${direction}_pods { ${address} : goto ${direction[0]}_${subject} }`);
      }
    }
    return { text: `${lines.join("\n")}\n`, elements };
  }

  /** Scripts that put another class in the place of a pod's, as a changed policy does. */
  policy(address: string): string[] {
    const subject = this.#goal.ingress.dispatch.get(address)!;
    const [old, name] = [`i_${subject}`, `n_${subject}`];
    const pods = [...this.#goal.ingress.dispatch].filter(([, one]) => one === subject).map(([one]) => one);
    return [
      this.subject("ingress", subject, name).text,
      pods
        .map(
          (one) =>
            `delete element ${table} ingress_pods { ${one} }\nadd element ${table} ingress_pods { ${one} : goto ${name} }\n`,
        )
        .join(""),
      [`chain ${table} ${old}`, ...["pod_port", "pod_range", "net_range"].map((set) => `set ${table} ${old}_${set}`)]
        .map((one) => `delete ${one}\n`)
        .join(""),
    ];
  }

  /** Scripts that remove and add one address. */
  event(address: string): { remove: string; add: string; elements: number } {
    const remove: string[] = [];
    const add: string[] = [];
    for (const direction of directions) {
      const peer = this.#goal[direction].exact.get(address);
      if (peer === undefined) continue;
      for (const [subject, pairs] of this.#goal[direction].subjects) {
        const key = pairs.get(peer);
        if (key === undefined) continue;
        for (const [set, element] of this.elements(direction, key, [address])) {
          const place = `element ${table} ${direction[0]}_${subject}_${set} { ${element} }`;
          remove.push(`delete ${place}`);
          add.push(`add ${place}`);
        }
      }
    }
    return { remove: `${remove.join("\n")}\n`, add: `${add.join("\n")}\n`, elements: add.length };
  }
}

const world = profileWorld();
const plan = compile(world);
const desired = new Desired(node, new Drops());
desired.load(plan);

// A pair of this node's pods that may talk on some UDP port, both ruled: the first packet makes every lookup.
const locals = world.pods.filter((pod) => pod.node === node);
const { source, open, shut } = findPair();
const topology = Topology.build({
  ...world,
  nodes: world.nodes.filter(({ name }) => name === node).map((one) => ({ ...one, ips: ["172.18.0.11"] })),
  pods: [source, open, shut].filter((pod, i, all) => all.indexOf(pod) === i),
});
const runner = await openRunner({ netns: topology.node(node).fd });

function findPair(): { source: Pod; open: Pod; shut: Pod } {
  const { egress, ingress } = desired.goal;
  const answer = (from: Pod, to: Pod, port: number): boolean => {
    const judged = (state: KernelState["egress"], subject: Pod, peer: Pod): boolean => {
      const own = state.subjects.get(state.dispatch.get(subject.ips[0]!)!)!;
      const key = own.get(state.exact.get(peer.ips[0]!) ?? nobody) ?? own.get(nobody)!;
      const pieces = state.tables.get(key)!.pieces;
      return pieces.some((p) => p.protocol === "UDP" && p.start <= port && port <= p.end && p.answer === allow);
    };
    return judged(egress, from, to) && judged(ingress, to, from);
  };
  const ruled = locals.filter((pod) => egress.dispatch.has(pod.ips[0]!) && ingress.dispatch.has(pod.ips[0]!));
  for (const from of ruled) {
    const allowed = ruled.find((to) => to !== from && answer(from, to, 4000));
    const denied = ruled.find((to) => to !== from && !answer(from, to, 4000));
    if (allowed !== undefined && denied !== undefined) return { source: from, open: allowed, shut: denied };
  }
  throw new Error("no two pods of this node may talk");
}

const atOnce = 100;

/** Least ns a packet of many short rounds: a veth's receiving end runs in the sender's system call. */
function flood(to: Pod, rounds: number, packets: (i: number) => number): number {
  const seat = topology.podSeat(namespacedName(source), source.ips[0]!);
  const target = topology.podSeat(namespacedName(to), to.ips[0]!).address;
  const socket = udpSocket(seat, 0);
  const data = new Uint8Array(32);
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < rounds; round++) {
    const addresses = Array.from({ length: atOnce }, (_, i) => socketAddress(target, packets(round * atOnce + i)));
    const start = process.hrtime.bigint();
    for (const address of addresses) sendTo(socket, data, address);
    least = Math.min(least, Number(process.hrtime.bigint() - start) / atOnce);
  }
  return Math.round(least);
}

const packets = () => ({
  established: flood(open, 500, () => 4000),
  first: flood(open, 60, (i) => 10000 + i),
  denied: flood(shut, 500, () => 4000),
});

const remote = [...desired.goal.ingress.exact.keys()]
  .map((address) => plan.endAt(address))
  .flatMap((end) => (end?.kind === "pod" && end.pod.node !== node ? [end.pod] : []));
const events = Array.from({ length: 20 }, (_, i) => remote[Math.floor((i * remote.length) / 20)]!);

/** A policy that opens one more port of some of this node's pods to other pods. */
const policy = (i: number): NetworkPolicy => ({
  kind: "NetworkPolicy",
  metadata: { namespace: locals[i * 5]!.namespace, name: "bench" },
  spec: {
    podSelector: { matchLabels: { app: locals[i * 5]!.labels["app"]! } },
    ingress: [{ from: [{ podSelector: {} }], ports: [{ port: 4000 + i }] }],
  },
  source: null,
});

async function peerPorts(own: Runner): Promise<object> {
  const layout = new PeerPorts(desired.goal);
  const { text, elements } = layout.script();
  const load = await milliseconds(() => own.run(text));
  const pods: number[] = [];
  const touched: number[] = [];
  for (const pod of events) {
    const event = layout.event(pod.ips[0]!);
    touched.push(event.elements);
    pods.push(await milliseconds(() => own.run(event.remove)), await milliseconds(() => own.run(event.add)));
  }
  const cost = packets();
  const policies: number[] = [];
  for (const pod of new Map(locals.map((one) => [desired.goal.ingress.dispatch.get(one.ips[0]!), one])).values()) {
    if (!desired.goal.ingress.dispatch.has(pod.ips[0]!) || policies.length === 20) continue;
    policies.push(
      await milliseconds(async () => {
        for (const script of layout.policy(pod.ips[0]!)) await own.run(script);
      }),
    );
  }
  const result = {
    elements,
    load: Math.round(load),
    pod: spread(pods),
    policy: spread(policies),
    "elements/pod": `${median(touched)}, at most ${Math.max(...touched)}`,
  };
  await own.run(`delete table ${table}\n`);
  return { ...result, ...cost };
}

async function classes(own: Runner): Promise<object> {
  let enforcer!: Enforcer;
  const load = await milliseconds(async () => {
    enforcer = await Enforcer.start(plan, { node, runner: own });
  });
  const pods: number[] = [];
  for (const pod of events) {
    for (const change of [
      { op: "remove", kind: "pod", key: namespacedName(pod) },
      { op: "put", kind: "pod", object: pod },
    ] as const) {
      pods.push(await milliseconds(() => enforcer.apply(plan, plan.apply([change]))));
    }
  }
  const policies: number[] = [];
  for (let i = 0; i < 10; i++) {
    const object = policy(i);
    const key = `NetworkPolicy/${object.metadata.namespace}/bench`;
    for (const change of [
      { op: "put", kind: "policy", object },
      { op: "remove", kind: "policy", key },
    ] as const) {
      policies.push(await milliseconds(() => enforcer.apply(plan, plan.apply([change]))));
    }
  }
  const count = directions.reduce((sum, direction) => {
    const { exact, nets, dispatch, peers, subjects, tables } = desired.goal[direction];
    const pairs = [...subjects.values()].reduce((n, own) => n + own.size, 0);
    const ports = [...tables.values()].reduce((n, one) => {
      const elements = elementsOf(one);
      return n + elements.ports.length + elements.ranges.length + elements.protocols.length + 1;
    }, 0);
    return sum + exact.size + nets.IPv4.length + dispatch.size + peers.size + pairs + ports;
  }, 0);
  const cost = packets();
  await enforcer.remove();
  return {
    elements: count,
    load: Math.round(load),
    pod: spread(pods),
    policy: spread(policies),
    "elements/pod": "1 a direction",
    ...cost,
  };
}

const conntrackOnly = async (own: Runner): Promise<object> => {
  await own.run(
    `table ${table} {\nchain base {\ntype filter hook forward priority -5; policy accept;\nct state established accept\n}\n}\n`,
  );
  const cost = packets();
  await own.run(`delete table ${table}\n`);
  return cost;
};

try {
  console.table({
    "conntrack only": await conntrackOnly(runner),
    "(a) peer . port sets a class": await peerPorts(runner),
    "(b) class maps": await classes(runner),
  });
  console.log(
    "ms, median (least); established, first, denied: least ns for one packet, the sender's system call included",
  );
} finally {
  await runner.close();
  topology.close();
}
