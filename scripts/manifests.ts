/** Writes the manifests of deploy/ that are rendered from the Helm chart. Helm is built with Go where it is not there. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { obtainHelm } from "./manifests/helm.ts";
import { deploy, rendered, renderManifest } from "./manifests/render.ts";

const say = (line: string): void => void process.stderr.write(`manifests: ${line}\n`);

try {
  const helm = await obtainHelm(say);
  for (const manifest of rendered) {
    const file = join(deploy, manifest.file);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, renderManifest(helm, manifest));
    say(`deploy/${manifest.file}`);
  }
} catch (error) {
  process.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
}
