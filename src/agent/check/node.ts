/** What the node itself must have: kernel, nftables, rights, connection tracking, settings. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { release } from "node:os";
import { bindRequests } from "../../flows/nflog.ts";
import type { Network } from "../../netns/namespace.ts";
import { NETLINK_NETFILTER, NetlinkSocket } from "../../netns/netlink.ts";
import { untrusted } from "../../nftables/epoch.ts";
import type { Runner } from "../../nftables/runner.ts";
import { defaultTableOptions, hooks, skeleton } from "../../nftables/skeleton.ts";
import { messageOf } from "../log.ts";
import { type Finding, ok, problem, unknown } from "./finding.ts";

/** What kube-proxy's nftables mode asks for too. */
const oldestKernel = [5, 13] as const;

export function kernelFinding(version = release()): Finding {
  const [major = 0, minor = 0] = version.split(".").map((part) => Number.parseInt(part, 10));
  const [needMajor, needMinor] = oldestKernel;
  const isOld = major < needMajor || (major === needMajor && minor < needMinor);
  return isOld
    ? problem("kernel", `Linux ${version}: ${oldestKernel.join(".")} or newer is needed`)
    : ok("kernel", `Linux ${version}`);
}

const netAdmin = 12n; // linux/capability.h

/** @param status /proc/self/status */
export function rightsFinding(status = readFileSync("/proc/self/status", "utf8")): Finding {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1];
  if (effective === undefined) return unknown("rights", "/proc/self/status names no capabilities");
  const has = (BigInt(`0x${effective}`) >> netAdmin) & 1n;
  return has === 1n ? ok("rights", "NET_ADMIN") : problem("rights", "NET_ADMIN is missing: run it as root, or add it");
}

/** @throws Error that says what to do, where rules can't be written at all */
export function needRights(): void {
  const { state, text } = rightsFinding();
  if (state === "problem") throw new Error(text);
}

/** Makes and removes the whole table in one transaction: the kernel checks all of it, and no packet ever meets it. */
export async function transactionFinding(runner: Runner): Promise<Finding> {
  const options = { ...defaultTableOptions, table: `bulkhead-check-${process.pid}` };
  const script = [...skeleton(options, untrusted), ...hooks(options), `delete table inet ${options.table}`, ""];
  const program = spawnSync("nft", ["--version"], { encoding: "utf8" });
  const version = program.status === 0 ? `, nft ${program.stdout.trim().replace(/^nftables /, "")}` : "";
  try {
    await runner.run(script.join("\n"));
    return ok("nftables", `a whole table was made and removed in one transaction (${runner.backend}${version})`);
  } catch (error) {
    return problem("nftables", `the table can't be made (${runner.backend}${version}): ${messageOf(error)}`);
  }
}

export async function conntrackFindings(runner: Runner, network: Network): Promise<Finding[]> {
  const name = "conntrack";
  const found: Finding[] = [];
  try {
    await runner.clearMarks(0xffff_ffff, 1, 0); // no mark is like that: the table is read, nothing is changed
    found.push(ok(name, "ctnetlink answers"));
  } catch (error) {
    found.push(
      problem(
        name,
        `ctnetlink: ${messageOf(error)}. Every packet of every connection will be judged, and flows of pods that are gone stay (modprobe nf_conntrack_netlink)`,
      ),
    );
  }
  const [count, most] = ["nf_conntrack_count", "nf_conntrack_max"].map((one) =>
    Number(readSetting(network, `netfilter/${one}`)),
  ) as [number, number];
  if (most > 0 && count > 0.9 * most)
    found.push(
      problem(
        name,
        `${count} of ${most} connections: when it is full the kernel drops new ones (net.netfilter.nf_conntrack_max)`,
      ),
    );
  return found;
}

export function logFinding(network: Network, group: number): Finding {
  const socket = new NetlinkSocket(NETLINK_NETFILTER, network);
  try {
    socket.request(bindRequests(group));
    return ok("nflog", `group ${group} is free to read`);
  } catch (error) {
    const isTaken = /EBUSY/.test(messageOf(error));
    if (isTaken) return ok("nflog", `group ${group} has a reader already`);
    return problem("nflog", `dropped packets can't be logged (group ${group}): ${messageOf(error)}`);
  } finally {
    socket.close();
  }
}

/** Settings without which pods can't be reached at all, or not over IPv6. */
export function settingFindings(network: Network): Finding[] {
  const found: Finding[] = [];
  const ip = readSetting(network, "ipv4/ip_forward");
  found.push(
    ip === "1"
      ? ok("forwarding", "net.ipv4.ip_forward is 1")
      : problem(
          "forwarding",
          `net.ipv4.ip_forward is ${ip ?? "missing"}: pods reach nothing (sysctl -w net.ipv4.ip_forward=1)`,
        ),
  );
  const forwarding = readSetting(network, "ipv6/conf/all/forwarding");
  if (forwarding === null) found.push(ok("ipv6", "this kernel has no IPv6"));
  else if (readSetting(network, "ipv6/conf/all/disable_ipv6") === "1") found.push(ok("ipv6", "IPv6 is turned off"));
  else if (forwarding === "1") found.push(ok("ipv6", "IPv6 is forwarded"));
  else found.push(ok("ipv6", "IPv6 is there and is not forwarded: fine in a cluster without it"));
  return found;
}

function readSetting(network: Network, name: string): string | null {
  try {
    return network.run<string>(() => readFileSync(`/proc/sys/net/${name}`, "utf8").trim());
  } catch {
    return null;
  }
}
