/**
 * Makes the agent's image without a Docker engine, for either architecture, on a Debian or Ubuntu machine:
 *
 *   node scripts/image.ts --arch arm64 -o bulkhead-arm64.tar     an OCI archive, for `ctr -n k8s.io images import` and the like
 *   node scripts/image.ts --root-fs FOLDER                       its files; deploy/Dockerfile does this
 *
 * The digest of the image goes to standard output, what is being done to standard error.
 */
import { createWriteStream, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { parseArgs } from "node:util";
import { appLayer, program } from "./image/app.ts";
import { type Arch, arches } from "./image/arch.ts";
import { debianLayer } from "./image/debian.ts";
import type { Layer } from "./image/layer.ts";
import { librariesLayer, nodeLayer } from "./image/npm.ts";
import { ociArchive } from "./image/oci.ts";
import { run } from "./image/run.ts";
import { tar } from "./image/tar.ts";

const usage = `usage: node scripts/image.ts [--arch amd64|arm64] [-o FILE.tar] [--tag NAME] [--root-fs FOLDER] [--refresh]

  --arch       default: this machine's
  -o           an OCI archive; default: bulkhead-VERSION-ARCH.tar
  --tag        default: bulkhead/agent:VERSION
  --root-fs    unpack the image's files into a folder instead
  --refresh    ask the package mirrors even if they were asked within a day
`;

const say = (line: string): void => void process.stderr.write(`image: ${line}\n`);
const { version, license, description } = JSON.parse(
  readFileSync(resolve(import.meta.dirname, "../package.json"), "utf8"),
) as Readonly<Record<string, string>>;

async function layersOf(arch: Arch, refresh: boolean): Promise<Layer[]> {
  const compiled = mkdtempSync(join(tmpdir(), "bulkhead-image-"));
  try {
    // What changes most often comes last.
    return [
      await debianLayer(arch, refresh, say),
      await nodeLayer(arch, say),
      await librariesLayer(arch, say),
      await appLayer(compiled, say),
    ];
  } finally {
    rmSync(compiled, { recursive: true });
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      arch: { type: "string", default: process.arch === "x64" ? "amd64" : process.arch },
      output: { type: "string", short: "o" },
      tag: { type: "string", default: `bulkhead/agent:${version}` },
      "root-fs": { type: "string" },
      refresh: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return void process.stdout.write(usage);
  const arch = arches.find((name) => name === values.arch);
  if (arch === undefined) throw new Error(`--arch ${values.arch}: one of ${arches.join(", ")}`);
  const layers = await layersOf(arch, values.refresh);

  const rootFs = values["root-fs"];
  if (rootFs !== undefined) {
    mkdirSync(rootFs, { recursive: true });
    for (const { file } of layers) run("tar", ["-xzf", file, "-C", rootFs, "--no-same-owner"]);
    say(`${rootFs} holds the files`);
    return;
  }
  const output = resolve(values.output ?? `bulkhead-${version}-${arch}.tar`);
  const labels = {
    "org.opencontainers.image.title": "bulkhead",
    "org.opencontainers.image.description": description!,
    "org.opencontainers.image.version": version!,
    "org.opencontainers.image.licenses": license!,
  };
  const { entries, digest } = ociArchive(values.tag, { arch, entrypoint: [program], labels }, layers);
  await pipeline(Readable.from(tar(entries)), createWriteStream(`${output}.unfinished`));
  renameSync(`${output}.unfinished`, output);
  const megabytes = layers.map(({ comment, size }) => `${comment} ${(size / 1e6).toFixed(1)} MB`);
  say(`${output}: ${values.tag} (${megabytes.join(", ")})`);
  process.stdout.write(`${digest}\n`);
}

try {
  await main();
} catch (error) {
  process.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
}
