/** A file's text into its documents, split where kubectl splits. */
import { type Document, SyntaxProblem } from "./document.ts";
import { parseJson } from "./json.ts";
import type { TextFile } from "./text.ts";
import { parseYaml } from "./yaml/yaml.ts";

export interface ParsedFile {
  readonly documents: readonly Document[];
  readonly errors: readonly SyntaxProblem[];
}

/** Reads every document of a file; one that can't be read does not keep the others from being read. */
export function parseFile({ text }: TextFile): ParsedFile {
  const documents: Document[] = [];
  const errors: SyntaxProblem[] = [];
  for (const { start, end } of chunks(text)) {
    const chunk = text.slice(start, end);
    try {
      documents.push(...parseChunk(chunk, start));
    } catch (error) {
      if (!(error instanceof SyntaxProblem)) throw error;
      errors.push(asHelmTemplate(chunk, start) ?? error);
    }
  }
  return { documents, errors };
}

interface Chunk {
  readonly start: number;
  readonly end: number;
}

/**
 * apimachinery's YAMLReader: a line that is `---`, and after it nothing but blanks or a comment, ends a document. Other
 * lines that begin with `---` stay inside.
 */
function* chunks(text: string): Generator<Chunk> {
  let start = 0;
  for (const separator of text.matchAll(/(?<=^|\n)---[^\S\n]*(?:#[^\n]*)?(?=\n|$)/g)) {
    yield { start, end: separator.index };
    start = separator.index + separator[0].length;
  }
  yield { start, end: text.length };
}

function parseChunk(chunk: string, base: number): Document[] {
  const first = chunk.search(/\S/);
  if (first < 0) return [];
  if (chunk[first] === "{") {
    try {
      return parseJson(chunk.slice(first), base + first);
    } catch (error) {
      // A mapping in YAML's flow style begins like JSON.
      if (!(error instanceof SyntaxProblem)) throw error;
      try {
        const document = parseYaml(chunk, base);
        return document === null ? [] : [document];
      } catch {
        throw error;
      }
    }
  }
  const document = parseYaml(chunk, base);
  return document === null ? [] : [document];
}

export const helmTemplate = "looks like an unrendered Helm template: render it first with 'helm template'";

function asHelmTemplate(chunk: string, base: number): SyntaxProblem | null {
  const at = chunk.indexOf("{{");
  return at < 0 ? null : new SyntaxProblem(helmTemplate, base + at, "helm-template");
}
