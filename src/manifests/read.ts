/** Files to records: everything that each object says alone. */
import { type DecodeOptions, decodeObject } from "./decode.ts";
import { parseFile } from "./documents.ts";
import { type Inputs, isKustomization } from "./input.ts";
import { objectsOf } from "./objects.ts";
import type { Problem } from "./problem.ts";
import type { ObjectRecord } from "./record.ts";
import type { TextFile } from "./text.ts";

/** What was read, before the objects are joined. */
export interface Reading {
  readonly records: readonly ObjectRecord[];
  readonly problems: readonly Problem[];
  /** By `apiVersion/kind`. */
  readonly ignored: ReadonlyMap<string, number>;
  readonly objects: number;
  readonly files: number;
}

export function readObjects(inputs: Inputs, options: DecodeOptions): Reading {
  const reader = new Reader(options);
  for (const file of inputs.files) reader.file(file);
  const problems = [...inputs.problems, ...reader.problems];
  if (reader.objects === 0 && problems.length === 0) {
    problems.push({ severity: "error", code: "no-objects", message: noObjects(inputs), position: null, path: [] });
  }
  const { records, ignored, objects } = reader;
  return { records, problems, ignored, objects, files: inputs.files.length };
}

function noObjects({ files }: Inputs): string {
  return files.length === 0 ? "no objects: no file was named" : `no objects in ${files.map((f) => f.name).join(", ")}`;
}

class Reader {
  readonly records: ObjectRecord[] = [];
  readonly problems: Problem[] = [];
  readonly ignored = new Map<string, number>();
  objects = 0;
  readonly #options: DecodeOptions;

  constructor(options: DecodeOptions) {
    this.#options = options;
  }

  file(file: TextFile): void {
    if (isKustomization(file.name)) {
      this.#ignore("kustomize.config.k8s.io/v1beta1/Kustomization");
      const message = "a kustomization is no manifest: render it with 'kubectl kustomize' and read the result";
      this.problems.push({ severity: "warning", code: "kustomization", message, position: file.position(0), path: [] });
      return;
    }
    const report = (problem: Problem): void => void this.problems.push(problem);
    const { documents, errors } = parseFile(file);
    for (const { code, message, offset } of errors) {
      report({ severity: "error", code, message, position: file.position(offset), path: [] });
    }
    for (const document of documents) {
      for (const raw of objectsOf(file, document, report)) {
        this.objects++;
        const { record, isIgnored, problems } = decodeObject(raw, this.#options);
        if (record !== null) this.records.push(record);
        const isFirst = isIgnored && this.#ignore(`${raw.apiVersion}/${raw.kind}`);
        // One warning for a kind that is not understood is enough: `ignored` has their number.
        for (const problem of problems) if (problem.code !== "unsupported-kind" || isFirst) report(problem);
      }
    }
  }

  /** @returns whether it is the first of its kind */
  #ignore(kind: string): boolean {
    const before = this.ignored.get(kind) ?? 0;
    this.ignored.set(kind, before + 1);
    return before === 0;
  }
}
