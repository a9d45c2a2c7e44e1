import { describe, expect, test } from "vitest";
import { emptyWorld, type Pod, type Service } from "../policy/model/world.ts";
import { podNamed } from "../policy/objects.arbitrary.ts";
import { frontends, servicesScript } from "./services.ts";
import { slice } from "./slices.ts";

const pod = (name: string, ip: string, change: Partial<Pod> = {}): Pod =>
  podNamed(name, {
    labels: { app: "db" },
    ips: [ip],
    node: "n1",
    ports: [{ name: "sql", number: 5432, protocol: "TCP" }],
    ...change,
  });
const service: Service = {
  namespace: "shop",
  name: "db",
  type: "ClusterIP",
  clusterIPs: ["10.96.0.1", "fd00::1"],
  headless: false,
  selector: { app: "db" },
  ports: [{ name: "", protocol: "TCP", port: 80, targetPort: "sql" }],
  endpoints: [],
  source: null,
};
const backends = (change: Partial<Service>, ...pods: Pod[]) =>
  frontends({ ...emptyWorld, pods, services: [{ ...service, ...change }] }).map(({ address, backends: all }) => [
    address,
    ...all.map(({ address: to, port }) => `${to}:${port}`),
  ]);

describe("frontends", () => {
  test("a named target port is each pod's own; pods of other families, labels, namespaces and finished ones are left out", () => {
    const other = { name: "sql", number: 5433, protocol: "TCP" } as const;
    expect(
      backends(
        {},
        pod("a", "10.0.0.1"),
        pod("b", "10.0.0.2", { ports: [other] }),
        pod("c", "fd00::c", { ports: [] }),
        pod("d", "10.0.0.4", { labels: {} }),
        pod("e", "10.0.0.5", { namespace: "other" }),
        pod("f", "10.0.0.6", { phase: "Failed" }),
      ),
    ).toEqual([["10.96.0.1", "10.0.0.1:5432", "10.0.0.2:5433"]]);
  });

  test("without a selector the endpoints that are given count", () => {
    const ports = [{ name: "", protocol: "TCP", port: 80, targetPort: 8080 }] as const;
    expect(backends({ selector: null, ports, endpoints: ["10.0.0.1", "fd00::9"] }, pod("a", "10.0.0.1"))).toEqual([
      ["10.96.0.1", "10.0.0.1:8080"],
      ["fd00::1", "fd00::9:8080"],
    ]);
  });

  test.each([{ headless: true }, { type: "ExternalName" as const }, { clusterIPs: [] }])("none for %o", (change) => {
    expect(backends(change, pod("a", "10.0.0.1"))).toEqual([]);
  });
});

describe("slices", () => {
  test.each([1, 2, 3, 7, 100])("%i of them are disjoint and cover all ports", (n) => {
    let next = slice(0, 1).start;
    for (let k = 0; k < n; k++) {
      expect(slice(k, n).start).toBe(next);
      next = slice(k, n).end + 1;
    }
    expect(next - 1).toBe(slice(0, 1).end);
  });
});

test("the script sends each slice of source ports to one backend", () => {
  const world = { ...emptyWorld, pods: [pod("a", "10.0.0.1"), pod("b", "10.0.0.2")], services: [service] };
  const script = servicesScript(frontends(world));
  expect(script).toContain("10.96.0.1 . tcp . 80 : goto frontend0");
  expect(script).toContain("meta l4proto tcp th sport 20000-39999 dnat ip to 10.0.0.1:5432");
  expect(script).toContain("meta l4proto tcp dnat ip to 10.0.0.2:5432");
});
