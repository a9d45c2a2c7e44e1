/** Bulkhead on a real cluster: the image of this checkout, installed as users install it. */
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { assetFolder } from "./assets.ts";
import type { Cluster } from "./cluster.ts";
import { RunError, run } from "./run.ts";

const root = join(import.meta.dirname, "../../..");
const namespace = "bulkhead-system";

/** What the image is made of. */
const inputs = ["src", "scripts/image", "scripts/image.ts", "package.json", "package-lock.json", "tsconfig.build.json"];

const filesOf = (path: string): readonly string[] =>
  statSync(path).isDirectory()
    ? readdirSync(path, { recursive: true, encoding: "utf8" })
        .map((name) => join(path, name))
        .filter((one) => /(?<!\.test)\.ts$/.test(one))
        .sort()
    : [path];

function fingerprint(): string {
  const hash = createHash("sha256");
  for (const file of inputs.flatMap((name) => filesOf(join(root, name))))
    hash.update(relative(root, file)).update(readFileSync(file));
  return hash.digest("hex").slice(0, 16);
}

/** The archive of this checkout's image, made when a source has changed. */
export async function agentImage(): Promise<string> {
  const archive = join(assetFolder, "agent", `${fingerprint()}.tar`);
  if (statSync(archive, { throwIfNoEntry: false })?.isFile()) return archive;
  rmSync(dirname(archive), { recursive: true, force: true });
  mkdirSync(dirname(archive), { recursive: true });
  await run(process.execPath, ["scripts/image.ts", "-o", archive], { cwd: root, within: 600_000 });
  return archive;
}

export interface InstallOptions {
  /** With the CNI plugin: `deploy/cni/install.yaml`. */
  readonly cniPlugin?: boolean;
  /** A changed manifest in place of those of `deploy/`, for kubectl. */
  readonly manifest?: string;
}

/** Puts the image on every node, applies the manifests, and waits until every agent is ready. */
export async function installBulkhead(cluster: Cluster, options: InstallOptions = {}): Promise<void> {
  await cluster.importImage(await agentImage());
  if (options.manifest !== undefined) await cluster.kubectl(["apply", "-f", "-"], { input: options.manifest });
  else
    await cluster.kubectl([
      "apply",
      "-f",
      join(root, options.cniPlugin === true ? "deploy/cni" : "deploy", "install.yaml"),
    ]);
  await agentsReady(cluster);
}

/** @throws Error with what the agents say */
export async function agentsReady(cluster: Cluster, within = 60_000): Promise<void> {
  const seconds = Math.ceil(within / 1000);
  const status = ["rollout", "status", "daemonset/bulkhead", `--namespace=${namespace}`, `--timeout=${seconds}s`];
  await cluster.kubectl(status, { within: within + 5_000 }).catch(async (error: unknown) => {
    if (!(error instanceof RunError)) throw error;
    const describe = ["logs", "--tail=20", "--prefix", "daemonset/bulkhead", `--namespace=${namespace}`, "--all-pods"];
    const [pods, logs] = await Promise.all(
      [["get", "pods", "-o", "wide", `--namespace=${namespace}`], describe].map((args) =>
        cluster.kubectl(args).catch((failure: Error) => failure.message),
      ),
    );
    throw new Error(`Bulkhead's agents are not ready: ${error.message}\n${pods}\n${logs}`);
  });
}

/** The agent's process on a node, as the host numbers it; null when none runs. */
export async function agentProcess(cluster: Cluster, nodeIndex: number): Promise<number | null> {
  const node = cluster.nodes[nodeIndex]!;
  const pods = await cluster.get<{ items: { status: { containerStatuses?: { containerID?: string }[] } }[] }>(
    "pods",
    `--namespace=${namespace}`,
    `--field-selector=spec.nodeName=${node.name}`,
  );
  const id = pods.items[0]?.status.containerStatuses?.[0]?.containerID?.replace(/^containerd:\/\//, "");
  return id === undefined ? null : node.processOf(id);
}
