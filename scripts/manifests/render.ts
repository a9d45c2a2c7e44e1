/** The manifests of deploy/ that are rendered from the chart, and how it is known that they are current. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { sha256 } from "../image/cache.ts";
import { run } from "../image/run.ts";

export const deploy = resolve(import.meta.dirname, "../../deploy");
export const chart = join(deploy, "chart/bulkhead");
const namespace = "bulkhead-system";

interface Rendered {
  /** In deploy/. */
  readonly file: string;
  readonly about: string;
  readonly values: Readonly<Record<string, string>>;
}

export const rendered: readonly Rendered[] = [
  {
    file: "install.yaml",
    about: "Bulkhead on every node of a cluster: docs/install.md.",
    values: { "namespace.create": "true" },
  },
  {
    file: "cni/install.yaml",
    about:
      "The same with the chained CNI plugin, which holds a pod's start until its rules are in force: docs/install.md.",
    values: { "namespace.create": "true", "cni.enabled": "true" },
  },
  {
    file: "uninstall.yaml",
    about: "Takes the CNI plugin, where it is, and the rules away from every node: docs/operations.md.",
    // A plugin that stays behind without an agent would let no pod start: it is looked for in any case.
    values: { "namespace.create": "true", "cni.enabled": "true", uninstall: "true" },
  },
];

/** Of everything in the chart: a manifest names the chart that it was rendered from, so that this is checked without Helm. */
function chartDigest(): string {
  const names = readdirSync(chart, { recursive: true, encoding: "utf8" }).sort();
  const files = names.filter((name) => statSync(join(chart, name)).isFile());
  return sha256(JSON.stringify(files.map((name) => [name, readFileSync(join(chart, name), "utf8")])));
}

/** `helm template` with these values. */
export function template(
  helm: string,
  values: Readonly<Record<string, string>>,
  files: readonly string[] = [],
): string {
  return run(helm, [
    ...["template", "bulkhead", chart, "--namespace", namespace],
    ...Object.entries(values).flatMap(([name, value]) => ["--set", `${name}=${value}`]),
    ...files.flatMap((file) => ["--values", file]),
  ]);
}

export const digestLine = (): string =>
  `# Rendered by \`node scripts/manifests.ts\` from deploy/chart/bulkhead, ${chartDigest()}.`;

/** The text of one manifest. */
export function renderManifest(helm: string, { about, values }: Rendered): string {
  const documents = template(helm, values)
    .replace(/^# Source: .*\n/gm, "")
    .replace(/\n+---$/gm, "\n---");
  return `# ${about}\n${digestLine()}\n${documents}`;
}
