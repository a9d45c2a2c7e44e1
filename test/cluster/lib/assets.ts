/** Where the programs and images of the real cluster are. `test/cluster/build` puts them there. */
import { existsSync, readdirSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";

export const kubernetesVersion = "1.36.3";

const cache = join(process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "bulkhead");

/** Outside the checkout: twelve minutes of building are not thrown away with it. */
export const assetFolder = join(cache, `kubernetes-${kubernetesVersion}`);

/** Running clusters, a folder each. */
export const clusterFolder = join(cache, "clusters");

/** The usual name for a folder with etcd, kube-apiserver and kubectl, as controller-runtime's tests know it. */
const own = process.env["KUBEBUILDER_ASSETS"];

/** `name`: of a program, or `pod-images/NAME.tar`. Looked up in KUBEBUILDER_ASSETS first. */
export function assetPath(name: string): string {
  const path = own === undefined ? null : join(own, name);
  return path !== null && existsSync(path) ? path : join(assetFolder, name);
}

export const hasAsset = (name: string): boolean => existsSync(assetPath(name));

/** PATH for everything that runs in the cluster. */
export function searchPath(): string {
  const system = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
  return [...(own === undefined ? [] : [own]), assetFolder, ...system].join(delimiter);
}

/** Image archives to import on every node, by path. */
export function imageArchives(): readonly string[] {
  const folder = join(assetFolder, "pod-images");
  return existsSync(folder)
    ? readdirSync(folder)
        .filter((name) => name.endsWith(".tar"))
        .map((name) => join(folder, name))
    : [];
}

/** The references that images are imported under. No registry has them: they exist only on the nodes. */
export const images = {
  pause: "cluster.test/pause:1",
  agnhost: "cluster.test/agnhost:1",
  /** SCTP servers idle where the kernel has no SCTP sockets. */
  agnhostWithoutSctp: "cluster.test/agnhost-without-sctp:1",
  agnhostOfCyclonus: "cluster.test/agnhost-of-cyclonus:1",
} as const;
