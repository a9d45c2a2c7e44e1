/** Keys, certificates and tokens of a cluster. */
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { inUrl } from "./addresses.ts";
import { run } from "./run.ts";

/** Not a secret: the cluster is reachable from its own network only. */
const adminToken = "cluster-admin";

const openssl = (folder: string, ...args: readonly string[]): Promise<string> => run("openssl", args, { cwd: folder });

/** Puts ca.crt, ca.key, api.crt, api.key, sa.pub, sa.key, tokens.csv and kubeconfig into `folder`. */
export async function makeCredentials(
  folder: string,
  addresses: readonly string[],
  names: readonly string[],
): Promise<void> {
  const server = `https://${inUrl(addresses[0]!)}:6443`;
  writeFileSync(join(folder, "kubeconfig"), kubeconfig(folder, server), { mode: 0o600 });
  if (existsSync(join(folder, "sa.pub"))) return;
  const newKey = (name: string) =>
    openssl(folder, "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", name);
  await Promise.all(["ca.key", "api.key", "sa.key"].map(newKey));
  const days = ["-days", "3650"];
  await openssl(folder, "req", "-x509", "-new", "-key", "ca.key", ...days, "-subj", "/CN=cluster-ca", "-out", "ca.crt");
  // the API server's certificate is its client certificate for kubelets too
  await openssl(
    folder,
    "req",
    "-new",
    "-key",
    "api.key",
    "-subj",
    "/O=system:masters/CN=kube-apiserver",
    "-out",
    "api.csr",
  );
  const alternatives = [...addresses.map((one) => `IP:${one}`), ...names.map((one) => `DNS:${one}`)].join(",");
  writeFileSync(join(folder, "api.ext"), `subjectAltName=${alternatives}\n`);
  const signing = ["-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", ...days, "-extfile", "api.ext"];
  await openssl(folder, "x509", "-req", "-in", "api.csr", ...signing, "-out", "api.crt");
  writeFileSync(join(folder, "tokens.csv"), `${adminToken},admin,admin,"system:masters"\n`, { mode: 0o600 });
  await openssl(folder, "pkey", "-in", "sa.key", "-pubout", "-out", "sa.pub");
}

function kubeconfig(folder: string, server: string): string {
  return `${JSON.stringify(
    {
      apiVersion: "v1",
      kind: "Config",
      clusters: [{ name: "cluster", cluster: { server, "certificate-authority": join(folder, "ca.crt") } }],
      users: [{ name: "admin", user: { token: adminToken } }],
      contexts: [{ name: "cluster", context: { cluster: "cluster", user: "admin" } }],
      "current-context": "cluster",
    },
    null,
    1,
  )}\n`;
}
