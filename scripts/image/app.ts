/** Bulkhead itself, as JavaScript. */
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { sha256 } from "./cache.ts";
import { type Layer, makeLayer } from "./layer.ts";
import { run } from "./run.ts";
import { type Entry, entriesOf, entryOf, textFile } from "./tar.ts";

const root = resolve(import.meta.dirname, "../..");

/** The program; there is no shell in the image, nor `env`. */
export const program = "/usr/local/bin/bulkhead";
/** A small young generation: most of what an agent reads stays, and would only be copied to and fro in a larger one. */
const launcher = '#!/usr/local/bin/node --max-semi-space-size=4\nimport("/opt/bulkhead/dist/cli/main.js");\n';

/** Compiles into a folder of its own: `dist` may be in use. Types are checked by `npm run types`. */
export function appLayer(compiled: string, say: (line: string) => void): Promise<Layer> {
  say("compiling bulkhead");
  run(join(root, "node_modules/.bin/tsc"), [
    ...[
      "-p",
      join(root, "tsconfig.build.json"),
      "--outDir",
      join(compiled, "dist"),
      "--declaration",
      "false",
      "--noCheck",
    ],
  ]);
  const entries: Entry[] = [
    ...entriesOf(join(compiled, "dist")).map((entry) => ({ ...entry, path: `opt/bulkhead/dist/${entry.path}` })),
    entryOf(join(root, "package.json"), "opt/bulkhead/package.json"),
    entryOf(join(root, "LICENSE"), "opt/bulkhead/LICENSE"),
    textFile(program.slice(1), launcher, true),
  ];
  const inputs = entries.map((entry) => {
    if (entry.kind === "file") return `${entry.path} ${sha256(readFileSync(entry.from))}`;
    return entry.kind === "text" ? `${entry.path} ${sha256(entry.text)}` : entry.path;
  });
  return makeLayer("Bulkhead", inputs.sort(), () => entries);
}
