import { describe, expect, test } from "vitest";
import type {
  ClusterPolicy,
  ClusterPolicySpec,
  ClusterRule,
  NetworkPolicy,
  NetworkPolicySpec,
} from "../model/policy.ts";
import type { Source } from "../model/source.ts";
import { Groups } from "./groups.ts";
import type { PlanRule } from "./plan.ts";
import { compilePolicy, type PolicyWithSubject } from "./policy.ts";
import { Shapes } from "./shapes.ts";

let lastId = 0;
const groups = new Groups(new Shapes({ moved: () => {}, judged: () => {} }), () => ++lastId);

const networkPolicy = (spec: NetworkPolicySpec | null, source: Source | null = null): NetworkPolicy => ({
  kind: "NetworkPolicy",
  metadata: { name: "db", namespace: "shop" },
  spec,
  source,
});
const compileSpec = (spec: NetworkPolicySpec | null): PolicyWithSubject => compilePolicy(networkPolicy(spec), groups);

const clusterPolicy = (kind: ClusterPolicy["kind"], spec: Partial<ClusterPolicySpec>): ClusterPolicy => ({
  kind,
  metadata: { name: "one", namespace: "" },
  spec: { tier: "Admin", priority: 5, subject: { namespaces: {} }, ...spec },
  source: null,
});

/** The one egress rule of a ClusterNetworkPolicy, compiled. */
const egressRule = (rule: Partial<ClusterRule>): PlanRule =>
  compilePolicy(
    clusterPolicy("ClusterNetworkPolicy", { egress: [{ action: "Accept", to: [{ namespaces: {} }], ...rule }] }),
    groups,
  ).compiled.rules.egress[0]!;

/** What a rule says, as text. */
const told = ({ action, peers, ports }: PlanRule): string =>
  [
    action,
    peers === "everything" ? peers : `[${peers.map(({ key }) => key).join("; ")}]`,
    ports.fixed.isAll ? "all" : ports.fixed.key || "none",
    ...ports.named.map(({ name, protocol }) => `${name}/${protocol}`),
  ].join(" ");

const closedAccept = "Accept [] none";
const denyAll = "Deny everything all";
const everyPod = "pods {} of namespaces {}";

describe("NetworkPolicy", () => {
  test("without spec isolates its namespace for ingress (A2.8)", () => {
    const { compiled, subject } = compileSpec(null);
    expect(subject?.key).toBe("pods {} of namespace shop");
    expect(compiled).toMatchObject({ isolates: { ingress: true, egress: false }, rules: { ingress: [], egress: [] } });
  });

  test("ignores a section whose direction is not among its types (A2.3)", () => {
    const { compiled } = compileSpec({ policyTypes: ["Egress"], ingress: [{}], egress: [{}] });
    expect(compiled.rules.ingress).toEqual([]);
    expect(compiled.rules.egress.map(told)).toEqual(["Accept everything all"]);
  });

  test("resolves peers (A9, A11)", () => {
    const { compiled } = compileSpec({
      ingress: [
        {
          from: [
            { podSelector: { matchLabels: { app: "api" } } },
            { namespaceSelector: {} },
            { namespaceSelector: { matchLabels: { team: "a" } }, podSelector: {} },
            { ipBlock: { cidr: "10.1.2.3/8", except: ["010.1.0.0/16"] } },
          ],
        },
      ],
    });
    expect(compiled.rules.ingress.map(told)).toEqual([
      `Accept [pods {app=api} of namespace shop; ${everyPod}; pods {} of namespaces {team=a}; addresses 4:${[
        [10 * 2 ** 24, 10 * 2 ** 24 + 65535],
        [10 * 2 ** 24 + 2 * 65536, 11 * 2 ** 24 - 1],
      ]
        .map(([start, end]) => `${start!.toString(36)}-${end!.toString(36)}`)
        .join(",4:")}] all`,
    ]);
  });

  test.each<[string, NetworkPolicySpec]>([
    ["an unknown operator", { podSelector: { matchExpressions: [{ key: "a", operator: "Gt", values: ["1"] }] } }],
    ["In without values", { podSelector: { matchExpressions: [{ key: "a", operator: "In", values: [] }] } }],
  ])("with %s as subject selects the whole namespace and allows nothing (A10.9)", (_, spec) => {
    const { compiled, subject } = compileSpec({ ...spec, ingress: [{}] });
    expect(subject?.key).toBe("pods {} of namespace shop");
    expect(compiled.isolates.ingress).toBe(true);
    expect(compiled.rules.ingress[0]?.peers).toEqual([]);
  });

  test.each([
    { podSelector: { matchExpressions: [{ key: "a", operator: "in", values: ["1"] }] } },
    { ipBlock: { cidr: "10.0.0.0" } },
    { ipBlock: { cidr: "10.0.0.0/8", except: ["nonsense"] } },
    { ipBlock: { cidr: "10.0.0.0/8" }, podSelector: {} },
    {},
    { podSelector: null, namespaceSelector: null },
  ])("a peer that cannot be understood matches nothing: %j", (peer) => {
    expect(compileSpec({ ingress: [{ from: [peer] }] }).compiled.rules.ingress[0]?.peers).toEqual([]);
  });

  test.each([
    [{}, "TCP:1-65535"],
    [{ protocol: "UDP" }, "UDP:1-65535"],
    [{ port: 80 }, "TCP:80"],
    [{ protocol: "SCTP", port: 7, endPort: 9 }, "SCTP:7-9"],
    [{ port: "web" }, "none web/TCP"],
    [{ protocol: "UDP", port: "dns" }, "none dns/UDP"],
    [{ protocol: "tcp", port: 80 }, "none"],
    [{ protocol: "" }, "none"],
    [{ port: 9, endPort: 7 }, "none"],
    [{ endPort: 7 }, "none"],
    [{ port: "web", endPort: 7 }, "none"],
    [{ port: 0 }, "none"],
  ])("port %j is %s (A13, A14)", (port, expected) => {
    expect(compileSpec({ ingress: [{ ports: [port] }] }).compiled.rules.ingress.map(told)).toEqual([
      `Accept everything ${expected}`,
    ]);
  });

  test("has equal contents exactly where the verdicts are the same", () => {
    const content = (spec: NetworkPolicySpec): string => compileSpec(spec).compiled.content;
    expect(content({ ingress: [{ ports: [{ port: 80 }] }] })).toBe(
      content({
        podSelector: {},
        policyTypes: ["Ingress"],
        ingress: [{ from: [], ports: [{ port: 80, protocol: "TCP" }] }],
      }),
    );
    expect(content({ ingress: [{ ports: [{ port: 80 }] }] })).not.toBe(
      content({ ingress: [{ ports: [{ port: 81 }] }] }),
    );
    expect(content({})).not.toBe(content({ ingress: [{}] }));
  });

  test("looks positions up only when they are read", () => {
    const asked: string[] = [];
    const source: Source = {
      file: "db.yaml",
      position: (path) => {
        asked.push(path.join("."));
        return { file: "db.yaml", line: 7, column: 3 };
      },
    };
    const { compiled } = compilePolicy(networkPolicy({ ingress: [{}, {}] }, source), groups);
    expect(asked).toEqual([]);
    expect(compiled.rules.ingress[1]?.reason.position).toEqual({ file: "db.yaml", line: 7, column: 3 });
    expect(compiled.reason).toEqual({
      policy: { kind: "NetworkPolicy", namespace: "shop", name: "db" },
      rule: null,
      action: "Deny",
      position: { file: "db.yaml", line: 7, column: 3 },
    });
    expect(new Set(asked)).toEqual(new Set(["spec.ingress.1", "metadata.name"]));
  });
});

describe("cluster policies", () => {
  test.each<[string, Partial<ClusterRule>, string]>([
    [
      "networks are one group, host bits masked (C8.4)",
      { to: [{ networks: ["::1/127"] }] },
      "Accept [addresses 6:0-1] all",
    ],
    [
      "domainNames are not resolved (C8.7)",
      { to: [{ domainNames: ["a.b"] }, { namespaces: {} }] },
      `Accept [${everyPod}] all`,
    ],
    ["nodes (C8.5)", { to: [{ nodes: {} }] }, "Accept [nodes {}] all"],
    ["a peer with no known field (C12.1)", { to: [{ namespaces: {} }, {}] }, closedAccept],
    ["a peer with no known field, Deny (C12.1)", { action: "Deny", to: [{}], protocols: [{ tcp: {} }] }, denyAll],
    ["a peer with no known field, Pass (C12.1)", { action: "Pass", to: [{}] }, denyAll],
    ["Deny with domainNames (C8.7)", { action: "Deny", to: [{ domainNames: ["a.b"] }] }, denyAll],
    ["no CIDR, Accept", { to: [{ networks: ["x", "::/128"] }] }, "Accept [addresses 6:0-0] all"],
    ["no CIDR, Deny", { action: "Deny", to: [{ networks: ["x"] }] }, denyAll],
    ["no peers at all, Pass", { action: "Pass", to: [] }, denyAll],
    ["two fields in a peer", { to: [{ namespaces: {}, nodes: {} }] }, closedAccept],
    ["an unknown action (C12.3)", { action: "Log" }, `Deny [${everyPod}] all`],
    ["v1alpha1's word for Accept (C16.2)", { action: "Allow" }, `Deny [${everyPod}] all`],
    ["tcp: {} (C9.2)", { protocols: [{ tcp: {} }] }, `Accept [${everyPod}] TCP:1-65535`],
    [
      "numbers, ranges, names (C9.3–C9.5)",
      {
        protocols: [
          { udp: { destinationPort: { number: 53 } } },
          { sctp: { destinationPort: { range: { start: 5, end: 9 } } } },
          { destinationNamedPort: "web" },
        ],
      },
      `Accept [${everyPod}] UDP:53;SCTP:5-9 web/null`,
    ],
    ["an element with no known field (C12.2)", { protocols: [{}, { tcp: {} }] }, `Accept [${everyPod}] TCP:1-65535`],
    [
      "an element with no known field, Deny (C12.2)",
      { action: "Deny", protocols: [{}, { tcp: {} }] },
      `Deny [${everyPod}] all`,
    ],
    ["an empty port name (C9.8)", { protocols: [{ destinationNamedPort: "" }] }, `Accept [${everyPod}] none`],
  ])("%s", (_, rule, expected) => {
    expect(told(egressRule(rule))).toBe(expected);
  });

  test("an ingress peer knows namespaces and pods only (C7.1)", () => {
    const ingress: ClusterRule[] = [{ action: "Deny", from: [{ networks: ["10.0.0.0/8"] }] }];
    const { compiled } = compilePolicy(clusterPolicy("ClusterNetworkPolicy", { ingress }), groups);
    expect(compiled.rules.ingress.map(told)).toEqual([denyAll]);
  });

  test.each<[ClusterPolicy["kind"], string, string, number]>([
    ["AdminNetworkPolicy", "Pass", "Admin", 5],
    ["BaselineAdminNetworkPolicy", "Deny", "Baseline", 1000],
  ])("%s: tier, ports, and whether it knows Pass (C16, C18)", (kind, pass, tier, priority) => {
    const to = [{ pods: { podSelector: {}, namespaceSelector: {} } }];
    const { compiled } = compilePolicy(
      clusterPolicy(kind, {
        tier: null,
        egress: [
          {
            action: "Allow",
            to,
            ports: [{ portNumber: { port: 80 } }, { portRange: { protocol: "UDP", start: 9, end: 5 } }],
          },
          { action: "Pass", to, ports: [{ namedPort: "web" }] },
          { action: "Deny", to, ports: [{ portNumber: { protocol: "ICMP", port: 1 } }] },
        ],
      }),
      groups,
    );
    expect(compiled).toMatchObject({ tier, priority });
    expect(compiled.rules.egress.map(told)).toEqual([
      `Accept [${everyPod}] TCP:80`,
      `${pass} [${everyPod}] none web/null`,
      `Deny [${everyPod}] all`,
    ]);
  });

  test("an unknown tier is not enforced (C12.3)", () => {
    expect(compilePolicy(clusterPolicy("ClusterNetworkPolicy", { tier: "Middle" }), groups).subject).toBeNull();
  });

  test("a subject that cannot be parsed is all pods that it could mean, and gets no Accept (C1.4)", () => {
    const podSelector = { matchExpressions: [{ key: "a", operator: "In", values: [] }] };
    const { compiled, subject } = compilePolicy(
      clusterPolicy("ClusterNetworkPolicy", {
        subject: { pods: { namespaceSelector: { matchLabels: { team: "a" } }, podSelector } },
        ingress: [
          { action: "Accept", from: [{ namespaces: {} }] },
          { action: "Pass", from: [{ namespaces: {} }] },
        ],
      }),
      groups,
    );
    expect(subject?.key).toBe("pods {} of namespaces {team=a}");
    expect(compiled.rules.ingress.map(told)).toEqual([closedAccept, `Deny [${everyPod}] all`]);
  });
});
