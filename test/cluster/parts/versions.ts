/** Of everything that a real cluster is built from. */
import { kubernetesVersion } from "../lib/assets.ts";

export const versions = {
  kubernetes: `v${kubernetesVersion}`,
  /** Of the modules that live in Kubernetes' repository and have versions of their own. */
  staging: `v${kubernetesVersion.replace(/^1/, "0")}`,
  etcd: "v3.6.16",
  containerd: "v2.4.2",
  networkPolicyApi: "v0.2.0",
  cyclonus: "v0.5.6",
  /** What the committed manifests of deploy/ are rendered with. */
  helm: "v4.3.1",
} as const;
