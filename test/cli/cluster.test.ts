/** Every verb that reads manifests, on a real API server instead. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { listedKinds } from "../../src/cli/listed-kinds.ts";
import { assetPath } from "../cluster/lib/assets.ts";
import { type ControlPlane, describeApiServer, startControlPlane } from "../kube/control-plane.ts";
import { bulkhead, type Outcome } from "./run.ts";

const shop = "examples/shop";

/** Enough of the CRD that the server stores the kind, with fields that we don't know. */
const crd = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: {
    name: "clusternetworkpolicies.policy.networking.k8s.io",
    annotations: { "api-approved.kubernetes.io": "unapproved, a test" },
  },
  spec: {
    group: "policy.networking.k8s.io",
    scope: "Cluster",
    names: { kind: "ClusterNetworkPolicy", plural: "clusternetworkpolicies" },
    versions: [
      {
        name: "v1alpha2",
        served: true,
        storage: true,
        schema: { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } },
      },
    ],
  },
};

/** A certificate of nobody's. */
const otherCa = Buffer.from(`-----BEGIN CERTIFICATE-----
MIIBezCCASGgAwIBAgIUd0KmLfsHK609BhrU1mtDKbJfCqswCgYIKoZIzj0EAwIw
EjEQMA4GA1UEAwwHYW5vdGhlcjAgFw0yNjExMjExNjExMzlaGA8yMTI2MTAyODE2
MTEzOVowEjEQMA4GA1UEAwwHYW5vdGhlcjBZMBMGByqGSM49AgEGCCqGSM49AwEH
A0IABIJmgiznkq1ljTS26FImn3q3oR88wcMLOEGEf0ARrQ+QzJgV8ckzXRuQ4Ko1
CKEZwNLI60266S7KbyGZMQQPzGWjUzBRMB0GA1UdDgQWBBTF/OhfHZe18wqSEgCf
iO6flCPPCTAfBgNVHSMEGDAWgBTF/OhfHZe18wqSEgCfiO6flCPPCTAPBgNVHRMB
Af8EBTADAQH/MAoGCCqGSM49BAMCA0gAMEUCIGZc/MPXf96VCgjwF02bz6BPz6uI
U76lsu3w38WzQ4KaAiEA0/ygRYZWTPBphHCVTwrGFErE/LWE8n6iS9p8h2YfDIo=
-----END CERTIFICATE-----
`).toString("base64");

const noPlugin = { apiVersion: "client.authentication.k8s.io/v1", command: "no-such-plugin", interactiveMode: "Never" };

describeApiServer("a cluster", { timeout: 60_000 }, () => {
  let plane: ControlPlane;
  let folder: string;
  const at = (name: string): string => join(folder, name);
  const write = (name: string, content: unknown): string => {
    writeFileSync(at(name), typeof content === "string" ? content : JSON.stringify(content));
    return at(name);
  };

  const kubectl = (args: readonly string[], input = ""): string =>
    execFileSync(assetPath("kubectl"), args, {
      env: { KUBECONFIG: plane.kubeconfig, HOME: folder },
      input,
      encoding: "utf8",
      stdio: ["pipe", "pipe", "pipe"],
      maxBuffer: 2 ** 28,
    });
  const apply = (object: unknown): string => kubectl(["apply", "-f", "-"], JSON.stringify(object));
  const ask = (...args: string[]): Promise<Outcome> => bulkhead(args, { env: { KUBECONFIG: plane.kubeconfig } });

  /** A kubeconfig of one's own for the same server. */
  const kubeconfig = (name: string, parts: { cluster?: object; user?: object; context?: object }): string =>
    write(name, {
      "current-context": name,
      clusters: [
        {
          name: "c",
          cluster: {
            server: plane.server.origin,
            "certificate-authority-data": plane.ca.toString("base64"),
            ...parts.cluster,
          },
        },
      ],
      users: [{ name: "u", user: { token: plane.adminToken, ...parts.user } }],
      contexts: [{ name, context: { cluster: "c", user: "u", ...parts.context } }],
    });
  const askAs = (config: string, ...args: string[]): Promise<Outcome> =>
    bulkhead(args, { env: { KUBECONFIG: config } });

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "bulkhead-cluster-"));
    plane = await startControlPlane();
    apply(crd);
    kubectl(["wait", "--for=condition=Established", "crd", crd.metadata.name]);
    kubectl(["apply", "-f", `${shop}/cluster.yaml`]);
    kubectl(["apply", "-f", `${shop}/services.yaml`, "-f", `${shop}/policies.yaml`]);
    for (const [i, name] of ["node-1", "node-2"].entries()) {
      const addresses = [`172.18.0.1${i + 1}`, `fd00:18::1${i + 1}`].map((address) => ({
        type: "InternalIP",
        address,
      }));
      kubectl([
        "patch",
        "node",
        name,
        "--subresource=status",
        "--type=merge",
        "-p",
        JSON.stringify({ status: { addresses } }),
      ]);
    }
  }, 120_000);

  afterAll(async () => {
    await plane?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const rows = (csv: string): string[] => csv.trim().split("\n").sort();

  test("gives the map that its manifests give", async () => {
    const [files, cluster] = [await ask("map", "-o", "csv", "-f", shop), await ask("map", "-o", "csv")];
    expect(cluster).toMatchObject({ code: 0, stderr: "" });
    expect(rows(cluster.stdout)).toEqual(rows(files.stdout));
  });

  test("answers one question, as verdict and exit code", async () => {
    expect(await ask("can", "shop/deploy/web", "shop/deploy/catalog", "8080")).toMatchObject({ code: 0, stderr: "" });
    expect(await ask("can", "shop/deploy/web", "data/sts/orders-db", "5432")).toMatchObject({ code: 1, stderr: "" });
    expect(await ask("can", "shop/deploy/web", "shop/svc/catalog", "80")).toMatchObject({ code: 0 });
  });

  test("explains with policies that have no line", async () => {
    const { code, stdout } = await ask("explain", "shop/deploy/web", "data/sts/orders-db", "5432");
    expect(code).toBe(1);
    expect(stdout).toMatch(/^ {4}NetworkPolicy shop\/default-deny$/m);
    expect(stdout).toContain("add an egress rule to NetworkPolicy shop/web");
  });

  const open = `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: orders-db, namespace: data}
spec:
  podSelector: {matchLabels: {app: orders-db}}
  policyTypes: [Ingress]
  ingress: [{}]
`;

  test("what if: --with lays files over it, --without takes away", async () => {
    const question = ["can", "ingress/deploy/gateway", "data/sts/orders-db", "5432"];
    expect((await ask(...question)).code).toBe(1);
    expect((await ask(...question, "--with", write("open.yaml", open))).code).toBe(0);
    for (const change of [
      ["--with", at("open.yaml")],
      ["--without", "netpol/data/orders-db"],
    ]) {
      const [ofFiles, ofCluster] = [await ask("diff", "-f", shop, ...change), await ask("diff", ...change)];
      expect(ofCluster.code).toBe(1);
      // Which lines of files decide is all that they differ in.
      expect(ofCluster.stdout).toBe(ofFiles.stdout.replaceAll(new RegExp(` *${shop}/\\S+:\\d+`, "g"), ""));
    }
    expect((await ask("diff")).stderr).toContain("nothing to compare with");
  });

  test("policy tests without resources are about it, those with are not", async () => {
    const whole = readFileSync(`${shop}/shop.test.yaml`, "utf8");
    const about = write("cluster.test.yaml", whole.replace("  resources: [.]\n", ""));
    expect(await ask("test", about)).toMatchObject({ code: 0, stderr: "" });
    const elsewhere = write("no-cluster", "");
    expect(await askAs(elsewhere, "test", `${shop}/shop.test.yaml`)).toMatchObject({ code: 0, stderr: "" });
    expect((await ask("test", about, "--without", "netpol/data/default-deny")).code).toBe(1);
  });

  test("names without a namespace are in the context's", async () => {
    const config = kubeconfig("in-shop", { context: { namespace: "shop" } });
    expect((await askAs(config, "can", "deploy", "web", "deploy", "catalog", "8080")).code).toBe(0);
    expect((await askAs(config, "can", "deploy/orders", "data/sts/orders-db", "5432")).code).toBe(0);
    const elsewhere = await askAs(config, "can", "deploy/web", "deploy/web", "-n", "data");
    expect(elsewhere).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('no Deployment "web" with pods in namespace "data"'),
    });
  });

  test("running pods stand for their workload, by ReplicaSets that are there or not", async () => {
    const pod = (name: string, owner: string, hash: string, ip: string): object => ({
      apiVersion: "v1",
      kind: "Pod",
      metadata: {
        name,
        namespace: "shop",
        labels: { app: "web", tier: "frontend", "pod-template-hash": hash },
        ownerReferences: [
          { apiVersion: "apps/v1", kind: "ReplicaSet", name: owner, uid: `uid-${hash}`, controller: true },
        ],
      },
      spec: {
        nodeName: "node-1",
        containers: [{ name: "web", image: "web", ports: [{ name: "http", containerPort: 8080 }] }],
      },
      status: { phase: "Running", podIPs: [{ ip }], podIP: ip },
    });
    const made = [pod("web-abc-1", "web-abc", "abc", "10.244.1.7"), pod("web-abc-2", "web-abc", "abc", "10.244.1.8")];
    for (const object of made) {
      apply(object);
      const { status, metadata } = object as { status: object; metadata: { name: string } };
      const patch = JSON.stringify({ status });
      kubectl(["patch", "pod", "-n", "shop", metadata.name, "--subresource=status", "-p", patch]);
    }
    const { stdout } = await ask("can", "10.244.1.7", "shop/deploy/catalog", "8080", "-o", "json");
    expect(JSON.parse(stdout)).toMatchObject({ allowed: true });
    const map = JSON.parse((await ask("map", "--level", "pod", "-o", "json")).stdout) as {
      endpoints: { ref: string }[];
    };
    const web = map.endpoints.filter(({ ref }) => ref.startsWith("shop/") && ref.includes("web"));
    expect(web.map(({ ref }) => ref).sort()).toEqual(["shop/web-abc-1", "shop/web-abc-2"]);
  });

  test("answers as a dump of it through -f", async () => {
    const kinds = listedKinds.filter(
      ({ kind }) => !["AdminNetworkPolicy", "BaselineAdminNetworkPolicy"].includes(kind),
    );
    const names = kinds.map(({ resource, apiVersion }) => {
      const [version, group] = apiVersion.split("/").reverse();
      return group === undefined ? resource : `${resource}.${version}.${group}`;
    });
    const dump = kubectl(["get", "-A", "-o", "yaml", names.join(",")]);
    const from = async (...flags: string[]): Promise<unknown> =>
      JSON.parse(
        (
          await bulkhead(["map", "-o", "json", "--level", "pod", ...flags], {
            env: { KUBECONFIG: plane.kubeconfig },
            stdin: dump,
          })
        ).stdout,
      );
    expect(await from()).toEqual(await from("-f", "-"));
  });

  test("a stored policy with a field that is not understood fails closed, and is told", async () => {
    apply({
      apiVersion: "policy.networking.k8s.io/v1alpha2",
      kind: "ClusterNetworkPolicy",
      metadata: { name: "from-the-future" },
      spec: {
        tier: "Admin",
        priority: 1,
        subject: { namespaces: { matchLabels: { "kubernetes.io/metadata.name": "shop" } } },
        ingress: [{ name: "x", action: "Deny", from: [{ galaxies: {} }] }],
      },
    });
    try {
      const { code, stderr } = await ask("can", "shop/deploy/web", "shop/deploy/catalog", "8080");
      expect(stderr).toMatch(/^warning: ClusterNetworkPolicy from-the-future: .*galaxies.*: taken as closed$/m);
      expect(code).toBe(1);
    } finally {
      kubectl(["delete", "clusternetworkpolicy", "from-the-future"]);
    }
  });

  test("through kubectl proxy, in plain http", async () => {
    const proxy = spawn(assetPath("kubectl"), ["proxy", "--port=0"], {
      env: { KUBECONFIG: plane.kubeconfig },
      stdio: ["ignore", "pipe", "inherit"],
    });
    try {
      const address = /127\.0\.0\.1:\d+/.exec(await firstLine(proxy))![0];
      const answer = await ask("can", "shop/deploy/web", "shop/deploy/catalog", "8080", "-s", `http://${address}`);
      expect(answer).toMatchObject({ code: 0, stderr: "" });
    } finally {
      proxy.kill();
    }
  });

  test("with a token of an exec plugin, out of two files", async () => {
    write(
      "plugin",
      `#!/bin/sh\ncase "$KUBERNETES_EXEC_INFO" in *'"interactive":false'*) ;; *) exit 7;; esac
echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"${plane.adminToken}"}}'\n`,
    );
    chmodSync(at("plugin"), 0o755);
    const exec = { apiVersion: "client.authentication.k8s.io/v1", command: "./plugin", interactiveMode: "IfAvailable" };
    const user = write("users", { users: [{ name: "u", user: { exec } }] });
    const rest = kubeconfig("rest", { user: { token: "no good" } });
    const answer = await askAs([user, rest].join(delimiter), "can", "shop/deploy/web", "shop/deploy/catalog", "8080");
    expect(answer).toMatchObject({ code: 0, stderr: "" });
  });

  test("by another name in its certificate, or unchecked", async () => {
    const name = (servername: string) => kubeconfig(`as-${servername}`, { cluster: { "tls-server-name": servername } });
    const question = ["can", "shop/deploy/web", "shop/deploy/catalog", "8080"];
    expect(await askAs(name("kubernetes"), ...question)).toMatchObject({ code: 0, stderr: "" });
    expect(await askAs(name("other"), ...question)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("other"),
    });
    const unchecked = { "certificate-authority-data": "", "insecure-skip-tls-verify": true };
    expect((await askAs(kubeconfig("unchecked", { cluster: unchecked }), ...question)).code).toBe(0);
  });

  test("RBAC forbids: what is lacking, and what grants it", async () => {
    const refused = await ask("map", "--as", "joe", "--as-group", "dev");
    expect(refused).toMatchObject({ code: 2, stdout: "" });
    expect(refused.stderr).toMatch(/^error: context "test" \(\S+\): you may not list namespaces, nodes, pods, /);
    expect(refused.stderr).toContain('User "joe" cannot list resource "namespaces"');
    const yaml = refused.stderr.slice(refused.stderr.indexOf("apiVersion:"));
    kubectl(["apply", "-f", "-"], yaml);
    expect(await ask("map", "--as", "joe")).toMatchObject({ code: 0, stderr: "" });
    kubectl(["delete", "clusterrolebinding", "bulkhead-reader"]);
    const partial = await ask("map", "--as", "joe", "--allow-partial");
    expect(partial.stderr).toMatch(/^warning: you may not list /m);
  });

  test.each([
    [
      "a token that the server does not take",
      { user: { token: "old" } },
      /does not accept the credentials\nLog in again/,
    ],
    [
      "another cluster's CA",
      { cluster: { "certificate-authority-data": otherCa } },
      /signed by an unknown authority\n/,
    ],
    ["nobody listens", { cluster: { server: "https://127.0.0.1:1" } }, /ECONNREFUSED 127\.0\.0\.1:1\n/],
    ["no such plugin", { user: { token: "", exec: noPlugin } }, /executable no-such-plugin not found\n/],
  ])("%s: exit 2", async (name, parts, message) => {
    const { code, stdout, stderr } = await askAs(kubeconfig(name.replaceAll(" ", "-"), parts), "map");
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(/^error: context /);
    expect(stderr).toMatch(message);
    expect(stderr).not.toContain(plane.adminToken);
  });

  test.skipIf(process.platform !== "linux" || process.getuid?.() !== 0)(
    "verify builds it in the kernel here",
    async () => {
      const { code, stdout, stderr } = await ask(
        "verify",
        "-q",
        "--family",
        "IPv4",
        "--protocol",
        "TCP",
        "--pods-per-workload",
        "1",
      );
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      expect(stdout).toMatch(/engine, reference and kernel agree/);
    },
  );

  test("as a plugin of kubectl, with flags behind the name", () => {
    const main = `${process.cwd()}/src/cli/main.ts`;
    write("kubectl-bulkhead", `#!/bin/sh\nexec ${process.execPath} ${main} "$@"\n`);
    chmodSync(at("kubectl-bulkhead"), 0o755);
    const question = ["can", "shop/deploy/web", "shop/deploy/catalog", "8080", "--context", "test"];
    const stdout = execFileSync(assetPath("kubectl"), ["bulkhead", ...question], {
      env: { KUBECONFIG: plane.kubeconfig, PATH: `${folder}${delimiter}${process.env["PATH"]}` },
      encoding: "utf8",
    });
    expect(stdout).toMatch(/^allowed /);
  });

  test("completion knows its names, and stays quiet where it can't", async () => {
    const { stdout } = await ask("__completeNoDesc", "can", "shop/deploy/ca");
    expect(stdout).toBe("shop/deploy/cart\nshop/deploy/catalog\n:4\n");
    const typed = ["__completeNoDesc", "map", "--server", "https://127.0.0.1:1", "--focus", "ext"];
    expect(await ask(...typed)).toEqual({ code: 0, stdout: "external\n:4\n", stderr: "" });
  });

  test("files and a cluster are not asked together", async () => {
    const { code, stderr } = await ask("map", "-f", shop, "--context", "test");
    expect(code).toBe(2);
    expect(stderr).toContain("-f reads files and --context names a cluster");
  });
});

function firstLine({ stdout }: ChildProcess): Promise<string> {
  return new Promise((resolve) => stdout!.once("data", (chunk: Buffer) => resolve(chunk.toString())));
}
