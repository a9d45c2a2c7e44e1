import { expect, test } from "vitest";
import { compile } from "../policy/compile/live-plan.ts";
import { emptyWorld, type Pod, type World } from "../policy/model/world.ts";
import { podNamed, shopNamespace } from "../policy/objects.arbitrary.ts";
import { fullScript } from "./enforcer.ts";

const pod = (name: string, ip: string, node: string): Pod => podNamed(name, { ips: [ip], node });

const world: World = {
  ...emptyWorld,
  namespaces: [shopNamespace],
  pods: [pod("db", "10.244.1.2", "n1"), pod("api", "fd00:244::3", "n1"), pod("web", "10.244.2.4", "n2")],
  policies: [
    {
      kind: "NetworkPolicy",
      metadata: { namespace: "shop", name: "db" },
      spec: {
        podSelector: { matchLabels: { app: "db" } },
        ingress: [
          { from: [{ podSelector: { matchLabels: { app: "web" } } }], ports: [{ port: 5432 }] },
          {
            from: [{ ipBlock: { cidr: "10.0.0.0/8", except: ["10.0.0.9/32"] } }],
            ports: [{ port: 8000, endPort: 9000 }],
          },
        ],
      },
      source: null,
    },
  ],
};

test("what a small plan puts into the table", () => {
  const script = fullScript(compile(world), "n1");
  const content = script.split("\n").filter((line) => line.startsWith("add "));
  expect(content).toMatchInlineSnapshot(`
    [
      "add counter inet bulkhead deny_c337b3d4bf95",
      "add chain inet bulkhead deny_c337b3d4bf95",
      "add rule inet bulkhead deny_c337b3d4bf95 counter name deny_c337b3d4bf95 log prefix "bulkhead:c337b3d4bf95 " group 4789 snaplen 128 drop",
      "add chain inet bulkhead i_fcff323f7308",
      "add rule inet bulkhead i_fcff323f7308 jump i_find_peer",
      "add rule inet bulkhead i_fcff323f7308 meta priority set meta priority | 10:0",
      "add element inet bulkhead i_rest { 0:1 : goto deny_c337b3d4bf95, c:2 : goto deny_c337b3d4bf95, 8:3 : goto deny_c337b3d4bf95 }",
      "add element inet bulkhead i_port { c:2 . tcp . 5432 : goto pass }",
      "add element inet bulkhead i_range { c:2 . tcp . 8000-9000 : goto pass, 8:3 . tcp . 8000-9000 : goto pass }",
      "add element inet bulkhead i_peers { 0:1 comment "c001c7581291", 0:2 comment "d91229459efe" }",
      "add element inet bulkhead i_pair { 10:0 comment "fcff323f7308" : 0:1, 10:2 : c:2, 10:1 : 8:3 }",
      "add element inet bulkhead i_peer4 { 10.0.0.9 : f:ffff, 10.244.1.2 : 0:1, 10.244.2.4 : 0:2 }",
      "add element inet bulkhead i_net4 { 10.0.0.0-10.255.255.255 : 0:1 }",
      "add element inet bulkhead e_subject4 { 10.244.1.2 : goto unruled }",
      "add element inet bulkhead e_subject6 { fd00:244::3 : goto unruled }",
      "add element inet bulkhead i_subject4 { 10.244.1.2 : goto i_fcff323f7308 }",
      "add element inet bulkhead i_subject6 { fd00:244::3 : goto end }",
      "add element inet bulkhead owners4 { 10.244.1.2 comment "ad9c1afeaa0f" }",
      "add element inet bulkhead owners6 { fd00:244::3 comment "737a40b9f86b" }",
    ]
  `);
});

test("a node without ruled pods has hooks and nothing else", () => {
  const script = fullScript(compile(world), "n3");
  expect(script).toContain("type filter hook forward priority -5");
  expect(script).not.toMatch(/^add /m);
});
