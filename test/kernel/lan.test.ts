/** Pods on a bridge, with and without br_netfilter, and pods on routed links with a gateway that is not there. */
import { existsSync } from "node:fs";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { addressBytes, socketAddress } from "../../src/netns/bytes.ts";
import { close, int, receiveFrom, sendTo, setOption, wouldBlock } from "../../src/netns/libc.ts";
import { type Seat, udpSocket } from "../../src/netns/sockets.ts";
import { Enforcer, type EnforcerOptions } from "../../src/nftables/enforcer.ts";
import { openRunner, type Runner } from "../../src/nftables/runner.ts";
import { compile } from "../../src/policy/compile/live-plan.ts";
import { emptyWorld, type Pod, type World } from "../../src/policy/model/world.ts";
import { podNamed, policyNamed, shopNamespace } from "../../src/policy/objects.arbitrary.ts";
import { UdpFlow } from "./flows.ts";
import { bridge, gateway, ip, Lan, nodeAddress, type Wiring } from "./lan.ts";
import { hasProgram, runIn } from "./programs.ts";
import { describeKernel, requireKernel } from "./support.ts";

type Family = "IPv4" | "IPv6";
const families: readonly Family[] = ["IPv4", "IPv6"];

const addresses = {
  a: ["10.244.1.2", "fd00:244:1::2"],
  b: ["10.244.1.3", "fd00:244:1::3"],
  c: ["10.244.1.4", "fd00:244:1::4"],
  /** Nobody says that it is there. */
  u: ["10.244.1.9", "fd00:244:1::9"],
} as const;
type Name = keyof typeof addresses;

const pod = (name: Name): Pod => podNamed(name, { ips: addresses[name], node: "n1" });
const app = (name: Name) => ({ podSelector: { matchLabels: { app: name } } });
const onlyB = policyNamed("in", { ...app("a"), ingress: [{ from: [app("b")] }] });
const nowhere = policyNamed("out", { ...app("c"), policyTypes: ["Egress"] });

const world: World = {
  ...emptyWorld,
  nodes: [{ name: "n1", labels: {}, ips: Object.values(nodeAddress), podCIDRs: [], source: null }],
  namespaces: [shopNamespace],
  pods: [pod("a"), pod("b"), pod("c")],
  policies: [onlyB, nowhere],
};

const space = ["10.244.1.0/24", "fd00:244:1::/64"];
const ways = (wiring: Wiring): readonly [string, Partial<EnforcerOptions>][] => [
  ["CIDRs", { held: space }],
  ["interfaces", { podInterfaces: [wiring === "bridge" ? bridge : "cali*"] }],
];

const missing = !hasProgram("ip")
  ? "no iproute2 here"
  : existsSync("/proc/sys/net/bridge")
    ? null
    : "no br_netfilter here";
const leftOut = missing === null ? "" : `: left out, ${missing}`;

describeKernel("pods with Ethernet", () => {
  let ports = 23_000;
  let end: (() => Promise<void>) | null = null;

  beforeAll(requireKernel);

  afterEach(async () => {
    await end?.();
    end = null;
  });

  const seat = (lan: Lan, name: Name, family: Family): Seat =>
    lan.seat(name, addresses[name][family === "IPv4" ? 0 : 1]);

  async function arrives(from: Seat, to: Seat, patience?: number): Promise<boolean> {
    const flow = new UdpFlow(from, to, ports++);
    const arrived = (await flow.there(patience)) && (await flow.back(patience));
    flow.close();
    return arrived;
  }

  async function up(wiring: Wiring, options: Partial<EnforcerOptions>, filtered = true): Promise<Lan> {
    const lan = Lan.build(wiring);
    let runner: Runner | null = null;
    end = async () => {
      await runner?.close();
      lan.close();
    };
    for (const name of ["a", "b", "c", "u"] as const) lan.addPod(name, addresses[name]);
    for (const call of ["iptables", "ip6tables"]) {
      lan.node.sysctl(`bridge/bridge-nf-call-${call}`, filtered ? "1" : "0");
    }
    for (const family of families) {
      for (const name of ["b", "c", "u"] as const) {
        expect(await arrives(seat(lan, name, family), seat(lan, "a", family), 5000), `${name} before`).toBe(true);
      }
    }
    runner = await openRunner({ netns: lan.node.fd });
    const enforcer = await Enforcer.start(compile(world), { node: "n1", runner, ...options });
    await enforcer.stop();
    for (const namespace of [lan.node, ...(["a", "b", "c", "u"] as const).map((name) => lan.pod(name))]) {
      ip(namespace, ["neigh flush all"]); // who knew each other asks again
    }
    return lan;
  }

  for (const wiring of ["bridge", "routed"] as const) {
    for (const [how, options] of ways(wiring)) {
      describe.skipIf(missing !== null)(`${wiring}, pod space known by ${how}${leftOut}`, () => {
        test("policies hold, strangers are dropped, and the node and its pods reach each other", async () => {
          const lan = await up(wiring, options);
          const node = wiring === "bridge" ? gateway : nodeAddress;
          for (const family of families) {
            const at = (name: Name): Seat => seat(lan, name, family);
            expect(await arrives(at("b"), at("a")), "b to a").toBe(true);
            expect(await arrives(at("c"), at("a")), "c to a").toBe(false);
            expect(await arrives(at("a"), at("b")), "a to b").toBe(true);
            expect(await arrives(at("u"), at("b")), "u to b").toBe(false);
            expect(await arrives(at("b"), at("u")), "b to u").toBe(false);
            const own = lan.nodeSeat(node[family]);
            expect(await arrives(at("a"), own), "a to its node").toBe(true); // DNS on the gateway's address
            expect(await arrives(at("c"), own), "c to its node").toBe(false); // A7.6
            expect(await arrives(at("u"), own), "u to its node").toBe(false);
            for (const name of ["a", "b", "c", "u"] as const) {
              expect(await arrives(own, at(name)), `node to ${name}`).toBe(true); // A7.3
            }
          }
        });
      });
    }
  }

  for (const [how, options] of ways("bridge")) {
    describe.skipIf(missing !== null)(`on a bridge, pod space known by ${how}`, () => {
      test("a stranger gets an address by DHCP, and learns that another has it already", async () => {
        const lan = await up("bridge", options);
        lan.addPod("new", []);
        const any = new Uint8Array(4);
        const server = udpSocket({ namespace: lan.node, address: any, foreign: false }, 67);
        const client = udpSocket({ namespace: lan.pod("new"), address: any, foreign: false }, 68);
        setOption(client, 1, 6, int(1)); // SOL_SOCKET, SO_BROADCAST
        const broadcast = socketAddress(addressBytes("255.255.255.255"), 67);
        const peer = new Uint8Array(28);
        let heard = false;
        for (let i = 0; i < 100 && !heard; i++) {
          sendTo(client, Uint8Array.of(1), broadcast);
          await new Promise((resolve) => setTimeout(resolve, 20));
          heard = receiveFrom(server, new Uint8Array(16), peer) !== wouldBlock;
        }
        expect(heard).toBe(true);
        for (const fd of [server, client]) close(fd);

        lan.pod("new").sysctl("ipv6/conf/eth0/accept_dad", "1");
        ip(lan.pod("new"), [`address add ${addresses.b[1]}/64 dev eth0`, "address add fd00:244:1::10/64 dev eth0"]);
        const settled = (): string => runIn(lan.pod("new"), "ip", ["-6", "-o", "address", "show", "dev", "eth0"]);
        const isBeingTried = (line: string): boolean => line.includes(" tentative") && !line.includes(" dadfailed");
        for (let i = 0; i < 100 && settled().split("\n").some(isBeingTried); i++) {
          await new Promise((resolve) => setTimeout(resolve, 100));
        }
        const lines = settled().split("\n");
        expect(lines.find((line) => line.includes(`${addresses.b[1]}/`))).toContain("dadfailed");
        expect(lines.find((line) => line.includes("fd00:244:1::10/"))).not.toMatch(/dadfailed|tentative/);
      });

      test("multicast passes between known pods; a stranger's does not", async () => {
        const lan = await up("bridge", options);
        const group = addressBytes("224.0.0.251");
        const receiver = udpSocket({ namespace: lan.pod("b"), address: group, foreign: false }, 5353);
        const membership = new Uint8Array([...group, ...addressBytes(addresses.b[0])]); // struct ip_mreq
        setOption(receiver, 0, 35, membership); // IPPROTO_IP, IP_ADD_MEMBERSHIP
        const hears = async (name: Name): Promise<boolean> => {
          const sender = udpSocket(seat(lan, name, "IPv4"), ports++);
          sendTo(sender, Uint8Array.of(1), socketAddress(group, 5353));
          let heard = false;
          for (let i = 0; i < 30 && !heard; i++) {
            await new Promise((resolve) => setTimeout(resolve, 10));
            heard = receiveFrom(receiver, new Uint8Array(16), new Uint8Array(28)) !== wouldBlock;
          }
          close(sender);
          return heard;
        };
        expect(await hears("a")).toBe(true);
        expect(await hears("u")).toBe(false);
        expect(await hears("c")).toBe(false); // may send nothing
        close(receiver);
      });
    });
  }

  test.skipIf(missing !== null)(
    "a bridge that does not call the hooks: pods on it reach each other whatever policies say",
    async () => {
      const lan = await up("bridge", { held: space }, false);
      for (const family of families) {
        expect(await arrives(seat(lan, "c", family), seat(lan, "a", family))).toBe(true);
        expect(await arrives(seat(lan, "u", family), seat(lan, "a", family))).toBe(true);
        // What leaves the bridge is routed, and judged.
        expect(await arrives(seat(lan, "c", family), lan.nodeSeat(gateway[family]))).toBe(false);
      }
    },
  );
});
