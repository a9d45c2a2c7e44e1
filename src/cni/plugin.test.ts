import { describe, expect, test } from "vitest";
import { runPlugin } from "./plugin.ts";

/** Nothing listens there: what these calls answer must not need the agent. */
const socket = "/nonexistent/bulkhead/cni.sock";
const kubernetes = "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0;K8S_POD_UID=6f1c";
const prevResult = { cniVersion: "1.0.0", ips: [{ address: "10.1.0.5/24" }], dns: {} };
const config = { cniVersion: "1.0.0", name: "n", type: "bulkhead", socket, timeoutSeconds: 0.1, prevResult };

const call = async (command: string, { args = kubernetes, with: more = {} as object, env = {} as object } = {}) => {
  const variables = {
    CNI_COMMAND: command,
    CNI_CONTAINERID: "c1",
    CNI_NETNS: "/n",
    CNI_IFNAME: "eth0",
    CNI_ARGS: args,
  };
  const { exitCode, output } = await runPlugin({ ...variables, ...env }, JSON.stringify({ ...config, ...more }));
  return { exitCode, output: output === "" ? null : JSON.parse(output) };
};

describe("without an agent", () => {
  test("ADD and CHECK fail: try again later", async () => {
    for (const command of ["ADD", "CHECK"])
      expect(await call(command)).toEqual({
        exitCode: 1,
        output: {
          cniVersion: "1.0.0",
          code: 11,
          msg: `pod shop/web-0 waits: the bulkhead agent of this node can't be asked whether its policies are in force (${socket}: no such file)`,
          details: expect.stringContaining("bulkhead cni uninstall"),
        },
      });
  });

  test("STATUS: not available", async () => {
    expect(await call("STATUS", { with: { cniVersion: "1.1.0" } })).toMatchObject({
      exitCode: 1,
      output: { code: 50 },
    });
  });

  test("DEL lets every pod go, whatever the configuration says", async () => {
    for (const more of [{}, { prevResult: undefined }, { socket: 7 }, { timeoutSeconds: -1 }])
      expect(await call("DEL", { with: more })).toEqual({ exitCode: 0, output: null });
  });

  test("GC has nothing to do", async () => {
    expect(await call("GC", { with: { "cni.dev/valid-attachments": [] } })).toEqual({ exitCode: 0, output: null });
  });

  test("who is no Kubernetes gets the result as it was", async () => {
    expect(await call("ADD", { args: "" })).toEqual({ exitCode: 0, output: prevResult });
    expect(await call("CHECK", { args: "FOO=bar" })).toEqual({ exitCode: 0, output: null });
  });

  test("VERSION answers whatever comes", async () => {
    for (const stdin of ["", "{}", '{"cniVersion":"9.0.0"}']) {
      const { exitCode, output } = await runPlugin({ CNI_COMMAND: "VERSION" }, stdin);
      expect({ exitCode, ...JSON.parse(output) }).toMatchObject({ exitCode: 0, cniVersion: "1.1.0" });
    }
  });
});

describe("the gate", () => {
  const gate = { gate: true, prevResult: undefined };

  test("ADD fails without an agent, and nothing has been made: try again later", async () => {
    expect(await call("ADD", { with: gate })).toMatchObject({
      exitCode: 1,
      output: { code: 11, msg: expect.stringMatching(/^pod shop\/web-0 waits: the bulkhead agent .*no such file/) },
    });
  });

  test("a pod that is there needs nothing of it: CHECK, DEL and GC succeed", async () => {
    for (const command of ["CHECK", "DEL", "GC"])
      expect(await call(command, { with: { gate: true, socket: 7 } })).toEqual({ exitCode: 0, output: null });
  });

  test("STATUS: not available", async () => {
    expect(await call("STATUS", { with: { ...gate, cniVersion: "1.1.0" } })).toMatchObject({ output: { code: 50 } });
  });

  test("who is no Kubernetes passes, with an empty result or with the one before", async () => {
    for (const cniVersion of ["0.3.1", "1.1.0"])
      expect(await call("ADD", { args: "", with: { ...gate, cniVersion } })).toEqual({
        exitCode: 0,
        output: { cniVersion, interfaces: [], ips: [], routes: [], dns: {} },
      });
    expect(await call("ADD", { args: "", with: { ...gate, cniVersion: "0.2.0" } })).toEqual({
      exitCode: 0,
      output: { cniVersion: "0.2.0", dns: {} },
    });
    expect(await call("ADD", { args: "", with: { gate: true } })).toEqual({ exitCode: 0, output: prevResult });
  });

  test("an entry whose gate is not `true` is none", async () => {
    expect(await call("ADD", { with: { gate: "true", prevResult: undefined } })).toMatchObject({ output: { code: 7 } });
  });
});

describe("calls that can't be understood", () => {
  test.each([
    ["another specification", "ADD", { with: { cniVersion: "2.0.0" } }, 1],
    ["no command", "", {}, 4],
    ["an unknown command", "EXPLODE", {}, 4],
    ["a missing variable", "ADD", { env: { CNI_CONTAINERID: "" } }, 4],
    ["no plugin before it", "ADD", { with: { prevResult: undefined } }, 7],
    ["a socket that is no path", "ADD", { with: { socket: "x" } }, 7],
    ["no time at all", "ADD", { with: { timeoutSeconds: 0 } }, 7],
    ["more time than a runtime has", "ADD", { with: { timeoutSeconds: 600 } }, 7],
  ] as const)("%s", async (_, command, how, code) => {
    expect(await call(command, how)).toMatchObject({ exitCode: 1, output: { code } });
  });

  test("what is no JSON", async () => {
    for (const stdin of ["", "{", "[]"]) {
      const { exitCode, output } = await runPlugin({ CNI_COMMAND: "ADD" }, stdin);
      expect({ exitCode, ...JSON.parse(output) }).toMatchObject({ exitCode: 1, code: 6, cniVersion: "1.1.0" });
    }
  });
});
