import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type KubeconfigOptions, kubeconfigConnection } from "./kubeconfig.ts";

const pem = (what: string): string => `-----BEGIN CERTIFICATE-----\n${what}\n-----END CERTIFICATE-----\n`;
const base64 = (text: string): string => Buffer.from(text).toString("base64");

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "bulkhead-kubeconfig-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let files = 0;
/** A file of its own folder, so that relative paths mean something. */
function write(text: string): string {
  const own = join(folder, `${files++}`);
  mkdirSync(own);
  writeFileSync(join(own, "config"), text);
  return join(own, "config");
}

const connect = (options: KubeconfigOptions) => kubeconfigConnection({ env: { HOME: folder }, ...options });

/** One cluster, one user, one context: what is given is spread into them. */
const config = ({ cluster = "", user = "", context = "", top = "" }): string =>
  write(
    `apiVersion: v1
kind: Config
current-context: ctx
clusters: [{name: c, cluster: {server: "https://api.example:6443"${cluster}}}]
users: [{name: u, user: {${user}}}]
contexts: [{name: ctx, context: {cluster: c, user: u${context}}}]
${top}`,
  );

describe("the connection", () => {
  test("of the current context", async () => {
    const kubeconfig = config({
      cluster: `, certificate-authority-data: ${base64(pem("ca"))}, tls-server-name: inside`,
      user: "token: secret",
      context: ", namespace: shop",
    });
    const connection = await connect({ kubeconfig });
    expect(connection).toMatchObject({
      namespace: "shop",
      proxy: null,
      description: 'context "ctx" (https://api.example:6443)',
    });
    expect(connection.server.href).toBe("https://api.example:6443/");
    expect(await connection.headers()).toEqual({ authorization: "Bearer secret" });
    const tls = await connection.tls();
    expect(tls).toMatchObject({ cert: null, key: null, servername: "inside", verify: true });
    expect(tls?.ca?.toString()).toBe(pem("ca"));
  });

  test("data goes before files, without a user there is a CA still (the library has both wrong)", async () => {
    const kubeconfig = write(`
clusters: [{name: c, cluster: {server: "https://x", certificate-authority: ca.pem}}]
contexts: [{name: ctx, context: {cluster: c}}]
current-context: ctx`);
    writeFileSync(join(kubeconfig, "../ca.pem"), pem("from the file"));
    expect((await (await connect({ kubeconfig })).tls())?.ca?.toString()).toBe(pem("from the file"));
    const both = config({
      cluster: `, certificate-authority: nowhere.pem, certificate-authority-data: ${base64(pem("data"))}`,
      user: `client-certificate: nowhere.pem, client-certificate-data: ${base64(pem("cert"))}, client-key-data: ${base64(pem("key"))}`,
    });
    const tls = await (await connect({ kubeconfig: both })).tls();
    expect([tls?.ca, tls?.cert, tls?.key].map(String)).toEqual([pem("data"), pem("cert"), pem("key")]);
  });

  test("files of certificates are read again for each connection", async () => {
    const kubeconfig = config({ user: "client-certificate: c.pem, client-key: k.pem" });
    const beside = (name: string, text: string) => writeFileSync(join(kubeconfig, "..", name), text);
    beside("c.pem", pem("one"));
    beside("k.pem", pem("key"));
    const connection = await connect({ kubeconfig });
    expect(String((await connection.tls())?.cert)).toBe(pem("one"));
    beside("c.pem", pem("two"));
    expect(String((await connection.tls())?.cert)).toBe(pem("two"));
    rmSync(join(kubeconfig, "../c.pem"));
    await expect(connection.tls()).rejects.toThrow(/^user "u": unable to read \/.*c\.pem: no such file$/);
  });

  test("a token file, its line break and its renewal", async () => {
    const kubeconfig = config({ user: "tokenFile: token" });
    writeFileSync(join(kubeconfig, "../token"), "first\n");
    const connection = await connect({ kubeconfig });
    expect(await connection.headers()).toEqual({ authorization: "Bearer first" });
    writeFileSync(join(kubeconfig, "../token"), "second\n");
    connection.unauthorized();
    expect(await connection.headers()).toEqual({ authorization: "Bearer second" });
  });

  test("plain http, as of kubectl proxy: no TLS, and nothing secret is sent", async () => {
    const kubeconfig = config({ user: "token: secret, as: joe" });
    const connection = await connect({ kubeconfig, server: "http://127.0.0.1:8001" });
    expect(await connection.tls()).toBeNull();
    expect(await connection.headers()).toEqual({ "impersonate-user": "joe" });
  });

  test("user name and password", async () => {
    const connection = await connect({ kubeconfig: config({ user: "username: joe, password: secret" }) });
    expect(await connection.headers()).toEqual({ authorization: `Basic ${base64("joe:secret")}` });
  });

  test("impersonation, from the file and from flags", async () => {
    const kubeconfig = config({
      user: "token: t, as: joe, as-uid: '7', as-groups: [dev, ops], as-user-extra: {'acme.com/Scope': [a, b]}",
    });
    expect(await (await connect({ kubeconfig })).headers()).toEqual({
      authorization: "Bearer t",
      "impersonate-user": "joe",
      "impersonate-uid": "7",
      "impersonate-group": ["dev", "ops"],
      "impersonate-extra-acme.com%2fscope": ["a", "b"],
    });
    const asked = await connect({ kubeconfig: config({}), as: "ann", asGroup: ["qa"] });
    expect(await asked.headers()).toEqual({ "impersonate-user": "ann", "impersonate-group": ["qa"] });
  });

  test("insecure-skip-tls-verify", async () => {
    const connection = await connect({ kubeconfig: config({ cluster: ", insecure-skip-tls-verify: true" }) });
    expect(await connection.tls()).toMatchObject({ verify: false, ca: null });
  });

  test("proxy-url goes before the environment's", async () => {
    const env = { HTTPS_PROXY: "http://other:1" };
    const kubeconfig = config({ cluster: ', proxy-url: "http://proxy:3128"' });
    expect((await connect({ kubeconfig, env })).proxy?.href).toBe("http://proxy:3128/");
    expect((await connect({ kubeconfig: config({}), env })).proxy?.href).toBe("http://other:1/");
  });

  test("--server, with --token: no file is needed", async () => {
    const connection = await connect({ server: "https://10.0.0.1:6443/path/?q#f", token: "flag" });
    expect(connection.server.href).toBe("https://10.0.0.1:6443/path/");
    expect(connection).toMatchObject({ description: "https://10.0.0.1:6443/path", namespace: "default" });
    expect(await connection.headers()).toEqual({ authorization: "Bearer flag" });
  });

  test("--server forgets the name in the other server's certificate", async () => {
    const kubeconfig = config({ cluster: ", tls-server-name: inside" });
    expect((await (await connect({ kubeconfig, server: "https://other" })).tls())?.servername).toBeNull();
  });

  test("--token goes before what the file says of the user", async () => {
    const kubeconfig = config({
      user: "exec: {apiVersion: client.authentication.k8s.io/v1, command: 'false', interactiveMode: Never}",
    });
    expect(await (await connect({ kubeconfig, token: "flag" })).headers()).toEqual({ authorization: "Bearer flag" });
  });
});

describe("several files", () => {
  const one = `
current-context: a
clusters: [{name: same, cluster: {server: "https://one", certificate-authority: ca.pem}}]
contexts: [{name: a, context: {cluster: same, user: u}}, {name: same, context: {cluster: same, user: u, namespace: one}}]`;
  const two = `
current-context: b
clusters: [{name: same, cluster: {server: "https://two", tls-server-name: two}}, {name: other, cluster: {server: "https://other"}}]
users: [{name: u, user: {tokenFile: token}}]
contexts: [{name: b, context: {cluster: other, user: u}}, {name: same, context: {cluster: other, user: u}}]`;

  test("the first that says something decides, paths are relative to their own file", async () => {
    const [first, second] = [write(one), write(two)];
    writeFileSync(join(first, "../ca.pem"), pem("of one"));
    writeFileSync(join(second, "../token"), "of two");
    const env = { KUBECONFIG: [join(folder, "absent"), first, "", second, first].join(delimiter) };
    const current = await connect({ env });
    expect(current.description).toBe('context "a" (https://one)');
    expect(await current.tls()).toMatchObject({ servername: null });
    expect(String((await current.tls())?.ca)).toBe(pem("of one"));
    expect(await current.headers()).toEqual({ authorization: "Bearer of two" });
    expect((await connect({ env, context: "same" })).namespace).toBe("one");
    expect((await connect({ env, context: "b" })).server.href).toBe("https://other/");
    expect((await connect({ env, cluster: "other" })).server.href).toBe("https://other/");
  });

  const assets = process.env["KUBEBUILDER_ASSETS"] ?? join(homedir(), ".cache/bulkhead/kubernetes-1.36.3");
  const kubectl = join(assets, "kubectl");
  test.skipIf(!existsSync(kubectl))("kubectl merges them alike", async () => {
    const [first, second] = [write(one), write(two)];
    writeFileSync(join(first, "../ca.pem"), pem("of one"));
    writeFileSync(join(second, "../token"), "of two");
    for (const order of [
      [first, second],
      [second, first],
    ]) {
      const env = { KUBECONFIG: order.join(delimiter) };
      for (const context of ["a", "b", "same"]) {
        const flags = ["config", "view", "--minify", "--flatten", "--raw", "-o", "json", "--context", context];
        const { stdout } = spawnSync(kubectl, flags, { env, encoding: "utf8" });
        const seen = JSON.parse(stdout) as {
          clusters: { cluster: Record<string, string> }[];
          contexts: { context: { namespace?: string } }[];
        };
        const ours = await connect({ env, context });
        const { server = "", ...theirs } = seen.clusters[0]!.cluster;
        expect(ours.server.href).toBe(new URL(server).href);
        expect(ours.namespace).toBe(seen.contexts[0]!.context.namespace ?? "default");
        const tls = await ours.tls();
        expect(tls?.servername).toBe(theirs["tls-server-name"] ?? null);
        expect(tls?.ca?.toString("base64")).toBe(theirs["certificate-authority-data"]);
      }
    }
  });
});

describe("what is wrong is said in one line", () => {
  const message = async (options: KubeconfigOptions): Promise<string> => {
    try {
      const connection = await connect(options);
      await connection.tls();
    } catch (error) {
      return (error as Error).message;
    }
    return "";
  };

  test.each([
    ["a mapping where a list is expected", "clusters: {}", /^kubeconfig \S+: clusters must be a list$/],
    ["a wrong type", "clusters: [{name: c, cluster: {server: 1}}]", /clusters\[0\]\.cluster\.server must be a string$/],
    ["no YAML", "clusters: [\n- token: secret", /^kubeconfig [^\n]*$/],
    ["a name twice", "users: [{name: u}, {name: u}]", /users: the name "u" is there twice$/],
    ["a text", "just words", /^kubeconfig \S+: it must be an object$/],
  ])("%s", async (_, text, expected) => {
    const said = await message({ kubeconfig: write(text) });
    expect(said).toMatch(expected);
    expect(said).not.toContain("secret");
  });

  test.each([
    ["user: token and password", { user: "token: a, username: b" }, /^user "u": token and username are both given/],
    ["a certificate without key", { user: "client-certificate-data: YQ==" }, /client-key-data or client-key must be/],
    ["groups without a user", { user: "as-groups: [a]" }, /no user: name one with --as$/],
    ["a removed provider", { user: "auth-provider: {name: gcp}" }, /"gcp" was removed from Kubernetes in 1\.26$/],
    ["an unknown provider", { user: "auth-provider: {name: foo}" }, /^user "u": no auth provider "foo" is known$/],
    ["a CA that isn't", { cluster: `, certificate-authority-data: ${base64("hello")}` }, /is not in PEM$/],
    [
      "a CA and none",
      { cluster: ", insecure-skip-tls-verify: true, certificate-authority-data: YQ==" },
      /not allowed$/,
    ],
    ["a proxy of another kind", { cluster: ", proxy-url: 'socks5://a'" }, /^proxy-url: a proxy of the kind socks5/],
    ["a server that is no address", { cluster: ", server: ' '" }, /^kubeconfig |address is not valid/],
  ])("%s", async (_, parts, expected) => {
    expect(await message({ kubeconfig: config(parts) })).toMatch(expected);
  });

  test("names that do not exist", async () => {
    const kubeconfig = config({});
    expect(await message({ kubeconfig, context: "nope" })).toBe('context "nope" does not exist in the kubeconfig');
    expect(await message({ kubeconfig, user: "nope" })).toBe('user "nope" does not exist in the kubeconfig');
    expect(await message({ kubeconfig, cluster: "nope" })).toBe('cluster "nope" does not exist in the kubeconfig');
    expect(await message({ kubeconfig: join(folder, "absent") })).toMatch(/absent: no such file$/);
  });

  test("nothing at all is told apart from something wrong", async () => {
    await expect(connect({})).rejects.toMatchObject({
      isAbsent: true,
      message: "no current context in ~/.kube/config",
    });
    const kubeconfig = write("current-context: gone");
    await expect(connect({ kubeconfig })).rejects.toMatchObject({
      isAbsent: false,
      message: "context was not found for specified context: gone",
    });
  });

  test("a file that is far too big", async () => {
    const kubeconfig = write(`# ${"x".repeat(17 * 1024 * 1024)}`);
    expect(await message({ kubeconfig })).toMatch(/more than 16 MiB$/);
  });
});

test("the library's faults that are worked around are still there", () => {
  const at = (name: string) => readFileSync(`node_modules/@kubernetes/client-node/dist/${name}`, "utf8");
  expect(at("exec_auth.js")).not.toContain("KUBERNETES_EXEC_INFO");
  expect(at("config_types.js")).not.toContain("tokenFile");
  expect(at("config_types.js")).not.toContain("as-groups");
});
