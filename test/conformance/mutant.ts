/**
 * Loads a part of the product with a fault in it. The fault is an edit of a source text, made while Node loads it: the file
 * itself, and what everybody else imports, stay as they are.
 */
import { readdirSync, readFileSync } from "node:fs";
import { createRequire, registerHooks } from "node:module";

export interface Fault {
  readonly layer: "compiler" | "reference" | "nftables";
  readonly title: string;
  /** Below `src/`: a file, or a folder one of whose files has the text. */
  readonly place: string;
  /** What stands there, exactly once, and what the fault makes of it. */
  readonly replace: readonly [text: string, by: string];
}

const source = new URL("../../src/", import.meta.url);
const parameter = "fault";

interface FaultyFile {
  readonly url: URL;
  readonly text: string;
}

/** By number: the parameter in the URLs of modules that belong to a faulty part. */
const loaded = new Map<string, FaultyFile>();

const numberOf = (url: string | undefined): string | null =>
  url?.startsWith(source.href) ? new URL(url).searchParams.get(parameter) : null;

/** Finds its worker's file by its own name, and has nothing to be wrong about. */
const worker = "/nftables/kernel-thread.ts";

/** `fault:3:policy/compile/live-plan.ts` is that module with fault number 3. */
const faultySpecifier = /^fault:(\d+):(.+)$/;

registerHooks({
  resolve(specifier, context, next) {
    const [, asked, file] = faultySpecifier.exec(specifier) ?? [];
    if (asked !== undefined && file !== undefined)
      return { url: `${new URL(file, source)}?${parameter}=${asked}`, shortCircuit: true };
    const resolved = next(specifier, context);
    const number = numberOf(context.parentURL);
    const belongs = number !== null && resolved.url.startsWith(source.href) && !resolved.url.endsWith(worker);
    return belongs ? { ...resolved, url: `${resolved.url}?${parameter}=${number}` } : resolved;
  },
  load(url, context, next) {
    const module = next(url, context);
    const fault = loaded.get(numberOf(url) ?? "");
    return fault !== undefined && new URL(url).pathname === fault.url.pathname
      ? { ...module, source: fault.text }
      : module;
  },
});

/** @throws Error when the fault has no place, or several, any more */
export function faulty({ place, title, replace: [text, by] }: Fault): FaultyFile {
  const url = new URL(place, source);
  const files = place.endsWith("/")
    ? readdirSync(url)
        .filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"))
        .map((name) => new URL(name, url))
    : [url];
  const pieces = files
    .map((file) => ({ url: file, parts: readFileSync(file, "utf8").split(text) }))
    .filter(({ parts }) => parts.length > 1);
  if (pieces.length !== 1 || pieces[0]!.parts.length !== 2)
    throw new Error(`the fault "${title}" has no place any more: src/${place} must have once: ${text}`);
  return { url: pieces[0]!.url, text: pieces[0]!.parts.join(by) };
}

const require = createRequire(import.meta.url);
const importNatively = require("./native-import.cjs") as (specifier: string) => Promise<unknown>;

/** A function that loads modules, given below `src/`, with everything they import, as they are with this fault. */
export function loader(fault: Fault): <T>(file: string) => Promise<T> {
  const number = String(loaded.size + 1);
  loaded.set(number, faulty(fault));
  return async <T>(file: string) => (await importNatively(`fault:${number}:${file}`)) as T;
}
