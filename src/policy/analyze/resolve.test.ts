import { describe, expect, test } from "vitest";
import { compile } from "../compile/live-plan.ts";
import type { NetworkPolicySpec } from "../model/policy.ts";
import { emptyWorld, type Service, type World } from "../model/world.ts";
import { nodeNamed, serviceNamed, shopNamespace, templateNamed } from "../objects.arbitrary.ts";
import { ask } from "./ask.ts";
import { parsePort } from "./port-reference.ts";
import { parseReference } from "./reference.ts";
import { type Answer, isProblem, type Problem } from "./types.ts";

const service = (name: string, more: Partial<Service> = {}): Service =>
  serviceNamed(name, {
    selector: { app: "db" },
    ports: [{ name: "pg", protocol: "TCP", port: 15432, targetPort: "postgres" }],
    ...more,
  });

const postgres = (number: number) => [{ name: "postgres", number, protocol: "TCP" as const }];

const world: World = {
  ...emptyWorld,
  namespaces: [shopNamespace],
  nodes: [nodeNamed("n1", "172.18.0.11", "fd00:18::11"), nodeNamed("n2", "172.18.0.12")],
  pods: [
    templateNamed("web", { ips: ["10.244.1.5", "fd00:244:1::5"], node: "n1", template: false }),
    templateNamed("db-0", { labels: { app: "db" }, ips: ["10.244.1.6"], node: "n1", ports: postgres(5432) }),
    templateNamed("db-1", { labels: { app: "db" }, ips: ["10.244.2.6"], node: "n2", ports: postgres(6432) }),
    templateNamed("agent", {
      hostNetwork: true,
      node: "n1",
      ips: ["172.18.0.11"],
      workload: { kind: "DaemonSet", name: "agent" },
    }),
    templateNamed("proxy", { hostNetwork: true, workload: { kind: "DaemonSet", name: "proxy" } }),
    templateNamed("import", { hostNetwork: true, workload: { kind: "Job", name: "import" } }),
    templateNamed("old", { phase: "Succeeded", workload: { kind: "Job", name: "old" } }),
  ],
  services: [
    service("db", { clusterIPs: ["10.96.0.7"] }),
    service("db-headless", { headless: true }),
    service("nothing", { selector: { app: "nothing" } }),
    service("outside", {
      selector: null,
      endpoints: ["203.0.113.5", "10.244.1.5"],
      ports: [{ name: "", protocol: "TCP", port: 80, targetPort: 80 }],
    }),
    service("alias", { type: "ExternalName", selector: null }),
  ],
  cluster: { podCIDRs: ["10.244.0.0/16", "fd00:244::/32"], serviceCIDRs: ["10.96.0.0/12"] },
};

function isolating(spec: NetworkPolicySpec): World {
  const metadata = { name: "db", namespace: "shop" };
  return { ...world, policies: [{ kind: "NetworkPolicy", metadata, spec, source: null }] };
}

function question(from: string, to: string, port = "any", where: World = world): Answer | Problem {
  const reference = (text: string) => {
    const parsed = parseReference(text, { defaultNamespace: "shop" });
    if (isProblem(parsed)) throw new Error(parsed.message);
    return parsed;
  };
  const parsed = parsePort(port);
  if (isProblem(parsed)) throw new Error(parsed.message);
  return ask(compile(where), { from: reference(from), to: reference(to), port: parsed });
}

function answer(from: string, to: string, port?: string, where?: World): Answer {
  const result = question(from, to, port, where);
  if (isProblem(result)) throw new Error(result.message);
  return result;
}

const summary = ({ allowed, pairs, ports, notes }: Answer) => ({
  allowed,
  pairs,
  ports: ports.allowed.map(({ start }) => start),
  denied: ports.denied.map(({ start }) => start),
  notes: notes.map(({ note }) => note),
});

describe("references that name nothing", () => {
  test.each([
    ["wbe", 'no pod "wbe" in namespace "shop"; did you mean "web"?'],
    ["agnet", 'no pod "agnet" in namespace "shop"; did you mean "agent"?'],
    ["deploy/wbe", 'no Deployment "wbe" with pods in namespace "shop"; did you mean "web"?'],
    ["sts/web", 'no StatefulSet "web" with pods in namespace "shop"; did you mean "shop/deployment/web"?'],
    ["svc/dbs", 'no Service "dbs" in namespace "shop"; did you mean "db"?'],
    ["shp/web", 'no namespace "shp"; did you mean "shop"?'],
    ["shp/*", 'no namespace "shp"; did you mean "shop"?'],
    ["shp/{a=b}", 'no namespace "shp"; did you mean "shop"?'],
    ["node/n3", 'no node "n3"; did you mean "n1"?'],
    ["old", "shop/old has finished (Succeeded) and takes no part in traffic"],
    ["svc/nothing", "shop/service/nothing selects no running pod"],
    ["svc/alias", "shop/service/alias is an ExternalName Service: a DNS alias without endpoints of its own"],
  ])("%s", (to, message) => {
    expect(question("web", to)).toMatchObject({ message });
  });

  test("ports that do not exist", () => {
    expect(question("web", "svc/db", "5432")).toMatchObject({
      problem: "no-such-port",
      message: "shop/service/db has no port 5432/TCP; it has 15432/TCP (pg)",
    });
    expect(question("web", "svc/db", "postgres")).toMatchObject({ problem: "no-such-port" });
    expect(question("db-0", "web", "http")).toMatchObject({
      message: 'shop/web has no container port named "http"',
    });
  });

  test("no family in common", () => {
    expect(question("2001:db8::1", "db-0")).toMatchObject({
      problem: "no-common-family",
      message: "2001:db8::1 and shop/db-0 have no address family in common",
    });
  });
});

describe("Services", () => {
  const only5432 = isolating({
    podSelector: { matchLabels: { app: "db" } },
    ingress: [{ ports: [{ port: 5432 }] }],
  });

  test("are judged at their pods, each on its own target port", () => {
    expect(summary(answer("web", "svc/db", "15432"))).toEqual({
      allowed: true,
      pairs: 2,
      ports: [5432, 6432],
      denied: [],
      notes: ["target-port"],
    });
    const judged = answer("web", "svc/db", "pg", only5432);
    expect(summary(judged)).toMatchObject({ allowed: false, ports: [5432], denied: [6432] });
    expect(judged.counterexample).toMatchObject({ to: "shop/db-1", port: 6432 });
  });

  test("any is every port that they have", () => {
    expect(summary(answer("web", "svc/db", "any"))).toMatchObject({ ports: [5432, 6432] });
  });

  test("by ClusterIP", () => {
    expect(summary(answer("web", "10.96.0.7", "15432"))).toMatchObject({ pairs: 2, ports: [5432, 6432] });
  });

  test("headless ones map no ports", () => {
    expect(summary(answer("web", "svc/db-headless", "6432"))).toMatchObject({ pairs: 2, ports: [6432], notes: [] });
  });

  test("without selector, their endpoints", () => {
    const judged = answer("db-0", "svc/outside", "80");
    expect(judged.pairs).toBe(2);
  });

  test("a pod that reaches itself through one is judged, directly it is not", () => {
    const closed = isolating({ podSelector: { matchLabels: { app: "db" } } });
    expect(answer("db-0", "db-0", "5432", closed).allowed).toBe(true);
    const through = answer("db-0", "svc/db", "15432", closed);
    expect([through.pairs, through.partly]).toEqual([2, false]);
    expect(answer("db-0", "svc/db-headless", "5432", closed).pairs).toBe(1);
  });
});

describe("ends", () => {
  const closed = isolating({ podSelector: {} });

  test("the address of a pod means the pod, over that family", () => {
    expect(answer("10.244.1.5", "db-0", "1", closed).counterexample).toMatchObject({
      from: "shop/web",
      family: "IPv4",
    });
    expect(question("fd00:244:1::5", "db-0", "1")).toMatchObject({ problem: "no-common-family" });
  });

  test("a range is its pods, its nodes and the rest", () => {
    const open = isolating({
      podSelector: {},
      ingress: [{ from: [{ podSelector: { matchLabels: { app: "web" } } }] }],
    });
    const range = answer("10.244.1.0/24", "db-1", "5432", open);
    expect([range.pairs, range.allowed, range.partly]).toEqual([3, false, true]);
    expect(range.example).toMatchObject({ from: "shop/web" });
    expect(answer("172.18.0.0/24", "db-1", "1").pairs).toBe(3);
  });

  test("hostNetwork pods are their node, which may always reach its own pods", () => {
    const own = answer("agent", "web", "80", closed);
    expect([own.allowed, own.ingress.exempt, own.notes.map(({ note }) => note)]).toEqual([
      true,
      "own-node",
      ["host-network"],
    ]);
    expect(answer("agent", "db-1", "80", closed).allowed).toBe(false);
  });

  test("hostNetwork pods without a node: a DaemonSet's is everywhere, others are not on the peer's", () => {
    const everywhere = answer("proxy", "web", "80", closed);
    expect([everywhere.pairs, everywhere.allowed, everywhere.partly]).toEqual([2, false, true]);
    const elsewhere = answer("import", "web", "80", closed);
    expect([elsewhere.pairs, elsewhere.partly]).toEqual([1, false]);
    expect(elsewhere.counterexample).toMatchObject({ from: "node/n2" });
  });

  test("hostNetwork and finished pods are not in sets of pods", () => {
    expect(answer("web", "shop/*").pairs).toBe(2);
    expect(answer("*/*", "*/*").pairs).toBe(6);
  });

  test("hypothetical pods are judged by their labels, and change nothing else", () => {
    const only = isolating({
      podSelector: { matchLabels: { app: "db" } },
      ingress: [{ from: [{ podSelector: { matchLabels: { app: "api", tier: "new" } } }] }],
    });
    expect(answer("{app=api,tier=new}", "db-0", "5432", only).allowed).toBe(true);
    expect(answer("{app=api}", "db-0", "5432", only).allowed).toBe(false);
    expect(answer("web", "{app=db}", "5432", only).allowed).toBe(false);
    expect(answer("{app=db}", "{app=db}", "5432", only)).toMatchObject({ allowed: false, pairs: 1 });
    expect(answer("{app=x}", "shop/*").pairs).toBe(3);
  });

  test("external is what is neither the cluster's nor no host's", () => {
    const all = isolating({
      podSelector: {},
      ingress: [{ from: [{ ipBlock: { cidr: "0.0.0.0/0" } }, { ipBlock: { cidr: "::/0" } }] }],
    });
    expect(answer("external", "web", "80", all).allowed).toBe(true);
    const holes = ["10.244.0.0/16", "172.18.0.11/32", "10.96.0.0/12", "224.0.0.0/4", "127.0.0.0/8"];
    const narrower = isolating({
      podSelector: {},
      ingress: [{ from: [{ ipBlock: { cidr: "0.0.0.0/0", except: holes } }, { ipBlock: { cidr: "::/0" } }] }],
    });
    expect(answer("external", "web", "80", narrower).allowed).toBe(true);
    const metadata = isolating({
      podSelector: {},
      ingress: [
        { from: [{ ipBlock: { cidr: "0.0.0.0/0", except: ["169.254.0.0/16"] } }, { ipBlock: { cidr: "::/0" } }] },
      ],
    });
    expect(answer("external", "web", "80", metadata).counterexample).toMatchObject({ from: "169.254.0.0" });
  });

  test("families that differ are told apart", () => {
    const v4 = isolating({
      podSelector: { matchLabels: { app: "web" } },
      ingress: [{ from: [{ ipBlock: { cidr: "0.0.0.0/0" } }] }],
    });
    const judged = answer("node/n1", "{app=web}", "80", v4);
    expect(judged.families).toEqual({ IPv4: [{ protocol: "TCP", start: 80, end: 80 }], IPv6: [] });
    expect(judged.notes.map(({ note }) => note)).toContain("own-node-unknown");
  });
});
