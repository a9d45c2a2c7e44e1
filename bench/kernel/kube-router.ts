/**
 * The rules of one node as kube-router 2.x lays them out for iptables and ipset (pkg/controllers/netpol of
 * github.com/cloudnativelabs/kube-router): for each local pod jumps from the top chains, in a pod's chain a jump to each of
 * its policies' chains, and in those a rule for each pair of peers' and subjects' sets. Whatever changes, all of it is
 * written anew. IPv4, and NetworkPolicy with pod selectors, ipBlocks without `except` and port numbers.
 */
import { createHash } from "node:crypto";
import { parseAddress } from "../../src/net/address.ts";
import type { LabelSelector } from "../../src/policy/model/labels.ts";
import type { NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort } from "../../src/policy/model/policy.ts";
import { namespacedName, type Pod, type World } from "../../src/policy/model/world.ts";
import { compileSelector } from "../../src/policy/select/selector.ts";

export interface KubeRouterRules {
  /** For `ipset restore`. */
  readonly sets: string;
  /** For `iptables-restore`. */
  readonly rules: string;
  readonly setCount: number;
  readonly elementCount: number;
  readonly ruleCount: number;
}

const accepted = "0x10000/0x10000";
const done = "0x20000/0x20000";

const hash = (text: string): string =>
  createHash("sha256").update(text).digest("base64").replace(/[+/=]/g, "").toUpperCase().slice(0, 16);
const ipv4 = (pod: Pod): string => pod.ips.find((ip) => parseAddress(ip)?.family === "IPv4")!;

class Layout {
  readonly #pods: readonly Pod[];
  readonly #selected = new Map<string, readonly Pod[]>();
  readonly sets: string[] = [];
  readonly rules: string[] = [];
  readonly chains: string[] = [];
  setCount = 0;
  elementCount = 0;

  constructor(pods: readonly Pod[]) {
    this.#pods = pods;
  }

  select(namespace: string, selector: LabelSelector): readonly Pod[] {
    const matcher = compileSelector(selector)!;
    const key = `${namespace} ${matcher.key}`;
    let found = this.#selected.get(key);
    if (found === undefined) {
      found = this.#pods.filter((pod) => pod.namespace === namespace && matcher.matches(pod.labels));
      this.#selected.set(key, found);
    }
    return found;
  }

  set(name: string, type: "hash:ip" | "hash:net", elements: readonly string[]): string {
    const size = Math.max(1024, elements.length);
    this.sets.push(`create ${name} ${type} family inet hashsize 1024 maxelem ${size} -exist`, `flush ${name}`);
    for (const element of elements) this.sets.push(`add ${name} ${element}`);
    this.setCount++;
    this.elementCount += elements.length;
    return name;
  }

  chain(name: string): string {
    this.chains.push(`:${name} - [0:0]`);
    return name;
  }

  rule(chain: string, text: string): void {
    this.rules.push(`-A ${chain} ${text}`);
  }

  /** A policy's chain: what it lets through is marked. */
  policy(policy: NetworkPolicy): void {
    const { namespace, name } = policy.metadata;
    const spec = policy.spec!;
    const chain = this.chain(policyChain(policy));
    const subjects = this.select(namespace, spec.podSelector!).map(ipv4);
    const directions = [
      ["SRC", "DST", spec.ingress?.map((rule) => ({ peers: rule.from ?? [], ports: rule.ports ?? [] })) ?? []],
      ["DST", "SRC", spec.egress?.map((rule) => ({ peers: rule.to ?? [], ports: rule.ports ?? [] })) ?? []],
    ] as const;
    for (const [peerSide, ownSide, rules] of directions) {
      if (rules.length === 0) continue;
      const own = this.set(`KUBE-${ownSide}-${hash(`${namespace}/${name} ${ownSide}`)}`, "hash:ip", subjects);
      for (const [i, { peers, ports }] of rules.entries()) {
        const setName = (what: string): string =>
          `KUBE-${peerSide}-${hash(`${namespace}/${name} ${peerSide} ${what} ${i}`)}`;
        const pods = peers.flatMap((peer) => this.#peerPods(namespace, peer));
        const blocks = peers.flatMap(({ ipBlock }) => (ipBlock ? [ipBlock.cidr] : []));
        const peerSets = [
          ...(pods.length > 0 ? [this.set(setName("pods"), "hash:ip", [...new Set(pods)])] : []),
          ...(blocks.length > 0 ? [this.set(setName("blocks"), "hash:net", blocks)] : []),
        ];
        for (const peerSet of peerSets) {
          for (const port of ports) {
            const match = `-m comment --comment "policy ${name} namespace ${namespace}" -m set --match-set ${peerSet} ${peerSide.toLowerCase()} -m set --match-set ${own} ${ownSide.toLowerCase()} ${portMatch(port)}`;
            this.rule(chain, `${match} -j MARK --set-xmark ${accepted}`);
            this.rule(chain, `${match} -m mark --mark ${accepted} -j RETURN`);
          }
        }
      }
    }
  }

  #peerPods(namespace: string, { podSelector }: NetworkPolicyPeer): string[] {
    return podSelector ? this.select(namespace, podSelector).map(ipv4) : [];
  }
}

function portMatch({ protocol, port, endPort }: NetworkPolicyPort): string {
  const range = endPort ? `${port}:${endPort}` : `${port}`;
  return `-p ${(protocol ?? "TCP").toLowerCase()} --dport ${range}`;
}

const policyChain = ({ metadata: { namespace, name } }: NetworkPolicy): string =>
  `KUBE-NWPLCY-${hash(`${namespace}/${name}`)}`;

const top = { FORWARD: ["d", "s"], INPUT: ["s"], OUTPUT: ["d"] } as const;

export function kubeRouterRules(world: World, node: string): KubeRouterRules {
  const layout = new Layout(world.pods);
  const policies = world.policies.filter((policy) => policy.kind === "NetworkPolicy");
  const ofPod = new Map<string, NetworkPolicy[]>();
  for (const policy of policies) {
    layout.policy(policy);
    for (const pod of layout.select(policy.metadata.namespace, policy.spec!.podSelector!)) {
      const key = namespacedName(pod);
      const list = ofPod.get(key);
      if (list === undefined) ofPod.set(key, [policy]);
      else list.push(policy);
    }
  }
  for (const hook of Object.keys(top)) {
    layout.rule(hook, `-j ${layout.chain(`KUBE-ROUTER-${hook}`)}`);
  }
  const common = layout.chain("KUBE-NWPLCY-COMMON");
  layout.rule(common, "-m conntrack --ctstate INVALID -j DROP");
  layout.rule(common, "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT");
  layout.rule(common, "-p icmp -m icmp --icmp-type echo-request -j ACCEPT");
  for (const pod of world.pods.filter((one) => one.node === node)) {
    const ip = ipv4(pod);
    const chain = layout.chain(`KUBE-POD-FW-${hash(namespacedName(pod))}`);
    for (const [hook, sides] of Object.entries(top)) {
      for (const side of sides) layout.rule(`KUBE-ROUTER-${hook}`, `-${side} ${ip} -j ${chain}`);
    }
    layout.rule(chain, `-d ${ip} -m addrtype --src-type LOCAL -j ACCEPT`);
    layout.rule(chain, `-j ${common}`);
    for (const policy of ofPod.get(namespacedName(pod)) ?? []) layout.rule(chain, `-j ${policyChain(policy)}`);
    const refused = `-m mark ! --mark ${accepted}`;
    layout.rule(chain, `${refused} -m limit --limit 10/min --limit-burst 10 -j NFLOG --nflog-group 100`);
    layout.rule(chain, `${refused} -j REJECT`);
    layout.rule(chain, `-j MARK --set-xmark 0x0/${accepted.split("/")[1]}`);
    layout.rule(chain, `-j MARK --set-xmark ${done}`);
  }
  for (const hook of Object.keys(top)) layout.rule(`KUBE-ROUTER-${hook}`, `-m mark --mark ${done} -j ACCEPT`);
  const builtin = [":INPUT ACCEPT [0:0]", ":FORWARD ACCEPT [0:0]", ":OUTPUT ACCEPT [0:0]"];
  return {
    sets: `${layout.sets.join("\n")}\n`,
    rules: ["*filter", ...builtin, ...layout.chains, ...layout.rules, "COMMIT", ""].join("\n"),
    setCount: layout.setCount,
    elementCount: layout.elementCount,
    ruleCount: layout.rules.length,
  };
}
