import { describe, expect, test } from "vitest";
import { compile } from "../policy/compile/live-plan.ts";
import type { NetworkPolicy } from "../policy/model/policy.ts";
import { emptyWorld, type Pod, type World } from "../policy/model/world.ts";
import { facesOf } from "./faces.ts";

const web: Pod = {
  namespace: "shop",
  name: "web-0",
  labels: { app: "web" },
  ips: ["10.244.0.1", "fd00:244::1"],
  node: "n1",
  hostNetwork: false,
  phase: "Running",
  ports: [],
  workload: { kind: "Deployment", name: "web" },
  template: false,
  replicas: 1,
  source: null,
};
const policy: NetworkPolicy = {
  kind: "NetworkPolicy",
  metadata: { namespace: "shop", name: "office" },
  spec: { podSelector: {}, ingress: [{ from: [{ ipBlock: { cidr: "203.0.113.0/24" } }] }] },
  source: null,
};
const world: World = {
  ...emptyWorld,
  nodes: [{ name: "n1", labels: {}, ips: ["172.18.0.1"], podCIDRs: [], source: null }],
  namespaces: [{ name: "shop", labels: { "kubernetes.io/metadata.name": "shop" }, defined: true, source: null }],
  pods: [web, { ...web, name: "done", phase: "Succeeded" }, { ...web, name: "host", hostNetwork: true }],
  policies: [policy],
};

describe("facesOf", () => {
  test("pods and nodes by address; of each class of outside addresses the first and last that can be dialled", () => {
    const faces = facesOf(compile(world), world).map(({ ref, address, group }) => `${group} ${ref} ${address}`);
    expect(faces.sort()).toEqual([
      "external 1.0.0.0 1.0.0.0",
      "external 203.0.113.0 203.0.113.0",
      "external 203.0.113.255 203.0.113.255",
      "external 255.255.255.254 255.255.255.254",
      "external ::1:0:0:0 ::1:0:0:0",
      "external feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
      "node/n1 node/n1 172.18.0.1",
      "shop/deployment/web shop/web-0 10.244.0.1",
      "shop/deployment/web shop/web-0 fd00:244::1",
    ]);
  });

  test("one family", () => {
    expect(new Set(facesOf(compile(world), world, ["IPv6"]).map(({ family }) => family))).toEqual(new Set(["IPv6"]));
  });
});
