/** `bulkhead version` */
import type { Command } from "commander";
import { apiVersion } from "../../policy/analyze/types.ts";
import { toData } from "../../report/yaml.ts";
import type { ExitCode, Io, Shell } from "../io.ts";
import { addOutputOption } from "../options.ts";

interface Options {
  readonly output: "text" | "json" | "yaml";
  readonly version: string;
}

export function register(program: Command, shell: Shell): void {
  const command = program.command("version").description("Print the version");
  addOutputOption(command, ["text", "json", "yaml"]).action(async (options: { output: Options["output"] }) => {
    shell.exitCode = await run({ ...options, version: shell.version }, shell.io);
  });
}

export async function run({ output, version }: Options, io: Io): Promise<ExitCode> {
  const data = { apiVersion, kind: "Version", version };
  if (output === "text") io.stdout.write(`bulkhead ${version}\n`);
  else io.stdout.write(toData(output, data));
  return 0;
}
