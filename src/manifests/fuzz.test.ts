import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { load } from "../../test/manifests/load.ts";
import type { Path, PathStep } from "../policy/model/source.ts";
import { formatProblem, type Loaded } from "./index.ts";
import { parseJson } from "./json.ts";
import { skipValue } from "./json-places.ts";
import { TextFile } from "./text.ts";
import { parseYaml } from "./yaml/yaml.ts";

/** What holds of every input: an answer or a complaint, each with a place that exists. */
async function check(text: string): Promise<Loaded> {
  const loaded = await load(text);
  const lines = text.split(/\r\n?|\n/).length;
  for (const problem of loaded.problems) {
    expect(formatProblem(problem)).not.toMatch(/undefined|\n|\[object/);
    if (problem.position !== null) expect(problem.position.line).toBeLessThanOrEqual(lines);
  }
  for (const pod of loaded.world.pods) pod.source?.position(["spec", "containers", 0]);
  const names = loaded.world.pods.map((p) => `${p.namespace}/${p.name}`);
  expect(new Set(names).size).toBe(names.length);
  return loaded;
}

describe("any input is read or refused", () => {
  test("bytes", async () => {
    const bytes = fc.uint8Array({ maxLength: 300 }).map((b) => new TextDecoder().decode(b));
    await fc.assert(
      fc.asyncProperty(bytes, async (text) => void (await check(text))),
      { numRuns: 500 },
    );
  });

  test("JSON", async () => {
    const text = fc.json({ maxDepth: 6 });
    await fc.assert(
      fc.asyncProperty(text, async (t) => void (await check(t))),
      { numRuns: 500 },
    );
  });

  /** Objects that are nearly right: known kinds with any value anywhere. */
  const anything = fc.oneof(
    { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 2 }) },
    {
      weight: 2,
      arbitrary: fc.constantFrom<unknown>(null, {}, [], "", "a", 0, -1, 80, 1.5, 1e300, true, "10.0.0.1", "{{ x }}"),
    },
  );
  const field = (...names: string[]): fc.Arbitrary<Record<string, unknown>> =>
    fc.dictionary(fc.constantFrom(...names), anything, { maxKeys: 4 });
  const port = field("name", "containerPort", "port", "targetPort", "protocol");
  const template = fc.record({
    metadata: field("labels"),
    spec: fc.record({ containers: fc.oneof(anything, fc.array(fc.record({ ports: fc.array(port) }))) }),
  });
  const spec = fc.oneof(
    anything,
    fc.record(
      {
        template,
        replicas: anything,
        ports: fc.array(port),
        selector: anything,
        jobTemplate: fc.record({ spec: fc.record({ template }) }),
      },
      { requiredKeys: [] },
    ),
    field("podSelector", "ingress", "egress", "policyTypes", "podCIDRs", "clusterIPs", "hostNetwork", "nodeName"),
  );
  const typeMeta = fc.constantFrom(
    ...["Pod", "Service", "Node", "Namespace", "Endpoints", "List", "PodList"].map((kind) => ({
      apiVersion: "v1",
      kind,
    })),
    ...["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"].map((kind) => ({ apiVersion: "apps/v1", kind })),
    ...["Job", "CronJob"].map((kind) => ({ apiVersion: "batch/v1", kind })),
    { apiVersion: "discovery.k8s.io/v1", kind: "EndpointSlice" },
    { apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy" },
    { apiVersion: "policy.networking.k8s.io/v1alpha2", kind: "ClusterNetworkPolicy" },
    { apiVersion: "policy.networking.k8s.io/v1alpha1", kind: "AdminNetworkPolicy" },
  );
  const owner = fc.record({
    apiVersion: fc.constantFrom("apps/v1", "batch/v1"),
    kind: fc.constantFrom("ReplicaSet", "Deployment", "Job", "CronJob"),
    name: fc.constantFrom("a", "b"),
    controller: fc.constant(true),
  });
  const metadata = fc.oneof(
    anything,
    fc.record({ name: fc.constantFrom("a", "b"), ownerReferences: fc.array(owner, { maxLength: 1 }) }),
    field("name", "generateName", "namespace", "labels", "ownerReferences"),
  );
  const object = fc
    .tuple(typeMeta, metadata, spec, anything, field("addressType", "endpoints", "subsets", "items"))
    .map(([type, meta, body, status, rest]) => ({ ...type, metadata: meta, spec: body, status, ...rest }));

  test("objects that are nearly right", async () => {
    const list = fc
      .array(object, { maxLength: 6 })
      .map((items) => JSON.stringify({ apiVersion: "v1", kind: "List", items }));
    await fc.assert(
      fc.asyncProperty(list, async (text) => void (await check(text))),
      { numRuns: 400 },
    );
  });

  test("JSON and YAML say the same", async () => {
    const texts = fc.array(object, { maxLength: 4 }).map((items) => items.map((item) => JSON.stringify(item, null, 1)));
    await fc.assert(
      fc.asyncProperty(texts, async (items) => {
        const json = await check(items.join("\n"));
        // Flow style that JSON's parser does not take.
        const yaml = await check(items.map((text) => text.replace(/\}$/, ",}")).join("\n---\n"));
        expect(JSON.stringify(yaml.world)).toBe(JSON.stringify(json.world));
        expect(yaml.problems.map((p) => p.message.replace(/-:\d+:\d+/, ""))).toEqual(
          json.problems.map((p) => p.message.replace(/-:\d+:\d+/, "")),
        );
      }),
      { numRuns: 150 },
    );
  });
});

test("several values in a row", () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 5 }), (text) => {
      const [first, second] = parseJson(`${text} {"a": 1}`, 0);
      expect(second?.value).toEqual({ a: 1 });
      expect(JSON.stringify(first?.value)).toBe(JSON.stringify(JSON.parse(text)));
      expect(first?.duplicates).toEqual([]);
    }),
    { numRuns: 500 },
  );
});

test("positions in JSON", () => {
  const [document] = parseJson('{"a": [1, {"b": "\\"]", "b": 2}],\n "c": null}', 10);
  expect(document?.duplicates).toEqual([["a", 1, "b"]]);
  expect(document?.offsetOf(["a", 1, "b"])).toBe(10 + 28);
  expect(document?.offsetOf(["c"])).toBe(10 + 39);
  expect(document?.offsetOf(["a", 7])).toBe(10 + 6);
});

/** Paths of all parts of a value. */
function paths(value: unknown, above: Path = []): Path[] {
  if (typeof value !== "object" || value === null) return [above];
  const steps = Array.isArray(value) ? [...value.keys()] : Object.keys(value);
  return [above, ...steps.flatMap((step) => paths((value as Record<PathStep, unknown>)[step], [...above, step]))];
}

test("every part of a JSON text is where it is said to be, read as JSON and as YAML", () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 4 }), (value) => {
      const text = JSON.stringify(value, null, 1);
      const [json] = parseJson(text, 0);
      const yaml = parseYaml(text, 0);
      for (const path of paths(value)) {
        const offset = json!.offsetOf(path);
        const part = path.reduce<unknown>((at, step) => (at as Record<PathStep, unknown>)[step], value);
        expect(JSON.parse(text.slice(offset, skipValue(text, offset)))).toEqual(JSON.parse(JSON.stringify(part)));
        expect(yaml?.offsetOf(path)).toBe(offset);
      }
    }),
    { numRuns: 200 },
  );
});

test("lines of files", () => {
  const file = new TextFile("f", "a\nbc\r\nd\re");
  const places = Array.from({ length: 10 }, (_, i) => file.position(i)).map((p) => `${p.line}:${p.column}`);
  expect(places).toEqual(["1:1", "1:2", "2:1", "2:2", "2:3", "2:4", "3:1", "3:2", "4:1", "4:2"]);
});
