/** Programs that the image is made with. */
import { spawnSync } from "node:child_process";

/**
 * @param options `stdout`: an open file's descriptor, for what the program writes
 * @returns standard output
 * @throws Error with the end of what the program wrote, when it fails or is not there
 */
export function run(
  program: string,
  args: readonly string[],
  options: { env?: NodeJS.ProcessEnv; cwd?: string; stdout?: number } = {},
): string {
  const { stdout = "pipe", ...rest } = options;
  const done = spawnSync(program, args, {
    encoding: "utf8",
    maxBuffer: 1 << 28,
    stdio: ["ignore", stdout, "pipe"],
    ...rest,
  });
  if (done.error !== undefined)
    throw new Error(
      (done.error as NodeJS.ErrnoException).code === "ENOENT"
        ? `the program ${program} is not there`
        : done.error.message,
    );
  if (done.status !== 0) {
    const said = `${done.stdout ?? ""}${done.stderr}`.trim().split("\n").slice(-8).join("\n");
    throw new Error(`${program} ${args.join(" ")} failed:\n${said}`);
  }
  return done.stdout;
}
