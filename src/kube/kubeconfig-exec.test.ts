import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type KubeconfigOptions, kubeconfigConnection } from "./kubeconfig.ts";

const version = "client.authentication.k8s.io/v1";
let folder: string;
const at = (name: string): string => join(folder, name);

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "bulkhead-exec-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
beforeEach(() => writeFileSync(at("runs"), ""));

/** A plugin that notes what it is told and answers `status`, or whatever else a shell can do. */
function plugin(body: string): void {
  writeFileSync(at("plugin"), `#!/bin/sh\necho "$KUBERNETES_EXEC_INFO" >> "$(dirname "$0")/runs"\n${body}\n`);
  chmodSync(at("plugin"), 0o755);
}
const answering = (status: object, apiVersion = version): string =>
  `echo '${JSON.stringify({ apiVersion, kind: "ExecCredential", status })}'`;

/** What each run was told. */
const runs = () =>
  readFileSync(at("runs"), "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as unknown);

async function connection(exec: object = {}, options: KubeconfigOptions = {}) {
  const entry = { apiVersion: version, command: "./plugin", interactiveMode: "IfAvailable", ...exec };
  const cluster = {
    server: "https://api.example",
    "certificate-authority": "ca.pem",
    "tls-server-name": "inside",
    extensions: [{ name: "client.authentication.k8s.io/exec", extension: { audience: "me" } }],
  };
  writeFileSync(at("ca.pem"), "-----BEGIN CERTIFICATE-----\n");
  writeFileSync(
    at("config"),
    JSON.stringify({
      "current-context": "x",
      clusters: [{ name: "c", cluster }],
      users: [{ name: "u", user: { exec: entry } }],
      contexts: [{ name: "x", context: { cluster: "c", user: "u" } }],
    }),
  );
  return kubeconfigConnection({ kubeconfig: at("config"), isTerminal: false, ...options });
}

describe("a plugin", () => {
  test("beside its kubeconfig gives a token, and is told what kubectl tells it", async () => {
    plugin(answering({ token: "abc" }));
    const { headers } = await connection();
    expect(await headers()).toEqual({ authorization: "Bearer abc" });
    expect(runs()).toEqual([{ kind: "ExecCredential", apiVersion: version, spec: { interactive: false } }]);
  });

  test("with provideClusterInfo is told of the cluster", async () => {
    plugin(answering({ token: "abc" }));
    await (await connection({ provideClusterInfo: true })).headers();
    expect(runs()).toMatchObject([
      {
        spec: {
          cluster: {
            server: "https://api.example",
            "tls-server-name": "inside",
            "certificate-authority-data": Buffer.from("-----BEGIN CERTIFICATE-----\n").toString("base64"),
            config: { audience: "me" },
          },
        },
      },
    ]);
  });

  test("gets arguments and environment, and none of what the shell would do with them", async () => {
    plugin(`printf '{"apiVersion":"%s","kind":"ExecCredential","status":{"token":"%s"}}' "$1" "$ZONE"`);
    const { headers } = await connection({ args: [version, "$(id)"], env: [{ name: "ZONE", value: "eu" }] });
    expect(await headers()).toEqual({ authorization: "Bearer eu" });
  });

  test("gives a client certificate", async () => {
    const [cert, key] = ["-----BEGIN CERTIFICATE-----", "-----BEGIN PRIVATE KEY-----"];
    plugin(answering({ clientCertificateData: cert, clientKeyData: key }));
    const asked = await connection();
    const tls = await asked.tls();
    expect([tls?.cert, tls?.key].map(String)).toEqual([cert, key]);
    expect(await asked.headers()).toEqual({});
  });

  test("is asked once, however many ask, until its answer expires or is refused", async () => {
    plugin(answering({ token: "abc" }));
    const lasting = await connection();
    await Promise.all([lasting.headers(), lasting.tls(), lasting.headers()]);
    await lasting.headers();
    expect(runs()).toHaveLength(1);
    lasting.unauthorized();
    await lasting.headers();
    expect(runs()).toHaveLength(2);

    plugin(answering({ token: "abc", expirationTimestamp: "2001-01-01T00:00:00Z" }));
    const expired = await connection();
    await expired.headers();
    await expired.headers();
    expect(runs()).toHaveLength(4);
  });

  test("v1beta1 needs no interactiveMode", async () => {
    const apiVersion = "client.authentication.k8s.io/v1beta1";
    plugin(answering({ token: "old" }, apiVersion));
    const { headers } = await connection({ apiVersion, interactiveMode: undefined });
    expect(await headers()).toEqual({ authorization: "Bearer old" });
  });
});

describe("what goes wrong", () => {
  const failure = async (exec: object = {}, options: KubeconfigOptions = {}): Promise<unknown> => {
    try {
      return await (await connection(exec, options)).headers();
    } catch (error) {
      return error;
    }
  };

  test("it is not there: its install hint says what to do", async () => {
    expect(await failure({ command: "no-such-plugin", installHint: "apt install it" })).toMatchObject({
      message: "getting credentials: exec: executable no-such-plugin not found",
      hint: "apt install it",
    });
  });

  test.each([
    ["it fails", "exit 3", /failed with exit code 3$/],
    ["it prints nothing", "true", /printed nothing$/],
    ["it prints something else", "echo hello", /printed no ExecCredential in JSON$/],
    ["it prints null", "echo null", /printed no ExecCredential in JSON$/],
    ["it gives nothing", answering({}), /plugin didn't return a token or cert\/key pair$/],
    ["it gives half", answering({ clientKeyData: "k" }), /without its certificate$/],
    ["another version", answering({ token: "a" }, "v2"), /use API version .*v1, plugin returned version v2$/],
    ["it floods", "yes 2>/dev/null", /wrote more than 1024 KiB$/],
  ])("%s", async (_, body, message) => {
    plugin(body);
    const error = await failure();
    expect(error).toBeInstanceOf(Error);
    expect((error as Error).message).toMatch(/^getting credentials: /);
    expect((error as Error).message).toMatch(message);
  });

  test("an answer that was no credential is not kept", async () => {
    plugin("echo '{}'");
    const { headers } = await connection();
    await expect(headers()).rejects.toThrow();
    plugin(answering({ token: "now" }));
    expect(await headers()).toEqual({ authorization: "Bearer now" });
  });

  test("it must ask at a terminal, and there is none", async () => {
    plugin(answering({ token: "abc" }));
    expect(await failure({ interactiveMode: "Always" })).toMatchObject({
      message: expect.stringMatching(/must ask at a terminal, and standard input is not a terminal$/),
    });
    const options = { isTerminal: true, isStdinTaken: true };
    expect(await failure({ interactiveMode: "Always" }, options)).toMatchObject({
      message: expect.stringMatching(/standard input is used for manifests$/),
    });
    expect(runs()).toEqual([]);
  });

  test.each([
    [
      { apiVersion: "client.authentication.k8s.io/v1alpha1" },
      /invalid apiVersion "client.authentication.k8s.io\/v1alpha1"/,
    ],
    [{ command: "" }, /exec.command must be specified/],
    [{ interactiveMode: "" }, /exec.interactiveMode must be specified/],
    [{ interactiveMode: "Sometimes" }, /invalid exec.interactiveMode "Sometimes"/],
  ])("kubectl refuses %o", async (exec, message) => {
    await expect(connection(exec)).rejects.toThrow(message);
  });
});
