/** Which kubeconfig files there are, and what they say together: client-go's loading rules (`clientcmd/loader.go`). */
import { readFile, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import {
  type ClusterEntry,
  decodeKubeconfig,
  type ExecEntry,
  type Kubeconfig,
  type UserEntry,
} from "./kubeconfig-entries.ts";
import { KubeconfigError } from "./kubeconfig-error.ts";

type Env = Readonly<Record<string, string | undefined>>;

/** Bytes of one file: thousands of clusters. */
const maxBytes = 16 * 1024 * 1024;

/** `--kubeconfig`, else those of KUBECONFIG, else the one in the home folder. */
function kubeconfigPaths(explicit: string | undefined, env: Env): readonly string[] {
  if (explicit !== undefined && explicit !== "") return [explicit];
  const listed = env["KUBECONFIG"] ?? "";
  if (listed !== "") return [...new Set(listed.split(delimiter).filter((path) => path !== ""))];
  return [join(env["HOME"] || homedir(), ".kube", "config")];
}

/**
 * Reads and merges: the first file that has a cluster, user, context or `current-context` decides it. Files that do not exist
 * are passed over, except the one of `--kubeconfig`. Relative paths are relative to the file they stand in.
 * @throws {KubeconfigError} with the file's name
 */
export async function readKubeconfig(explicit: string | undefined, env: Env): Promise<Kubeconfig> {
  const merged = {
    clusters: new Map<string, ClusterEntry>(),
    users: new Map<string, UserEntry>(),
    contexts: new Map<string, Kubeconfig["contexts"] extends ReadonlyMap<string, infer T> ? T : never>(),
    currentContext: "",
  };
  for (const path of kubeconfigPaths(explicit, env)) {
    const config = await readOne(path, explicit !== undefined && explicit !== "");
    if (config === null) continue;
    for (const [name, entry] of config.clusters) if (!merged.clusters.has(name)) merged.clusters.set(name, entry);
    for (const [name, entry] of config.users) if (!merged.users.has(name)) merged.users.set(name, entry);
    for (const [name, entry] of config.contexts) if (!merged.contexts.has(name)) merged.contexts.set(name, entry);
    merged.currentContext ||= config.currentContext;
  }
  return merged;
}

/** null: there is no such file, or nothing in it. */
async function readOne(path: string, isRequired: boolean): Promise<Kubeconfig | null> {
  const text = await readText(path, isRequired);
  if (text === null || text.trim() === "") return null;
  const { loadYaml } = await import("@kubernetes/client-node");
  try {
    return withAbsolutePaths(decodeKubeconfig(loadYaml(text)), dirname(resolve(path)));
  } catch (error) {
    // The parser's message goes on with an excerpt of the file, which may hold a token.
    const [reason] = (error as Error).message.split("\n");
    throw new KubeconfigError(`kubeconfig ${path}: ${reason}`);
  }
}

async function readText(path: string, isRequired: boolean): Promise<string | null> {
  try {
    const { size } = await stat(path);
    if (size > maxBytes) throw new KubeconfigError(`kubeconfig ${path}: more than ${maxBytes / 1024 / 1024} MiB`);
    return await readFile(path, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" && !isRequired) return null;
    if (error instanceof KubeconfigError) throw error;
    throw new KubeconfigError(`kubeconfig ${path}: ${fileFault(error)}`);
  }
}

/** Why a file can't be read, in words. */
export function fileFault(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  const words: Readonly<Record<string, string>> = {
    ENOENT: "no such file",
    EACCES: "permission denied",
    EISDIR: "is a folder",
  };
  return words[code ?? ""] ?? message;
}

function withAbsolutePaths(config: Kubeconfig, folder: string): Kubeconfig {
  const absolute = (path: string): string => (path === "" ? "" : resolve(folder, path));
  return {
    ...config,
    clusters: new Map([...config.clusters].map(([name, c]) => [name, { ...c, caFile: absolute(c.caFile) }])),
    users: new Map(
      [...config.users].map(([name, u]) => [
        name,
        {
          ...u,
          certFile: absolute(u.certFile),
          keyFile: absolute(u.keyFile),
          tokenFile: absolute(u.tokenFile),
          exec: u.exec === null ? null : withAbsoluteCommand(u.exec, folder),
        },
      ]),
    ),
  };
}

/** A command without a slash is looked up on PATH. */
const withAbsoluteCommand = (exec: ExecEntry, folder: string): ExecEntry =>
  /[/\\]/.test(exec.command) ? { ...exec, command: resolve(folder, exec.command) } : exec;
