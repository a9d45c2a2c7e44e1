/**
 * The 92 subtests of network-policy-api's conformance suite, v1alpha2 (`docs/semantics.md` D2): four houses with two pods
 * each and hostNetwork pods in the forbidden forest, asked at their own addresses. Where the suite patches a policy between
 * two subtests, the scenario begins with the policy as it was before.
 */
import type { LabelSelector } from "../../src/policy/model/labels.ts";
import { namespaceNameLabel } from "../../src/policy/model/labels.ts";
import type {
  ClusterPeer,
  ClusterPolicy,
  ClusterPolicySpec,
  ClusterProtocol,
  ClusterRule,
  NetworkPolicy,
} from "../../src/policy/model/policy.ts";
import type { Direction } from "../../src/policy/model/verdict.ts";
import { type ContainerPort, emptyWorld, type World } from "../../src/policy/model/world.ts";
import {
  namespaceNamed,
  networksOf,
  nodeNamed,
  type PortKey,
  podNamed,
  type Scenario,
  type Sentence,
  type Step,
} from "./scenario.ts";

// ---- the school -----------------------------------------------------------------------------------------------------

const pupils = {
  gryffindor: "harry-potter",
  slytherin: "draco-malfoy",
  hufflepuff: "cedric-diggory",
  ravenclaw: "luna-lovegood",
} as const;
type House = keyof typeof pupils;
const houses = Object.keys(pupils) as House[];
const houseLabel = "conformance-house";
const forest = "forbidden-forrest";

const nodes = [nodeNamed("n1", 1), nodeNamed("n2", 2)];
const ports: readonly ContainerPort[] = [
  { name: "web", number: 80, protocol: "TCP" },
  { name: "dns", number: 53, protocol: "UDP" },
];
/** Everything that pods serve; 80 is named web, 53 dns. */
const served = ["TCP 80", "TCP 8080", "UDP 53", "UDP 5353", "SCTP 9003", "SCTP 9005"] as const;
type Served = (typeof served)[number];

const pairOfPods = (namespace: string, name: string, hostNetwork: boolean, first: number) =>
  nodes.map((node, i) =>
    podNamed(
      {
        namespace,
        name: `${name}-${i}`,
        labels: { [houseLabel]: namespace },
        node,
        ports: hostNetwork ? [] : ports,
        hostNetwork,
      },
      first + i,
    ),
  );

export const cnpWorld: World = {
  ...emptyWorld,
  nodes,
  namespaces: [...houses, forest].map((name) => namespaceNamed(name, { [houseLabel]: name })),
  pods: [
    ...houses.flatMap((house, i) => pairOfPods(house, pupils[house], false, 10 + 2 * i)),
    ...pairOfPods(forest, "centaur", true, 0),
  ],
};

// ---- policies -------------------------------------------------------------------------------------------------------

type Tier = "Admin" | "Baseline";
type Action = "Accept" | "Deny" | "Pass";

const policy = (name: string, spec: ClusterPolicySpec): ClusterPolicy => ({
  kind: "ClusterNetworkPolicy",
  metadata: { namespace: "", name },
  spec,
  source: null,
});

const byName = (house: House): LabelSelector => ({ matchLabels: { [namespaceNameLabel]: house } });
const byLabel = (house: House): LabelSelector => ({ matchLabels: { [houseLabel]: house } });
const podsOf = (house: House): ClusterPeer => ({
  pods: { namespaceSelector: byLabel(house), podSelector: byLabel(house) },
});
const everyHouse: readonly ClusterPeer[] = [{ namespaces: {} }];
const linuxNodes: ClusterPeer = { nodes: { matchLabels: { "kubernetes.io/os": "linux" } } };
const everywhere: ClusterPeer = { networks: ["0.0.0.0/0", "::/0"] };

function protocolOf(key: PortKey): ClusterProtocol {
  const [protocol, number] = key.split(" ");
  const port = { destinationPort: { number: Number(number) } };
  return protocol === "TCP" ? { tcp: port } : protocol === "UDP" ? { udp: port } : { sctp: port };
}

/** A rule of a direction; without protocols it is about everything. */
const rule = (
  direction: Direction,
  action: Action,
  peers: readonly ClusterPeer[],
  protocols?: readonly ClusterProtocol[],
): ClusterRule => ({
  action,
  [direction === "ingress" ? "from" : "to"]: peers,
  ...(protocols === undefined ? {} : { protocols }),
});

// ---- tests of the order of rules ------------------------------------------------------------------------------------

/** One of the suite's seven policies of ordered rules: what the subject does to each of the other houses. */
interface Ordered {
  readonly name: string;
  readonly priority: number;
  readonly subject: House;
  /** To all of it, one after another: Accept, Deny and (Admin only) Pass. */
  readonly friend: House;
  /** Of it these are denied, then (Admin only) passed. */
  readonly slytherin: readonly Served[];
  /** Of it these are accepted, by direction, and everything else is denied. */
  readonly limited: House;
  readonly accepted: Readonly<Partial<Record<Direction, readonly Served[]>>>;
}

/** Which rule comes first, and what is accepted by a name instead. */
interface Order {
  readonly friend: readonly Action[];
  readonly slytherin: readonly Action[];
  readonly named?: string;
}

/** The suite's patches, each on top of the one before. */
const asWritten: Order = { friend: ["Accept", "Deny", "Pass"], slytherin: ["Deny", "Pass"] };
const denyFirst: Order = { ...asWritten, friend: ["Deny", "Accept", "Pass"] };
const passFirst: Order = { ...asWritten, friend: ["Pass", "Accept", "Deny"] };
const slytherinPassed: Order = { ...passFirst, slytherin: ["Pass", "Deny"] };

function ordered(tier: Tier, suite: Ordered, order: Order): ClusterPolicy {
  const has = (action: Action): boolean => tier === "Admin" || action !== "Pass";
  const rules = (direction: Direction): ClusterRule[] => {
    const accepted = suite.accepted[direction];
    if (accepted === undefined) return [];
    const peer = (house: House): ClusterPeer[] => [{ namespaces: byName(house) }];
    const { named } = order;
    return [
      ...order.friend.filter(has).map((action) => rule(direction, action, peer(suite.friend))),
      ...order.slytherin
        .filter(has)
        .map((action) => rule(direction, action, peer("slytherin"), suite.slytherin.map(protocolOf))),
      rule(
        direction,
        "Accept",
        peer(suite.limited),
        named === undefined ? accepted.map(protocolOf) : [{ destinationNamedPort: named }],
      ),
      rule(direction, "Deny", peer(suite.limited)),
    ];
  };
  return policy(tier === "Admin" ? suite.name : "default", {
    tier,
    priority: tier === "Admin" ? suite.priority : 10,
    subject: { namespaces: byName(suite.subject) },
    ingress: rules("ingress"),
    egress: rules("egress"),
  });
}

/** The whole truth about every port, given what comes first. A passed connection meets no other policy, and is open. */
function orderedTable({ subject, friend, limited, slytherin, accepted }: Ordered, order: Order): Step["expect"] {
  const outcome = (denied: boolean) => (denied ? "deny" : "allow");
  return Object.fromEntries(
    served.map((key) => {
      const sentences = (["ingress", "egress"] as const).flatMap((direction): Sentence[] => {
        const open = order.named === undefined ? accepted[direction] : [keyNamed[order.named]!];
        if (accepted[direction] === undefined) return [];
        const pair = (house: House) =>
          direction === "ingress" ? (`${house} -> ${subject}` as const) : (`${subject} -> ${house}` as const);
        return [
          `${outcome(order.friend[0] === "Deny")} ${pair(friend)}`,
          `${outcome(order.slytherin[0] === "Deny" && slytherin.includes(key))} ${pair("slytherin")}`,
          `${outcome(!open!.includes(key))} ${pair(limited)}`,
        ];
      });
      return [key, ["allow * -> *", ...sentences] satisfies Sentence[]];
    }),
  );
}

const keyNamed: Readonly<Record<string, Served>> = { web: "TCP 80", dns: "UDP 53" };

const ingressTcp: Ordered = {
  name: "ingress-tcp",
  priority: 3,
  subject: "gryffindor",
  friend: "ravenclaw",
  slytherin: ["TCP 80"],
  limited: "hufflepuff",
  accepted: { ingress: ["TCP 80"] },
};
const ingressUdp: Ordered = {
  name: "ingress-udp",
  priority: 4,
  subject: "hufflepuff",
  friend: "ravenclaw",
  slytherin: ["UDP 5353"],
  limited: "gryffindor",
  accepted: { ingress: ["UDP 53"] },
};
const ingressSctp: Ordered = {
  name: "ingress-sctp",
  priority: 5,
  subject: "ravenclaw",
  friend: "gryffindor",
  slytherin: ["SCTP 9003"],
  limited: "hufflepuff",
  accepted: { ingress: ["SCTP 9003"] },
};
const egressTcp: Ordered = {
  name: "egress-tcp",
  priority: 6,
  subject: "gryffindor",
  friend: "ravenclaw",
  slytherin: ["TCP 80"],
  limited: "hufflepuff",
  accepted: { egress: ["TCP 8080"] },
};
const egressUdp: Ordered = {
  name: "egress-udp",
  priority: 7,
  subject: "hufflepuff",
  friend: "ravenclaw",
  slytherin: ["UDP 5353"],
  limited: "gryffindor",
  accepted: { egress: ["UDP 53"] },
};
const egressSctp: Ordered = {
  name: "egress-sctp",
  priority: 8,
  subject: "ravenclaw",
  friend: "gryffindor",
  slytherin: ["SCTP 9003"],
  limited: "hufflepuff",
  accepted: { egress: ["SCTP 9003"] },
};
const gress: Ordered = {
  name: "gress-rules",
  priority: 15,
  subject: "gryffindor",
  friend: "ravenclaw",
  slytherin: ["TCP 80", "UDP 53", "SCTP 9003"],
  limited: "hufflepuff",
  accepted: {
    egress: ["TCP 8080", "UDP 5353", "SCTP 9003"],
    ingress: ["TCP 80", "UDP 5353", "SCTP 9003"],
  },
};

const step = (tier: Tier, suite: Ordered, order: Order): Step => ({
  policies: [ordered(tier, suite, order)],
  expect: orderedTable(suite, order),
});

type Subtest = Omit<Scenario, "id">;

/** The subtests of one policy: four, and in the Admin tier two more about Pass. `atPort` is the end of half the titles. */
function orderedSubtests(tier: Tier, suite: Ordered, what: string, about: string, atPort: string): Subtest[] {
  const inOrder = (kind: string): string =>
    `Should support an '${kind}-${what}' policy ${about}${suite === gress ? "" : "; ensure rule ordering is respected"}`;
  const ofPort = (kind: string): string =>
    `Should support ${kind === "allow" ? "an" : "a"} '${kind}-${what}' policy ${about} at the specified ${atPort}`;
  const steps = (...orders: readonly Order[]): readonly Step[] => orders.map((one) => step(tier, suite, one));
  return [
    { title: inOrder("allow"), steps: steps(asWritten) },
    { title: ofPort("allow"), steps: steps(asWritten) },
    { title: inOrder("deny"), steps: steps(asWritten, denyFirst) },
    { title: ofPort("deny"), steps: steps(denyFirst) },
    ...(tier === "Admin"
      ? [
          { title: inOrder("pass"), steps: steps(denyFirst, passFirst) },
          { title: ofPort("pass"), steps: steps(passFirst, slytherinPassed) },
        ]
      : []),
  ];
}

const orderedSuites = (tier: Tier): Subtest[] => [
  ...orderedSubtests(tier, ingressTcp, "ingress", "for TCP protocol", "port"),
  ...orderedSubtests(tier, ingressUdp, "ingress", "for UDP protocol", "port"),
  ...orderedSubtests(tier, ingressSctp, "ingress", "for SCTP protocol", "port"),
  ...orderedSubtests(tier, egressTcp, "egress", "for TCP protocol", "port"),
  ...orderedSubtests(tier, egressUdp, "egress", "for UDP protocol", "port"),
  ...orderedSubtests(tier, egressSctp, "egress", "for SCTP protocol", "port"),
  ...orderedSubtests(tier, gress, "gress", "across different protocols", "ports"),
];

/** The port rule is patched to a name that has another number, or protocol. */
const namedSubtest = (tier: Tier, suite: Ordered, what: string, named: string): Subtest => ({
  title: `Should support an 'allow-${what}' policy for named port`,
  steps: [step(tier, suite, asWritten), step(tier, suite, { ...asWritten, named })],
});

// ---- addresses, nodes -----------------------------------------------------------------------------------------------

/** The same sentences for every port that pods serve, on top of a world that is open. */
const table = (...sentences: readonly Sentence[]): Step["expect"] =>
  Object.fromEntries(served.map((key) => [key, ["allow * -> *", ...sentences] satisfies Sentence[]]));

const gryffindorOf = (tier: Tier): ClusterPolicySpec["subject"] =>
  tier === "Admin" ? podsOf("gryffindor") : { namespaces: byName("gryffindor") };

function addresses(tier: Tier, accepted: readonly string[]): ClusterPolicy {
  return policy(tier === "Admin" ? "inline-cidr-as-peers-example" : "default", {
    tier,
    priority: tier === "Admin" ? 85 : 10,
    subject: gryffindorOf(tier),
    egress: [
      ...(accepted.length === 0 ? [] : [rule("egress", "Accept", [{ networks: accepted }])]),
      rule("egress", "Accept", [podsOf("slytherin")]),
      rule("egress", "Deny", [everywhere]),
    ],
  });
}

const firstsOfTwoHouses = [
  ...networksOf(cnpWorld, "ravenclaw/luna-lovegood-0"),
  ...networksOf(cnpWorld, "hufflepuff/cedric-diggory-0"),
];

const addressSubtests = (tier: Tier): Subtest[] => [
  {
    title: "Should support a 'deny-egress' rule policy for egress-cidr-peer",
    steps: [
      {
        policies: [addresses(tier, [])],
        expect: table("deny gryffindor -> *", "allow gryffindor -> slytherin"),
      },
      { unlabel: { slytherin: houseLabel }, expect: table("deny gryffindor -> *") },
      {
        labels: { slytherin: { [houseLabel]: "slytherin" } },
        expect: table("deny gryffindor -> *", "allow gryffindor -> slytherin"),
      },
    ],
  },
  {
    title: "Should support an 'allow-egress' rule policy for egress-cidr-peer",
    steps: [
      {
        policies: [addresses(tier, [])],
        expect: table("deny gryffindor -> *", "allow gryffindor -> slytherin"),
      },
      {
        policies: [addresses(tier, firstsOfTwoHouses)],
        expect: table(
          "deny gryffindor -> *",
          "allow gryffindor -> slytherin",
          "allow gryffindor -> ravenclaw/luna-lovegood-0",
          "allow gryffindor -> hufflepuff/cedric-diggory-0",
        ),
      },
    ],
  },
];

const intoForest = (outcome: "allow" | "deny", ...keys: readonly PortKey[]): Step["expect"] =>
  Object.fromEntries(keys.map((key) => [key, [`${outcome} gryffindor -> ${forest}`] satisfies Sentence[]]));

const adminNodes = policy("node-and-cidr-as-peers-example", {
  tier: "Admin",
  priority: 75,
  subject: gryffindorOf("Admin"),
  egress: [
    rule("egress", "Accept", [linuxNodes], [protocolOf("TCP 34345")]),
    rule("egress", "Pass", [linuxNodes], [protocolOf("UDP 34347")]),
    rule("egress", "Deny", [podsOf("slytherin"), linuxNodes, everywhere]),
  ],
});

const baselineNodes = policy("default", {
  tier: "Baseline",
  priority: 10,
  subject: gryffindorOf("Baseline"),
  egress: [
    rule("egress", "Accept", [linuxNodes], [{ tcp: { destinationPort: { range: { start: 34345, end: 34346 } } } }]),
    rule("egress", "Deny", [linuxNodes, everywhere]),
  ],
});

const adminNodeSubtests: readonly Subtest[] = [
  {
    title: "Should support an 'allow-egress' rule policy for egress-node-peer",
    steps: [{ policies: [adminNodes], expect: intoForest("allow", "TCP 34345") }],
  },
  {
    title: "Should support a 'pass-egress' rule policy for egress-node-peer",
    steps: [{ policies: [adminNodes], expect: intoForest("allow", "UDP 34347") }],
  },
  {
    title: "Should support a 'deny-egress' rule policy for egress-node-peer",
    steps: [
      {
        policies: [adminNodes],
        expect: { ...intoForest("deny", "TCP 34346", "UDP 34349", "SCTP 34351"), ...table("deny gryffindor -> *") },
      },
    ],
  },
];

const baselineNodeSubtests: readonly Subtest[] = [
  {
    title: "Should support an 'allow-egress' rule policy for egress-node-peer",
    steps: [{ policies: [baselineNodes], expect: intoForest("allow", "TCP 34345", "TCP 34346") }],
  },
  {
    title: "Should support a 'deny-egress' rule policy for egress-node-peer",
    steps: [
      { policies: [baselineNodes], expect: intoForest("deny", "UDP 34347", "SCTP 34351", "TCP 34344", "TCP 34347") },
    ],
  },
];

// ---- priorities and tiers -------------------------------------------------------------------------------------------

/** A policy about gryffindor and slytherin, both ways. */
function bothWays(
  name: string,
  spec: Pick<ClusterPolicySpec, "tier" | "priority" | "subject">,
  peer: ClusterPeer,
  actions: Readonly<Record<Direction, Action>>,
): ClusterPolicy {
  return policy(name, {
    ...spec,
    ingress: [rule("ingress", actions.ingress, [peer])],
    egress: [rule("egress", actions.egress, [peer])],
  });
}

const both = (action: Action): Readonly<Record<Direction, Action>> => ({ ingress: action, egress: action });

/** The Pass policy has this priority, the Deny policy 50. */
const priorities = (passPriority: number): readonly ClusterPolicy[] => {
  const subject = podsOf("gryffindor");
  const slytherin = podsOf("slytherin");
  return [
    bothWays("priority-50-example", { tier: "Admin", priority: 50, subject }, slytherin, both("Deny")),
    bothWays(
      "old-priority-60-new-priority-40-example",
      { tier: "Admin", priority: passPriority, subject },
      slytherin,
      both("Pass"),
    ),
    bothWays("default", { tier: "Baseline", priority: 10, subject }, slytherin, both("Accept")),
  ];
};

const prioritySubtests: readonly Subtest[] = [
  {
    title: "Should Deny traffic from slytherin to gryffindor respecting admin CNP",
    steps: [
      { policies: priorities(60), expect: table("deny slytherin -> gryffindor", "deny gryffindor -> slytherin") },
    ],
  },
  {
    title: "Should Deny traffic to slytherin from gryffindor respecting admin CNP",
    steps: [
      { policies: priorities(60), expect: table("deny gryffindor -> slytherin", "deny slytherin -> gryffindor") },
    ],
  },
  {
    title: "Should respect admin CNP priority field; thus passing both ingress and egress traffic over to baseline CNP",
    steps: [
      { policies: priorities(60), expect: table("deny gryffindor -> slytherin", "deny slytherin -> gryffindor") },
      { policies: priorities(40), expect: table() },
    ],
  },
];

const allowSlytherin: NetworkPolicy = {
  kind: "NetworkPolicy",
  metadata: { namespace: "gryffindor", name: "allow-gress-from-to-slytherin-to-gryffindor" },
  spec: {
    podSelector: null,
    policyTypes: ["Ingress", "Egress"],
    ingress: [{ from: [{ namespaceSelector: byLabel("slytherin") }] }],
    egress: [{ to: [{ namespaceSelector: byLabel("slytherin") }] }],
  },
  source: null,
};

/** Three tiers about one pair of houses; the NetworkPolicy keeps all other houses out and in. */
const threeTiers = (admin: Readonly<Record<Direction, Action>>) => {
  const subject = { namespaces: byLabel("gryffindor") };
  const slytherin: ClusterPeer = { namespaces: byLabel("slytherin") };
  const cluster = [
    bothWays("pass-example", { tier: "Admin", priority: 10, subject }, slytherin, admin),
    bothWays("default", { tier: "Baseline", priority: 10, subject }, slytherin, both("Deny")),
  ];
  return { cluster, all: [...cluster, allowSlytherin] };
};

const isolated = ["deny * -> gryffindor", "deny gryffindor -> *"] as const;
const adminDenies: Step = { policies: threeTiers(both("Deny")).all, expect: table(...isolated) };
const ingressPassed: Step = {
  policies: threeTiers({ ingress: "Pass", egress: "Deny" }).all,
  expect: table(...isolated, "allow slytherin -> gryffindor"),
};
const bothPassed: Step = {
  policies: threeTiers(both("Pass")).all,
  expect: table(...isolated, "allow slytherin -> gryffindor", "allow gryffindor -> slytherin"),
};
const baselineDenies: Step = {
  policies: threeTiers(both("Pass")).cluster,
  expect: table("deny slytherin -> gryffindor", "deny gryffindor -> slytherin"),
};

const forNetworkPolicy = "policy for admin CNP and respect the match for network policy";
const forBaseline = "policy for admin CNP and respect the match for baseline cluster network policy";
const integrationSubtests: readonly Subtest[] = [
  { title: "Should Deny traffic from slytherin to gryffindor respecting admin CNP", steps: [adminDenies] },
  { title: "Should Deny traffic to slytherin from gryffindor respecting admin CNP", steps: [adminDenies] },
  { title: `Should support a 'pass-ingress' ${forNetworkPolicy}`, steps: [adminDenies, ingressPassed] },
  { title: `Should support a 'pass-egress' ${forNetworkPolicy}`, steps: [ingressPassed, bothPassed] },
  { title: `Should support a 'pass-ingress' ${forBaseline}`, steps: [bothPassed, baselineDenies] },
  { title: `Should support a 'pass-egress' ${forBaseline}`, steps: [bothPassed, baselineDenies] },
];

/** In the order of the table. */
export const cnpScenarios: readonly Scenario[] = [
  ...orderedSuites("Admin"),
  ...addressSubtests("Admin"),
  namedSubtest("Admin", egressTcp, "egress", "web"),
  namedSubtest("Admin", ingressUdp, "ingress", "dns"),
  ...adminNodeSubtests,
  ...prioritySubtests,
  ...integrationSubtests,
  ...orderedSuites("Baseline"),
  ...addressSubtests("Baseline"),
  namedSubtest("Baseline", egressUdp, "egress", "dns"),
  namedSubtest("Baseline", ingressTcp, "ingress", "web"),
  ...baselineNodeSubtests,
].map((subtest, i) => ({ id: `Q${i + 1}`, ...subtest }));

/** No row of the suite: the ends of ranges of ports, into pods from pods that may leave for anywhere. */
export const rangesScenario: Scenario = {
  id: "ranges",
  title: "ranges of ports",
  steps: [
    {
      policies: [
        policy("ranges", {
          tier: "Admin",
          priority: 1,
          subject: { namespaces: byName("ravenclaw") },
          ingress: [
            rule("ingress", "Accept", everyHouse, [
              { tcp: { destinationPort: { range: { start: 1000, end: 2000 } } } },
              { udp: { destinationPort: { range: { start: 53, end: 54 } } } },
              { sctp: {} },
            ]),
            rule("ingress", "Deny", everyHouse),
          ],
        }),
        policy("leave", {
          tier: "Admin",
          priority: 1,
          subject: { namespaces: {} },
          egress: [rule("egress", "Accept", [everywhere])],
        }),
      ],
      expect: {
        ...Object.fromEntries(
          (["TCP 999", "TCP 2001", "UDP 52", "UDP 55", "UDP 1500"] as const).map((key) => [
            key,
            ["deny * -> ravenclaw"],
          ]),
        ),
        ...Object.fromEntries(
          (["TCP 1000", "TCP 2000", "UDP 53", "UDP 54", "SCTP 9003"] as const).map((key) => [key, ["allow * -> *"]]),
        ),
      },
    },
  ],
};
