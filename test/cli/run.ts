/** Runs a command line inside the test's own process, with streams in memory. */

import type { ExitCode, Sink } from "../../src/cli/io.ts";
import { runCli } from "../../src/cli/program.ts";

export interface Outcome {
  readonly code: ExitCode;
  readonly stdout: string;
  readonly stderr: string;
}

interface Surroundings {
  readonly stdin?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly isTTY?: boolean;
}

export async function bulkhead(
  args: readonly string[],
  { stdin = "", env = {}, isTTY = false }: Surroundings = {},
): Promise<Outcome> {
  const written = { stdout: "", stderr: "" };
  const sink = (name: keyof typeof written): Sink => ({
    isTTY,
    columns: isTTY ? 100 : undefined,
    write: (text) => {
      written[name] += text;
    },
  });
  const io = {
    stdout: sink("stdout"),
    stderr: sink("stderr"),
    stdin: { read: async () => stdin },
    env,
    signal: new AbortController().signal,
  };
  const code = await runCli(args, io, "0.0.0");
  return { code, ...written };
}

/** Files of this folder, as seen from the root, where tests run. */
export const here = "test/cli";
export const shop = ["-f", `${here}/shop`];
