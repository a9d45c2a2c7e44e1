/** etcd, kube-apiserver, kube-controller-manager and kube-scheduler, on a machine of their own. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { clusterCIDRs, inUrl, machineAddresses, serviceCIDRs } from "./addresses.ts";
import { assetPath } from "./assets.ts";
import { Daemon } from "./daemon.ts";
import type { Machine } from "./machine.ts";
import type { ClusterOptions } from "./options.ts";

const etcdUrl = "http://127.0.0.1:2379";

/** In the order in which they start. */
export interface ControlPlane {
  readonly etcd: Daemon;
  readonly apiserver: Daemon;
  readonly controllers: Daemon;
  readonly scheduler: Daemon;
}

/** Started none of them. `folder`: the cluster's, with its credentials. */
export function controlPlane(machine: Machine, folder: string, options: ClusterOptions): ControlPlane {
  const { families } = options;
  const at = (name: string): string => join(folder, name);
  const [address] = machineAddresses(families, 0);
  const kubeconfig = `--kubeconfig=${at("kubeconfig")}`;
  if (options.audit) writeFileSync(at("audit-policy.json"), JSON.stringify(auditPolicy));
  const audit = [`--audit-policy-file=${at("audit-policy.json")}`, `--audit-log-path=${at("audit.log")}`];
  return {
    etcd: new Daemon(machine, "etcd", [
      assetPath("etcd"),
      "--data-dir=/var/lib/etcd",
      `--listen-client-urls=${etcdUrl}`,
      `--advertise-client-urls=${etcdUrl}`,
      "--listen-peer-urls=http://127.0.0.1:2380",
      "--unsafe-no-fsync", // the cluster does not outlive the machine
      "--quota-backend-bytes=8589934592",
      "--log-level=warn",
    ]),
    apiserver: new Daemon(machine, "kube-apiserver", [
      assetPath("kube-apiserver"),
      `--etcd-servers=${etcdUrl}`,
      `--bind-address=${address}`,
      `--advertise-address=${address}`,
      "--secure-port=6443",
      `--tls-cert-file=${at("api.crt")}`,
      `--tls-private-key-file=${at("api.key")}`,
      `--client-ca-file=${at("ca.crt")}`,
      `--kubelet-client-certificate=${at("api.crt")}`,
      `--kubelet-client-key=${at("api.key")}`,
      "--kubelet-preferred-address-types=InternalIP",
      "--service-account-issuer=https://kubernetes.default.svc",
      `--service-account-key-file=${at("sa.pub")}`,
      `--service-account-signing-key-file=${at("sa.key")}`,
      `--token-auth-file=${at("tokens.csv")}`,
      "--authorization-mode=RBAC",
      `--service-cluster-ip-range=${serviceCIDRs(families).join(",")}`,
      "--allow-privileged=true",
      "--shutdown-watch-termination-grace-period=1s",
      ...(options.audit ? audit : []),
      ...options.apiserverFlags,
    ]),
    controllers: new Daemon(machine, "kube-controller-manager", [
      assetPath("kube-controller-manager"),
      kubeconfig,
      `--service-account-private-key-file=${at("sa.key")}`,
      `--root-ca-file=${at("ca.crt")}`,
      "--use-service-account-credentials=false",
      `--cluster-cidr=${clusterCIDRs(families).join(",")}`,
      "--allocate-node-cidrs=false",
      "--leader-elect=false",
      "--bind-address=127.0.0.1",
      // nodes that are only objects stay ready
      "--node-monitor-grace-period=24h",
    ]),
    scheduler: new Daemon(machine, "kube-scheduler", [
      assetPath("kube-scheduler"),
      kubeconfig,
      "--leader-elect=false",
      "--bind-address=127.0.0.1",
    ]),
  };
}

/** The names and addresses that the API server's certificate holds. */
export const apiserverNames = (
  options: ClusterOptions,
): readonly [addresses: readonly string[], names: readonly string[]] => [
  [
    ...machineAddresses(options.families, 0),
    "127.0.0.1",
    "::1",
    ...serviceCIDRs(options.families).map((cidr) =>
      cidr.replace(/(0\.0|::)\/\d+$/, (_, end) => (end === "::" ? "::1" : "0.1")),
    ),
  ],
  ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"],
];

export const serverUrl = (options: ClusterOptions): string =>
  `https://${inUrl(machineAddresses(options.families, 0)[0]!)}:6443`;

const auditPolicy = {
  apiVersion: "audit.k8s.io/v1",
  kind: "Policy",
  omitStages: ["RequestReceived"],
  rules: [{ level: "Metadata", userGroups: ["system:serviceaccounts"] }, { level: "None" }],
};
