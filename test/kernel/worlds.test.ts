/** Worlds made by hand for what random ones seldom have: Services of every kind of backend, and their own nodes. */
import { expect, test } from "vitest";
import { emptyWorld, type Pod, type Service, type World } from "../../src/policy/model/world.ts";
import { nodeNamed, podNamed, policyNamed, serviceNamed, shopNamespace } from "../../src/policy/objects.arbitrary.ts";
import { allot } from "../../src/sandbox/allot.ts";
import type { Judgement } from "../../src/sandbox/judge.ts";
import { questions } from "../../src/sandbox/questions.ts";
import { serviceReference } from "../../src/sandbox/services.ts";
import { Bench, describeKernel, expectAgreement } from "./support.ts";

const pod = (name: string, on: string, change: Partial<Pod> = {}): Pod =>
  podNamed(name, { labels: { app: name.replace(/-.*$/, "") }, node: on, ...change });
const service = (name: string, change: Partial<Service> = {}): Service =>
  serviceNamed(name, { ports: [{ name: "", protocol: "TCP", port: 80, targetPort: 8080 }], ...change });

/** db lets in web on 8080; web may open connections to db and to one outside address only. */
const shop: World = {
  ...emptyWorld,
  nodes: [nodeNamed("n1", "172.18.0.1", "fd00:18::1"), nodeNamed("n2", "172.18.0.2", "fd00:18::2", "192.0.2.2")],
  namespaces: [shopNamespace],
  pods: [pod("web", "n1"), pod("db-0", "n1"), pod("db-1", "n2"), pod("proxy", "n2", { hostNetwork: true })],
  services: [
    service("db", {
      ports: (["TCP", "UDP", "SCTP"] as const).map((protocol) => ({ name: "", protocol, port: 80, targetPort: 8080 })),
    }),
    service("web"),
    service("proxy"),
    service("outside", { selector: null, endpoints: ["203.0.113.9", "2001:db8::9"] }),
  ],
  policies: [
    policyNamed("db", {
      podSelector: { matchLabels: { app: "db" } },
      ingress: [{ from: [{ podSelector: { matchLabels: { app: "web" } } }], ports: [{ port: 8080 }] }],
    }),
    policyNamed("web", {
      podSelector: { matchLabels: { app: "web" } },
      policyTypes: ["Egress"],
      egress: [
        { to: [{ podSelector: { matchLabels: { app: "db" } } }] },
        { to: [{ ipBlock: { cidr: "203.0.113.9/32" } }, { ipBlock: { cidr: "192.0.2.2/32" } }] },
      ],
    }),
  ],
};

/** `from service protocol` → `backend family outcome`s. */
function throughServices(judgements: readonly Judgement[]): Map<string, string[]> {
  const out = new Map<string, string[]>();
  for (const { question, kernel } of judgements) {
    if (question.via === null) continue;
    const key = `${question.from.ref} ${serviceReference(question.via.frontend)} ${question.protocol}`;
    const entry = `${question.to.ref} ${question.from.family} ${kernel}`;
    out.set(key, [...(out.get(key) ?? []), entry]);
  }
  return out;
}

describeKernel("worlds in the kernel", () => {
  test("Services are judged at the backend: pods, host network, the outside, the caller itself", async () => {
    const { world } = allot(shop);
    const bench = await Bench.up(world);
    try {
      const judgements = await bench.ask([...questions(bench.plan, world)]);
      expectAgreement(bench, judgements);
      const seen = throughServices(judgements);
      const everyDb = (outcome: string, families: readonly string[] = ["IPv4", "IPv6"]) =>
        families.flatMap((family) => ["db-0", "db-1"].map((name) => `shop/${name} ${family} ${outcome}`));
      expect(seen.get("shop/web shop/service/db TCP")).toEqual(everyDb("allow"));
      expect(seen.get("shop/web shop/service/db UDP")).toEqual(everyDb("deny"));
      expect(seen.get("shop/web shop/service/db SCTP")).toEqual(everyDb("deny"));
      // db does not let in db: also not itself, once the packet has left the pod (spec A7.2).
      expect(seen.get("shop/db-0 shop/service/db TCP")).toEqual(everyDb("deny"));
      expect(seen.get("shop/web shop/service/web TCP")).toEqual(["shop/web IPv4 deny", "shop/web IPv6 deny"]);
      expect(seen.get("shop/web shop/service/outside TCP")).toEqual([
        "203.0.113.9 IPv4 allow",
        "2001:db8::9 IPv6 deny",
      ]);
      expect(seen.get("shop/web shop/service/proxy TCP")).toEqual(["node/n2 IPv4 deny", "node/n2 IPv6 deny"]);
      // A node reaches its own pods, whatever the policies say (spec A7.3), and no others (A7.4).
      expect(new Set(seen.get("node/n1 shop/service/db TCP"))).toEqual(
        new Set(["IPv4", "IPv6"].flatMap((f) => [`shop/db-0 ${f} allow`, `shop/db-1 ${f} deny`])),
      );
    } finally {
      await bench.down();
    }
  });

  test("two addresses of one node can be judged differently", async () => {
    const { world } = allot(shop);
    const bench = await Bench.up(world);
    try {
      const asked = [...questions(bench.plan, world, { protocols: ["TCP"], families: ["IPv4"] })].filter(
        ({ from, to, via }) => from.ref === "shop/web" && to.ref === "node/n2" && via === null,
      );
      const judgements = await bench.ask(asked);
      expectAgreement(bench, judgements);
      const outcomes = new Map(judgements.map(({ question, kernel }) => [question.to.address, kernel]));
      expect(outcomes).toEqual(
        new Map([
          ["172.18.0.2", "deny"],
          ["192.0.2.2", "allow"],
        ]),
      );
    } finally {
      await bench.down();
    }
  });

  test("an address passes from one pod to another: the new one is judged", async () => {
    const address = ["10.9.9.9"];
    const before = allot({ ...shop, services: [], pods: [...shop.pods, pod("db-9", "n1", { ips: address })] }).world;
    const after = allot({ ...shop, services: [], pods: [...shop.pods, pod("open", "n2", { ips: address })] }).world;
    const bench = await Bench.up(before);
    try {
      const outcome = async (): Promise<readonly string[]> => {
        const asked = [...questions(bench.plan, bench.world, { protocols: ["SCTP"] })].filter(
          ({ from, to }) => from.ref === "node/n2" && to.address === address[0] && from.address === "172.18.0.2",
        );
        const judgements = await bench.ask(asked);
        expectAgreement(bench, judgements);
        return judgements.map(({ question, kernel }) => `${question.to.ref} ${kernel}`);
      };
      expect(new Set(await outcome())).toEqual(new Set(["shop/db-9 deny"]));
      await bench.follow(after);
      expect(new Set(await outcome())).toEqual(new Set(["shop/open allow"]));
    } finally {
      await bench.down();
    }
  });
});
