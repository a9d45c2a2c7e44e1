/** The images that pods of the cluster run, made of programs that are built here. */
import { createHash } from "node:crypto";
import { createWriteStream, mkdirSync, readFileSync } from "node:fs";
import { arch } from "node:os";
import { dirname } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { makeLayer } from "../../../scripts/image/layer.ts";
import { ociArchive } from "../../../scripts/image/oci.ts";
import { directory, type Entry, link, tar } from "../../../scripts/image/tar.ts";

const executable = (file: string, path: string): Entry => ({ path, kind: "file", executable: true, from: file });

/** @param files by their path in the image, where they are here; all of them can be run */
export async function writeImage(
  archive: string,
  reference: string,
  entrypoint: string,
  files: Readonly<Record<string, string>>,
  links: Readonly<Record<string, string>> = {},
): Promise<void> {
  const inputs = Object.entries(files).map(
    ([path, file]) => `${path} ${createHash("sha256").update(readFileSync(file)).digest("hex")}`,
  );
  const content: readonly Entry[] = [
    ...["etc", "tmp", "proc", "sys", "dev"].map(directory),
    ...Object.entries(files).map(([path, file]) => executable(file, path)),
    ...Object.entries(links).map(([path, target]) => link(path, target)),
  ];
  const layer = await makeLayer(reference, [...inputs, JSON.stringify(links)], () => content);
  const config = {
    arch: arch() === "arm64" ? ("arm64" as const) : ("amd64" as const),
    entrypoint: [entrypoint],
    labels: {},
  };
  mkdirSync(dirname(archive), { recursive: true });
  await pipeline(Readable.from(tar(ociArchive(reference, config, [layer]).entries)), createWriteStream(archive));
}
