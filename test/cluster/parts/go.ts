/** A Go that can build Kubernetes: the machine's own, or one that it can fetch. */
import { chmodSync, existsSync, readdirSync } from "node:fs";
import { arch } from "node:os";
import { join } from "node:path";
import { run } from "../lib/run.ts";

/** The lowest version that Kubernetes' and containerd's go.mod files ask for. */
const needed = [1, 26] as const;
/** What is fetched where there is none. */
const toolchain = "1.26.8";
/** From here on a Go fetches the version that a module asks for by itself. */
const switches = [1, 21] as const;

export interface Go {
  readonly program: string;
  readonly env: NodeJS.ProcessEnv;
  readonly version: string;
}

/** No Go, and no way to get one: a machine that simply isn't meant to build this. */
export class NoGo extends Error {
  override readonly name = "NoGo";
}

const parse = (text: string): readonly [number, number] | null => {
  const match = /go(\d+)\.(\d+)/.exec(text);
  return match === null ? null : [Number(match[1]), Number(match[2])];
};

const atLeast = ([major, minor]: readonly [number, number], [a, b]: readonly [number, number]): boolean =>
  major > a || (major === a && minor >= b);

/**
 * @param say takes a line of progress
 * @throws NoGo that says what to install
 */
export async function findGo(say: (line: string) => void): Promise<Go> {
  const program = [...(process.env["PATH"] ?? "").split(":"), "/usr/local/go/bin"]
    .map((folder) => join(folder, "go"))
    .find((path) => existsSync(path));
  if (program === undefined)
    throw new NoGo(`Go is missing (${needed.join(".")} or newer, or any that can fetch it: Debian, Ubuntu: golang-go)`);
  const local = await run(program, ["version"], { env: { ...process.env, GOTOOLCHAIN: "local" } });
  const version = parse(local);
  if (version === null) throw new NoGo(`${program} does not say its version: ${local.trim()}`);
  const env = { ...process.env, GOWORK: "off" };
  if (atLeast(version, needed)) return { program, env: { ...env, GOTOOLCHAIN: "local" }, version: local.trim() };
  say(`Go ${version.join(".")} is too old, fetching Go ${toolchain} through the module proxy`);
  if (atLeast(version, switches)) {
    const newer = { ...env, GOTOOLCHAIN: `go${toolchain}` };
    return { program, env: newer, version: (await run(program, ["version"], { env: newer, within: 300_000 })).trim() };
  }
  return fetchToolchain(program, env);
}

/** What `go` does by itself from 1.21 on: the toolchain is a module, checked against the checksum database as any other. */
async function fetchToolchain(program: string, env: NodeJS.ProcessEnv): Promise<Go> {
  const module = `golang.org/toolchain@v0.0.1-go${toolchain}.linux-${arch() === "arm64" ? "arm64" : "amd64"}`;
  const answer = await run(program, ["mod", "download", "-json", module], { env, cwd: "/", within: 300_000 }).catch(
    (error: Error) => {
      throw new NoGo(`Go ${toolchain} can't be fetched: ${error.message}`);
    },
  );
  const root = (JSON.parse(answer) as { readonly Dir: string }).Dir;
  // files of a module are not executable
  for (const folder of ["bin", `pkg/tool/linux_${arch() === "arm64" ? "arm64" : "amd64"}`])
    for (const name of existsSync(join(root, folder)) ? readdirSync(join(root, folder)) : [])
      chmodSync(join(root, folder, name), 0o755);
  const fetched = { program: join(root, "bin/go"), env: { ...env, GOTOOLCHAIN: "local", GOROOT: root } };
  return { ...fetched, version: (await run(fetched.program, ["version"], { env: fetched.env })).trim() };
}
