/** The wires between machines: one bridge on the control plane's machine, to which every node is linked. */
import { type Families, machineAddresses, machineInterface, podCIDRs } from "./addresses.ts";
import type { Machine } from "./machine.ts";

const bridge = "machines";

const isIPv6 = (cidr: string): boolean => cidr.includes(":");

/** `ip -batch`: one command a line. */
const ip = (machine: Machine, commands: readonly string[]): Promise<string> =>
  machine.execInNetwork(["ip", "-batch", "-"], { input: `${commands.join("\n")}\n` });

const address = (cidr: string, device: string): string =>
  `address add ${cidr} dev ${device}${isIPv6(cidr) ? " nodad" : ""}`;

const forwarding = {
  "ipv4/ip_forward": "1",
  "ipv6/conf/all/forwarding": "1",
  "ipv6/conf/default/accept_dad": "0",
  "ipv6/conf/all/accept_dad": "0",
};

export async function makeBridge(control: Machine): Promise<void> {
  await control.sysctl(forwarding);
  await ip(control, [
    `link add ${bridge} type bridge`,
    ...machineInterface(0).map((cidr) => address(cidr, bridge)),
    `link set ${bridge} up`,
  ]);
}

/** Links a node that has just booted, with routes to the pods of `others` and to everyone else by way of the control plane. */
export async function linkNode(
  control: Machine,
  node: Machine,
  index: number,
  others: readonly number[],
  bridgeNetfilter: boolean,
): Promise<void> {
  await node.sysctl(forwarding);
  const port = `node${index}`;
  // the port of the node's last life may be there still: a network namespace is taken apart some time after its last process
  await control.execInNetwork(["sh", "-c", `ip link delete ${port} 2>/dev/null || true`]);
  await control.execInNetwork([
    "ip",
    "link",
    "add",
    port,
    "type",
    "veth",
    "peer",
    "name",
    "eth0",
    "netns",
    String(node.pid),
  ]);
  const gateways = machineAddresses("dual", 0);
  await ip(node, [
    "link set eth0 up",
    ...machineInterface(index).map((cidr) => address(cidr, "eth0")),
    ...gateways.map((gateway) => `route add default via ${gateway}`),
    ...others.flatMap((other) => podRoutes(other)),
  ]);
  await ip(control, [`link set ${port} master ${bridge} up`, ...podRoutes(index)]);
  const filter = bridgeNetfilter ? "1" : "0";
  await node.sysctl({ "bridge/bridge-nf-call-iptables": filter, "bridge/bridge-nf-call-ip6tables": filter });
}

function podRoutes(index: number, families: Families = "dual"): readonly string[] {
  const via = machineAddresses(families, index);
  return podCIDRs(families, index).map((cidr, i) => `route replace ${cidr} via ${via[i]}`);
}
