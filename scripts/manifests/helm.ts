/** The Helm program: the machine's own, the cached one, or one built from its Go module. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { cacheFolder } from "../image/cache.ts";
import { run } from "../image/run.ts";

/** Helm's module and version: what the committed manifests are rendered with. */
const helmModule = "helm.sh/helm/v4/cmd/helm";
export const helmVersion = "v4.3.1";

/** @returns null when Helm is neither in the cache nor in `BULKHEAD_HELM` */
export function findHelm(): string | null {
  const cached = join(cacheFolder(`helm-${helmVersion}`), "helm");
  return process.env["BULKHEAD_HELM"] ?? (existsSync(cached) ? cached : null);
}

/**
 * Builds Helm where it is not there yet: some minutes with Go 1.26.
 * @throws Error when there is no Go
 */
export function obtainHelm(say: (line: string) => void): string {
  const found = findHelm();
  if (found !== null) return found;
  if (spawnSync("go", ["version"]).status !== 0)
    throw new Error("Helm is needed: set BULKHEAD_HELM to the program, or install Go, with which it is built");
  say(`building Helm ${helmVersion} from its Go module`);
  const folder = cacheFolder(`helm-${helmVersion}`);
  const unfinished = mkdtempSync(join(folder, "unfinished-"));
  try {
    run("go", ["install", "-trimpath", "-ldflags=-s -w", `${helmModule}@${helmVersion}`], {
      env: { ...process.env, GOBIN: unfinished, CGO_ENABLED: "0", GOFLAGS: "-mod=mod" },
    });
    renameSync(join(unfinished, "helm"), join(folder, "helm"));
  } finally {
    rmSync(unfinished, { recursive: true });
  }
  return join(folder, "helm");
}
