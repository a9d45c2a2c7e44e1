/** Layers of an image: made once for each set of inputs, then taken from the cache. */
import { createHash } from "node:crypto";
import { createWriteStream, existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { cacheFolder } from "./cache.ts";
import { type Entry, tar } from "./tar.ts";

export interface Layer {
  /** What the image's history says of it. */
  readonly comment: string;
  /** The gzipped tar. */
  readonly file: string;
  /** `sha256:…` of `file`. */
  readonly digest: string;
  readonly size: number;
  /** `sha256:…` of the tar inside. */
  readonly diffId: string;
}

/** Changes whenever a layer would be made differently of the same inputs. */
const format = "2";

/**
 * @param inputs everything that the layer's content depends on
 * @param content what is in it; may keep files in the folder that it is given until the layer is made
 */
export async function makeLayer(
  comment: string,
  inputs: readonly string[],
  content: (scratch: string) => Iterable<Entry>,
): Promise<Layer> {
  const key = createHash("sha256")
    .update(JSON.stringify([format, comment, ...inputs]))
    .digest("hex")
    .slice(0, 32);
  const folder = cacheFolder("image", "layers");
  const about = join(folder, `${key}.json`);
  const file = join(folder, `${key}.tar.gz`);
  if (existsSync(about)) return { ...(JSON.parse(readFileSync(about, "utf8")) as Layer), file };

  const work = mkdtempSync(join(tmpdir(), "bulkhead-layer-"));
  const unfinished = mkdtempSync(join(folder, "unfinished-"));
  try {
    const plain = createHash("sha256");
    const packed = createHash("sha256");
    let size = 0;
    await pipeline(
      Readable.from(tar(content(work)), { objectMode: false }),
      async function* (chunks: AsyncIterable<Buffer>) {
        for await (const chunk of chunks) {
          plain.update(chunk);
          yield chunk;
        }
      },
      createGzip({ level: 9 }),
      async function* (chunks: AsyncIterable<Buffer>) {
        for await (const chunk of chunks) {
          packed.update(chunk);
          size += chunk.length;
          yield chunk;
        }
      },
      createWriteStream(join(unfinished, "layer")),
    );
    const layer: Layer = {
      comment,
      file,
      digest: `sha256:${packed.digest("hex")}`,
      size,
      diffId: `sha256:${plain.digest("hex")}`,
    };
    writeFileSync(join(unfinished, "about"), JSON.stringify(layer));
    renameSync(join(unfinished, "layer"), file);
    renameSync(join(unfinished, "about"), about); // last: it says that the layer is complete
    return layer;
  } finally {
    rmSync(work, { recursive: true, force: true });
    rmSync(unfinished, { recursive: true, force: true });
  }
}
