import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  decodePolicy,
  type FieldError,
  formatFieldError,
  isPolicyKind,
  rejectedStatus,
  serverMessage,
  validateUpdate,
} from "./index.ts";

describe("which objects are policies", () => {
  test.each([
    ["networking.k8s.io/v1", "NetworkPolicy", true],
    ["policy.networking.k8s.io/v1alpha2", "ClusterNetworkPolicy", true],
    ["policy.networking.k8s.io/v1alpha1", "BaselineAdminNetworkPolicy", true],
    ["extensions/v1beta1", "NetworkPolicy", true],
    ["v1", "NetworkPolicy", true],
    ["networking.k8s.io/v1", "networkpolicy", true],
    ["projectcalico.org/v3", "NetworkPolicy", false],
    ["crd.antrea.io/v1beta1", "NetworkPolicy", false],
    ["networking.k8s.io/v1", "Ingress", false],
    ["v1", "Pod", false],
  ])("%s %s: %s", (apiVersion, kind, expected) => {
    expect(isPolicyKind(apiVersion, kind)).toBe(expected);
  });

  test.each([
    [
      { apiVersion: "extensions/v1beta1", kind: "NetworkPolicy" },
      'apiVersion: Unsupported value: "extensions/v1beta1": supported values: "networking.k8s.io/v1"',
    ],
    [
      { apiVersion: "policy.networking.k8s.io/v1alpha1", kind: "ClusterNetworkPolicy" },
      'apiVersion: Unsupported value: "policy.networking.k8s.io/v1alpha1": supported values: "policy.networking.k8s.io/v1alpha2"',
    ],
    [{ kind: "NetworkPolicy" }, 'apiVersion: Unsupported value: "": supported values: "networking.k8s.io/v1"'],
    [
      { apiVersion: "networking.k8s.io/v1", kind: "networkPolicy" },
      'kind: Invalid value: "networkPolicy": no such kind of policy: did you mean NetworkPolicy?',
    ],
    [{ apiVersion: "v1", kind: "Pod" }, 'kind: Invalid value: "Pod": no such kind of policy'],
    [{}, "kind: Invalid value: null: no such kind of policy"],
    [[], "a policy must be an object, not array"],
    [null, "a policy must be an object, not null"],
  ])("%j is rejected", (object, message) => {
    const { policy, errors } = decodePolicy(object);
    expect(policy).toBeNull();
    expect(errors.map(formatFieldError)).toEqual([message]);
    expect(validateUpdate({}, object).map(formatFieldError)).toEqual([message]);
  });
});

describe("the server's whole message", () => {
  const policy = (spec: unknown): object => ({
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: { name: "p", namespace: "x" },
    spec,
  });
  const messageOf = (object: unknown): string => serverMessage(object, decodePolicy(object).errors);

  test("B1.1 one error, several errors, repeated errors", () => {
    const peer = "spec.ingress[0].from[0]: Required value: must specify a peer";
    expect(messageOf(policy({ ingress: [{ from: [{}] }] }))).toBe(
      `NetworkPolicy.networking.k8s.io "p" is invalid: ${peer}`,
    );
    expect(messageOf(policy({ ingress: [{ from: [{}] }], policyTypes: ["x"] }))).toBe(
      `NetworkPolicy.networking.k8s.io "p" is invalid: [${peer}, spec.policyTypes[0]: Unsupported value: "x": supported values: "Ingress", "Egress"]`,
    );
    const twice = policy({ podSelector: { matchLabels: { a: "-", b: "-" } } });
    expect(messageOf(twice).match(/spec\.podSelector\.matchLabels: Invalid value/g)).toHaveLength(1);
    expect(rejectedStatus(twice, decodePolicy(twice).errors).causes).toHaveLength(2);
  });

  test("B1.2 causes", () => {
    const object = policy({ ingress: [{ from: [{}], ports: [{ port: 0 }] }] });
    expect(rejectedStatus(object, decodePolicy(object).errors)).toMatchObject({
      code: 422,
      reason: "Invalid",
      causes: [
        {
          reason: "FieldValueInvalid",
          message: "Invalid value: 0: must be between 1 and 65535, inclusive",
          field: "spec.ingress[0].ports[0].port",
        },
        {
          reason: "FieldValueRequired",
          message: "Required value: must specify a peer",
          field: "spec.ingress[0].from[0]",
        },
      ],
    });
  });

  test("B1.4 a wrong type hides everything else", () => {
    expect(messageOf(policy({ ingres: 1, ingress: [{ ports: [{ port: true }] }] }))).toBe(
      'NetworkPolicy in version "v1" cannot be handled as a NetworkPolicy: json: cannot unmarshal bool into Go struct field NetworkPolicyPort.spec.ingress.ports.port of type int32',
    );
  });

  test("B9.3 strict decoding", () => {
    expect(messageOf({ ...policy({ ingres: [], policyTypes: ["x"] }), status: {} })).toBe(
      'NetworkPolicy in version "v1" cannot be handled as a NetworkPolicy: strict decoding error: unknown field "spec.ingres", unknown field "status"',
    );
    const many = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`x${i}`, 1]));
    expect(messageOf(policy(many)).match(/unknown field/g)).toHaveLength(100);
  });
});

describe("values in messages", () => {
  const printed = (value: unknown): string =>
    formatFieldError({ code: "x", kind: "Invalid", path: ["a"], value, detail: "d" }).slice(
      "a: Invalid value: ".length,
      -": d".length,
    );

  test.each<[unknown, string]>([
    ['q"\\\n\t\u0007\u0000\u007f', '"q\\"\\\\\\n\\t\\a\\x00\\x7f"'],
    ["é€😀 \u00a0\u200b\u{e0001}\ud800", '"é€😀 \\u00a0\\u200b\\U000e0001\ufffd"'],
    [-1, "-1"],
    [2n ** 63n, "9223372036854775808"],
    [true, "true"],
    [null, "null"],
    [["<&>", { a: null }], '["\\u003c\\u0026\\u003e",{"a":null}]'],
  ])("case %#", (value, text) => {
    expect(printed(value)).toBe(text);
  });

  test("are cut off where they get too long, too deep or cyclic", () => {
    const cyclic: unknown[] = [];
    cyclic.push(cyclic, cyclic);
    const deep = Array.from({ length: 5000 }).reduce<unknown>((inner) => [inner], []);
    for (const value of [cyclic, deep, Array<string>(1_000_000).fill("x")])
      expect(printed(value).length).toBeLessThan(100_000);
  });
});

describe("any input", () => {
  const keys = fc.constantFrom(
    "apiVersion",
    "kind",
    "metadata",
    "spec",
    "name",
    "namespace",
    "labels",
    "podSelector",
    "namespaceSelector",
    "matchLabels",
    "matchExpressions",
    "key",
    "operator",
    "values",
    "ingress",
    "egress",
    "from",
    "to",
    "ports",
    "port",
    "endPort",
    "protocol",
    "ipBlock",
    "cidr",
    "except",
    "policyTypes",
    "tier",
    "priority",
    "subject",
    "namespaces",
    "pods",
    "nodes",
    "networks",
    "domainNames",
    "protocols",
    "tcp",
    "destinationPort",
    "range",
    "start",
    "end",
    "portNumber",
    "portRange",
    "namedPort",
    "finalizers",
    "ownerReferences",
    "annotations",
    "creationTimestamp",
    "__proto__",
    "constructor",
    "toString",
    "hasOwnProperty",
    "length",
    "0",
    "",
  );
  const leaf = fc.oneof(
    fc.constantFrom(
      null,
      undefined,
      true,
      0,
      -0,
      1.5,
      2 ** 53,
      1e308,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      10n ** 30n,
      "",
      "10.0.0.0/8",
      "In",
      "TCP",
      "Admin",
    ),
    fc.string({ maxLength: 8 }),
  );
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof({ maxDepth: 7, withCrossShrink: true }, leaf, tie("list"), tie("object"), tie("object")),
    list: fc.oneof(fc.array(tie("tree"), { maxLength: 4 }), fc.sparseArray(tie("tree"), { maxLength: 4 })),
    object: fc.dictionary(keys, tie("tree"), { maxKeys: 5 }),
  }));
  const identity = fc.constantFrom(
    { apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy" },
    { apiVersion: "policy.networking.k8s.io/v1alpha2", kind: "ClusterNetworkPolicy" },
    { apiVersion: "policy.networking.k8s.io/v1alpha1", kind: "AdminNetworkPolicy" },
    { apiVersion: "policy.networking.k8s.io/v1alpha1", kind: "BaselineAdminNetworkPolicy" },
  );
  const policy = fc.tuple(identity, tree, tree, tree).map(([id, metadata, ingress, egress]) => ({
    ...id,
    metadata,
    spec: { ingress, egress, podSelector: metadata, subject: ingress, policyTypes: egress },
  }));

  const sane = (object: unknown, errors: readonly FieldError[]): void => {
    for (const error of errors) {
      expect(error.code).toMatch(/^[A-C]\d+(\.\d+)?$/);
      expect(formatFieldError(error)).toEqual(expect.any(String));
    }
    if (errors.length > 0) expect(serverMessage(object, errors)).not.toBe("");
  };

  test("is answered, never thrown at", () => {
    fc.assert(
      fc.property(fc.oneof(policy, tree), tree, (object, other) => {
        const result = decodePolicy(object, { duplicates: [["spec", "ingress"], ["spec", 0, "x"], []] });
        sane(object, result.errors);
        if (result.policy === null) expect(result.errors.length).toBeGreaterThan(0);
        if (result.errors.length > 0) expect(result.warnings).toEqual([]);
        sane(object, validateUpdate(other, object));
        sane(object, validateUpdate(object, object));
      }),
      { numRuns: 1500 },
    );
  });

  test("decoding twice gives the same, and what was decoded is valid again", () => {
    fc.assert(
      fc.property(policy, (object) => {
        const first = decodePolicy(object, { defaultNamespace: "x" });
        expect(decodePolicy(object, { defaultNamespace: "x" })).toEqual(first);
        if (first.policy === null || first.errors.length > 0) return;
        const again = { ...object, metadata: first.policy.metadata, spec: first.policy.spec };
        expect(decodePolicy(again, { defaultNamespace: "x" }).errors).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });

  test("huge, deep and cyclic values", () => {
    const id = { apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy" };
    const deep = Array.from({ length: 100_000 }).reduce<object>((inner) => ({ from: [inner] }), {});
    const cyclic: Record<string, unknown> = {};
    cyclic["ingress"] = [cyclic];
    const long = "-".repeat(1_000_000);
    for (const spec of [
      deep,
      cyclic,
      { podSelector: { matchLabels: { [long]: long } } },
      {
        ingress: [{ from: [{ ipBlock: { cidr: long, except: [`${"1.".repeat(500_000)}/8`, ":".repeat(500_000)] } }] }],
      },
      { ingress: [{ ports: Array.from({ length: 50_000 }, (_, port) => ({ port })) }] },
      Object.fromEntries(Array.from({ length: 50_000 }, (_, i) => [`x${i}`, i])),
    ]) {
      const object = { ...id, metadata: { name: long, namespace: long }, spec };
      sane(object, decodePolicy(object).errors.slice(0, 200));
    }
  });
});
