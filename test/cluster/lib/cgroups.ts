/** A cgroup for each node, below which its kubelet makes those of its pods. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { sleep } from "./run.ts";

const mounted = "/sys/fs/cgroup";

/** One hierarchy with cgroup v2, one for each controller with v1. */
function hierarchies(): readonly string[] {
  if (existsSync(join(mounted, "cgroup.controllers"))) return [mounted];
  return readdirSync(mounted)
    .map((name) => join(mounted, name))
    .filter((path) => existsSync(join(path, "cgroup.procs")));
}

/** @throws Error that says what hinders, and what to do */
export function makeCgroup(name: string): void {
  try {
    for (const hierarchy of hierarchies()) {
      const path = join(hierarchy, name);
      mkdirSync(path, { recursive: true });
      if (hierarchy === mounted) delegateControllers();
      // a new cpuset is empty, and nothing can run in it
      for (const file of ["cpuset.cpus", "cpuset.mems"])
        if (hierarchy !== mounted && existsSync(join(hierarchy, file)))
          writeFileSync(join(path, file), readFileSync(join(hierarchy, file)));
    }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(
      `no cgroup can be made below ${mounted}, which kubelet needs (${why}): run this as root where ${mounted} is writable; in a container with --privileged --cgroupns=private`,
    );
  }
}

/** v2: what kubelet limits must be handed down, and a group that does so may hold no processes unless it is the machine's root. */
function delegateControllers(): void {
  const wanted = ["cpu", "cpuset", "memory", "pids", "io", "hugetlb"];
  const available = readFileSync(join(mounted, "cgroup.controllers"), "utf8").trim().split(" ");
  const enable = available.filter((one) => wanted.includes(one)).map((one) => `+${one}`);
  const control = join(mounted, "cgroup.subtree_control");
  try {
    writeFileSync(control, enable.join(" "));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EBUSY") throw error;
    const leaf = join(mounted, "bulkhead-cluster-host");
    mkdirSync(leaf, { recursive: true });
    for (const pid of readFileSync(join(mounted, "cgroup.procs"), "utf8").split("\n").filter(Boolean))
      try {
        writeFileSync(join(leaf, "cgroup.procs"), pid);
      } catch (moving) {
        if ((moving as NodeJS.ErrnoException).code !== "ESRCH") throw moving; // ended meanwhile
      }
    writeFileSync(control, enable.join(" "));
  }
}

/** Removes it and all below. Its processes are dead, but may not have left yet. */
export async function removeCgroup(name: string): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    const left = hierarchies().filter((hierarchy) => !remove(join(hierarchy, name)));
    if (left.length === 0) return;
    if (attempt === 50) throw new Error(`cgroup ${join(left[0]!, name)} can't be removed: a process is still in it`);
    await sleep(100);
  }
}

function remove(path: string): boolean {
  if (!existsSync(path)) return true;
  const below = readdirSync(path)
    .map((name) => join(path, name))
    .filter((one) => statSync(one, { throwIfNoEntry: false })?.isDirectory());
  if (!below.map(remove).every(Boolean)) return false;
  try {
    rmdirSync(path);
    return true;
  } catch {
    return false;
  }
}

/** Processes of a container somewhere below the cgroup, as the host numbers them, the first one first. */
export function processesOf(name: string, container: string): readonly number[] {
  for (const hierarchy of hierarchies()) {
    const top = join(hierarchy, name);
    const path = existsSync(top)
      ? readdirSync(top, { recursive: true, encoding: "utf8" }).find((one) => one.endsWith(`/${container}`))
      : undefined;
    if (path === undefined) continue;
    const pids = readFileSync(join(top, path, "cgroup.procs"), "utf8")
      .split("\n")
      .filter(Boolean)
      .map(Number);
    if (pids.length > 0) return pids;
  }
  return [];
}
