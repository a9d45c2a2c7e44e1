/** `scripts/demo-cluster`. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { assetPath } from "./lib/assets.ts";
import { installBulkhead } from "./lib/bulkhead.ts";
import { clock } from "./lib/clock.ts";
import { type Cluster, startCluster } from "./lib/cluster.ts";
import { podsOf } from "./lib/pods.ts";
import { RunError, sleep } from "./lib/run.ts";
import { applyShop, type KubeObject, shopPolicies } from "./lib/shop.ts";

const { values } = parseArgs({ options: { keep: { type: "boolean", default: false } } });
const say = (line: string): void => void process.stdout.write(`${line}\n`);
const port = 5432;

/** klog's time of day, with parts of microseconds, as ms of today. */
const timeOfDay = (text: string): number => {
  const [hours, minutes, seconds] = text.split(":").map(Number) as [number, number, number];
  return ((hours * 60 + minutes) * 60 + seconds) * 1000;
};

/**
 * `kubectl apply -f FILE`, with kubectl's own log of its requests.
 * @returns when kubectl had the API server's answer to the change, of `clock`
 */
async function applyWithKubectl(cluster: Cluster, object: KubeObject): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "bulkhead-demo-"));
  try {
    const file = join(folder, "policy.yaml");
    writeFileSync(file, JSON.stringify(object));
    const kubectl = [assetPath("kubectl"), `--kubeconfig=${cluster.kubeconfig}`, "apply", "-f", file, "-v=6"];
    const command = ["sh", "-c", 'exec "$@" 2>&1', "sh", ...kubectl];
    const log = await cluster.control.execInNetwork(command, { env: { ...process.env, TZ: "UTC" } });
    const answer = /^I\d{4} (\S+) .*(?:verb="(?:POST|PATCH)".*status="20|(?:POST|PATCH) http\S+ 20)/m.exec(log);
    if (answer === null) throw new Error(`kubectl tells of no change:\n${log}`);
    const now = performance.timeOrigin + performance.now();
    return clock() - (((now % 86_400_000) - timeOfDay(answer[1]!) + 86_400_000) % 86_400_000);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function demo(cluster: Cluster): Promise<void> {
  await applyShop(cluster);
  const of = async (namespace: string, app: string) => (await podsOf(cluster, namespace, `app=${app}`))[0]!;
  const [web, orders, database] = [await of("shop", "web"), await of("shop", "orders"), await of("data", "orders-db")];
  say(
    `the shop runs: ${(await cluster.kubectl(["get", "pods", "-A", "--no-headers"])).trim().split("\n").length} pods`,
  );

  const connections = {
    web: await web.traffic(database.ip(4), port),
    orders: await orders.traffic(database.ip(4), port),
  };
  try {
    await sleep(500);
    for (const [name, { answers }] of Object.entries(connections))
      say(`${name} has a connection to orders-db port ${port} in use: ${answers.length} answers so far`);

    const policy = shopPolicies().find(
      ({ metadata }) => metadata.namespace === "data" && metadata.name === "orders-db",
    )!;
    say("kubectl apply: NetworkPolicy data/orders-db, which lets only orders in");
    const answeredAt = await applyWithKubectl(cluster, policy);
    const last = await connections.web.cut();
    const after = Math.max(0, last - answeredAt);
    say(`web's connection is cut: its last answer came ${after.toFixed(1)} ms after the API server's`);
    if (!(await connections.orders.isAlive())) throw new Error("the connection of orders should have gone on");
    say(
      `orders' connection goes on: ${connections.orders.answers.length} answers, no pause longer than ${connections.orders.longestGap.toFixed(0)} ms`,
    );
    say(`and a new connection of web: ${await web.connects(database.ip(4), port)}`);
  } finally {
    for (const traffic of Object.values(connections)) traffic.stop();
  }
  const question = ["shop/deploy/web", "data/sts/orders-db", String(port)];
  say(`\nbulkhead explain ${question.join(" ")}, read from the cluster:`);
  say(await explain(cluster, question));
}

/** Exits with 1, as `can` does: denied. */
const explain = (cluster: Cluster, question: readonly string[]): Promise<string> =>
  cluster.control
    .execInNetwork(["./bulkhead", "explain", ...question, `--kubeconfig=${cluster.kubeconfig}`])
    .catch((error: unknown) => {
      if (error instanceof RunError && error.exitCode === 1) return error.stdout;
      throw error;
    });

async function main(): Promise<void> {
  const started = performance.now();
  const seconds = (): string => `${((performance.now() - started) / 1000).toFixed(1)} s`;
  const cluster = await startCluster({ name: "demo", owned: !values.keep });
  try {
    say(`a Kubernetes with ${cluster.nodes.length} nodes is up (${seconds()})`);
    await installBulkhead(cluster);
    say(`Bulkhead is ready on every node (${seconds()}), installed from deploy/install.yaml`);
    await demo(cluster);
    if (values.keep)
      say("the cluster stays: BULKHEAD_CLUSTER=demo test/cluster/kubectl get pods -A; test/cluster/down --name demo");
  } finally {
    if (!values.keep) await cluster.down();
  }
}

try {
  await main();
} catch (error) {
  process.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
