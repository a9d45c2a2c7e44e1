/** May this process make network namespaces? As root it may; else inside a user namespace of its own, where that is allowed. */
import { spawnSync } from "node:child_process";
import { execute, SystemError } from "./libc.ts";
import { Namespace } from "./namespace.ts";

/** Set in the environment of the process that was started again. */
const marker = "BULKHEAD_USER_NAMESPACE";

export type Rights = { readonly granted: true } | { readonly granted: false; readonly why: string };

/**
 * Makes sure of the right to make namespaces. Without it, replaces the process by the same program as root of a new user
 * namespace: same arguments, same process id. To be called before anything is read or written.
 */
export function obtainRights(): Rights {
  try {
    Namespace.create().close();
    return { granted: true };
  } catch (error) {
    if (!(error instanceof SystemError && error.code === "EPERM")) throw error;
  }
  if (process.env[marker] !== undefined) return { granted: false, why: "not even in a user namespace" };
  const trial = spawnSync("unshare", ["-Urn", "true"], { encoding: "utf8" });
  if (trial.error !== undefined) return { granted: false, why: "the program unshare (util-linux) is not there" };
  if (trial.status !== 0) return { granted: false, why: trial.stderr.trim() };
  process.env[marker] = "1";
  return execute("unshare", ["-Urn", "--", process.execPath, ...process.execArgv, ...process.argv.slice(1)]);
}
