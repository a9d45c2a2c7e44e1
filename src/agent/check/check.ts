/** Has this node what the agent needs, and what else is on it? Nothing is changed. */
import { readFileSync } from "node:fs";
import type { Connection } from "../../kube/connection.ts";
import { type Network, ownNetwork } from "../../netns/namespace.ts";
import { openRunner, type Runner } from "../../nftables/runner.ts";
import { bridgeCondition, lookAtBridges } from "../bridge.ts";
import type { Condition } from "../condition.ts";
import { ipvsCondition } from "../hook-watch.ts";
import { messageOf } from "../log.ts";
import { lookAtCluster } from "./cluster.ts";
import { findEngines, tablesAndChains } from "./engines.ts";
import { type Finding, ok, problem, skipped, unknown } from "./finding.ts";
import {
  conntrackFindings,
  kernelFinding,
  logFinding,
  rightsFinding,
  settingFindings,
  transactionFinding,
} from "./node.ts";

export interface CheckOptions {
  readonly node: string | null;
  readonly podCIDRs: readonly string[];
  readonly podInterfaces: readonly string[];
  readonly table: string;
  readonly logGroup: number;
  /** Or why there is none. */
  readonly connection: Connection | string;
  readonly network?: Network;
  /** Of another namespace than the process's own. */
  readonly netns?: number;
}

export async function runCheck(options: CheckOptions): Promise<readonly Finding[]> {
  const { connection, node, podInterfaces, network = ownNetwork } = options;
  const cluster =
    typeof connection === "string"
      ? { findings: [skipped("cluster", connection)], podCIDRs: [] }
      : await lookAtCluster(connection, node);
  const held = [...options.podCIDRs, ...cluster.podCIDRs];
  const rights = rightsFinding();
  return [
    kernelFinding(),
    rights,
    // Without the right to look everything would look broken, and libnftables says so on its own account.
    ...(rights.state === "problem"
      ? [unknown("nftables", "it takes NET_ADMIN to look at tables, connections and other engines")]
      : await kernelFindings(options, network)),
    ...settingFindings(network),
    pathFinding("bridge", () => bridgeCondition(lookAtBridges(network, held, podInterfaces))),
    pathFinding("ipvs", () => ipvsCondition(network)),
    heldFinding([...held, ...podInterfaces]),
    ...cluster.findings,
  ];
}

async function kernelFindings(options: CheckOptions, network: Network): Promise<Finding[]> {
  let runner: Runner;
  try {
    runner = await openRunner(options.netns === undefined ? {} : { netns: options.netns });
  } catch (error) {
    return [unknown("nftables", messageOf(error))];
  }
  try {
    return [
      await transactionFinding(runner),
      ...(await conntrackFindings(runner, network)),
      logFinding(network, options.logGroup),
      ...(await tableFindings(runner, network, options.table)),
    ];
  } finally {
    await runner.close();
  }
}

/** Our own table, and those of other engines. */
async function tableFindings(runner: Runner, network: Network, table: string): Promise<Finding[]> {
  try {
    const { tables, chains } = tablesAndChains(await runner.run("list chains\n"));
    const interfaces = network
      .run<string>(() => readFileSync("/proc/thread-self/net/dev", "utf8"))
      .split("\n")
      .slice(2)
      .flatMap((line) => line.split(":", 1)[0]?.trim() ?? []);
    const isThere = tables.includes(`inet ${table}`);
    return [
      ok("table", isThere ? `inet ${table} is there, its rules are in force` : `inet ${table} is not there`),
      ...findEngines({ tables, chains, interfaces }),
    ];
  } catch (error) {
    return [unknown("engines", messageOf(error))];
  }
}

function pathFinding(name: string, look: () => Condition): Finding {
  try {
    const { state, text } = look();
    return state === "ok" ? ok(name, text) : problem(name, text);
  } catch (error) {
    return unknown(name, messageOf(error));
  }
}

function heldFinding(known: readonly string[]): Finding {
  return known.length > 0
    ? ok("held", `unknown pods are held: ${known.join(", ")}`)
    : problem(
        "held",
        "where this node's pods are is not known, so that unknown pods are not held: give --pod-cidr or --pod-interface, or spec.podCIDRs to the Node",
      );
}
