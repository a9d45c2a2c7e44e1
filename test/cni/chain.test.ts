/** The plugin behind the reference plugins, called as a container runtime calls them, and asking a gate over its real socket. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { type CniServer, serveCni } from "../../src/agent/cni-server.ts";
import { forever, RecordingGate } from "../../src/agent/recording-gate.arbitrary.ts";
import { installCni } from "../../src/cni/install.ts";
import { Namespace } from "../../src/netns/namespace.ts";
import { requireKernel } from "../kernel/support.ts";
import { describeChain, PluginError, Runtime, referencePlugins, type Sandbox } from "./runtime.ts";

/** The first file of a folder in the order of names, as containerd takes it. */
const activeConf = (folder: string): string => readFileSync(join(folder, readdirSync(folder).sort()[0]!), "utf8");

let folder: string;
let socket: string;
let bin: string;
let node: Namespace;
let gate: RecordingGate;
let server: CniServer | null;
let sandboxes = 0;
const namespaces: Namespace[] = [];

const sandbox = (pod: string): Sandbox => {
  const namespace = Namespace.create();
  namespaces.push(namespace);
  return { id: `sandbox-${sandboxes++}`, namespace, pod };
};

const interfacesOf = ({ namespace }: Pick<Sandbox, "namespace">): string[] =>
  namespace.run(() => ({ text: readFileSync("/proc/thread-self/net/dev", "utf8") })).text.match(/\w+(?=:)/g) ?? [];

/** What a runtime finds in a folder where a network was installed, and then Bulkhead. */
function chain(cniVersion: string, timeoutSeconds: number, type = "bridge"): Runtime {
  const conf = join(folder, `net.d-${sandboxes}-${cniVersion}`);
  mkdirSync(conf);
  const ranges = [[{ subnet: "10.9.0.0/24" }], [{ subnet: "fd00:9::/64" }]];
  const ipam = { type: "host-local", ranges, dataDir: join(folder, `ipam-${sandboxes}`) };
  const network = { type, bridge: `b${sandboxes}`, isGateway: true, ipam };
  const plugins = [network, { type: "tuning" }];
  writeFileSync(join(conf, "10-lab.conflist"), JSON.stringify({ cniVersion, name: "lab", plugins }));
  installCni({ program: { folder: bin, onHost: bin }, conf }, { socket, timeoutSeconds });
  return new Runtime(node, [bin, referencePlugins], activeConf(conf));
}

const serve = async (): Promise<void> => {
  server = await serveCni(socket, gate);
};

beforeAll(() => {
  requireKernel();
  folder = mkdtempSync(join(tmpdir(), "bulkhead-chain-"));
  socket = join(folder, "cni.sock");
  bin = join(folder, "bin");
});

afterAll(() => {
  if (folder !== undefined) rmSync(folder, { recursive: true });
});

beforeEach(async () => {
  node = Namespace.create();
  namespaces.push(node);
  gate = new RecordingGate();
  await serve();
});

afterEach(async () => {
  await server?.close();
  for (const namespace of namespaces.splice(0)) namespace.close();
});

describeChain("around a network plugin", () => {
  test.each([
    ["bridge", "0.3.1"],
    ["bridge", "0.4.0"],
    ["bridge", "1.0.0"],
    ["ptp", "1.0.0"],
  ])("%s: a pod of version %s comes, is checked and goes", async (type, version) => {
    const runtime = chain(version, 30, type);
    const pod = sandbox("web-0");
    const result = await runtime.add(pod);
    const ips = result.ips.map(({ address }) => address.replace(/\/.*/, ""));
    expect(ips).toHaveLength(2);
    const name = { namespace: "shop", name: "web-0", uid: "uid-web-0", sandbox: pod.id };
    expect(gate.seen).toEqual([{ what: "admit", pod: name, ips }]);
    expect(result.cniVersion).toBe(version);
    expect(interfacesOf(pod)).toContain("eth0");
    if (version >= "0.4.0") await runtime.check(pod, result);
    await runtime.del(pod, version >= "0.4.0" ? result : undefined);
    await runtime.del(pod); // runtimes repeat it
    expect(interfacesOf(pod)).not.toContain("eth0");
    const released = gate.seen.filter(({ what }) => what === "release");
    expect(released.map(({ pod }) => pod)).toEqual([name, name]);
    expect(released.map((one) => one.ips)).toEqual([version >= "0.4.0" ? ips : [], []]);
  });

  test("ADD ends when the rules are in force, and not before", async () => {
    const runtime = chain("1.0.0", 30);
    const { promise, resolve } = Promise.withResolvers<void>();
    gate.admission = () => promise;
    let inForce = false;
    const added = runtime.add(sandbox("web-0")).then(() => expect(inForce).toBe(true));
    await vi.waitFor(() => expect(gate.seen).toHaveLength(1), 20_000);
    inForce = true;
    resolve();
    await added;
  });

  test("a pod whose rules can't be in force does not start", async () => {
    const runtime = chain("1.0.0", 2);
    gate.admission = forever;
    const error = await runtime.add(sandbox("web-0")).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(PluginError);
    expect(error).toMatchObject({ type: "bulkhead", code: 100, message: expect.stringContaining("not within") });
  });

  test("an agent that goes away while a pod's network is made: the pod does not start", async () => {
    const runtime = chain("1.0.0", 2);
    gate.admission = async (signal) => {
      await server!.close();
      server = null;
      signal.throwIfAborted();
    };
    const pod = sandbox("web-0");
    await expect(runtime.add(pod)).rejects.toMatchObject({ type: "bulkhead", code: 11 });
    expect(gate.seen).toHaveLength(1);
    expect(interfacesOf(pod)).toContain("eth0");
    await runtime.del(pod);
    expect(interfacesOf(pod)).not.toContain("eth0");
  });

  test("a rebooted node: no pod gets a network before the agent, then all start; and pods go without it", async () => {
    await server!.close();
    server = null;
    const impatient = chain("1.0.0", 0.5);
    const pod = sandbox("web-0");
    await expect(impatient.add(pod)).rejects.toMatchObject({ type: "bulkhead", code: 11 });
    expect(interfacesOf(pod)).not.toContain("eth0");
    expect(interfacesOf({ namespace: node })).toEqual(["lo"]);
    await impatient.del(pod);
    const runtime = chain("1.0.0", 30);
    gate.why = "the first list is not in yet";
    const pods = Array.from({ length: 5 }, (_, i) => runtime.add(sandbox(`web-${i}`)));
    await serve();
    expect(gate.seen).toEqual([]);
    gate.why = null;
    await Promise.all(pods);
    expect(gate.seen.filter(({ what }) => what === "admit")).toHaveLength(5);
  });
});
