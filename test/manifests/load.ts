/** Help for the tests of src/manifests. */
import { formatProblem, type Loaded, loadManifests, type ReadOptions } from "../../src/manifests/index.ts";

/** Loads a text as if it came through a pipe. */
export const load = (text: string, options: ReadOptions = {}): Promise<Loaded> =>
  loadManifests(["-"], { ...options, stdin: async () => text });

export const errorsOf = (loaded: Loaded): string[] =>
  loaded.problems.filter((p) => p.severity === "error").map(formatProblem);

export const warningsOf = (loaded: Loaded): string[] =>
  loaded.problems.filter((p) => p.severity === "warning").map(formatProblem);

/** Documents of one text. */
export const documents = (...texts: string[]): string => texts.map((text) => text.trim()).join("\n---\n");
