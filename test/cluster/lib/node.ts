/** A node: containerd, kubelet and kube-proxy on a machine of their own. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { clusterCIDRs, dnsAddress, machineAddresses, podCIDRs } from "./addresses.ts";
import { assetPath, imageArchives, images } from "./assets.ts";
import { processesOf } from "./cgroups.ts";
import { Daemon } from "./daemon.ts";
import type { Machine } from "./machine.ts";
import type { ClusterOptions } from "./options.ts";
import type { RunOptions } from "./run.ts";
import { until } from "./run.ts";

const socket = "/run/containerd/containerd.sock";

export class ClusterNode {
  /** `node1`, … */
  readonly name: string;
  readonly index: number;
  readonly machine: Machine;
  readonly containerd: Daemon;
  readonly kubelet: Daemon;
  readonly proxy: Daemon;
  readonly ips: readonly string[];
  readonly podCIDRs: readonly string[];
  readonly #cgroup: string;
  readonly #power: { reboot(node: ClusterNode): Promise<void> };

  constructor(
    machine: Machine,
    index: number,
    folder: string,
    cgroup: string,
    options: ClusterOptions,
    power: { reboot(node: ClusterNode): Promise<void> },
  ) {
    this.machine = machine;
    this.index = index;
    this.name = nodeName(index);
    this.ips = machineAddresses(options.families, index);
    this.podCIDRs = podCIDRs(options.families, index);
    this.#cgroup = cgroup;
    this.#power = power;
    const kubeconfig = `--kubeconfig=${join(folder, "kubeconfig")}`;
    this.containerd = new Daemon(machine, "containerd", [
      assetPath("containerd"),
      "--config=/etc/containerd/config.toml",
    ]);
    this.kubelet = new Daemon(machine, "kubelet", [
      assetPath("kubelet"),
      "--config=/etc/kubernetes/kubelet.json",
      kubeconfig,
      `--hostname-override=${this.name}`,
      `--node-ip=${this.ips.join(",")}`,
      "--v=2",
    ]);
    this.proxy = new Daemon(machine, "kube-proxy", [
      assetPath("kube-proxy"),
      kubeconfig,
      `--proxy-mode=${options.proxy}`,
      `--cluster-cidr=${clusterCIDRs(options.families).join(",")}`,
      `--hostname-override=${this.name}`,
      `--bind-address=${this.ips[0]}`,
      "--metrics-bind-address=127.0.0.1:10249",
      "--conntrack-max-per-core=0", // a setting of the whole kernel
      "--iptables-min-sync-period=100ms",
    ]);
  }

  /** The process number of the machine's first process; see `Machine`. */
  get pid(): number {
    return this.machine.pid;
  }

  get netns(): string {
    return this.machine.netns;
  }

  /** Runs a program on the node, with the node's files, processes and network. @throws RunError */
  exec(command: readonly string[], options: RunOptions = {}): Promise<string> {
    return this.machine.exec(command, options);
  }

  async importImage(archive: string): Promise<void> {
    const platform = ["--platform", "linux/amd64"];
    await this.exec([assetPath("ctr"), "-a", socket, "-n", "k8s.io", "images", "import", ...platform, archive], {
      within: 120_000,
    });
  }

  /** Another name for an image that is there. */
  async tagImage(reference: string, name: string): Promise<void> {
    await this.exec([assetPath("ctr"), "-a", socket, "-n", "k8s.io", "images", "tag", "--force", reference, name]);
  }

  /** The first process of a container, as the host numbers it; null when it does not run. `container`: its id, without a scheme. */
  processOf(container: string): number | null {
    return processesOf(this.#cgroup, container)[0] ?? null;
  }

  /** Power off and on: what an operator sees after the reset button. Returns when kubelet has been started. */
  reboot(): Promise<void> {
    return this.#power.reboot(this);
  }

  /** containerd first, which kubelet needs; then the images, which kubelet must not try to pull; then kubelet and kube-proxy. */
  async start(archives: readonly string[] = imageArchives()): Promise<void> {
    await this.containerd.start();
    await until(`containerd on ${this.name}`, () => this.exec([assetPath("ctr"), "-a", socket, "version"]), {
      within: 30_000,
    }).catch((error: Error) => {
      throw new Error(`${error.message}\n${this.containerd.tail()}`);
    });
    for (const archive of archives) await this.importImage(archive);
    await Promise.all([this.kubelet.start(), this.proxy.start()]);
  }

  /** Its files, as an installer of nodes writes them. */
  configure(folder: string, options: ClusterOptions): void {
    const write = (path: string, text: string): void => {
      const file = join(this.machine.state, path);
      mkdirSync(join(file, ".."), { recursive: true });
      writeFileSync(file, text);
    };
    write("etc/containerd/config.toml", containerdConfig);
    write("etc/cni/net.d/10-cluster.conflist", `${JSON.stringify(this.#network(options), null, 2)}\n`);
    write("etc/kubernetes/kubelet.json", JSON.stringify(this.#kubeletConfig(folder, options), null, 2));
    mkdirSync(join(this.machine.state, "opt/cni/bin"), { recursive: true });
  }

  #network({ cni, families }: ClusterOptions): object {
    const ipam = {
      type: "host-local",
      ranges: this.podCIDRs.map((subnet) => [{ subnet }]),
      routes: [
        ...(families === "ipv6" ? [] : [{ dst: "0.0.0.0/0" }]),
        ...(families === "ipv4" ? [] : [{ dst: "::/0" }]),
      ],
    };
    const main =
      cni === "routed"
        ? { type: "ptp", ipMasq: false, ipam }
        : { type: "bridge", bridge: "cni0", isGateway: true, hairpinMode: true, ipam };
    const plugins = [main, { type: "portmap", capabilities: { portMappings: true } }];
    return { cniVersion: "1.0.0", name: "cluster", plugins };
  }

  #kubeletConfig(folder: string, { families }: ClusterOptions): object {
    return {
      apiVersion: "kubelet.config.k8s.io/v1beta1",
      kind: "KubeletConfiguration",
      authentication: {
        anonymous: { enabled: false },
        webhook: { enabled: false },
        x509: { clientCAFile: join(folder, "ca.crt") },
      },
      authorization: { mode: "AlwaysAllow" },
      address: this.ips[0],
      containerRuntimeEndpoint: `unix://${socket}`,
      cgroupDriver: "cgroupfs",
      cgroupRoot: `/${this.#cgroup}`,
      enforceNodeAllocatable: [],
      failCgroupV1: false,
      failSwapOn: false,
      evictionHard: {},
      imageGCHighThresholdPercent: 100,
      maxPods: 220,
      clusterDNS: [dnsAddress(families)],
      clusterDomain: "cluster.local",
      resolvConf: "/dev/null",
      readOnlyPort: 0,
      healthzPort: 0,
      cpuCFSQuota: false,
      registerWithTaints: [],
    };
  }
}

export const nodeName = (index: number): string => `node${index}`;

/** What is registered before kubelet comes, so that a node has the pod CIDRs that its CNI configuration gives addresses from. */
export const nodeObject = (index: number, { families, podCIDRs: told }: ClusterOptions): object => ({
  apiVersion: "v1",
  kind: "Node",
  metadata: {
    name: nodeName(index),
    labels: { "kubernetes.io/hostname": nodeName(index), "kubernetes.io/os": "linux" },
  },
  spec: told ? { podCIDR: podCIDRs(families, index)[0], podCIDRs: podCIDRs(families, index) } : {},
});

const containerdConfig = `version = 3
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "${images.pause}"
[plugins.'io.containerd.cri.v1.runtime']
  # without CAP_SYS_RESOURCE a sandbox can't get a lower score than its parent
  restrict_oom_score_adj = true
[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ["/opt/cni/bin", "/usr/lib/cni"]
  conf_dir = "/etc/cni/net.d"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
  SystemdCgroup = false
`;
