/** The table of docs/architecture.md ("Rooms"): each room imports only from the rooms it may. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, test } from "vitest";

const root = resolve(import.meta.dirname, "../..");
const src = join(root, "src");

/** `outside: true` = may import node: and npm packages. `net` may be imported by all. */
const rooms: Readonly<Record<string, { readonly may: readonly string[]; readonly outside: boolean }>> = {
  net: { may: [], outside: false },
  policy: { may: [], outside: false },
  manifests: { may: ["policy"], outside: true },
  netns: { may: [], outside: true },
  nftables: { may: ["policy", "netns"], outside: true },
  flows: { may: ["policy", "nftables"], outside: true },
  report: { may: ["policy"], outside: false },
  sandbox: { may: ["policy", "manifests", "nftables", "netns", "flows", "report"], outside: true },
  kube: { may: ["policy"], outside: true },
  cni: { may: [], outside: true },
  agent: { may: ["policy", "kube", "cni", "nftables", "netns", "flows"], outside: true },
  cli: {
    may: ["policy", "manifests", "nftables", "netns", "flows", "report", "sandbox", "kube", "cni", "agent"],
    outside: true,
  },
};

const sources = readdirSync(src, { recursive: true, encoding: "utf8" }).filter(
  (f) => f.endsWith(".ts") && !f.endsWith(".test.ts") && !f.endsWith(".arbitrary.ts"),
);

/** Static imports and re-exports at the start of a line or after `}`, and dynamic imports of a literal. */
const specifiers = (text: string): string[] =>
  [...text.matchAll(/(?:^(?:import|export)\b[^;"]*?from |^\} from |^import |\bimport\()"([^"\n]+)"/gm)].map(
    (match) => match[1]!,
  );

describe("the table of imports", () => {
  test("every folder of src is a room of the table", () => {
    const folders = readdirSync(src, { withFileTypes: true }).filter((e) => e.isDirectory());
    expect(folders.map((f) => f.name).filter((name) => rooms[name] === undefined)).toEqual([]);
  });

  test.each(sources)("%s", (file) => {
    const room = file.split("/")[0]!;
    const rule = rooms[room]!;
    for (const specifier of specifiers(readFileSync(join(src, file), "utf8"))) {
      if (!specifier.startsWith(".")) {
        expect(rule.outside, `${file} imports ${specifier}`).toBe(true);
        continue;
      }
      const target = relative(src, resolve(src, dirname(file), specifier)).split("/")[0]!;
      expect([room, "net", ...rule.may], `${file} imports ${specifier}`).toContain(target);
    }
  });

  test("the reference evaluator knows the model and nothing else, so that it can't share a mistake", () => {
    const imports = specifiers(readFileSync(join(src, "policy/evaluate/reference.ts"), "utf8"));
    expect(imports.filter((specifier) => !specifier.startsWith("../model/"))).toEqual([]);
  });
});
