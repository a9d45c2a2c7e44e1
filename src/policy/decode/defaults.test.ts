import { expect, test } from "vitest";
import type { NetworkPolicySpec } from "../model/policy.ts";
import { defaultSpec } from "./defaults.ts";

test.each<[string, NetworkPolicySpec | null | undefined, NetworkPolicySpec]>([
  ["no spec (A2.8)", undefined, { policyTypes: ["Ingress"] }],
  ["null (A2.8)", null, { policyTypes: ["Ingress"] }],
  [
    "protocols (A2.4)",
    { podSelector: {}, ingress: [{ ports: [{ port: 80 }, { protocol: "UDP" }, { protocol: null }] }] },
    {
      podSelector: {},
      policyTypes: ["Ingress"],
      ingress: [{ ports: [{ port: 80, protocol: "TCP" }, { protocol: "UDP" }, { protocol: "TCP" }] }],
    },
  ],
  ["one egress element (A2.1)", { egress: [{}] }, { policyTypes: ["Ingress", "Egress"], egress: [{}] }],
  ["an empty egress list (A2.1)", { egress: [], policyTypes: [] }, { policyTypes: ["Ingress"], egress: [] }],
  [
    "given types (A2.3, A2.5)",
    { policyTypes: ["Egress"], ingress: [{}], egress: [{ ports: [{}] }] },
    { policyTypes: ["Egress"], ingress: [{}], egress: [{ ports: [{ protocol: "TCP" }] }] },
  ],
])("%s", (_, input, expected) => {
  expect(defaultSpec(input)).toEqual(expected);
});
