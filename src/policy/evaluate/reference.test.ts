/**
 * The reference's own code for addresses and selectors, against `net/` and `select/`: written twice, they must read every
 * text alike. And the decisions that no golden case shows. Everything else: `test/engine`.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { cidrContains, parseAddress, parseCidr } from "../../net/address.ts";
import type { Labels } from "../model/labels.ts";
import type { NetworkPolicySpec, Policy } from "../model/policy.ts";
import type { Decision, End } from "../model/verdict.ts";
import { emptyWorld, type Pod, type World } from "../model/world.ts";
import { clusterPolicyNamed, podNamed } from "../objects.arbitrary.ts";
import { compileSelector } from "../select/selector.ts";
import { referenceVerdict } from "./reference.ts";

const pod = (name: string, more: Partial<Pod> = {}): Pod =>
  podNamed(name, { namespace: "x", labels: {}, ips: ["10.244.0.1", "fd00:244::1"], ...more });

const networkPolicy = (spec: NetworkPolicySpec): Policy => ({
  kind: "NetworkPolicy",
  metadata: { namespace: "x", name: "p" },
  spec,
  source: null,
});

function egress(to: End, world: Partial<World>, from: Pod = pod("client")): Decision {
  const isV6 = to.kind === "address" && parseAddress(to.address)?.family === "IPv6";
  const flow = {
    from: { kind: "pod", pod: from },
    to,
    family: isV6 ? "IPv6" : "IPv4",
    protocol: "TCP",
    port: 80,
  } as const;
  return referenceVerdict({ ...emptyWorld, ...world }, flow).egress;
}

const toAddress = (address: string): End => ({ kind: "address", address });

describe("written twice", () => {
  const piece = fc.constantFrom(
    "0",
    "1",
    "10",
    "244",
    "255",
    "256",
    "00",
    "010",
    "ffff",
    "::ffff",
    "g",
    ":",
    "::",
    ".",
    "/",
    "/8",
    "/08",
    "/104",
    "fd00",
    "8",
    "32",
    "128",
    "33",
    "129",
    " ",
  );
  const garbage = fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join(""));
  const cidr = fc.oneof(
    garbage,
    fc
      .tuple(
        fc.oneof(
          fc.ipV4(),
          fc.ipV6(),
          fc.ipV4().map((text) => `::ffff:${text}`),
        ),
        fc.nat({ max: 130 }),
      )
      .map(([address, prefix]) => `${address}/${prefix}`),
  );

  test("CIDRs and addresses are read as net/ reads them", () => {
    fc.assert(
      fc.property(cidr, fc.array(cidr, { maxLength: 2 }), fc.oneof(fc.ipV4(), fc.ipV6()), (text, except, address) => {
        const block = { cidr: text, except };
        const policy = networkPolicy({ policyTypes: ["Egress"], egress: [{ to: [{ ipBlock: block }] }] });
        const [net, ...holes] = [text, ...except].map((one) => parseCidr(one)?.cidr ?? null);
        // The address asked about, and one inside the block, where the excepts matter.
        const inside = net ? [{ family: net.family, value: net.value }] : [];
        for (const asked of [parseAddress(address)!, ...inside]) {
          const isIn = (one: typeof net) => one !== null && one !== undefined && cidrContains(one, asked);
          const expected = isIn(net) && !holes.some((hole) => hole === null || isIn(hole));
          const written = asked.family === "IPv4" ? dotted(asked.value) : colons(asked.value);
          const readBack = parseAddress(written)!;
          if (readBack.family !== asked.family) continue; // an IPv4-mapped address is IPv4
          const { verdict } = egress(toAddress(written), { policies: [policy] });
          expect(verdict, `${written} in ${JSON.stringify(block)}`).toBe(expected ? "allow" : "deny");
        }
      }),
      { numRuns: 2000 },
    );
  });

  test("selectors are parsed and matched as select/ does", () => {
    const key = fc.constantFrom(
      "a",
      "A",
      "b",
      "x.y/a",
      "X/a",
      "/a",
      "a/",
      "a/b/c",
      "",
      "-a",
      "a-",
      "a b",
      "é",
      "a".repeat(63),
      "a".repeat(64),
      `${"b".repeat(254)}/a`,
      "__proto__",
      "constructor",
    );
    const value = fc.constantFrom("", "a", "A", "b", "-", "a b", "a.b_c-d", "a".repeat(63), "a".repeat(64), "é");
    const selector = fc.record({
      matchLabels: fc.option(fc.dictionary(key, value, { maxKeys: 2 })),
      matchExpressions: fc.option(
        fc.array(
          fc.record({
            key,
            operator: fc.constantFrom("In", "NotIn", "Exists", "DoesNotExist", "in", "Gt", ""),
            values: fc.option(fc.array(value, { maxLength: 2 })),
          }),
          { maxLength: 2 },
        ),
      ),
    });
    const labels: fc.Arbitrary<Labels> = fc.dictionary(key, value, { maxKeys: 4 });
    fc.assert(
      fc.property(selector, labels, (podSelector, own) => {
        const matcher = compileSelector(podSelector);
        const to: End = { kind: "pod", pod: pod("server", { labels: own }) };
        const peer = networkPolicy({ policyTypes: ["Egress"], egress: [{ to: [{ podSelector }] }] });
        expect(egress(to, { policies: [peer] }).verdict).toBe(matcher?.matches(own) ? "allow" : "deny");
        // As a subject one that can't be parsed selects everybody (A10.9).
        const subject = networkPolicy({ podSelector, policyTypes: ["Egress"] });
        const client = pod("client", { labels: own });
        expect(egress(to, { policies: [subject] }, client).verdict).toBe(
          matcher === null || matcher.matches(own) ? "deny" : "allow",
        );
      }),
      { numRuns: 2000 },
    );
  });
});

const dotted = (value: bigint): string => [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 0xffn).join(".");
const colons = (value: bigint): string =>
  Array.from({ length: 8 }, (_, i) => ((value >> BigInt(112 - 16 * i)) & 0xffffn).toString(16)).join(":");

describe("decisions", () => {
  const template: End = { kind: "pod", pod: pod("template", { ips: [], template: true }) };
  const allowing = (cidr: string, except: readonly string[] = []): Policy =>
    networkPolicy({ policyTypes: ["Egress"], egress: [{ to: [{ ipBlock: { cidr, except } }] }] });
  const cluster = { podCIDRs: ["10.244.0.0/24", "10.244.1.0/24"], serviceCIDRs: [] };

  test.each([
    ["10.244.0.0/16", [], "allow"],
    ["10.244.0.0/23", [], "allow"],
    ["10.244.0.0/24", [], "deny"], // some of the addresses only
    ["10.244.0.0/16", ["10.244.1.77/32"], "deny"],
    ["10.244.0.0/16", ["10.244.2.0/24"], "allow"], // cuts nothing that the pod could get
    ["::/0", [], "deny"], // asked over IPv4
  ])("a pod without address and %s except %j: %s", (cidr, except, verdict) => {
    expect(egress(template, { policies: [allowing(cidr, except)], cluster }).verdict).toBe(verdict);
  });

  test.each([
    ["0.0.0.0/0", [], "allow"],
    ["10.0.0.0/8", [], "deny"],
    ["0.0.0.0/0", ["203.0.113.0/24"], "deny"],
  ])("where the pod CIDRs are unknown, %s except %j: %s", (cidr, except, verdict) => {
    expect(egress(template, { policies: [allowing(cidr, except)] }).verdict).toBe(verdict);
  });

  test("networks of one peer cover a pod without address together", () => {
    const deny = (networks: readonly string[]) =>
      clusterPolicyNamed("c", { egress: [{ action: "Deny", to: [{ networks }] }] });
    expect(egress(template, { policies: [deny(["0.0.0.0/1", "128.0.0.0/1"])] }).verdict).toBe("deny");
    expect(egress(template, { policies: [deny(["0.0.0.0/1", "128.0.0.0/2"])] }).verdict).toBe("allow");
  });

  test("an unparsable cluster subject is everybody: Accept grants nothing, Deny and Pass deny what they match", () => {
    const subject = { pods: { podSelector: { matchExpressions: [{ key: "a", operator: "like" }] } } };
    const rule = (action: string) => ({ action, to: [{ networks: ["203.0.113.0/24"] }] });
    const tiers = (action: string, address: string) =>
      egress(toAddress(address), { policies: [clusterPolicyNamed("c", { subject, egress: [rule(action)] })] });
    expect(tiers("Deny", "203.0.113.9")).toMatchObject({ verdict: "deny", tier: "Admin" });
    expect(tiers("Pass", "203.0.113.9")).toMatchObject({ verdict: "deny", reasons: [{ action: "Deny" }] });
    expect(tiers("Accept", "203.0.113.9")).toMatchObject({ verdict: "allow", tier: "Default" });
    expect(tiers("Deny", "198.51.100.7")).toMatchObject({ verdict: "allow", tier: "Default" });
  });

  test("one priority: by name, v1alpha2 before v1alpha1", () => {
    const first = (...policies: Policy[]) => egress(toAddress("203.0.113.9"), { policies }).reasons[0]?.policy;
    const deny = { egress: [{ action: "Deny", to: [{ networks: ["0.0.0.0/0"] }] }] };
    const older: Policy = {
      kind: "AdminNetworkPolicy",
      metadata: { namespace: "", name: "a" },
      spec: { priority: 1, subject: { namespaces: {} }, ...deny },
      source: null,
    };
    expect(
      first(clusterPolicyNamed("b", deny), clusterPolicyNamed("a", deny), clusterPolicyNamed("B", deny))?.name,
    ).toBe("B");
    expect(first(older, clusterPolicyNamed("b", deny))?.kind).toBe("ClusterNetworkPolicy");
    expect(first(older, clusterPolicyNamed("b", { priority: 2, ...deny }))?.kind).toBe("AdminNetworkPolicy");
  });

  test("an address that a pod or a node has means it", () => {
    const server = pod("server", { ips: ["10.244.0.2"], labels: { app: "server" } });
    const node = { name: "n", labels: {}, ips: ["172.18.0.2", "192.0.2.2"], podCIDRs: [], source: null };
    const onlyServer = networkPolicy({
      policyTypes: ["Egress"],
      egress: [{ to: [{ podSelector: { matchLabels: { app: "server" } } }] }],
    });
    expect(egress(toAddress("10.244.0.2"), { pods: [server], policies: [onlyServer] }).verdict).toBe("allow");
    const finished = { ...server, phase: "Succeeded" as const };
    expect(egress(toAddress("10.244.0.2"), { pods: [finished], policies: [onlyServer] }).verdict).toBe("deny");
    const nodes = clusterPolicyNamed("c", { egress: [{ action: "Deny", to: [{ nodes: {} }] }] });
    expect(egress(toAddress("192.0.2.2"), { nodes: [node], policies: [nodes] }).verdict).toBe("deny");
  });
});
