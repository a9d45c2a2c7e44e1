/** An OCI image layout (image-spec v1.1) in one tar archive, as containerd, CRI-O, podman, skopeo and Docker load it. */
import type { Arch } from "./arch.ts";
import { sha256 } from "./cache.ts";
import type { Layer } from "./layer.ts";
import { type Entry, textFile } from "./tar.ts";

export interface ImageConfig {
  readonly arch: Arch;
  readonly entrypoint: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
}

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

const media = "application/vnd.oci.image";
/** Nothing in an image says when it was made: the same inputs are the same image. */
const epoch = "1970-01-01T00:00:00Z";

/** `bulkhead/agent:1.0` → `docker.io/bulkhead/agent:1.0`, the name by which Kubernetes looks for it. */
export function fullName(name: string): string {
  const [first = "", ...rest] = name.split("/");
  const hasHost = rest.length > 0 && /[.:]|^localhost$/.test(first);
  const withHost = hasHost ? name : `docker.io/${rest.length > 0 ? name : `library/${name}`}`;
  return /:[^/]*$/.test(withHost) ? withHost : `${withHost}:latest`;
}

/** @returns the archive's entries and the manifest's digest, which names the image */
export function ociArchive(
  name: string,
  config: ImageConfig,
  layers: readonly Layer[],
): { entries: Entry[]; digest: string } {
  const entries = new Map<string, Entry>();
  const blob = (mediaType: string, value: unknown): Descriptor => {
    const text = JSON.stringify(value);
    const digest = sha256(text);
    entries.set(digest, textFile(`blobs/sha256/${digest}`, text));
    return { mediaType: `${media}.${mediaType}`, digest: `sha256:${digest}`, size: Buffer.byteLength(text) };
  };
  for (const { digest, file } of layers) {
    const hex = digest.slice("sha256:".length);
    entries.set(hex, { path: `blobs/sha256/${hex}`, kind: "file", executable: false, from: file });
  }
  const platform = { architecture: config.arch, os: "linux" };
  const manifest = blob("manifest.v1+json", {
    schemaVersion: 2,
    mediaType: `${media}.manifest.v1+json`,
    config: blob("config.v1+json", {
      created: epoch,
      ...platform,
      config: {
        Env: ["PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
        Entrypoint: config.entrypoint,
        WorkingDir: "/",
        Labels: config.labels,
      },
      rootfs: { type: "layers", diff_ids: layers.map(({ diffId }) => diffId) },
      history: layers.map(({ comment }) => ({ created: epoch, comment })),
    }),
    layers: layers.map(({ digest, size }) => ({ mediaType: `${media}.layer.v1.tar+gzip`, digest, size })),
  });
  const index = {
    schemaVersion: 2,
    mediaType: `${media}.index.v1+json`,
    manifests: [
      {
        ...manifest,
        platform,
        annotations: {
          "io.containerd.image.name": fullName(name),
          "org.opencontainers.image.ref.name": fullName(name).replace(/.*:/, ""),
        },
      },
    ],
  };
  return {
    entries: [
      textFile("oci-layout", JSON.stringify({ imageLayoutVersion: "1.0.0" })),
      textFile("index.json", JSON.stringify(index)),
      ...entries.values(),
    ],
    digest: manifest.digest,
  };
}
