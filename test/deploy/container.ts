/** One command in a container of the image's files, under the security settings of the DaemonSet's container. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface ContainerOptions {
  /** The image's files, which the container can't write to. */
  readonly rootFs: string;
  readonly args: readonly string[];
  /** As in a pod: `NET_ADMIN`. */
  readonly capabilities: readonly string[];
}

const runc = ["/usr/sbin/runc", "/usr/bin/runc", "runc"];

/** The program runc; null when it is not there, or this process may not use it. */
export const findRunc = (): string | null =>
  process.getuid?.() === 0 ? (runc.find((program) => spawnSync(program, ["--version"]).status === 0) ?? null) : null;

/** Runs in namespaces of its own, the network included. */
export function runContainer(
  program: string,
  options: ContainerOptions,
): { status: number; stdout: string; stderr: string } {
  const { rootFs, args } = options;
  const capabilities = options.capabilities.map((name) => `CAP_${name}`);
  const bundle = mkdtempSync(join(tmpdir(), "bulkhead-container-"));
  const config = {
    ociVersion: "1.0.2",
    process: {
      user: { uid: 0, gid: 0 },
      args,
      env: ["PATH=/usr/local/bin:/usr/sbin:/usr/bin"],
      cwd: "/",
      // What containerd gives to root of a pod: no ambient and no inheritable ones.
      capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
      noNewPrivileges: true, // allowPrivilegeEscalation: false
    },
    root: { path: rootFs, readonly: true },
    mounts: [
      { destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "noexec", "nodev"] },
      { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=755"] },
    ],
    linux: {
      namespaces: ["mount", "pid", "network", "ipc", "uts"].map((type) => ({ type })),
      maskedPaths: ["/proc/kcore", "/proc/keys", "/proc/timer_list"],
      readonlyPaths: ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
    },
  };
  try {
    writeFileSync(join(bundle, "config.json"), JSON.stringify(config));
    const name = `bulkhead-test-${process.pid}-${Math.random().toString(36).slice(2)}`;
    const { status, stdout, stderr } = spawnSync(program, ["run", "--bundle", bundle, name], { encoding: "utf8" });
    return { status: status ?? -1, stdout, stderr };
  } finally {
    rmSync(bundle, { recursive: true });
  }
}
