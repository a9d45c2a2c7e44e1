/** What the pages name is there: paths in backticks, links, npm scripts. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { describe, expect, test } from "vitest";

const root = resolve(import.meta.dirname, "../..");
const read = (path: string): string => readFileSync(join(root, path), "utf8");

// docs/semantics.md quotes paths of Kubernetes' own repositories.
const pages = [
  "README.md",
  "CONTRIBUTING.md",
  ...readdirSync(join(root, "docs")).flatMap((name) =>
    name.endsWith(".md") && name !== "semantics.md" ? [`docs/${name}`] : [],
  ),
];

/** Words in backticks that start with a folder of this repository. */
const paths = (text: string): string[] =>
  [...text.matchAll(/`([^`\n]+)`/g)].flatMap(([, code]) =>
    code!.split(/[\s,:]+/).filter((word) => /^(?:src|test|docs|scripts|bench|examples)\/[\w./@-]*$/.test(word)),
  );

const links = (text: string): string[] =>
  [...text.matchAll(/\]\(([^)#\s]+)[^)]*\)/g)].map(([, to]) => to!).filter((to) => !/^[a-z]+:/.test(to));

const npmScripts = (text: string): string[] => [...text.matchAll(/npm run ([\w:]+)/g)].map(([, name]) => name!);

describe.each(pages)("%s", (page) => {
  const text = read(page);

  test("names paths that exist", () => {
    expect(paths(text).filter((path) => !existsSync(join(root, path)))).toEqual([]);
    expect(links(text).filter((to) => !existsSync(join(root, dirname(page), to)))).toEqual([]);
  });

  test("names npm scripts that exist", () => {
    const { scripts } = JSON.parse(read("package.json")) as { readonly scripts: Readonly<Record<string, string>> };
    expect(npmScripts(text).filter((name) => scripts[name] === undefined)).toEqual([]);
  });
});

test("the pages do name paths, links and scripts", () => {
  const all = pages.map(read).join("\n");
  expect(paths(all).length).toBeGreaterThan(30);
  expect(links(all).length).toBeGreaterThan(5);
  expect(npmScripts(all).length).toBeGreaterThan(5);
});
