/** The agent's program as it is installed: JavaScript, and Node.js with the flags of the launcher. */
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync } from "node:fs";
import { join, resolve } from "node:path";

const root = resolve(import.meta.dirname, "../..");
const modules = join(root, "node_modules");
/** Below the dependencies, so that they are found. */
const folder = join(modules, ".cache/bulkhead-bench");

/** Compiles the sources. @returns the command up to the verb */
export function buildProgram(): readonly string[] {
  mkdirSync(folder, { recursive: true });
  const args = ["-p", join(root, "tsconfig.build.json"), "--outDir", join(folder, "dist"), "--declaration", "false"];
  execFileSync(join(modules, ".bin/tsc"), [...args, "--noCheck"], { stdio: "inherit" });
  copyFileSync(join(root, "package.json"), join(folder, "package.json"));
  return [process.execPath, join(folder, "dist/cli/main.js")];
}
