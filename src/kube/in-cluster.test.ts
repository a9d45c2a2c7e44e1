import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { inClusterConnection } from "./in-cluster.ts";

let folder: string;
const environment = { KUBERNETES_SERVICE_HOST: "10.96.0.1", KUBERNETES_SERVICE_PORT: "443" };

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "bulkhead-account-"));
  writeFileSync(join(folder, "token"), "one\n");
  writeFileSync(join(folder, "ca.crt"), "CA one");
});

afterEach(() => rmSync(folder, { recursive: true }));

test("the server, over both families", () => {
  expect(inClusterConnection({ environment, folder }).server.href).toBe("https://10.96.0.1/");
  const v6 = { KUBERNETES_SERVICE_HOST: "fd00::1", KUBERNETES_SERVICE_PORT: "6443" };
  expect(inClusterConnection({ environment: v6, folder }).server.href).toBe("https://[fd00::1]:6443/");
});

test("a token that rotates is read again after a minute, and at once when the server refuses it", async () => {
  let now = 0;
  const connection = inClusterConnection({ environment, folder, now: () => now });
  expect(await connection.headers()).toEqual({ authorization: "Bearer one" });
  writeFileSync(join(folder, "token"), "two");
  now = 59_999;
  expect(await connection.headers()).toEqual({ authorization: "Bearer one" });
  now = 60_000;
  expect(await connection.headers()).toEqual({ authorization: "Bearer two" });
  writeFileSync(join(folder, "token"), "three");
  connection.unauthorized();
  expect(await connection.headers()).toEqual({ authorization: "Bearer three" });
});

test("the CA is read for each connection", async () => {
  const connection = inClusterConnection({ environment, folder });
  expect((await connection.tls())?.ca?.toString()).toBe("CA one");
  writeFileSync(join(folder, "ca.crt"), "CA two");
  expect(await connection.tls()).toMatchObject({ ca: Buffer.from("CA two"), verify: true });
});

test("outside of a cluster, or without a service account", async () => {
  expect(() => inClusterConnection({ environment: {} })).toThrow("not in a cluster");
  const connection = inClusterConnection({ environment, folder: join(folder, "none") });
  await expect(connection.headers()).rejects.toThrow("the pod's service account can't be read: ENOENT");
});
