/** The node agent: one cluster's policies, in one node's kernel, for as long as it runs. */
import { setTimeout as sleep } from "node:timers/promises";
import type { ClusterFeed } from "../kube/feed.ts";
import type { Network } from "../netns/namespace.ts";
import { Enforcer, type EnforcerOptions } from "../nftables/enforcer.ts";
import type { Runner } from "../nftables/runner.ts";
import { formatPolicyRef } from "../policy/model/policy.ts";
import { aborted } from "./aborted.ts";
import { type Condition, firstFailure } from "./condition.ts";
import { EarlyAddresses } from "./early-addresses.ts";
import { fileStore, noStore } from "./early-store.ts";
import type { Events } from "./events.ts";
import { Follower } from "./follower.ts";
import { Gate } from "./gate.ts";
import { type ListenAddress, type Pages, serveHealth } from "./health-server.ts";
import { Held } from "./held.ts";
import { HookWatch } from "./hook-watch.ts";
import { awaitLock } from "./lock.ts";
import { type Log, messageOf } from "./log.ts";
import { openMetrics } from "./metrics.ts";
import { type PluginOptions, type PluginSide, servePlugin } from "./plugin-side.ts";
import { rehearse } from "./rehearsal.ts";
import { watchSources } from "./source-watch.ts";
import { TableWatch } from "./table-watch.ts";
import { witnessOf } from "./witness.ts";

export interface AgentOptions {
  /** The Node object's name. */
  readonly node: string;
  /** CIDRs of this node's pods, beside its `spec.podCIDRs`. */
  readonly podCIDRs: readonly string[];
  /** Names of this node's ends of pods' links, or `cali*` for all that begin so. */
  readonly podInterfaces: readonly string[];
  readonly table: Pick<EnforcerOptions, "logGroup" | "epochBits" | "markShift" | "priority"> & {
    readonly table: string;
  };
  readonly health: ListenAddress;
  /** null: on the address of `health`. */
  readonly metrics: ListenAddress | null;
  /** null: there is no CNI plugin. */
  readonly cni: PluginOptions | null;
}

export interface AgentDeps {
  /** Begins to follow the cluster. Called once, when no other agent rules the node. */
  readonly openFeed: () => ClusterFeed;
  /** The kernel of `network`. The caller closes it. */
  readonly runner: Runner;
  readonly network: Network;
  readonly log: Log;
  readonly events: Events;
  readonly signal: AbortSignal;
}

/** Milliseconds that a transaction which is on its way has to end when the agent does; killing it is safe as well. */
const endingTime = 5_000;
/** Longer than any transaction takes: what is at work for so many ms will not come back. */
const stuckAfter = 180_000;

/**
 * Runs until the signal aborts. The rules stay in force then, as they do however else the process ends.
 * @throws Error when an address cannot be listened on, and for faults of the agent itself
 */
export async function runAgent(options: AgentOptions, deps: AgentDeps): Promise<void> {
  const { node, table } = options;
  const { runner, network, log, events, signal } = deps;
  const held = new Held(options);
  const store =
    options.cni === null ? noStore : fileStore(`${options.cni.socket}.addresses`, (message) => log.warn({}, message));
  let waitsFor: number | null = null;
  let feed: ClusterFeed | null = null;
  let enforcer: Enforcer | null = null;
  let follower: Follower | null = null;
  let plugin: PluginSide | null = null;

  const hooks = new HookWatch({ network, held, interfaces: options.podInterfaces, log, events });
  const conditions = (): Condition[] => {
    if (waitsFor !== null)
      return [{ name: "lock", state: "failed", text: `waiting until the other agent, process ${waitsFor}, ends` }];
    if (follower === null) return [{ name: "start", state: "failed", text: "starting" }];
    return [
      ...follower.conditions(),
      ...refusals(enforcer),
      ...held.conditions(),
      ...hooks.conditions(),
      ...(plugin?.conditions() ?? []),
      ...sourceConditions(feed!),
    ];
  };
  const metrics = await openMetrics({
    node,
    plan: () => follower?.plan ?? null,
    conditions,
    sources: () => feed?.status() ?? [],
    drops: async () => {
      const kernel = enforcer;
      return kernel === null ? null : { counters: await kernel.counters(), explain: (id) => kernel.explainDrop(id) };
    },
  });
  const dead = (): string | null =>
    (follower?.busyFor ?? 0) > stuckAfter ? "the kernel has not answered for minutes" : null;
  const closeServers = await serve(options, { health: { conditions, dead }, metrics }, log, signal);

  try {
    signal.throwIfAborted();
    const lock = await awaitLock(network, table.table, {
      signal,
      waits: (pid) => {
        waitsFor = pid;
        log.warn({ pid }, "another agent rules this node: waiting until it ends");
      },
      warn: (message) => log.warn({}, message),
    });
    waitsFor = null;
    try {
      feed = deps.openFeed();
      await rehearse(); // while the API server works on its answers
      await follow(feed);
    } finally {
      feed?.close();
      lock.release();
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    closeServers();
    log.info({}, "stopped; the rules stay in force");
  }

  async function follow(cluster: ClusterFeed): Promise<void> {
    // Now that no other agent writes it.
    const early = new EarlyAddresses(store.load());
    const running = new Follower({
      node,
      feed: cluster,
      early,
      log,
      signal,
      witness: witnessOf({
        node,
        log,
        events,
        metrics,
        saw: (changes) => {
          const { plan, mailbox } = running;
          if (held.update(plan!)) {
            const { cidrs } = held;
            log.info({ cidrs }, "unknown pods are held in this node's pod CIDRs");
            if (enforcer !== null) mailbox.post({ act: (kernel) => kernel.hold(cidrs), done: () => held.done(cidrs) });
            hooks.look();
          }
          gate.saw(changes);
        },
      }),
      start: async (plan) => {
        const { cidrs } = held;
        enforcer = await Enforcer.start(plan, {
          node,
          runner,
          ...table,
          held: cidrs,
          podInterfaces: options.podInterfaces,
          watch: true,
          warn: (message) => log.warn({}, message),
          // As work of the agent's own it is tried until it succeeds, and is seen in /readyz until then.
          failed: () => running.mailbox.post({ act: (kernel) => kernel.repair() }),
        });
        held.done(cidrs);
        tableWatch.start(); // before, there was no table to look at
        return enforcer;
      },
    });
    follower = running;
    const gate = new Gate({
      node,
      early,
      store,
      mailbox: running.mailbox,
      podOf: (key) => running.plan?.pods.get(key),
      unready: () => firstFailure(conditions()),
    });
    if (options.cni !== null) plugin = await servePlugin(options.cni, { gate, log, metrics });
    const stopTelling = watchSources(cluster, log);
    const tableWatch = new TableWatch({ runner, table: table.table, mailbox: running.mailbox, log });
    try {
      hooks.start();
      const ended = running.run().then(() => enforcer?.stop());
      await Promise.race([ended, afterAbort(signal, endingTime)]);
    } finally {
      stopTelling();
      tableWatch.stop();
      hooks.stop();
      await plugin?.close();
    }
  }
}

/** Resolves so many milliseconds after the signal. */
async function afterAbort(signal: AbortSignal, milliseconds: number): Promise<void> {
  await aborted(signal);
  await sleep(milliseconds, undefined, { ref: false });
}

/** Policies whose rules the kernel cannot hold; their pods are closed. */
function refusals(enforcer: Enforcer | null): Condition[] {
  return (enforcer?.refused() ?? []).map(({ direction, pods, policies, why }) => {
    const names = policies.map(formatPolicyRef).join(", ");
    const text = `${names}: ${direction} of ${pods.join(", ")} is closed: ${why}`;
    return { name: "policies", state: "warning", text };
  });
}

/** What the API server's watches are like. An outage stops no enforcement: the last rules stay, and the agent is ready. */
function sourceConditions(feed: ClusterFeed): Condition[] {
  return feed.status().map(({ resource, installed, connected, error }) => {
    if (!installed) return { name: resource, state: "ok", text: "not installed" };
    if (connected) return { name: resource, state: "ok", text: "watched" };
    return { name: resource, state: "warning", text: `not watched, the last rules stay: ${error ?? "connecting"}` };
  });
}

async function serve(
  { health, metrics }: AgentOptions,
  pages: Required<Pages>,
  log: Log,
  signal: AbortSignal,
): Promise<() => void> {
  const separate = metrics !== null && (metrics.host !== health.host || metrics.port !== health.port);
  const wanted: (readonly [ListenAddress, Pages])[] = separate
    ? [
        [health, { health: pages.health }],
        [metrics, { metrics: pages.metrics }],
      ]
    : [[health, pages]];
  const servers: { close(): void }[] = [];
  for (const [address, own] of wanted) {
    servers.push(await serveHealth(address, own, { signal, waits: (why) => log.warn({}, messageOf(why)) }));
  }
  return () => {
    for (const server of servers) server.close();
  };
}
