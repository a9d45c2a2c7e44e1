import { describe, expect, test } from "vitest";
import { formatProblem, type Loaded, loadManifests, type ReadOptions } from "./index.ts";

/** Loads a text as if it came through a pipe. */
const load = (text: string, options: ReadOptions = {}): Promise<Loaded> =>
  loadManifests(["-"], { ...options, stdin: async () => text });

const errors = (loaded: Loaded): string[] => loaded.problems.filter((p) => p.severity === "error").map(formatProblem);

describe("loading", () => {
  test("a Deployment stands for its pods", async () => {
    const { world, problems } = await load(`
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {team: red, kubernetes.io/metadata.name: wrong}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: 3
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: c, ports: [{name: http, containerPort: 8080}, {containerPort: 1}]}]
      initContainers:
      - {name: s, restartPolicy: Always, ports: [{name: side, containerPort: 53, protocol: UDP}]}
      - {name: i, ports: [{name: gone, containerPort: 9}]}
`);
    expect(problems).toEqual([]);
    expect(world.namespaces).toMatchObject([
      { name: "shop", defined: true, labels: { team: "red", "kubernetes.io/metadata.name": "shop" } },
    ]);
    expect(world.pods).toMatchObject([
      {
        namespace: "shop",
        name: "web",
        labels: { app: "web" },
        ips: [],
        node: null,
        template: true,
        replicas: 3,
        workload: { kind: "Deployment", name: "web" },
        ports: [
          { name: "http", number: 8080, protocol: "TCP" },
          { name: "side", number: 53, protocol: "UDP" },
        ],
      },
    ]);
  });

  test("a namespace that nobody defines is named in one warning", async () => {
    const pod = (name: string): string => `apiVersion: v1\nkind: Pod\nmetadata: {name: ${name}, namespace: lost}\n`;
    const { world, problems } = await load(`${pod("a")}---\n${pod("b")}`);
    expect(problems.map(formatProblem)).toEqual([
      '-:1:1: warning: namespace "lost" is used but not defined: taken to exist, with no label but kubernetes.io/metadata.name',
    ]);
    expect(world.namespaces).toMatchObject([{ name: "lost", defined: false, source: null }]);
    expect(world.pods).toHaveLength(2);
  });

  test("a label that YAML reads as a boolean", async () => {
    const loaded = await load(`apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  template:
    metadata:
      labels:
        app: on
`);
    expect(errors(loaded)).toEqual([
      "-:8:14: spec.template.metadata.labels.app: expected string, got bool true: put it in quotes",
    ]);
  });
});
