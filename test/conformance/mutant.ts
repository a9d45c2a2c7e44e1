/**
 * Loads a part of the product with a fault in it. The fault is an edit of a source text, made while Node loads it: the file
 * itself, and what everybody else imports, stay as they are.
 */
import { readFileSync } from "node:fs";
import { createRequire, registerHooks } from "node:module";

export interface Fault {
  readonly layer: "compiler" | "reference" | "nftables";
  readonly title: string;
  /** Below `src/`. */
  readonly file: string;
  /** What stands there, exactly once, and what the fault makes of it. */
  readonly replace: readonly [text: string, by: string];
}

const source = new URL("../../src/", import.meta.url);
const parameter = "fault";

/** By number: the parameter in the URLs of modules that belong to a faulty part. */
const loaded = new Map<string, Fault>();

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
    if (fault === undefined || new URL(url).pathname !== fileOf(fault).pathname) return module;
    return { ...module, source: faulty(fault) };
  },
});

const fileOf = (fault: Fault): URL => new URL(fault.file, source);

function faulty({ file, title, replace: [text, by] }: Fault): string {
  const [before, after, ...more] = readFileSync(new URL(file, source), "utf8").split(text);
  if (before === undefined || after === undefined || more.length > 0)
    throw new Error(`the fault "${title}" has no place any more: src/${file} must have once: ${text}`);
  return before + by + after;
}

const require = createRequire(import.meta.url);
const importNatively = require("./native-import.cjs") as (specifier: string) => Promise<unknown>;

/** A function that loads modules, given below `src/`, with everything they import, as they are with this fault. */
export function loader(fault: Fault): <T>(file: string) => Promise<T> {
  faulty(fault); // fails now, not when some module is reached
  const number = String(loaded.size + 1);
  loaded.set(number, fault);
  return async <T>(file: string) => (await importNatively(`fault:${number}:${file}`)) as T;
}
