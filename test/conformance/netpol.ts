/**
 * The 48 data-path tests of Kubernetes' own e2e suite Netpol (`docs/semantics.md` D1): namespaces x, y and z with pods a, b
 * and c each, every one asked through its own Service by all others.
 */
import { portProtocols } from "../../src/net/ports.ts";
import { type LabelSelector, namespaceNameLabel } from "../../src/policy/model/labels.ts";
import type {
  NetworkPolicy,
  NetworkPolicyEgressRule,
  NetworkPolicyIngressRule,
  NetworkPolicyPeer,
  NetworkPolicyPort,
  NetworkPolicySpec,
} from "../../src/policy/model/policy.ts";
import { emptyWorld, type Service, type World } from "../../src/policy/model/world.ts";
import { namespaceNamed, networksOf, nodeNamed, podNamed, type Scenario, type Sentence } from "./scenario.ts";

const names = ["x", "y", "z"].flatMap((namespace) => ["a", "b", "c"].map((name) => ({ namespace, name })));
const nodes = [nodeNamed("n1", 1), nodeNamed("n2", 2)];
const served = [80, 81].flatMap((number) => portProtocols.map((protocol) => ({ number, protocol })));
const portName = (number: number, protocol: string): string => `serve-${number}-${protocol.toLowerCase()}`;

const service = ({ namespace, name }: { readonly namespace: string; readonly name: string }): Service => ({
  namespace,
  name: `s-${namespace}-${name}`,
  type: "ClusterIP",
  clusterIPs: [],
  headless: false,
  selector: { pod: name },
  ports: served.map(({ number, protocol }) => ({
    name: `service-port-${protocol.toLowerCase()}-${number}`,
    protocol,
    port: number,
    targetPort: number,
  })),
  endpoints: [],
  source: null,
});

/** Pods of a name are on one node: every scenario has connections within a node and between nodes. */
export const netpolWorld: World = {
  ...emptyWorld,
  nodes,
  namespaces: ["x", "y", "z"].map((name) => namespaceNamed(name)),
  pods: names.map(({ namespace, name }, i) =>
    podNamed(
      {
        namespace,
        name,
        labels: { pod: name },
        node: nodes[name === "a" ? 0 : 1]!,
        ports: served.map((port) => ({ ...port, name: portName(port.number, port.protocol) })),
      },
      10 + i,
    ),
  ),
  services: names.map(service),
};

// ---- policies -------------------------------------------------------------------------------------------------------

const policy = (namespace: string, name: string, spec: NetworkPolicySpec): NetworkPolicy => ({
  kind: "NetworkPolicy",
  metadata: { namespace, name },
  spec,
  source: null,
});

const pod = (name: string): LabelSelector => ({ matchLabels: { pod: name } });
const podIn = (...values: readonly string[]): LabelSelector => ({
  matchExpressions: [{ key: "pod", operator: "In", values }],
});
const namespace = (name: string): LabelSelector => ({ matchLabels: { [namespaceNameLabel]: name } });
const namespaceIn = (...values: readonly string[]): LabelSelector => ({
  matchExpressions: [{ key: namespaceNameLabel, operator: "In", values }],
});
const namespaceNotIn = (...values: readonly string[]): LabelSelector => ({
  matchExpressions: [{ key: namespaceNameLabel, operator: "NotIn", values }],
});

const ingress = (podSelector: LabelSelector, ...rules: readonly NetworkPolicyIngressRule[]): NetworkPolicySpec => ({
  podSelector,
  policyTypes: ["Ingress"],
  ingress: rules,
});
const egress = (podSelector: LabelSelector, ...rules: readonly NetworkPolicyEgressRule[]): NetworkPolicySpec => ({
  podSelector,
  policyTypes: ["Egress"],
  egress: rules,
});
const from = (...peers: readonly NetworkPolicyPeer[]): NetworkPolicyIngressRule => ({ from: peers });
const to = (...peers: readonly NetworkPolicyPeer[]): NetworkPolicyEgressRule => ({ to: peers });
const on = (port: number | string, protocol = "TCP"): { readonly ports: readonly NetworkPolicyPort[] } => ({
  ports: [{ protocol, port }],
});

const denyIngress = policy("x", "deny-ingress", ingress({}));
const denyAll = policy("x", "deny-all", { podSelector: {}, policyTypes: ["Ingress", "Egress"] });
/** In namespace x, about pod a. */
const xa = (name: string, ...rules: readonly NetworkPolicyIngressRule[]): NetworkPolicy =>
  policy("x", name, ingress(pod("a"), ...rules));
const xaEgress = (name: string, ...rules: readonly NetworkPolicyEgressRule[]): NetworkPolicy =>
  policy("x", name, egress(pod("a"), ...rules));
const y81 = (protocol: string): NetworkPolicy =>
  xa("allow-81-from-y", { ...from({ namespaceSelector: namespace("y") }), ...on(81, protocol) });
const onlyYa = xa("allow-y-a", from({ namespaceSelector: namespace("y"), podSelector: pod("a") }));

const blocks = (cidrs: readonly string[]): NetworkPolicyEgressRule =>
  to(...cidrs.map((cidr) => ({ ipBlock: { cidr } })));
const addressesOfXb = networksOf(netpolWorld, "x/b");
/** The /4 around each address of x/b, without x/b. */
const aroundXb = xaEgress(
  "around-x-b",
  to(
    { ipBlock: { cidr: "0.0.0.0/4", except: addressesOfXb.slice(0, 1) } },
    { ipBlock: { cidr: "f000::/4", except: addressesOfXb.slice(1) } },
  ),
);

// ---- tables ---------------------------------------------------------------------------------------------------------

/** A whole truth table: everything is open but what is said. */
const table = (...sentences: readonly Sentence[]): readonly Sentence[] => ["allow * -> *", ...sentences];
const open = table();
const intoXClosed = table("deny * -> x");
const xaClosed = table("deny * -> x/a");
const onlyYtoXa = table("deny * -> x/a", "allow y -> x/a");

export const netpolScenarios: readonly Scenario[] = [
  {
    id: "N1",
    title: "support a 'default-deny-ingress' policy",
    steps: [{ policies: [denyIngress], expect: { "TCP 80": intoXClosed } }],
  },
  {
    id: "N2",
    title: "support a 'default-deny-all' policy",
    steps: [{ policies: [denyAll], expect: { "TCP 80": table("deny * -> x", "deny x -> *") } }],
  },
  {
    id: "N3",
    title: "enforce policy to allow traffic from pods within server namespace based on PodSelector",
    steps: [
      {
        policies: [xa("from-b", from({ podSelector: pod("b") }))],
        expect: { "TCP 80": table("deny * -> x/a", "allow x/b -> x/a") },
      },
    ],
  },
  {
    id: "N4",
    title: "enforce policy to allow ingress traffic for a target",
    steps: [
      {
        policies: [denyIngress, xa("allow-all", from({ podSelector: {}, namespaceSelector: {} }))],
        expect: { "TCP 80": table("deny * -> x", "allow * -> x/a") },
      },
    ],
  },
  {
    id: "N5",
    title: "enforce policy to allow ingress traffic from pods in all namespaces",
    steps: [{ policies: [xa("all-namespaces", from({ namespaceSelector: {} }))], expect: { "TCP 80": open } }],
  },
  {
    id: "N6",
    title: "enforce policy to allow traffic only from a different namespace, based on NamespaceSelector",
    steps: [{ policies: [xa("from-y", from({ namespaceSelector: namespace("y") }))], expect: { "TCP 80": onlyYtoXa } }],
  },
  {
    id: "N7",
    title: "enforce policy based on PodSelector with MatchExpressions",
    steps: [
      {
        policies: [xa("from-b", from({ podSelector: podIn("b") }))],
        expect: { "TCP 80": table("deny * -> x/a", "allow x/b -> x/a") },
      },
    ],
  },
  {
    id: "N8",
    title: "enforce policy based on NamespaceSelector with MatchExpressions",
    steps: [
      { policies: [xa("from-y", from({ namespaceSelector: namespaceIn("y") }))], expect: { "TCP 80": onlyYtoXa } },
    ],
  },
  {
    id: "N9",
    title: "enforce policy based on PodSelector or NamespaceSelector",
    steps: [
      {
        policies: [xa("either", from({ namespaceSelector: namespaceNotIn("x") }, { podSelector: pod("b") }))],
        expect: { "TCP 80": table("deny x -> x/a", "allow x/b -> x/a") },
      },
    ],
  },
  {
    id: "N10",
    title: "enforce policy based on PodSelector and NamespaceSelector",
    steps: [
      {
        policies: [xa("both", from({ namespaceSelector: namespaceNotIn("x"), podSelector: pod("b") }))],
        expect: { "TCP 80": table("deny * -> x/a", "allow y/b -> x/a", "allow z/b -> x/a") },
      },
    ],
  },
  {
    id: "N11",
    title: "enforce policy based on Multiple PodSelectors and NamespaceSelectors",
    steps: [
      {
        policies: [xa("both", from({ namespaceSelector: namespaceNotIn("x"), podSelector: podIn("b", "c") }))],
        expect: { "TCP 80": table("deny x -> x/a", "deny y/a -> x/a", "deny z/a -> x/a") },
      },
    ],
  },
  {
    id: "N12",
    title: "enforce policy based on any PodSelectors",
    steps: [
      {
        policies: [xa("b-or-c", from({ podSelector: pod("b") }, { podSelector: pod("c") }))],
        expect: { "TCP 80": table("deny * -> x/a", "allow x/b -> x/a", "allow x/c -> x/a") },
      },
    ],
  },
  {
    id: "N13",
    title:
      "enforce policy to allow traffic only from a pod in a different namespace based on PodSelector and NamespaceSelector",
    steps: [{ policies: [onlyYa], expect: { "TCP 80": table("deny * -> x/a", "allow y/a -> x/a") } }],
  },
  {
    id: "N14",
    title: "enforce policy based on Ports",
    steps: [{ policies: [y81("TCP")], expect: { "TCP 81": onlyYtoXa, "TCP 80": xaClosed } }],
  },
  {
    id: "N15",
    title: "enforce multiple, stacked policies with overlapping podSelectors",
    steps: [
      { policies: [y81("TCP")], expect: { "TCP 81": onlyYtoXa, "TCP 80": xaClosed } },
      {
        policies: [y81("TCP"), xa("allow-80-from-y", { ...from({ namespaceSelector: namespace("y") }), ...on(80) })],
        expect: { "TCP 81": onlyYtoXa, "TCP 80": onlyYtoXa },
      },
    ],
  },
  {
    id: "N16",
    title: "support allow-all policy",
    steps: [{ policies: [policy("x", "allow-all", ingress({}, {}))], expect: { "TCP 80": open, "TCP 81": open } }],
  },
  {
    id: "N17",
    title: "allow ingress access on one named port",
    steps: [
      {
        policies: [policy("x", "named", ingress({}, on("serve-81-tcp")))],
        expect: { "TCP 81": open, "TCP 80": intoXClosed },
      },
    ],
  },
  {
    id: "N18",
    title: "allow ingress access from namespace on one named port",
    steps: [
      {
        policies: [xa("named-from-y", { ...from({ namespaceSelector: namespace("y") }), ...on("serve-80-tcp") })],
        expect: { "TCP 80": onlyYtoXa, "TCP 81": xaClosed },
      },
    ],
  },
  {
    id: "N19",
    title: "allow egress access on one named port",
    steps: [
      {
        policies: [policy("x", "named", egress({}, on("serve-80-tcp")))],
        expect: { "TCP 80": open, "TCP 81": table("deny x -> *") },
      },
    ],
  },
  {
    id: "N20",
    title: "enforce updated policy",
    steps: [
      { policies: [policy("x", "updated", ingress({}, {}))], expect: { "TCP 81": open } },
      { policies: [policy("x", "updated", ingress({}))], expect: { "TCP 81": intoXClosed } },
    ],
  },
  {
    id: "N21",
    title: "allow ingress access from updated namespace",
    steps: [
      {
        policies: [xa("from-updated", from({ namespaceSelector: { matchLabels: { ns2: "updated" } } }))],
        expect: { "TCP 80": xaClosed },
      },
      { labels: { y: { ns2: "updated" } }, expect: { "TCP 80": onlyYtoXa } },
      { unlabel: { y: "ns2" }, expect: { "TCP 80": xaClosed } },
    ],
  },
  {
    id: "N22",
    title: "allow ingress access from updated pod",
    steps: [
      {
        policies: [xa("from-updated", from({ podSelector: { matchLabels: { pod2: "updated" } } }))],
        expect: { "TCP 80": xaClosed },
      },
      { labels: { "x/b": { pod2: "updated" } }, expect: { "TCP 80": table("deny * -> x/a", "allow x/b -> x/a") } },
      { unlabel: { "x/b": "pod2" }, expect: { "TCP 80": xaClosed } },
    ],
  },
  {
    id: "N23",
    title: "deny ingress from pods on other namespaces",
    steps: [
      {
        policies: [policy("x", "own-namespace", ingress({}, from({ podSelector: {} })))],
        expect: { "TCP 80": table("deny y -> x", "deny z -> x") },
      },
    ],
  },
  {
    id: "N24",
    title: "deny ingress access to updated pod",
    steps: [
      {
        policies: [policy("x", "isolated", ingress({ matchLabels: { target: "isolated" } }))],
        expect: { "TCP 80": open },
      },
      { labels: { "x/a": { target: "isolated" } }, expect: { "TCP 80": xaClosed } },
    ],
  },
  {
    id: "N25",
    title: "deny egress from pods based on PodSelector",
    steps: [{ policies: [xaEgress("deny-egress")], expect: { "TCP 80": table("deny x/a -> *") } }],
  },
  {
    id: "N26",
    title: "deny egress from all pods in a namespace",
    steps: [{ policies: [policy("x", "deny-egress", egress({}))], expect: { "TCP 80": table("deny x -> *") } }],
  },
  {
    id: "N27",
    title: "work with Ingress, Egress specified together",
    steps: [
      {
        policies: [
          policy("x", "both", {
            podSelector: pod("a"),
            policyTypes: ["Ingress", "Egress"],
            ingress: [from({ podSelector: pod("b") })],
            egress: [on(80)],
          }),
        ],
        expect: {
          "TCP 80": table("deny * -> x/a", "allow x/b -> x/a"),
          "TCP 81": table("deny x/a -> *", "deny * -> x/a", "allow x/b -> x/a"),
        },
      },
    ],
  },
  {
    id: "N28",
    title: "support denying of egress traffic on the client side (even if the server explicitly allows this traffic)",
    steps: [
      {
        policies: [
          xaEgress("to-y-a", to({ namespaceSelector: namespace("y"), podSelector: pod("a") })),
          policy(
            "y",
            "from-x-a",
            ingress(podIn("a", "b"), from({ namespaceSelector: namespace("x"), podSelector: pod("a") })),
          ),
        ],
        expect: {
          "TCP 80": table("deny x/a -> *", "deny * -> y/a", "deny * -> y/b", "allow x/a -> y/a"),
        },
      },
    ],
  },
  {
    id: "N29",
    title:
      "enforce egress policy allowing traffic to a server in a different namespace based on PodSelector and NamespaceSelector",
    steps: [
      {
        policies: [xaEgress("to-y-a", to({ namespaceSelector: namespace("y"), podSelector: pod("a") }))],
        expect: { "TCP 80": table("deny x/a -> *", "allow x/a -> y/a") },
      },
    ],
  },
  {
    id: "N30",
    title: "enforce ingress policy allowing any port traffic to a server on a specific protocol",
    steps: [
      {
        policies: [xa("any-tcp", { ports: [{ protocol: "TCP" }] })],
        expect: { "TCP 80": open, "UDP 80": xaClosed },
      },
    ],
  },
  {
    id: "N31",
    title: "enforce multiple ingress policies with ingress allow-all policy taking precedence",
    steps: [
      { policies: [policy("x", "only-80", ingress({}, on(80)))], expect: { "TCP 80": open, "TCP 81": intoXClosed } },
      {
        policies: [policy("x", "only-80", ingress({}, on(80))), policy("x", "allow-all", ingress({}, {}))],
        expect: { "TCP 80": open, "TCP 81": open },
      },
    ],
  },
  {
    id: "N32",
    title: "enforce multiple egress policies with egress allow-all policy taking precedence",
    steps: [
      {
        policies: [policy("x", "only-80", egress({}, on(80)))],
        expect: { "TCP 80": open, "TCP 81": table("deny x -> *") },
      },
      {
        policies: [policy("x", "only-80", egress({}, on(80))), policy("x", "allow-all", egress({}, {}))],
        expect: { "TCP 80": open, "TCP 81": open },
      },
    ],
  },
  {
    id: "N33",
    title: "stop enforcing policies after they are deleted",
    steps: [
      { policies: [denyAll], expect: { "TCP 80": table("deny * -> x", "deny x -> *") } },
      { policies: [], expect: { "TCP 80": open } },
    ],
  },
  {
    id: "N34",
    title: "allow egress access to server in CIDR block",
    steps: [
      {
        policies: [xaEgress("to-y-b", blocks(networksOf(netpolWorld, "y/b")))],
        expect: { "TCP 80": table("deny x/a -> *", "allow x/a -> y/b") },
      },
    ],
  },
  {
    id: "N35",
    title: "enforce except clause while egress access to server in CIDR block",
    steps: [{ policies: [aroundXb], expect: { "TCP 80": table("deny x/a -> x/b") } }],
  },
  {
    id: "N36",
    title: "ensure an IP overlapping both IPBlock.CIDR and IPBlock.Except is allowed",
    steps: [
      { policies: [aroundXb], expect: { "TCP 80": table("deny x/a -> x/b") } },
      {
        policies: [xaEgress("around-x-b", blocks(addressesOfXb))],
        expect: { "TCP 80": table("deny x/a -> *", "allow x/a -> x/b") },
      },
      { policies: [aroundXb, xaEgress("to-x-b", blocks(addressesOfXb))], expect: { "TCP 80": open } },
    ],
  },
  {
    id: "N37",
    title: "enforce policies to check ingress and egress policies can be controlled independently based on PodSelector",
    steps: [
      { policies: [xaEgress("allow-egress", {})], expect: { "TCP 80": open } },
      { policies: [xaEgress("allow-egress", {}), xa("deny-ingress")], expect: { "TCP 80": xaClosed } },
    ],
  },
  {
    id: "N38",
    title: "not mistakenly treat 'protocol: SCTP' as 'protocol: TCP', even if the plugin doesn't support SCTP",
    steps: [
      {
        policies: [denyIngress, xa("sctp-81", on(81, "SCTP"))],
        expect: { "TCP 81": intoXClosed, "SCTP 81": table("deny * -> x", "allow * -> x/a") },
      },
    ],
  },
  {
    id: "N39",
    title: "properly isolate pods that are selected by a policy allowing SCTP, even if the plugin doesn't support SCTP",
    steps: [
      {
        policies: [xa("sctp-80", on(80, "SCTP"))],
        expect: { "TCP 81": xaClosed, "SCTP 80": open, "SCTP 81": xaClosed },
      },
    ],
  },
  {
    id: "N40",
    title: "not allow access by TCP when a policy specifies only UDP",
    steps: [{ policies: [xa("udp-81", on(81, "UDP"))], expect: { "TCP 81": xaClosed, "UDP 81": open } }],
  },
  {
    id: "N41",
    title: "enforce policy to allow traffic based on NamespaceSelector with MatchLabels using default ns label",
    steps: [{ policies: [xa("from-y", from({ namespaceSelector: namespace("y") }))], expect: { "TCP 80": onlyYtoXa } }],
  },
  {
    id: "N42",
    title: "enforce policy based on NamespaceSelector with MatchExpressions using default ns label",
    steps: [
      {
        policies: [xaEgress("not-y", to({ namespaceSelector: namespaceNotIn("y") }))],
        expect: { "TCP 80": table("deny x/a -> y") },
      },
    ],
  },
  ...(["UDP", "SCTP"] as const).flatMap((protocol, i): Scenario[] => [
    {
      id: `N${43 + 3 * i}`,
      title: `support a 'default-deny-ingress' policy, using ${protocol}`,
      steps: [{ policies: [denyIngress], expect: { [`${protocol} 80`]: intoXClosed } }],
    },
    {
      id: `N${44 + 3 * i}`,
      title: `enforce policy based on Ports, using ${protocol}`,
      steps: [{ policies: [y81(protocol)], expect: { [`${protocol} 81`]: onlyYtoXa, [`${protocol} 80`]: xaClosed } }],
    },
    {
      id: `N${45 + 3 * i}`,
      title: `enforce policy to allow traffic only from a pod in a different namespace based on PodSelector and NamespaceSelector, using ${protocol}`,
      steps: [{ policies: [onlyYa], expect: { [`${protocol} 80`]: table("deny * -> x/a", "allow y/a -> x/a") } }],
    },
  ]),
];
