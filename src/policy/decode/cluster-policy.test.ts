import { describe, expect, test } from "vitest";
import type { ClusterPolicy } from "../model/policy.ts";
import { type DecodeOptions, decodePolicy, formatFieldError, validateUpdate } from "./index.ts";

const head = {
  apiVersion: "policy.networking.k8s.io/v1alpha2",
  kind: "ClusterNetworkPolicy",
  metadata: { name: "a" },
};
const everyone = { namespaces: {} };
const base = { tier: "Admin", priority: 1, subject: everyone };
const withSpec = (more: object): object => ({ ...head, spec: { ...base, ...more } });
const ingress = (...rules: unknown[]): object => withSpec({ ingress: rules });
const egress = (...rules: unknown[]): object => withSpec({ egress: rules });
const allow = { action: "Accept", to: [everyone] };
const protocols = (...list: unknown[]): object => egress({ ...allow, protocols: list });
const networks = (...list: unknown[]): object => egress({ action: "Deny", to: [{ networks: list }] });
const domains = (...list: unknown[]): object => egress({ action: "Accept", to: [{ domainNames: list }] });

const admin = (spec: object): object => ({
  apiVersion: "policy.networking.k8s.io/v1alpha1",
  kind: "AdminNetworkPolicy",
  metadata: { name: "a" },
  spec: { priority: 1, subject: everyone, ...spec },
});
const baseline = (spec: object, name = "default"): object => ({
  apiVersion: "policy.networking.k8s.io/v1alpha1",
  kind: "BaselineAdminNetworkPolicy",
  metadata: { name },
  spec: { subject: everyone, ...spec },
});

const errorsOf = (object: unknown, options?: DecodeOptions): string[] =>
  decodePolicy(object, options).errors.map(formatFieldError);
const standard: DecodeOptions = { crdChannel: "standard" };

type Case = readonly [rule: string, object: object, errors: readonly string[]];
const check = (cases: readonly Case[]): void => {
  test.each(cases)("%s %j", (rule, object, errors) => {
    const result = decodePolicy(object);
    expect(result.errors.map(formatFieldError)).toEqual(errors);
    for (const { code, kind } of result.errors)
      expect(code).toBe(kind === "UnknownField" && rule !== "C16.8" ? "B9" : rule);
    if (errors.length === 0) expect(result.policy).not.toBeNull();
  });
};

describe("v1alpha2: the spec", () => {
  const many = (n: number): unknown[] => Array<unknown>(n).fill({ action: "Deny", from: [everyone] });
  check([
    [
      "C2",
      { ...head, spec: {} },
      ["spec.priority: Required value", "spec.subject: Required value", "spec.tier: Required value"],
    ],
    ["C2", head, ["spec: Required value"]],
    ["C2", { ...head, spec: { ...base, tier: null } }, ["spec.tier: Required value"]],
    ["C2", withSpec({ tier: "X" }), ['spec.tier: Unsupported value: "X": supported values: "Admin", "Baseline"']],
    ["C2", withSpec({ priority: 1000 }), []],
    ["C2", withSpec({ priority: 0 }), []],
    [
      "C2",
      withSpec({ priority: 1001 }),
      ["spec.priority: Invalid value: 1001: spec.priority in body should be less than or equal to 1000"],
    ],
    [
      "C2",
      withSpec({ priority: -1 }),
      ["spec.priority: Invalid value: -1: spec.priority in body should be greater than or equal to 0"],
    ],
    [
      "C2",
      withSpec({ priority: "1" }),
      ['spec.priority: Invalid value: "string": spec.priority in body must be of type integer: "string"'],
    ],
    [
      "C2",
      withSpec({ priority: 1.5 }),
      ['spec.priority: Invalid value: "float64": spec.priority in body must be of type int32: "float64"'],
    ],
    [
      "C2",
      withSpec({ subject: {} }),
      ["spec.subject: Invalid value: 0: spec.subject in body should have at least 1 properties"],
    ],
    [
      "C2",
      withSpec({ subject: { namespaces: {}, pods: { podSelector: {} } } }),
      ["spec.subject: Too many: 2: must have at most 1 item"],
    ],
    ["C2", withSpec({ subject: { pods: {} } }), ["spec.subject.pods.podSelector: Required value"]],
    ["C2", withSpec({ subject: { pods: { podSelector: {} } } }), []],
    ["C14", withSpec({ ingress: many(25), egress: [] }), []],
    ["C2", withSpec({ ingress: many(26) }), ["spec.ingress: Too many: 26: must have at most 25 items"]],
    ["C2", withSpec({ ingres: [] }), ['unknown field "spec.ingres"']],
    ["C2", withSpec({ policyTypes: [] }), ['unknown field "spec.policyTypes"']],
    [
      "C1.4",
      withSpec({
        subject: { namespaces: { matchLabels: { "-": "+" }, matchExpressions: [{ key: "", operator: "Gt" }] } },
      }),
      [],
    ],
    [
      "C2",
      withSpec({ subject: { namespaces: { matchExpressions: [{}] } } }),
      [
        "spec.subject.namespaces.matchExpressions[0].key: Required value",
        "spec.subject.namespaces.matchExpressions[0].operator: Required value",
      ],
    ],
    [
      "C2",
      withSpec({ subject: { namespaces: { matchLabels: { a: 1 } } } }),
      [
        'spec.subject.namespaces.matchLabels.a: Invalid value: "integer": spec.subject.namespaces.matchLabels.a in body must be of type string: "integer"',
      ],
    ],
  ]);
});

describe("v1alpha2: rules and peers", () => {
  const rule = "spec.ingress[0]";
  check([
    ["C2", ingress({}), [`${rule}.action: Required value`, `${rule}.from: Required value`]],
    [
      "C2",
      ingress({ action: "Allow", from: [everyone] }),
      [`${rule}.action: Unsupported value: "Allow": supported values: "Accept", "Deny", "Pass"`],
    ],
    [
      "C2",
      ingress({ action: "Pass", from: [] }),
      [`${rule}.from: Invalid value: 0: ${rule}.from in body should have at least 1 items`],
    ],
    [
      "C2",
      ingress({ action: "Pass", from: Array<unknown>(26).fill(everyone) }),
      [`${rule}.from: Too many: 26: must have at most 25 items`],
    ],
    [
      "C2",
      ingress({ action: "Deny", from: [{}] }),
      [`${rule}.from[0]: Invalid value: 0: ${rule}.from[0] in body should have at least 1 properties`],
    ],
    [
      "C2",
      ingress({ action: "Deny", from: [null] }),
      [`${rule}.from[0]: Invalid value: "null": ${rule}.from[0] in body must be of type object: "null"`],
    ],
    ["C2", ingress({ action: "Deny", name: "é".repeat(100), from: [everyone] }), []],
    [
      "C2",
      ingress({ action: "Deny", name: "x".repeat(101), from: [everyone] }),
      [`${rule}.name: Too long: may not be more than 100 bytes`],
    ],
  ]);

  test("C7.1 ingress has no address peers", () => {
    expect(errorsOf(ingress({ action: "Deny", from: [{ networks: ["10.0.0.0/8"] }] }))).toEqual([
      `unknown field "${rule}.from[0].networks"`,
      `${rule}.from[0]: Invalid value: 0: ${rule}.from[0] in body should have at least 1 properties`,
    ]);
  });

  const at = "spec.egress[0].to[0]";
  check([
    ["C2", networks(), [`${at}.networks: Invalid value: 0: ${at}.networks in body should have at least 1 items`]],
    [
      "C2",
      networks("10.0.0.0/8", "0.0.0.0/0", "10.0.0.0/8", "10.0.0.0/8"),
      [`${at}.networks[2]: Duplicate value: "10.0.0.0/8"`],
    ],
    ["C8.4", networks("10.0.0.5/24", "::/0"), []],
    ["C8.4", networks("10.0.0.0"), [`${at}.networks[0]: Invalid value: "10.0.0.0": Invalid CIDR format provided`]],
    [
      "C8.4",
      networks("010.0.0.0/8"),
      [`${at}.networks[0]: Invalid value: "010.0.0.0/8": Invalid CIDR format provided`],
    ],
    [
      "C8.4",
      networks("::ffff:10.0.0.0/104"),
      [`${at}.networks[0]: Invalid value: "::ffff:10.0.0.0/104": Invalid CIDR format provided`],
    ],
    ["C8.7", domains("*.kubernetes.io", "a.b."), []],
    [
      "C8.7",
      domains("*.io"),
      [
        `${at}.domainNames[0]: Invalid value: "*.io": ${at}.domainNames[0] in body should match '^(\\*\\.)?([a-zA-z0-9]([-a-zA-Z0-9_]*[a-zA-Z0-9])?\\.)+[a-zA-z0-9]([-a-zA-Z0-9_]*[a-zA-Z0-9])?\\.?$'`,
      ],
    ],
    ["C2", domains("a.b", "a.b"), [`${at}.domainNames[1]: Duplicate value: "a.b"`]],
    [
      "C2",
      egress({ action: "Deny", to: [{ nodes: {}, namespaces: {} }] }),
      [`${at}: Too many: 2: must have at most 1 item`],
    ],
  ]);

  test("networks are at most 43 characters long", () => {
    const long = `${"0".repeat(44)}/8`;
    expect(errorsOf(networks(long))).toContain(`${at}.networks[0]: Too long: may not be more than 43 bytes`);
  });

  test("C1.3 the standard channel knows neither nodes nor domainNames", () => {
    for (const field of ["nodes", "domainNames"]) {
      const object = egress({ action: "Accept", to: [{ [field]: field === "nodes" ? {} : ["a.b"] }] });
      expect(errorsOf(object)).toEqual([]);
      expect(errorsOf(object, standard)).toEqual([
        `unknown field "${at}.${field}"`,
        `${at}: Invalid value: 0: ${at} in body should have at least 1 properties`,
      ]);
    }
  });
});

describe("v1alpha2: protocols", () => {
  const at = "spec.egress[0].protocols[0]";
  check([
    [
      "C2",
      protocols(),
      [`spec.egress[0].protocols: Invalid value: 0: spec.egress[0].protocols in body should have at least 1 items`],
    ],
    ["C2", protocols({}), [`${at}: Invalid value: 0: ${at} in body should have at least 1 properties`]],
    [
      "C2",
      protocols({ tcp: {} }),
      [`${at}.tcp: Invalid value: 0: ${at}.tcp in body should have at least 1 properties`],
    ],
    [
      "C2",
      protocols({ udp: { destinationPort: {} } }),
      [
        `${at}.udp.destinationPort: Invalid value: 0: ${at}.udp.destinationPort in body should have at least 1 properties`,
      ],
    ],
    [
      "C2",
      protocols({ sctp: { destinationPort: { number: 65536 } } }),
      [
        `${at}.sctp.destinationPort.number: Invalid value: 65536: ${at}.sctp.destinationPort.number in body should be less than or equal to 65535`,
      ],
    ],
    [
      "C2",
      protocols({ tcp: { destinationPort: { number: 1, range: { start: 1, end: 2 } } } }),
      [`${at}.tcp.destinationPort: Too many: 2: must have at most 1 item`],
    ],
    [
      "C2",
      protocols({ tcp: { destinationPort: { range: {} } } }),
      [`${at}.tcp.destinationPort.range.end: Required value`, `${at}.tcp.destinationPort.range.start: Required value`],
    ],
    [
      "C9.3",
      protocols({ tcp: { destinationPort: { range: { start: 80, end: 80 } } } }),
      [`${at}.tcp.destinationPort.range: Invalid value: Start port must be less than End port`],
    ],
    ["C9.3", protocols({ tcp: { destinationPort: { range: { start: 1, end: 65535 } } } }), []],
    ["C9.8", protocols({ destinationNamedPort: "" }), []],
    [
      "C2",
      protocols({ destinationNamedPort: "a", tcp: { destinationPort: { number: 1 } } }),
      [`${at}: Too many: 2: must have at most 1 item`],
    ],
  ]);

  test.each([{ networks: ["10.0.0.0/8"] }, { nodes: {} }, { domainNames: ["a.b"] }])(
    "C9.6 named port to %j",
    (peer) => {
      const object = egress({ action: "Deny", to: [everyone, peer], protocols: [{ destinationNamedPort: "web" }] });
      expect(decodePolicy(object).errors).toEqual([
        {
          code: "C9.6",
          kind: "Invalid",
          path: ["spec", "egress", 0],
          detail:
            "networks/nodes/domainNames peer cannot be set with namedPorts since there are no namedPorts for networks/nodes/domainNames",
        },
      ]);
      if ("networks" in peer) expect(errorsOf(object, standard)).toEqual([]);
    },
  );
});

describe("v1alpha1", () => {
  const rule = (more: object): object => admin({ ingress: [{ action: "Allow", from: [everyone], ...more }] });
  const at = "spec.ingress[0]";
  check([
    ["C16", rule({}), []],
    ["C16.2", baseline({ ingress: [{ action: "Deny", from: [everyone] }] }), []],
    [
      "C16",
      baseline({ ingress: [{ action: "Pass", from: [everyone] }] }),
      [`${at}.action: Unsupported value: "Pass": supported values: "Allow", "Deny"`],
    ],
    [
      "C16",
      rule({ action: "Accept" }),
      [`${at}.action: Unsupported value: "Accept": supported values: "Allow", "Deny", "Pass"`],
    ],
    ["C16", admin({ priority: null }), ["spec.priority: Required value"]],
    ["C16", admin({ tier: "Admin" }), ['unknown field "spec.tier"']],
    ["C16", baseline({ priority: 1 }), ['unknown field "spec.priority"']],
    [
      "C16.3",
      baseline({}, "other"),
      [
        '<nil>: Invalid value: Only one baseline admin network policy with metadata.name="default" can be created in the cluster',
      ],
    ],
    [
      "C16.4",
      rule({
        ports: [
          { portNumber: { port: 1 } },
          { portRange: { protocol: "any", start: 9, end: 1 } },
          { namedPort: "web" },
        ],
      }),
      [],
    ],
    ["C16", rule({ ports: [{ portNumber: { protocol: "TCP" } }] }), [`${at}.ports[0].portNumber.port: Required value`]],
    [
      "C16",
      rule({ ports: [{}] }),
      [`${at}.ports[0]: Invalid value: 0: ${at}.ports[0] in body should have at least 1 properties`],
    ],
    [
      "C16",
      rule({ ports: [{ portRange: { start: 0, end: 1 } }] }),
      [
        `${at}.ports[0].portRange.start: Invalid value: 0: ${at}.ports[0].portRange.start in body should be greater than or equal to 1`,
      ],
    ],
    ["C16", rule({ from: [{ pods: { podSelector: {} } }] }), [`${at}.from[0].pods.namespaceSelector: Required value`]],
    [
      "C16",
      rule({ from: Array<unknown>(101).fill(everyone) }),
      [`${at}.from: Too many: 101: must have at most 100 items`],
    ],
    ["C16", rule({ from: Array<unknown>(100).fill(everyone) }), []],
    [
      "C16",
      admin({ ingress: Array<unknown>(101).fill({ action: "Deny", from: [everyone] }) }),
      ["spec.ingress: Too many: 101: must have at most 100 items"],
    ],
    [
      "C9.6",
      baseline({ egress: [{ action: "Deny", to: [{ nodes: {} }], ports: [{ namedPort: "web" }] }] }),
      [
        "spec.egress[0]: Invalid value: networks/nodes peer cannot be set with namedPorts since there are no namedPorts for networks/nodes",
      ],
    ],
  ]);

  test("C16.6 domainNames are for the Admin kind, and experimental", () => {
    const spec = { egress: [{ action: "Allow", to: [{ domainNames: ["a.b"] }] }] };
    expect(errorsOf(admin(spec))).toEqual([]);
    expect(errorsOf(baseline(spec))).toContain('unknown field "spec.egress[0].to[0].domainNames"');
    expect(errorsOf(admin(spec), standard)).toContain('unknown field "spec.egress[0].to[0].domainNames"');
    expect(errorsOf(admin({ egress: [{ action: "Deny", to: [{ networks: ["::/0"] }] }] }), standard)).toEqual([]);
  });

  test.each([
    [{ namespaces: { namespaceSelector: { matchLabels: { a: "b" } } } }, "namespaces.namespaceSelector"],
    [{ namespaces: { sameLabels: ["team"] } }, "namespaces.sameLabels"],
    [{ namespaces: { notSameLabels: ["team"] } }, "namespaces.notSameLabels"],
    [{ pods: { namespaces: {}, namespaceSelector: {}, podSelector: {} } }, "pods.namespaces"],
  ])("C16.8 the old peer %j is recognised and rejected", (peer, field) => {
    for (const object of [rule({ from: [peer] }), baseline({ egress: [{ action: "Deny", to: [peer] }] })]) {
      const { policy, errors } = decodePolicy(object);
      expect(policy).toBeNull();
      expect(errors).toHaveLength(1);
      expect(errors[0]).toMatchObject({ code: "C16.8", kind: "UnknownField" });
      expect(formatFieldError(errors[0]!)).toMatch(
        new RegExp(`^unknown field "spec.*${field.replace(".", "\\.")}": .*v0\\.1\\.0`),
      );
    }
  });
});

describe("what becomes of it", () => {
  test("the policy is what was written, nothing defaulted, nulls gone", () => {
    const spec = {
      priority: 5,
      subject: everyone,
      ingress: null,
      egress: [{ action: "Deny", to: [everyone], ports: [{ portNumber: { protocol: null, port: 1 } }] }],
    };
    const { policy } = decodePolicy(admin(spec));
    expect(policy).toEqual({
      kind: "AdminNetworkPolicy",
      metadata: { name: "a", namespace: "" },
      spec: {
        priority: 5,
        subject: { namespaces: {} },
        egress: [{ action: "Deny", to: [{ namespaces: {} }], ports: [{ portNumber: { port: 1 } }] }],
      },
      source: null,
    });
  });

  test("a namespace is ignored, and a null label dropped, with a warning", () => {
    const object = { ...withSpec({ subject: { namespaces: { matchLabels: { a: null, b: "c" } } } }) };
    const { policy, errors, warnings } = decodePolicy({ ...object, metadata: { name: "a", namespace: "x" } });
    expect(errors).toEqual([]);
    expect(policy?.metadata.namespace).toBe("");
    expect((policy as ClusterPolicy).spec.subject).toEqual({ namespaces: { matchLabels: { b: "c" } } });
    expect(warnings).toEqual([
      "metadata.namespace: ignored: a ClusterNetworkPolicy belongs to the whole cluster",
      "spec.subject.namespaces.matchLabels.a: null: the API server drops this label from the selector",
    ]);
  });

  test("a peer of a newer CRD keeps its place, empty, for the engine to fail closed (C12.1)", () => {
    const { policy, errors } = decodePolicy(ingress({ action: "Deny", from: [{ galaxies: {} }] }));
    expect(errors).not.toEqual([]);
    expect((policy as ClusterPolicy).spec.ingress).toEqual([{ action: "Deny", from: [{}] }]);
  });

  test("metadata of the wrong type is a decoding error", () => {
    const { policy, errors } = decodePolicy({ ...withSpec({}), metadata: { name: "a", labels: { a: 1 } } });
    expect(policy).toBeNull();
    expect(errors.map(formatFieldError)).toEqual([
      "json: cannot unmarshal number into Go struct field ObjectMeta.labels of type string",
    ]);
  });
});

describe("updates", () => {
  const bad = networks("10.0.0.0", "::/0");

  test("what was invalid may stay as it is", () => {
    expect(validateUpdate(bad, bad)).toEqual([]);
    expect(validateUpdate(withSpec({ priority: 5000 }), withSpec({ priority: 5000, tier: "Baseline" }))).toEqual([]);
  });

  test("but not change", () => {
    expect(validateUpdate(bad, networks("10.0.0.0", "0.0.0.0/0"))).toHaveLength(1);
    expect(validateUpdate(withSpec({ priority: 5000 }), withSpec({ priority: 6000 }))).toHaveLength(1);
  });

  test("C4.5 the priority may change, the name may not", () => {
    expect(validateUpdate(withSpec({}), withSpec({ priority: 7 }))).toEqual([]);
    expect(validateUpdate(withSpec({}), { ...withSpec({}), metadata: { name: "b" } })).toMatchObject([
      { code: "B2.8" },
    ]);
  });
});
