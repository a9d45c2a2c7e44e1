/** The manifests of deploy/: current, as their claims say, accepted by an API server, and understood by the agent. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { run } from "../../scripts/image/run.ts";
import { findHelm } from "../../scripts/manifests/helm.ts";
import { chart, deploy, digestLine, rendered, renderManifest, template } from "../../scripts/manifests/render.ts";
import { neededRights } from "../../src/agent/check/cluster.ts";
import { buildProgram } from "../../src/cli/program.ts";
import { assetPath, hasAsset } from "../cluster/lib/assets.ts";
import { type ControlPlane, describeApiServer, startControlPlane } from "../kube/control-plane.ts";
import { agentContainer, type Container, type KubeObject, ofKind, parseManifest, readManifest } from "./manifest.ts";
import { describeWith } from "./needs.ts";
import { rightsOf } from "./rights.ts";

const kubectl = hasAsset("kubectl") ? assetPath("kubectl") : "kubectl";
const { version } = JSON.parse(readFileSync(join(deploy, "../package.json"), "utf8")) as { readonly version: string };
const helm = findHelm();

const containersOf = (objects: readonly KubeObject[]): Container[] => {
  const { containers, initContainers = [] } = ofKind(objects, "DaemonSet").spec!.template.spec;
  return [...initContainers, ...containers];
};

/** Arguments that the program does not know, or refuses. */
function misunderstood(args: readonly string[]): readonly string[] {
  const write = (): void => undefined;
  const sink = { write, isTTY: false, columns: undefined };
  const io = {
    stdout: sink,
    stderr: sink,
    stdin: { read: async () => "" },
    env: {},
    signal: new AbortController().signal,
  };
  const [verb, ...flags] = args;
  const command = buildProgram({ io, version, exitCode: 0 }).commands.find((one) => one.name() === verb);
  if (command === undefined) return args;
  const { operands, unknown } = command.parseOptions(flags);
  return [...operands.filter((word) => !["install", "uninstall"].includes(word)), ...unknown];
}

/** Values of all kinds that people set, by what they are for. */
const variants: Readonly<Record<string, string>> = {
  defaults: "{}",
  "a cluster of its own kind": `
namespace: {create: true}
image: {repository: registry.example/bulkhead/agent, tag: test, pullPolicy: Always, pullSecrets: [{name: registry}]}
podCIDRs: [10.244.0.0/16, "fd00:10:244::/56"]
podInterfaces: ["cali*", cni0]
apiServer: {host: 192.0.2.1, port: 6443}
logFormat: text
verbose: true
mixedGenerations: true
markMask: "0xff000000"
health: {port: 19650}
metrics: {listen: ":9651"}
resources: {requests: {cpu: 100m, memory: 256Mi}, limits: {memory: 1Gi}}
updateStrategy: {type: OnDelete}
nodeSelector: {pool: workers}
tolerations: [{key: node-role.kubernetes.io/control-plane, operator: Exists, effect: NoSchedule}]
affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: kubernetes.io/arch, operator: In, values: [amd64]}]}]}}}
podAnnotations: {example/owner: net}
podLabels: {example/team: net}
seLinuxOptions: {type: spc_t}
extraArgs: [--log-group=7]
extraEnv: [{name: BULKHEAD_DEBUG, value: "1"}]
`,
  "with the CNI plugin elsewhere":
    "cni: {enabled: true, binDir: /var/lib/cni/bin, confDir: /var/lib/cni/conf, timeoutSeconds: 30}",
  "without the CNI plugin any more": "cni: {remove: true}",
  uninstalling: `{uninstall: true, markMask: "0xff000000", cni: {enabled: true}}`,
};

describe.each(rendered)("deploy/$file", (manifest) => {
  const text = readFileSync(join(deploy, manifest.file), "utf8");
  const objects = parseManifest(text);
  const containers = containersOf(objects);

  test("was rendered from the chart as it is: else run `node scripts/manifests.ts`", () => {
    expect(text.split("\n").slice(0, 2)).toEqual([`# ${manifest.about}`, digestLine()]);
    if (helm !== null) expect(renderManifest(helm, manifest)).toBe(text);
  });

  test("has this version's image", () => {
    expect(new Set(containers.map(({ image }) => image))).toEqual(new Set([`bulkhead/agent:${version}`]));
  });

  test("gives each container the least rights", () => {
    for (const { name, securityContext } of containers) {
      const { capabilities, ...rest } = securityContext;
      expect(rest).toEqual({
        privileged: false,
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        runAsUser: 0,
        runAsGroup: 0,
      });
      expect(capabilities.drop).toEqual(["ALL"]);
      const isCni = name.startsWith("cni-");
      expect(capabilities.add ?? []).toEqual(
        isCni || (manifest.values["uninstall"] === "true" && name === "agent") ? [] : ["NET_ADMIN"],
      );
    }
    expect(ofKind(objects, "DaemonSet").spec!.template.spec).toMatchObject({
      hostNetwork: true,
      priorityClassName: "system-node-critical",
      securityContext: { seccompProfile: { type: "RuntimeDefault" } },
    });
  });

  test("asks the program for what it understands", () => {
    for (const { args = [] } of containers) expect(args.length === 0 ? [] : misunderstood(args)).toEqual([]);
  });
});

test("the role gives what the agent says that it needs", () => {
  const { rules } = ofKind(readManifest("install.yaml"), "ClusterRole");
  const needed = neededRights.map(({ group, resource, names, verbs }) => ({
    apiGroups: [group],
    resources: [resource],
    ...(names === undefined ? {} : { resourceNames: names }),
    verbs,
  }));
  expect(rightsOf(rules!).sort()).toEqual(rightsOf(needed).sort());
});

test("the chart has this version", () => {
  const text = readFileSync(join(chart, "Chart.yaml"), "utf8");
  expect(text).toContain(`\nversion: ${version}\n`);
  expect(text).toContain(`\nappVersion: ${version}\n`);
});

test("no volume of the node is mounted without the CNI plugin", () => {
  expect(readFileSync(join(deploy, "install.yaml"), "utf8")).not.toMatch(/hostPath|volumes/);
  expect(agentContainer().args).toContain("--node-name=$(NODE_NAME)");
});

describeWith(spawnSync(kubectl, ["version", "--client"]).status === 0 ? null : "kubectl", "kustomize")(
  "kustomize",
  () => {
    test.each(["", "cni"])("deploy/%s is a base", (folder) => {
      const built = parseManifest(run(kubectl, ["kustomize", join(deploy, folder)]));
      const own = readManifest(join(folder, "install.yaml"));
      const sorted = (objects: readonly KubeObject[]): KubeObject[] =>
        objects.toSorted((a, b) => `${a.kind} ${a.metadata.name}`.localeCompare(`${b.kind} ${b.metadata.name}`));
      expect(sorted(built)).toEqual(sorted(own));
    });
  },
);

describeWith(helm === null ? "Helm (node scripts/manifests.ts builds it)" : null, "the chart")("the chart", () => {
  let folder: string;
  const valuesFile = (text: string): string => {
    const file = join(folder, "values.yaml");
    writeFileSync(file, text);
    return file;
  };

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "bulkhead-chart-"));
  });

  afterAll(() => rmSync(folder, { recursive: true }));

  test.each(Object.entries(variants))("asks the program for what it understands: %s", (_, values) => {
    for (const { args = [] } of containersOf(parseManifest(template(helm!, {}, [valuesFile(values)]))))
      expect(args.length === 0 ? [] : misunderstood(args)).toEqual([]);
  });

  test("passes all that is set to the agent", () => {
    const objects = parseManifest(template(helm!, {}, [valuesFile(variants["a cluster of its own kind"]!)]));
    const [agent] = containersOf(objects);
    expect(agent!.image).toBe("registry.example/bulkhead/agent:test");
    expect(agent!.args).toEqual([
      "agent",
      "--node-name=$(NODE_NAME)",
      "--health-address=127.0.0.1:19650",
      "--pod-cidr=10.244.0.0/16",
      "--pod-cidr=fd00:10:244::/56",
      "--pod-interface=cali*",
      "--pod-interface=cni0",
      "--metrics-address=:9651",
      "--mixed-generations",
      "--log-format=text",
      "--verbose",
      "--mark-mask=0xff000000",
      "--log-group=7",
    ]);
  });

  test("takes the CNI plugin away before the agent goes on without it", () => {
    const objects = parseManifest(template(helm!, {}, [valuesFile(variants["without the CNI plugin any more"]!)]));
    const [uninstall, agent] = containersOf(objects);
    expect(uninstall).toMatchObject({
      args: ["cni", "uninstall", "--bin-dir=/host/opt/cni/bin", "--conf-dir=/host/etc/cni/net.d"],
      volumeMounts: [{ name: "cni-bin" }, { name: "cni-conf" }],
    });
    expect(agent!.args!.filter((argument) => argument.includes("cni"))).toEqual([]);
    expect(ofKind(objects, "DaemonSet").spec!.template.spec).toMatchObject({
      volumes: [{ name: "cni-bin" }, { name: "cni-conf" }],
    });
    expect(() => template(helm!, { "cni.enabled": "true", "cni.remove": "true" })).toThrow("one or the other");
  });

  test("removes with the marks that it was installed with", () => {
    const objects = parseManifest(template(helm!, {}, [valuesFile(variants["uninstalling"]!)]));
    expect(containersOf(objects).map(({ args }) => args)).toEqual([
      ["cni", "uninstall", "--bin-dir=/host/opt/cni/bin", "--conf-dir=/host/etc/cni/net.d"],
      ["agent", "--uninstall", "--mark-mask=0xff000000"],
      undefined,
    ]);
  });

  test("has a PodMonitor for those who have its operator", () => {
    const objects = parseManifest(template(helm!, { "metrics.podMonitor": "true", "metrics.listen": ":9651" }));
    expect(ofKind(objects, "PodMonitor")).toMatchObject({ spec: { podMetricsEndpoints: [{ port: "metrics" }] } });
    expect(() => template(helm!, { "metrics.podMonitor": "true" })).toThrow(/metrics.listen/);
  });

  test.each(["nosuch=1", "podCIDRs[0]=10.0.0.1", "markMask=ff", "logFormat=xml", "cni.binDir=opt"])(
    "refuses %s",
    (setting) => {
      const [name, value] = setting.split("=") as [string, string];
      expect(() => template(helm!, { [name]: value })).toThrow(/schema|additional propert/i);
    },
  );

  test("has no fault that helm lint sees", () => {
    run(helm!, ["lint", "--strict", chart]);
  });

  describeApiServer("and an API server", () => {
    let plane: ControlPlane;

    beforeAll(async () => {
      plane = await startControlPlane();
      await plane.admin.post("/api/v1/namespaces", { metadata: { name: "bulkhead-system" } });
    });

    afterAll(() => plane?.stop());

    const apply = (file: string, ...args: readonly string[]): string =>
      run(kubectl, [`--kubeconfig=${plane.kubeconfig}`, "apply", "--validate=strict", ...args, "-f", file]);

    test.each(Object.entries(variants))("is accepted, every field of it: %s", (_, values) => {
      const file = join(folder, "rendered.yaml");
      writeFileSync(file, template(helm!, {}, [valuesFile(values)]));
      expect(apply(file, "--dry-run=server")).toContain("daemonset.apps/bulkhead created");
    });

    test("no upgrade leaves the CNI plugin on a node whose agent does not answer it", async () => {
      const upgrade = (...settings: readonly string[]): string =>
        run(helm!, [
          ...["upgrade", "--install", "bulkhead", chart, `--kubeconfig=${plane.kubeconfig}`],
          ...["--namespace=bulkhead-system", "--reuse-values", ...settings.map((setting) => `--set=${setting}`)],
        ]);
      const path = "/apis/apps/v1/namespaces/bulkhead-system/daemonsets/bulkhead";
      const daemonSet = async (): Promise<KubeObject> => (await plane.admin.get(path)) as KubeObject;
      const names = async (): Promise<readonly string[]> => containersOf([await daemonSet()]).map(({ name }) => name);
      /** As the DaemonSet controller says how many of three nodes have the present template. */
      const rolledOut = async (nodes: number): Promise<void> => {
        const { metadata } = await daemonSet();
        const counts = { currentNumberScheduled: 3, desiredNumberScheduled: 3, numberMisscheduled: 0, numberReady: 3 };
        const status = { ...counts, observedGeneration: metadata.generation, updatedNumberScheduled: nodes };
        await plane.admin.patch(`${path}/status`, { status });
      };
      upgrade("cni.enabled=true");
      await rolledOut(3);
      expect(() => upgrade("cni.enabled=false")).toThrow("set cni.remove=true");
      expect(await names()).toEqual(["cni-install", "agent"]);
      upgrade("cni.enabled=false", "cni.remove=true");
      expect(await names()).toEqual(["cni-uninstall", "agent"]);
      expect(() => upgrade("cni.remove=false")).toThrow("wait until the roll-out is done"); // nobody has seen it yet
      await rolledOut(2);
      expect(() => upgrade("cni.remove=false")).toThrow("wait until the roll-out is done");
      await rolledOut(3);
      upgrade("cni.remove=false");
      expect(await names()).toEqual(["agent"]);
      upgrade("cni.enabled=true");
      upgrade("uninstall=true");
      expect(await names()).toEqual(["cni-uninstall", "uninstall", "agent"]);
      const hooks = run(helm!, [
        "get",
        "hooks",
        "bulkhead",
        `--kubeconfig=${plane.kubeconfig}`,
        "-n",
        "bulkhead-system",
      ]);
      expect(hooks.trim()).toBe(""); // the order is the DaemonSet's own: init containers, node by node
    }, 120_000);
  });
});

describeApiServer("an API server", () => {
  let plane: ControlPlane;
  const namespaced = "/apis/apps/v1/namespaces/bulkhead-system/daemonsets/bulkhead";
  const apply = (file: string): string =>
    run(kubectl, [`--kubeconfig=${plane.kubeconfig}`, "apply", "--validate=strict", "-f", join(deploy, file)]);

  beforeAll(async () => {
    plane = await startControlPlane();
  });

  afterAll(() => plane?.stop());

  const uninstall = "uninstall.yaml";
  test.each(["install.yaml", "cni/install.yaml"])(`takes %s, and then ${uninstall} in its place`, async (install) => {
    const specOf = async (): Promise<unknown> => {
      const { spec } = (await plane.admin.get(namespaced)) as KubeObject;
      return spec!.template.spec;
    };
    apply(uninstall);
    const alone = await specOf();
    await plane.admin.delete(namespaced);
    apply(install);
    apply(install);
    expect(await specOf()).not.toEqual(alone);
    apply(uninstall);
    expect(await specOf()).toEqual(alone); // nothing of the agent is left in it
    await plane.admin.delete(namespaced);
  });
});
