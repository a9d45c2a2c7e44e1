import { describe, expect, test } from "vitest";
import type { NetworkPolicy } from "../model/policy.ts";
import { type DecodeOptions, decodePolicy, formatFieldError, validateUpdate } from "./index.ts";

const head = { apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy" };
const metadata = { name: "p", namespace: "x" };
const withSpec = (spec: unknown): object => ({ ...head, metadata, spec });
const withMeta = (more: object): object => ({ ...head, metadata: { ...metadata, ...more } });
const ingress = (...rules: unknown[]): object => withSpec({ podSelector: {}, ingress: rules });
const from = (...peers: unknown[]): object => ingress({ from: peers });
const ports = (...list: unknown[]): object => ingress({ ports: list });
const select = (podSelector: unknown): object => withSpec({ podSelector });

const errorsOf = (object: unknown, options?: DecodeOptions): string[] =>
  decodePolicy(object, options).errors.map(formatFieldError);
/** The errors without what comes after the examples, which is long. */
const shortErrorsOf = (object: unknown): string[] => errorsOf(object).map((e) => e.replace(/ \(e\.g\. '.*/, ""));

const keyRule =
  "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
const valueRule = `a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character`;
const subdomainRule =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character";

describe("metadata", () => {
  const cases: readonly (readonly [rule: string, meta: object, errors: readonly string[]])[] = [
    ["B2.1", { name: "" }, ["metadata.name: Required value: name or generateName is required"]],
    ["B2.1", { name: null, generateName: "a-" }, []],
    ["B2.2", { name: "a.b-c.9" }, []],
    ["B2.2", { name: "-a" }, [`metadata.name: Invalid value: "-a": ${subdomainRule}`]],
    ["B2.2", { name: "a".repeat(253) }, []],
    [
      "B2.2",
      { name: "a".repeat(254) },
      [`metadata.name: Invalid value: "${"a".repeat(254)}": must be no more than 253 characters`],
    ],
    ["B2.3", { generateName: "Ab-" }, [`metadata.generateName: Invalid value: "Ab-": ${subdomainRule}`]],
    ["B2.4", { namespace: "" }, ["metadata.namespace: Required value"]],
    ["B2.4", { namespace: "a.b" }, ['metadata.namespace: Invalid value: "a.b": must not contain dots']],
    ["B2.5", { labels: { "-x": "" } }, [`metadata.labels: Invalid value: "-x": name part ${keyRule}`]],
    ["B2.5", { labels: { x: "a b" } }, [`metadata.labels: Invalid value: "a b": ${valueRule}`]],
    ["B2.6", { annotations: { "Example.COM/A": "any thing" } }, []],
    [
      "B2.6",
      { annotations: { "a/b/c": "" } },
      [`metadata.annotations: Invalid value: "a/b/c": a valid label key ${keyRule}`],
    ],
    ["B2.6", { annotations: { a: "x".repeat(262_143) } }, []],
    [
      "B2.6",
      { annotations: { a: "é".repeat(131_072) } },
      ["metadata.annotations: Too long: may not be more than 262144 bytes"],
    ],
    ["B2.7", { finalizers: ["a b"] }, [`metadata.finalizers: Invalid value: "a b": name part ${keyRule}`]],
    [
      "B2.7",
      { finalizers: ["orphan", "foregroundDeletion"] },
      [
        'metadata.finalizers: Invalid value: ["orphan","foregroundDeletion"]: finalizer orphan and foregroundDeletion cannot be both set',
      ],
    ],
    [
      "B2.7",
      { ownerReferences: [{ apiVersion: "apps/v1", kind: "Deployment", uid: "1" }] },
      ["metadata.ownerReferences[0].name: Required value: must not be empty"],
    ],
    ["B2.7", { managedFields: [{}] }, ["metadata.managedFields[0].operation: Required value: must not be empty"]],
  ];
  test.each(cases)("%s %j", (_rule, meta, errors) => {
    expect(shortErrorsOf(withMeta(meta))).toEqual(errors);
  });

  test("the namespace can come from the command line", () => {
    const { policy, errors } = decodePolicy({ ...head, metadata: { name: "p" } }, { defaultNamespace: "shop" });
    expect(errors).toEqual([]);
    expect(policy?.metadata).toEqual({ name: "p", namespace: "shop" });
  });

  test("a generated name is not known: its prefix stands for it", () => {
    expect(decodePolicy({ ...head, metadata: { generateName: "p-", namespace: "x" } }).policy?.metadata.name).toBe(
      "p-",
    );
  });
});

describe("selectors", () => {
  const key = (k: string): object => select({ matchLabels: { [k]: "" } });
  const expression = (more: object): object => select({ matchExpressions: [{ key: "a", ...more }] });
  const at = "spec.podSelector";
  const cases: readonly (readonly [rule: string, object: object, errors: readonly string[]])[] = [
    ["B3.1", key("example.com/a_B.c"), []],
    [
      "B3.1",
      key(""),
      [
        `${at}.matchLabels: Invalid value: "": name part must be non-empty`,
        `${at}.matchLabels: Invalid value: "": name part ${keyRule}`,
      ],
    ],
    ["B3.1", key("/a"), [`${at}.matchLabels: Invalid value: "/a": prefix part must be non-empty`]],
    ["B3.1", key("A/a"), [`${at}.matchLabels: Invalid value: "A/a": prefix part ${subdomainRule}`]],
    ["B3.1", key("a/b/c"), [`${at}.matchLabels: Invalid value: "a/b/c": a valid label key ${keyRule}`]],
    [
      "B3.1",
      key("x".repeat(64)),
      [`${at}.matchLabels: Invalid value: "${"x".repeat(64)}": name part must be no more than 63 bytes`],
    ],
    ["B3.2", select({ matchLabels: { a: "x".repeat(63) } }), []],
    [
      "B3.2",
      select({ matchLabels: { a: "x".repeat(64) } }),
      [`${at}.matchLabels: Invalid value: "${"x".repeat(64)}": must be no more than 63 bytes`],
    ],
    [
      "B3.3",
      expression({ operator: "In" }),
      [`${at}.matchExpressions[0].values: Required value: must be specified when \`operator\` is 'In' or 'NotIn'`],
    ],
    [
      "B3.3",
      expression({ operator: "NotIn", values: [] }),
      [`${at}.matchExpressions[0].values: Required value: must be specified when \`operator\` is 'In' or 'NotIn'`],
    ],
    [
      "B3.4",
      expression({ operator: "In", values: ["ok", "-"] }),
      [`${at}.matchExpressions[0].values[1]: Invalid value: "-": ${valueRule}`],
    ],
    [
      "B3.5",
      expression({ operator: "Exists", values: ["a"] }),
      [
        `${at}.matchExpressions[0].values: Forbidden: may not be specified when \`operator\` is 'Exists' or 'DoesNotExist'`,
      ],
    ],
    ["B3.5", expression({ operator: "DoesNotExist", values: [] }), []],
    [
      "B3.6",
      expression({ operator: "in", values: ["a"] }),
      [`${at}.matchExpressions[0].operator: Invalid value: "in": not a valid selector operator`],
    ],
    ["B3.6", expression({}), [`${at}.matchExpressions[0].operator: Invalid value: "": not a valid selector operator`]],
    [
      "B3.1",
      from({ podSelector: { matchLabels: { "-": "" } }, namespaceSelector: { matchLabels: { "+": "" } } }),
      [
        `spec.ingress[0].from[0].podSelector.matchLabels: Invalid value: "-": name part ${keyRule}`,
        `spec.ingress[0].from[0].namespaceSelector.matchLabels: Invalid value: "+": name part ${keyRule}`,
      ],
    ],
  ];
  test.each(cases)("%s %j", (_rule, object, errors) => {
    expect(shortErrorsOf(object)).toEqual(errors);
  });
});

describe("ports", () => {
  const at = "spec.ingress[0].ports[0]";
  const cases: readonly (readonly [rule: string, port: unknown, errors: readonly string[]])[] = [
    ["A2.5", {}, []],
    ["A2.4", { protocol: null, port: null, endPort: null }, []],
    ["B4.1", { protocol: "" }, [`${at}.protocol: Unsupported value: "": supported values: "TCP", "UDP", "SCTP"`]],
    ["B4.2", { port: 0 }, [`${at}.port: Invalid value: 0: must be between 1 and 65535, inclusive`]],
    ["B4.2", { port: 65535 }, []],
    ["B4.2", { port: 99999 }, [`${at}.port: Invalid value: 99999: must be between 1 and 65535, inclusive`]],
    ["B4.3", { port: "a23456789012345" }, []],
    [
      "B4.3",
      { port: "a234567890123456" },
      [`${at}.port: Invalid value: "a234567890123456": must be no more than 15 characters`],
    ],
    [
      "B4.4",
      { port: "a--b-" },
      [
        `${at}.port: Invalid value: "a--b-": must not contain consecutive hyphens`,
        `${at}.port: Invalid value: "a--b-": must not begin or end with a hyphen`,
      ],
    ],
    [
      "B4.5",
      { port: 80, endPort: 79 },
      [`${at}.endPort: Invalid value: 79: must be greater than or equal to \`port\``],
    ],
    ["B4.5", { port: 80, endPort: 80 }, []],
    [
      "B4.6",
      { port: 80, endPort: 65536 },
      [`${at}.endPort: Invalid value: 65536: must be between 1 and 65535, inclusive`],
    ],
    [
      "B4.7",
      { port: "http", endPort: 80 },
      [`${at}.endPort: Invalid value: 80: may not be specified when \`port\` is non-numeric`],
    ],
    [
      "B4.8",
      { endPort: 80 },
      [`${at}.endPort: Invalid value: 80: may not be specified when \`port\` is not specified`],
    ],
    [
      "B1.4",
      { port: true },
      ["json: cannot unmarshal bool into Go struct field NetworkPolicyPort.spec.ingress.ports.port of type int32"],
    ],
    [
      "B1.4",
      { port: 2 ** 31 },
      [
        "json: cannot unmarshal number 2147483648 into Go struct field NetworkPolicyPort.spec.ingress.ports.port of type int32",
      ],
    ],
    [
      "B1.4",
      { port: 80.5 },
      [
        "json: cannot unmarshal number 80.5 into Go struct field NetworkPolicyPort.spec.ingress.ports.port of type int32",
      ],
    ],
    [
      "B1.4",
      { port: 80, endPort: "90" },
      ["json: cannot unmarshal string into Go struct field NetworkPolicyPort.spec.ingress.ports.endPort of type int32"],
    ],
  ];
  test.each(cases)("%s %j", (rule, port, errors) => {
    const result = decodePolicy(ports(port));
    expect(result.errors.map(formatFieldError)).toEqual(errors);
    if (errors.length === 1 && rule.startsWith("B")) expect(result.errors[0]?.code).toBe(rule);
    if (rule === "B1.4") expect(result.policy).toBeNull();
  });
});

describe("peers", () => {
  const at = "spec.ingress[0].from[0]";
  const block = (cidr: unknown, ...except: unknown[]): object => ({ ipBlock: { cidr, except } });
  const subset = (text: string): string =>
    `${at}.ipBlock.except[0]: Invalid value: "${text}": must be a strict subset of \`cidr\``;
  const malformed = (path: string, text: string): string =>
    `${at}.ipBlock.${path}: Invalid value: "${text}": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)`;
  const cases: readonly (readonly [rule: string, peer: unknown, errors: readonly string[]])[] = [
    ["B5.1", { podSelector: null, ipBlock: null }, [`${at}: Required value: must specify a peer`]],
    [
      "B5.2",
      { podSelector: {}, ...block("10.0.0.0/8") },
      [`${at}: Forbidden: may not specify both ipBlock and another peer`],
    ],
    ["B5.3", { podSelector: {}, namespaceSelector: {} }, []],
    ["B5.4", block("", "x"), [`${at}.ipBlock.cidr: Required value`]],
    ["B5.4", { ipBlock: {} }, [`${at}.ipBlock.cidr: Required value`]],
    ["B5.5", block("10.0.0.1", "10.0.0.0/8"), [malformed("cidr", "10.0.0.1")]],
    ["B5.6", block("10.0.0.0/8", "10.0.0.0/33"), [malformed("except[0]", "10.0.0.0/33")]],
    ["B5.7", block("10.0.0.0/8", "10.0.0.0/8"), [subset("10.0.0.0/8")]],
    ["B5.7", block("10.0.0.0/8", "0.0.0.0/0"), [subset("0.0.0.0/0")]],
    ["B5.7", block("10.0.0.0/8", "11.0.0.0/16"), [subset("11.0.0.0/16")]],
    ["B5.7", block("10.0.0.0/8", "2001:db8::/64"), [subset("2001:db8::/64")]],
    ["B5.7", block("10.0.0.0/8", "10.1.0.0/16", "10.1.0.0/16", "10.1.2.0/24"), []],
    [
      "B6.2",
      block("10.0.0.5/24"),
      [`${at}.ipBlock.cidr: Invalid value: "10.0.0.5/24": must not have bits set beyond the prefix length`],
    ],
    [
      "B6.2",
      block("010.0.0.0/8"),
      [`${at}.ipBlock.cidr: Invalid value: "010.0.0.0/8": must not have leading 0s in IP or prefix length`],
    ],
    [
      "B6.2",
      block("10.0.0.0/08"),
      [`${at}.ipBlock.cidr: Invalid value: "10.0.0.0/08": must not have leading 0s in IP or prefix length`],
    ],
    [
      "B6.2",
      block("::ffff:10.0.0.5/104"),
      [`${at}.ipBlock.cidr: Invalid value: "::ffff:10.0.0.5/104": must not have an IPv4-mapped IPv6 address`],
    ],
    ["B6.3", block("2001:DB8:0:0::/64"), []],
    ["B6.6", block("fe80::%eth0/64"), [malformed("cidr", "fe80::%eth0/64")]],
    ["B6.6", block(" 10.0.0.0/8"), [malformed("cidr", " 10.0.0.0/8")]],
    ["B6.6", block("10.0/16"), [malformed("cidr", "10.0/16")]],
  ];
  test.each(cases)("%s %j", (rule, peer, errors) => {
    const result = decodePolicy(from(peer));
    expect(result.errors.map(formatFieldError)).toEqual(errors);
    if (errors.length === 1) expect(result.errors[0]?.code).toBe(rule === "B6.6" ? "B5.5" : rule);
  });

  test.each([
    [
      "10.0.0.5/24",
      'CIDR value "10.0.0.5/24" is ambiguous in this context (should be "10.0.0.0/24" or "10.0.0.5/32"?)',
    ],
    ["010.0.0.0/8", 'non-standard CIDR value "010.0.0.0/8" is invalid: use "10.0.0.0/8"'],
    ["::ffff:10.0.0.0/104", 'non-standard CIDR value "::ffff:10.0.0.0/104" is invalid: use "10.0.0.0/8"'],
    ["2001:DB8::/64", 'IPv6 CIDR value "2001:DB8::/64" should be in RFC 5952 canonical format ("2001:db8::/64")'],
  ])("B6.5 before 1.36, %s is only warned about", (cidr, warning) => {
    const result = decodePolicy(from(block(cidr)), { kubernetesVersion: "v1.35.4-gke.1" });
    expect(result).toMatchObject({ errors: [], warnings: [`${at}.ipBlock.cidr: ${warning}`] });
  });

  test("B6.1 a version that can't be read counts as new", () => {
    expect(errorsOf(from(block("10.0.0.5/24")), { kubernetesVersion: "latest" })).toHaveLength(1);
    expect(errorsOf(from(block("10.0.0.5/24")), { kubernetesVersion: "2.0" })).toHaveLength(1);
    expect(errorsOf(from(block("10.0.0.5/24")), { kubernetesVersion: "1.9" })).toHaveLength(0);
  });
});

describe("policyTypes, absent and null", () => {
  test.each([
    [
      "B7.1",
      ["Ingress", "Egress", "Both"],
      ['spec.policyTypes: Invalid value: ["Ingress","Egress","Both"]: may not specify more than two policyTypes'],
    ],
    [
      "B7.2",
      ["ingress", null],
      [
        'spec.policyTypes[0]: Unsupported value: "ingress": supported values: "Ingress", "Egress"',
        'spec.policyTypes[1]: Unsupported value: "": supported values: "Ingress", "Egress"',
      ],
    ],
    ["B7.3", ["Egress", "Egress"], []],
  ])("%s %j", (_rule, policyTypes, errors) => {
    expect(errorsOf(withSpec({ policyTypes }))).toEqual(errors);
  });

  test("A2.8 metadata alone is a policy; nothing is defaulted", () => {
    expect(decodePolicy({ ...head, metadata })).toMatchObject({
      errors: [],
      policy: { kind: "NetworkPolicy", metadata: { name: "p", namespace: "x" }, spec: null, source: null },
    });
    const { policy } = decodePolicy(withSpec({ podSelector: null, ingress: null, egress: [], policyTypes: [] }));
    expect((policy as NetworkPolicy).spec).toEqual({ podSelector: null, ingress: null, egress: [], policyTypes: [] });
  });

  test.each([
    [ingress(null), "spec.ingress[0]"],
    [withSpec({ egress: [{}, null] }), "spec.egress[1]"],
    [ports(null), "spec.ingress[0].ports[0]"],
  ])("A2.10 a null among rules or ports is an error: %j", (object, path) => {
    expect(errorsOf(object)).toEqual([
      `${path}: Invalid value: null: null is read as {} and matches everything; write {} if that is meant`,
    ]);
  });

  test("A2.11 a null label value is the empty string, with a warning", () => {
    const { policy, errors, warnings } = decodePolicy(select({ matchLabels: { a: null } }));
    expect(errors).toEqual([]);
    expect(warnings).toEqual([
      'spec.podSelector.matchLabels.a: null is read as "": it means the label with an empty value',
    ]);
    expect((policy as NetworkPolicy).spec?.podSelector?.matchLabels).toEqual({ a: "" });
  });
});

describe("B8 what the server does not look at", () => {
  const twice = {
    from: [{ podSelector: { matchLabels: { no: "pod" } } }],
    ports: [{ port: 1, endPort: 9 }, { port: 5 }],
  };
  test.each([
    ["B8.1", withSpec({ policyTypes: ["Ingress"], egress: [{}] })],
    [
      "B8.3, B8.4",
      ingress({ from: [{ ipBlock: { cidr: "10.0.0.0/8" } }], ports: [{ protocol: "SCTP", port: "nobody" }] }),
    ],
    ["B8.5", ingress(...Array<unknown>(500).fill(twice))],
    ["B8.2, B8.6, B8.7, B8.8", ingress(twice, twice)],
  ])("%s", (_rule, object) => {
    expect(errorsOf(object)).toEqual([]);
  });
});

describe("types and fields", () => {
  test.each([
    [
      select({ matchLabels: { a: true } }),
      "json: cannot unmarshal bool into Go struct field LabelSelector.spec.podSelector.matchLabels of type string",
    ],
    [
      select({ matchLabels: { a: 1 } }),
      "json: cannot unmarshal number into Go struct field LabelSelector.spec.podSelector.matchLabels of type string",
    ],
    [
      select([]),
      "json: cannot unmarshal array into Go struct field NetworkPolicySpec.spec.podSelector of type v1.LabelSelector",
    ],
    [
      withSpec({ ingress: {} }),
      "json: cannot unmarshal object into Go struct field NetworkPolicySpec.spec.ingress of type []v1.NetworkPolicyIngressRule",
    ],
    [
      withSpec("x"),
      "json: cannot unmarshal string into Go struct field NetworkPolicy.spec of type v1.NetworkPolicySpec",
    ],
    [
      withMeta({ labels: { a: 1.5 } }),
      "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string",
    ],
  ])("B1.4 %j", (object, message) => {
    const { policy, errors } = decodePolicy(object);
    expect(policy).toBeNull();
    expect(errors.map(formatFieldError)).toEqual([message]);
    expect(errors[0]).toMatchObject({ code: "B1.4", kind: "TypeMismatch" });
  });

  test("B9 unknown fields, wrong case, and status", () => {
    const object = { ...withSpec({ PodSelector: {}, ingress: [{ frm: [], ports: [{ from: [] }] }] }), status: {} };
    expect(errorsOf(object)).toEqual([
      'unknown field "spec.PodSelector"',
      'unknown field "spec.ingress[0].frm"',
      'unknown field "spec.ingress[0].ports[0].from"',
      'unknown field "status"',
    ]);
  });

  test("B9.7 keys of label maps are data, but may not repeat", () => {
    const object = select({ matchLabels: { constructor: "a", toString: "b" } });
    expect(errorsOf(object)).toEqual([]);
    const duplicates = [["spec", "podSelector", "matchLabels", "constructor"]];
    expect(errorsOf(object, { duplicates })).toEqual(['duplicate field "spec.podSelector.matchLabels.constructor"']);
  });
});

describe("updates", () => {
  const stored = from({ ipBlock: { cidr: "10.0.0.5/24", except: ["10.0.0.9/29"] } });

  test("B2.8 what can't change", () => {
    const old = withMeta({ uid: "1", creationTimestamp: "2026-01-01T00:00:00Z" });
    const next = { ...head, metadata: { name: "q", namespace: "y", uid: "2" } };
    expect(validateUpdate(old, next).map(formatFieldError)).toEqual([
      'metadata.name: Invalid value: "q": field is immutable',
      'metadata.namespace: Invalid value: "y": field is immutable',
      'metadata.uid: Invalid value: "2": field is immutable',
    ]);
    expect(validateUpdate(old, { ...head, metadata })).toEqual([]);
  });

  test("B6.4 a stored CIDR may be used again, but B5.7 holds", () => {
    expect(validateUpdate(stored, stored)).toEqual([]);
    const next = from({ ipBlock: { cidr: "10.0.0.9/29", except: ["10.0.0.5/24"] } });
    expect(validateUpdate(stored, next).map(formatFieldError)).toEqual([
      'spec.ingress[0].from[0].ipBlock.except[0]: Invalid value: "10.0.0.5/24": must be a strict subset of `cidr`',
    ]);
  });

  test("B3.4 bad values are tolerated only if the stored podSelector was bad", () => {
    const bad = { matchExpressions: [{ key: "a", operator: "In", values: ["not ok"] }] };
    expect(validateUpdate(select(bad), select(bad))).toEqual([]);
    expect(validateUpdate(from({ podSelector: bad }), from({ podSelector: bad }))).toHaveLength(1);
  });

  test("an update is decoded as strictly as a create", () => {
    expect(validateUpdate(stored, withSpec({ ingres: [] })).map(formatFieldError)).toEqual([
      'unknown field "spec.ingres"',
    ]);
    expect(validateUpdate(stored, withSpec(1))).toMatchObject([{ kind: "TypeMismatch" }]);
  });
});
