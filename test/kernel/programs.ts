/** Programs of the system, run in a network namespace. */
import { spawnSync } from "node:child_process";
import type { Namespace } from "../../src/netns/namespace.ts";

/** Is there such a program? */
export const hasProgram = (name: string): boolean => spawnSync(name, ["--version"]).error === undefined;

/** A path of the namespace for other processes, as long as this one lives. */
export const pathOf = ({ fd }: Namespace): string => `/proc/${process.pid}/fd/${fd}`;

/** @returns what the program printed @throws Error with what it said */
export function runIn(namespace: Namespace, program: string, args: readonly string[], input = ""): string {
  const child = spawnSync("nsenter", [`--net=${pathOf(namespace)}`, "--", program, ...args], {
    input,
    encoding: "utf8",
  });
  if (child.error !== undefined) throw child.error;
  if (child.status !== 0) throw new Error(`${program} ${args.join(" ")}: ${child.stderr}`);
  return child.stdout;
}
