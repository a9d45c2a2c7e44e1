/**
 * An agent in a process of its own, so that it can be killed. Its cluster is what the parent tells it; its node is a
 * namespace of the parent's.
 */
import { runAgent } from "../../src/agent/agent.ts";
import { noEvents } from "../../src/agent/events.ts";
import { FakeFeed } from "../../src/agent/fake-feed.arbitrary.ts";
import { openLog } from "../../src/agent/log.ts";
import { Namespace } from "../../src/netns/namespace.ts";
import { openRunner } from "../../src/nftables/runner.ts";
import type { Order, Start } from "./process.ts";

const stop = new AbortController();
process.once("SIGTERM", () => stop.abort(new Error("SIGTERM")));
process.once("disconnect", () => process.exit(1)); // the parent is gone

const feed = new FakeFeed(null);
const orders = (order: Order): void => {
  if (order.kind === "begin") feed.begin(order.world);
  else feed.tell(order.changes);
};

process.once("message", async (start: Start) => {
  process.on("message", orders);
  const log = await openLog({ format: "text", verbose: start.verbose });
  const network = Namespace.open(start.netns);
  const runner = await openRunner({ netns: start.netns });
  await runAgent(start.options, { openFeed: () => feed, runner, network, log, events: noEvents, signal: stop.signal });
  process.exit(0);
});
process.send?.("ready");
