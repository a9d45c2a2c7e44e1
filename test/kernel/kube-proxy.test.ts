/** Services as kube-proxy makes them: judged after DNAT and before masquerading, by the ends themselves. */
import { spawnSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { addressBytes, socketAddress } from "../../src/netns/bytes.ts";
import type { Seat } from "../../src/netns/sockets.ts";
import { Enforcer } from "../../src/nftables/enforcer.ts";
import { openRunner, type Runner } from "../../src/nftables/runner.ts";
import { compile } from "../../src/policy/compile/live-plan.ts";
import { emptyWorld, type Pod, type World } from "../../src/policy/model/world.ts";
import { podNamed, policyNamed, shopNamespace } from "../../src/policy/objects.arbitrary.ts";
import { Topology } from "../../src/sandbox/topology.ts";
import { TcpFlow } from "./flows.ts";
import { runIn } from "./programs.ts";
import { describeKernel, requireKernel } from "./support.ts";

type Family = "IPv4" | "IPv6";
const families: readonly Family[] = ["IPv4", "IPv6"];
const both = (v4: string, v6: string): Record<Family, string> => ({ IPv4: v4, IPv6: v6 });

const addresses = {
  a: both("10.244.1.2", "fd00:244:1::2"),
  b: both("10.244.1.3", "fd00:244:1::3"),
  c: both("10.244.1.4", "fd00:244:1::4"),
  d: both("10.244.2.2", "fd00:244:2::2"),
};
type Name = keyof typeof addresses;
const n1 = both("172.18.0.11", "fd00:18::b");
const partner = both("203.0.113.9", "2001:db8:203::9");
const anyone = both("198.51.100.9", "2001:db8:198::9");

const pod = (name: Name, node = "n1"): Pod => podNamed(name, { ips: Object.values(addresses[name]), node });
const app = (name: Name) => ({ podSelector: { matchLabels: { app: name } } });

/** Only `b` and the partner reach `a`; `b` reaches nothing else. */
const world: World = {
  ...emptyWorld,
  nodes: [
    { name: "n1", labels: {}, ips: Object.values(n1), podCIDRs: [], source: null },
    { name: "n2", labels: {}, ips: ["172.18.0.12", "fd00:18::c"], podCIDRs: [], source: null },
  ],
  namespaces: [shopNamespace],
  pods: [pod("a"), pod("b"), pod("c"), pod("d", "n2")],
  policies: [
    policyNamed("in", {
      ...app("a"),
      ingress: [
        { from: [app("b"), { ipBlock: { cidr: "203.0.113.0/24" } }, { ipBlock: { cidr: "2001:db8:203::/48" } }] },
      ],
    }),
    policyNamed("out", { ...app("b"), policyTypes: ["Egress"], egress: [{ to: [app("a")] }] }),
  ],
};
const held = ["10.244.1.0/24", "fd00:244:1::/64"];

interface Frontend {
  readonly address: Record<Family, string>;
  readonly port: number;
  readonly backend: Name;
  readonly backendPort: number;
  /** Whose connections get the node's address. */
  readonly masquerades: "everyone" | "the backend" | "nobody";
}

const frontend = (
  address: Record<Family, string>,
  port: number,
  backend: Name,
  backendPort: number,
  masquerades: Frontend["masquerades"],
): Frontend => ({ address, port, backend, backendPort, masquerades });

const clusterIP = (k: number): Record<Family, string> => both(`10.96.0.${k}`, `fd00:96::${k}`);
const services = {
  ofA: frontend(clusterIP(1), 80, "a", 7001, "the backend"),
  ofC: frontend(clusterIP(3), 80, "c", 7003, "the backend"),
  ofD: frontend(clusterIP(4), 80, "d", 7004, "the backend"),
  nodePort: frontend(n1, 30080, "a", 7005, "everyone"),
  localNodePort: frontend(n1, 30081, "a", 7006, "nobody"), // externalTrafficPolicy: Local
  nodePortElsewhere: frontend(n1, 30082, "d", 7007, "everyone"),
} as const;

const mark = "0x4000";

/** As kube-proxy's mode nftables does it, in a table of its own. */
function withNftables(): string {
  const rules = Object.values(services).flatMap(({ address, port, backend, backendPort, masquerades }) =>
    families.flatMap((family) => {
      const ip = family === "IPv4" ? "ip" : "ip6";
      const to = addresses[backend][family];
      const match = `${ip} daddr ${address[family]} tcp dport ${port}`;
      const marked = `meta mark set meta mark | ${mark}`;
      return [
        ...(masquerades === "everyone" ? [`${match} ${marked}`] : []),
        ...(masquerades === "the backend" ? [`${ip} saddr ${to} ${match} ${marked}`] : []),
        `${match} dnat ${ip} to ${family === "IPv4" ? to : `[${to}]`}:${backendPort}`,
      ];
    }),
  );
  return [
    "table inet proxy {",
    "chain services {",
    ...rules,
    "}",
    "chain prerouting {",
    "type nat hook prerouting priority dstnat; policy accept;",
    "jump services",
    "}",
    "chain postrouting {",
    "type nat hook postrouting priority srcnat; policy accept;",
    `meta mark & ${mark} == ${mark} masquerade fully-random`,
    "}",
    "}",
    "",
  ].join("\n");
}

/** As its mode iptables does it. */
function withIptables(family: Family): string {
  const rules = Object.values(services).flatMap(({ address, port, backend, backendPort, masquerades }) => {
    const to = addresses[backend][family];
    const match = `-A KUBE-SERVICES -d ${address[family]} -p tcp -m tcp --dport ${port}`;
    return [
      ...(masquerades === "everyone" ? [`${match} -j KUBE-MARK-MASQ`] : []),
      ...(masquerades === "the backend" ? [`${match} -s ${to} -j KUBE-MARK-MASQ`] : []),
      `${match} -j DNAT --to-destination ${family === "IPv4" ? to : `[${to}]`}:${backendPort}`,
    ];
  });
  return [
    "*nat",
    ":KUBE-SERVICES - [0:0]",
    ":KUBE-MARK-MASQ - [0:0]",
    "-A PREROUTING -j KUBE-SERVICES",
    `-A KUBE-MARK-MASQ -j MARK --or-mark ${mark}`,
    ...rules,
    `-A POSTROUTING -m mark --mark ${mark}/${mark} -j MASQUERADE --random-fully`,
    "COMMIT",
    "",
  ].join("\n");
}

const iptables = spawnSync("iptables", ["--version"], { encoding: "utf8" });
const hasIptables = iptables.error === undefined && iptables.stdout.includes("nf_tables");

describeKernel("beside kube-proxy", () => {
  let topology: Topology;
  let runner: Runner;
  let enforcer: Enforcer;
  let ports = 40_000;

  beforeAll(async () => {
    requireKernel();
    topology = Topology.build(world);
    runner = await openRunner({ netns: topology.node("n1").fd });
    enforcer = await Enforcer.start(compile(world), { node: "n1", runner, held });
  });

  afterAll(async () => {
    await enforcer.remove();
    await runner.close();
    topology.close();
  });

  const seat = (name: Name, family: Family): Seat => topology.podSeat(`shop/${name}`, addresses[name][family]);

  /** Is a connection to a Service opened, and do both ends hear each other? */
  async function connects(from: Seat, { address, port, backend, backendPort }: Frontend): Promise<boolean> {
    const family = from.address.length === 4 ? "IPv4" : "IPv6";
    const dialled = socketAddress(addressBytes(address[family]), port);
    const flow = await TcpFlow.open(from, seat(backend, family), backendPort, { clientPort: ports++, dialled });
    if (flow === null) return false;
    const isOpen = (await flow.there()) && (await flow.back());
    flow.close();
    return isOpen;
  }

  function judged(): void {
    for (const family of families) {
      const from = (name: Name): Seat => seat(name, family);
      const outside = (address: Record<Family, string>): Seat => topology.outsideSeat(address[family]);

      test(`${family}: a Service whose pod is on the same node`, async () => {
        expect(await connects(from("b"), services.ofA)).toBe(true);
        expect(await connects(from("c"), services.ofA)).toBe(false);
        expect(await connects(from("b"), services.ofC)).toBe(false);
      });

      test(`${family}: a Service whose pod is on another node`, async () => {
        expect(await connects(from("c"), services.ofD)).toBe(true);
        expect(await connects(from("b"), services.ofD)).toBe(false);
      });

      test(`${family}: a pod that reaches itself through a Service is judged as any other (A7.2)`, async () => {
        expect(await connects(from("c"), services.ofC)).toBe(true);
        expect(await connects(from("a"), services.ofA)).toBe(false);
      });

      test(`${family}: a NodePort is judged by the client's own address, masqueraded or not`, async () => {
        for (const service of [services.nodePort, services.localNodePort]) {
          expect(await connects(outside(partner), service)).toBe(true);
          expect(await connects(outside(anyone), service)).toBe(false);
        }
      });

      test(`${family}: a NodePort whose pod is on another node is that node's to judge`, async () => {
        expect(await connects(outside(anyone), services.nodePortElsewhere)).toBe(true);
      });
    }
  }

  describe("in mode nftables", () => {
    beforeAll(() => runner.run(withNftables()).then(() => undefined));
    afterAll(() => runner.run("delete table inet proxy\n").then(() => undefined));
    judged();
  });

  describe.skipIf(!hasIptables && process.env["CI"] !== "true")(
    `in mode iptables${hasIptables ? "" : ": left out, no iptables of nf_tables here"}`,
    () => {
      const restore = (family: Family, script: string): string =>
        runIn(topology.node("n1"), family === "IPv4" ? "iptables-restore" : "ip6tables-restore", [], script);
      beforeAll(() => {
        for (const family of families) restore(family, withIptables(family));
      });
      afterAll(() => {
        for (const family of families) restore(family, "*nat\nCOMMIT\n");
      });
      judged();
    },
  );
});
