/** ICMP errors belong to the connection that they are about (spec A6.4): they pass where it passes, against every other rule. */
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { socketAddress } from "../../src/netns/bytes.ts";
import { close, connect, receive, SystemError, send } from "../../src/netns/libc.ts";
import { type Seat, udpSocket } from "../../src/netns/sockets.ts";
import { Enforcer } from "../../src/nftables/enforcer.ts";
import { compile } from "../../src/policy/compile/live-plan.ts";
import type { NetworkPolicy } from "../../src/policy/model/policy.ts";
import { emptyWorld, type Pod, type World } from "../../src/policy/model/world.ts";
import { podNamed, policyNamed, shopNamespace } from "../../src/policy/objects.arbitrary.ts";
import { kernelStage } from "./stage.ts";
import { describeKernel } from "./support.ts";

const pod = (name: string, ...ips: readonly string[]): Pod => podNamed(name, { ips, node: "n1" });
const app = (name: string) => ({ podSelector: { matchLabels: { app: name } } });
const policyTypes = ["Ingress", "Egress"];

const world: World = {
  ...emptyWorld,
  nodes: [{ name: "n1", labels: {}, ips: ["172.18.0.11", "fd00:18::b"], podCIDRs: [], source: null }],
  namespaces: [shopNamespace],
  pods: [
    pod("client", "10.244.1.2", "fd00:244:1::2"),
    pod("server", "10.244.1.3", "fd00:244:1::3"),
    pod("other", "10.244.1.4", "fd00:244:1::4"),
  ],
};

/** Client to server is all that is allowed: whatever the server sends of its own accord is not. */
const policies: readonly NetworkPolicy[] = [
  policyNamed("client", { ...app("client"), policyTypes, egress: [{ to: [app("server")] }] }),
  policyNamed("server", { ...app("server"), policyTypes, ingress: [{ from: [app("client")] }] }),
];

describeKernel("ICMP errors", () => {
  const stage = kernelStage(world);
  const closedPort = 9;

  /** Is a datagram to a port where nobody listens answered by "port unreachable"? */
  async function isRefused(from: Seat, to: Seat): Promise<boolean> {
    const fd = udpSocket(from, 0);
    try {
      connect(fd, socketAddress(to.address, closedPort));
      for (let tries = 0; tries < 50; tries++) {
        send(fd, new Uint8Array(4));
        receive(fd, new Uint8Array(4));
        await sleep(2);
      }
      return false;
    } catch (error) {
      if (error instanceof SystemError && error.code === "ECONNREFUSED") return true;
      throw error;
    } finally {
      close(fd);
    }
  }

  test.each([0, 1] as const)("come back to whom policies let send, and to nobody else, family %i", async (family) => {
    const seat = (name: string): Seat =>
      stage.topology.podSeat(`shop/${name}`, world.pods.find((one) => one.name === name)!.ips[family]!);
    const enforcer = await Enforcer.start(compile({ ...world, policies }), { node: "n1", runner: stage.runner });
    try {
      expect(await isRefused(seat("client"), seat("server"))).toBe(true);
      expect(await isRefused(seat("other"), seat("server"))).toBe(false);
      expect(await isRefused(seat("server"), seat("client"))).toBe(false);
    } finally {
      await enforcer.remove();
    }
    expect(await isRefused(seat("other"), seat("server"))).toBe(true);
  });
});
