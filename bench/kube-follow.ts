/**
 * Following a cluster of many pods: time until the first world, and memory. `node bench/kube-follow.ts [PODS]`
 *
 * The API server is a stand-in in another process that sends pods as large as real ones (5.4 kB of JSON) over HTTP/2 and
 * TLS, as fast as they are taken; with WatchList, or as one list that ignores `limit` as servers do for `resourceVersion=0`.
 */
import { execFileSync, fork } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { followCluster, openClient } from "../src/kube/index.ts";

const role = process.argv[2] ?? "100000";

/** A pod of a Deployment with 8 replicas, as a real API server sends it: 5.4 kB. */
function podText(i: number): string {
  const app = `app-${Math.floor(i / 8)}`;
  const namespace = `ns-${Math.floor(i / 800)}`;
  const fields = (manager: string, n: number): object => ({
    manager,
    operation: "Update",
    apiVersion: "v1",
    time: "2026-11-21T10:00:00Z",
    fieldsType: "FieldsV1",
    fieldsV1: {
      "f:metadata": { "f:labels": { "f:app": {}, "f:pod-template-hash": {}, "f:tier": {} } },
      "f:spec": Object.fromEntries(
        Array.from({ length: n }, (_, k) => [`f:someFieldOfTheSpecification${k}`, { ".": {} }]),
      ),
    },
  });
  const conditions = ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"];
  return JSON.stringify({
    kind: "Pod",
    apiVersion: "v1",
    metadata: {
      name: `${app}-7d9c6b5f4d-${i.toString(36).padStart(5, "0")}`,
      generateName: `${app}-7d9c6b5f4d-`,
      namespace,
      uid: `00000000-0000-4000-8000-${i.toString(16).padStart(12, "0")}`,
      resourceVersion: String(1000 + i),
      creationTimestamp: "2026-11-21T10:00:00Z",
      labels: { app, "pod-template-hash": "7d9c6b5f4d", tier: `tier-${i % 5}` },
      annotations: { "kubernetes.io/config.seen": "2026-11-21T10:00:00.000000000Z", checksum: "a".repeat(64) },
      ownerReferences: [
        { apiVersion: "apps/v1", kind: "ReplicaSet", name: `${app}-7d9c6b5f4d`, uid: "x", controller: true },
      ],
      managedFields: [fields("kube-controller-manager", 30), fields("kubelet", 20)],
    },
    spec: {
      containers: [
        {
          name: "main",
          image: `registry.example/${app}:1.2.3`,
          ports: [{ name: "http", containerPort: 8080, protocol: "TCP" }],
          env: Array.from({ length: 10 }, (_, k) => ({ name: `SETTING_${k}`, value: `value-${k}` })),
          resources: { requests: { cpu: "100m", memory: "128Mi" }, limits: { memory: "256Mi" } },
          volumeMounts: [
            { name: "kube-api-access", readOnly: true, mountPath: "/var/run/secrets/kubernetes.io/serviceaccount" },
          ],
        },
      ],
      nodeName: `node-${i % 1000}`,
      serviceAccountName: "default",
      volumes: [
        {
          name: "kube-api-access",
          projected: { sources: [{ serviceAccountToken: { expirationSeconds: 3607, path: "token" } }] },
        },
      ],
      tolerations: ["not-ready", "unreachable"].map((key) => ({
        key: `node.kubernetes.io/${key}`,
        operator: "Exists",
      })),
    },
    status: {
      phase: "Running",
      conditions: conditions.map((type) => ({
        type,
        status: "True",
        lastProbeTime: null,
        lastTransitionTime: "2026-11-21T10:00:00Z",
      })),
      hostIP: "172.16.0.1",
      podIP: address(i),
      podIPs: [{ ip: address(i) }, { ip: `fd00::${(i >> 16).toString(16)}:${(i & 65535).toString(16)}` }],
      containerStatuses: [
        {
          name: "main",
          ready: true,
          restartCount: 0,
          imageID: `sha256:${"b".repeat(64)}`,
          containerID: `containerd://${"c".repeat(64)}`,
        },
      ],
    },
  });
}

const address = (i: number): string => `10.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}`;

async function serve(folder: string, pods: number): Promise<void> {
  const tls = { key: readFileSync(join(folder, "key.pem")), cert: readFileSync(join(folder, "cert.pem")) };
  const server = http2.createSecureServer(tls);
  server.on("stream", async (stream, headers) => {
    const url = new URL(String(headers[":path"]), "https://localhost");
    stream.on("error", () => undefined);
    const isWatch = url.searchParams.has("watch");
    const isInitial = url.searchParams.has("sendInitialEvents");
    if (isInitial && url.searchParams.get("resourceVersionMatch") === null) throw new Error("no resourceVersionMatch");
    if (isInitial && noWatchList) {
      stream.respond({ ":status": 422 });
      stream.end(
        JSON.stringify({ kind: "Status", code: 422, reason: "Invalid", message: "sendInitialEvents: Forbidden" }),
      );
      return;
    }
    stream.respond({ ":status": 200 });
    const texts = function* (): Generator<string> {
      if (isWatch && !isInitial) return;
      if (url.pathname.endsWith("/namespaces")) {
        for (let i = 0; i < pods / 800; i++) yield JSON.stringify({ metadata: { name: `ns-${i}`, uid: `${i}` } });
      } else if (url.pathname.endsWith("/pods")) for (let i = 0; i < pods; i++) yield podText(i);
    };
    const write = async (text: string): Promise<void> => {
      if (stream.write(text)) return;
      await new Promise<void>((resolve) => {
        const done = (): void => {
          stream.off("drain", done).off("close", done);
          resolve();
        };
        stream.on("drain", done).on("close", done);
      });
    };
    let first = true;
    if (!isWatch) await write('{"kind":"List","apiVersion":"v1","metadata":{"resourceVersion":"9"},"items":[');
    for (const text of texts()) {
      await write(isWatch ? `{"type":"ADDED","object":${text}}\n` : `${first ? "" : ","}${text}`);
      first = false;
    }
    const annotations = { "k8s.io/initial-events-end": "true" };
    if (!isWatch) stream.end("]}\n");
    else if (isInitial)
      await write(
        `${JSON.stringify({ type: "BOOKMARK", object: { metadata: { resourceVersion: "9", annotations } } })}\n`,
      );
  });
  server.listen(0, "127.0.0.1", () => process.send!((server.address() as AddressInfo).port));
}

const noWatchList = process.argv[5] === "list";

async function measure(pods: number, mode: "watch" | "list"): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "bulkhead-bench-"));
  const key = [
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
    "-keyout",
    join(folder, "key.pem"),
  ];
  const cert = ["-out", join(folder, "cert.pem"), "-subj", "/CN=bench", "-addext", "subjectAltName=IP:127.0.0.1"];
  execFileSync("openssl", ["req", "-x509", ...key, ...cert], { stdio: "ignore" });
  const child = fork(import.meta.filename, ["serve", folder, String(pods), mode]);
  try {
    const port = await new Promise<number>((resolve) => child.once("message", (message) => resolve(message as number)));
    const ca = readFileSync(join(folder, "cert.pem"));
    const base = process.memoryUsage().rss;
    const start = performance.now();
    const client = openClient({
      server: new URL(`https://127.0.0.1:${port}`),
      tls: async () => ({ ca, cert: null, key: null, servername: null, verify: true }),
      headers: async () => ({}),
      unauthorized: () => undefined,
      proxy: null,
      namespace: "default",
      description: "bench",
    });
    const feed = followCluster(client);
    const count = (await feed.first).world.pods.length;
    const seconds = (performance.now() - start) / 1000;
    const cpu = process.cpuUsage();
    const peak = process.resourceUsage().maxRSS / 1024;
    await sleep(2000);
    globalThis.gc?.();
    await sleep(500);
    const { rss, heapUsed } = process.memoryUsage();
    const mb = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(0)} MB`;
    console.log(
      `${mode}: ${count} pods in ${seconds.toFixed(1)} s (CPU ${(cpu.user / 1e6 + cpu.system / 1e6).toFixed(1)} s), RSS before ${mb(base)}, peak ${peak.toFixed(0)} MB, then ${mb(rss)}, heap ${mb(heapUsed)}`,
    );
    feed.close();
    client.close();
  } finally {
    child.kill();
    rmSync(folder, { recursive: true });
  }
}

if (role === "serve") await serve(process.argv[3]!, Number(process.argv[4]));
else await measure(Number(role), process.argv[3] === "list" ? "list" : "watch");
