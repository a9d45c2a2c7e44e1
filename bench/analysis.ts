/**
 * Reading, compiling, mapping, asking and changing worlds of growing size: `node bench/analysis.ts [--quick] [--out FILE]`.
 * Every world is measured in processes of its own, so that none warms up another, and memory is one world's.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Pipeline } from "./pipeline.ts";
import type { ProcessCost } from "./process-cost.ts";
import type { Figure, Suite, Target } from "./results.ts";
import type { Stage } from "./stages.ts";
import { median } from "./statistics.ts";
import { suiteMain } from "./suite.ts";
import { describeSum } from "./table.ts";
import { appManifests, jsonDump, type Manifest, profileManifests, writeFolder, yamlDump } from "./worlds.ts";

interface MeasuredWorld {
  readonly id: string;
  readonly title: string;
  readonly manifests: () => Manifest[];
  /** As the files of a repository; else as one dump. */
  readonly isFolder: boolean;
}

const workloads = (count: number): MeasuredWorld => ({
  id: String(count),
  title: `${count.toLocaleString("en")} workloads, as many policies`,
  manifests: () => appManifests(count),
  isFolder: true,
});

const profile: MeasuredWorld = {
  id: "profile",
  title: "real-cluster profile: 5,413 pods, 604 namespaces, 13,678 policies",
  manifests: profileManifests,
  isFolder: false,
};

const smallest = 100;
const largest = 10_000;

const stageTitles: Readonly<Record<string, string>> = {
  YAML: "read YAML",
  JSON: "read JSON",
  compile: "compile",
  classes: "full map, computed as classes",
  map: "full map, listed",
  verdict: "one verdict (evaluate)",
  query: "one query (can, with its references)",
  pod: "one pod relabelled",
  namespace: "one namespace relabelled",
  policy: "one policy changed",
};

const stageTargets: Readonly<Record<string, Target>> = {
  query: { atMost: 1 },
  pod: { atMost: 1 },
  policy: { atMost: 10 },
};

const root = new URL("..", import.meta.url).pathname;

/** Runs a child of this suite and reads the JSON that it prints. */
function child<T>(script: string, ...args: string[]): T {
  const text = execFileSync(process.execPath, [join(root, "bench", script), ...args], { maxBuffer: 2 ** 30 });
  return JSON.parse(text.toString()) as T;
}

const program = join(root, "bulkhead");

/** Wall time of a whole process, from its start to its end. */
function processTime(args: readonly string[]): number {
  const start = performance.now();
  execFileSync(program, args, { stdio: ["ignore", "ignore", "inherit"] });
  return performance.now() - start;
}

/** Memory and CPU time of a whole process. */
function processCost(args: readonly string[]): ProcessCost {
  const options = `--import=${new URL("process-cost.ts", import.meta.url).href}`;
  const { status, output } = spawnSync(program, args, {
    stdio: ["ignore", "ignore", "inherit", "pipe"],
    env: { ...process.env, NODE_OPTIONS: options },
  });
  if (status !== 0) throw new Error(`bulkhead ${args.join(" ")} failed`);
  return JSON.parse(output[3]!.toString()) as ProcessCost;
}

interface Files {
  readonly yaml: string;
  readonly json: string;
}

async function write(folder: string, { id, manifests, isFolder }: MeasuredWorld): Promise<Files> {
  const objects = manifests();
  const yaml = join(folder, isFolder ? id : `${id}.yaml`);
  const json = join(folder, `${id}.json`);
  if (isFolder) await writeFolder(yaml, objects);
  else await writeFile(yaml, yamlDump(objects));
  await writeFile(json, jsonDump(objects));
  return { yaml, json };
}

const less = { better: "less", statistic: "median", unit: "ms" } as const;

/** The stages apart. */
function stageFigures({ id, title }: MeasuredWorld, { yaml, json }: Files, seconds: number): Figure[] {
  return child<Stage[]>("stages.ts", yaml, json, String(seconds)).map(({ name, samples, detail }) => {
    const target = stageTargets[name];
    return {
      ...less,
      id: `analysis/${id}/${name}`,
      group: title,
      what: stageTitles[name]!,
      samples,
      ...(target === undefined ? {} : { target }),
      ...(detail === undefined ? {} : { detail }),
    };
  });
}

/** From YAML to the computed map in one cold process. */
function pipelineFigures({ id, title }: MeasuredWorld, { yaml }: Files, runs: number): Figure[] {
  const results = Array.from({ length: runs }, () => child<Pipeline>("pipeline.ts", yaml));
  const part = (name: "read" | "compile" | "map" | "cpu"): string =>
    `${name === "cpu" ? "CPU" : name} ${median(results.map((result) => result[name])).toFixed(0)} ms`;
  return [
    {
      ...less,
      statistic: "best",
      id: `analysis/${id}/cold`,
      group: title,
      what: "read YAML, compile and compute the map, cold",
      samples: results.map((result) => result.read + result.compile + result.map),
      detail: `${part("read")}, ${part("compile")}, ${part("map")}; ${part("cpu")} with all threads; ${describeSum(results[0]!.sum)}`,
      ...(id === profile.id && { target: { atMost: 10_000 } }),
    },
    {
      ...less,
      id: `analysis/${id}/memory`,
      group: title,
      what: "peak memory of that",
      unit: "MB",
      samples: results.map(({ peakMB }) => peakMB),
    },
  ];
}

/** `bulkhead map` as a user runs it, with the start of the process. */
function commandFigures({ title }: MeasuredWorld, { yaml }: Files, runs: number, sum: string): Figure[] {
  const map = ["map", "-f", yaml, "-o", "json"];
  processTime(map); // the first run of a checkout fills its cache of stripped types
  const version: number[] = [];
  const whole: number[] = [];
  for (let i = 0; i < runs; i++) {
    version.push(processTime(["--version"]));
    whole.push(processTime(map));
  }
  const group = `whole processes; ${title}`;
  const costs = Array.from({ length: Math.min(runs, 3) }, () => processCost(map));
  const cpu = Math.min(...costs.map((cost) => cost.cpu));
  const times = Math.min(...whole) / Math.min(...version);
  return [
    {
      ...less,
      statistic: "best",
      id: "analysis/command/version",
      group,
      what: "bulkhead --version",
      samples: version,
    },
    {
      ...less,
      statistic: "best",
      id: "analysis/command/map",
      group,
      what: "bulkhead map -f DIR -o json > /dev/null",
      samples: whole,
      detail: `${times.toFixed(1)} times --version; ${cpu.toFixed(0)} ms of the main thread on the CPU; ${sum}`,
      target: { atMost: 1000 },
    },
    {
      ...less,
      id: "analysis/command/memory",
      group,
      what: "peak memory of that",
      unit: "MB",
      samples: costs.map(({ maxRSS }) => maxRSS / 1024),
      target: { atMost: 300 },
    },
  ];
}

/** Slopes between the smallest and the largest world on a log-log scale. 1: in proportion. */
function growth(figures: readonly Figure[]): Figure[] {
  const targets: Readonly<Record<string, Target>> = { compile: { atMost: 1.2 }, pod: { atMost: 0.2 } };
  return Object.keys(stageTitles).flatMap((name) => {
    const [small, large] = [smallest, largest].map((size) => figures.find((f) => f.id === `analysis/${size}/${name}`));
    if (small === undefined || large === undefined) return [];
    const target = targets[name];
    const exponent = Math.log(median(large.samples) / median(small.samples)) / Math.log(largest / smallest);
    return {
      ...less,
      id: `analysis/growth/${name}`,
      group: `growth exponents from ${smallest} to ${largest.toLocaleString("en")} workloads`,
      what: stageTitles[name]!,
      unit: "",
      samples: [exponent],
      ...(target === undefined ? {} : { target }),
    };
  });
}

async function measure(quick: boolean): Promise<Pick<Suite, "figures" | "notes">> {
  const folder = mkdtempSync(join(tmpdir(), "bulkhead-bench-"));
  const figures: Figure[] = [];
  try {
    const worlds = quick
      ? [workloads(smallest), workloads(1000)]
      : [workloads(smallest), workloads(1000), workloads(largest), profile];
    for (const world of worlds) {
      process.stderr.write(`${world.title}\n`);
      const files = await write(folder, world);
      figures.push(...stageFigures(world, files, quick ? 0.3 : 3));
      figures.push(...pipelineFigures(world, files, quick ? 1 : 3));
      if (world.id === "1000") {
        const sum = figures.find(({ id }) => id === "analysis/1000/cold")?.detail ?? "";
        figures.push(...commandFigures(world, files, quick ? 2 : 5, sum.slice(sum.lastIndexOf(";") + 2)));
      }
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return {
    figures: [...figures, ...growth(figures)],
    notes: [
      "Each Deployment has a policy with three ingress and three egress rules: selectors by label and by expression, namespaceSelectors, ipBlocks with except, named ports and ranges (bench/worlds.ts).",
      "The profile has the published histograms of a real cluster (bench/profile.ts).",
      "Computed as classes: every pair of endpoints is judged, counted and summed up, but not listed.",
      "Cold times and whole processes start with nothing compiled or cached by the engine of the language; the stages apart are repeated in one warm process.",
      "The checksum is over all pairs and their ports: equal maps have equal sums.",
    ],
  };
}

await suiteMain("analysis", "node bench/analysis.ts", measure);
