import { execFile } from "node:child_process";
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { errorsOf, load, warningsOf } from "../../test/manifests/load.ts";
import { type Loaded, loadManifests } from "./index.ts";

const pod = (name: string): string => `apiVersion: v1\nkind: Pod\nmetadata: {name: ${name}}\n`;
const names = ({ world }: Loaded): string[] => world.pods.map((p) => p.name);

let root: string;

/** Writes files below the root; gives the path of the first. */
async function write(files: Record<string, string | Uint8Array>): Promise<string> {
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(root, name)), { recursive: true });
    await writeFile(join(root, name), content);
  }
  return join(root, Object.keys(files)[0]!);
}

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "bulkhead-"));
});
afterAll(() => rm(root, { recursive: true }));

describe("folders", () => {
  beforeAll(async () => {
    await write({
      "tree/b.yaml": pod("b"),
      "tree/a.yml": pod("a"),
      "tree/c.json": '{"apiVersion":"v1","kind":"Pod","metadata":{"name":"c"}}',
      "tree/README.md": "# not read {{",
      "tree/deeper/d.yaml": pod("d"),
    });
  });

  test("the manifests in them, in the order of their names", async () => {
    const loaded = await loadManifests([join(root, "tree")]);
    expect(errorsOf(loaded)).toEqual([]);
    expect(names(loaded)).toEqual(["a", "b", "c"]);
    expect(loaded.files).toBe(3);
  });

  test("-R: those below too", async () => {
    expect(names(await loadManifests([join(root, "tree")], { recursive: true }))).toEqual(["a", "b", "c", "d"]);
  });

  test("the order of -f is kept", async () => {
    const files = [join(root, "tree/deeper"), join(root, "tree/b.yaml"), "-", join(root, "tree/a.yml")];
    expect(names(await loadManifests(files, { stdin: async () => pod("in") }))).toEqual(["d", "b", "in", "a"]);
  });

  test("a pattern, for shells that leave it alone", async () => {
    expect(names(await loadManifests([join(root, "tree/*.y*ml")]))).toEqual(["a", "b"]);
  });

  test("a link to a folder that is named", async () => {
    await symlink(join(root, "tree"), join(root, "link"));
    expect(names(await loadManifests([join(root, "link")]))).toEqual(["a", "b", "c"]);
  });

  test("without manifests", async () => {
    await write({ "none/README.md": "x", "none/below/a.yaml": pod("a") });
    expect(errorsOf(await loadManifests([join(root, "none")]))).toEqual([
      `${root}/none: no manifests in this folder: recognized file extensions are .json, .yaml, .yml (-R reads the folders in it too)`,
    ]);
  });

  test("that are Helm charts", async () => {
    await write({
      "charts/web/Chart.yaml": "name: web",
      "charts/web/templates/a.yaml": "{{ x }}",
      "charts/a.yaml": pod("a"),
    });
    const loaded = await loadManifests([join(root, "charts")], { recursive: true });
    expect(errorsOf(loaded)).toEqual([`${root}/charts/web is a Helm chart: render it first with 'helm template'`]);
    expect(names(loaded)).toEqual(["a"]);
  });

  test("with a kustomization", async () => {
    const file = await write({ "kust/kustomization.yaml": "resources: [a.yaml]\n", "kust/a.yaml": pod("a") });
    const loaded = await loadManifests([join(root, "kust")]);
    expect(errorsOf(loaded)).toEqual([]);
    expect(warningsOf(loaded)[0]).toBe(
      `${file}:1:1: warning: a kustomization is no manifest: render it with 'kubectl kustomize' and read the result`,
    );
    expect(loaded.ignored.get("kustomize.config.k8s.io/v1beta1/Kustomization")).toBe(1);
    expect(names(loaded)).toEqual(["a"]);
  });
});

describe("files", () => {
  test("may be called anything when they are named", async () => {
    expect(names(await loadManifests([await write({ "pod.txt": pod("a") })]))).toEqual(["a"]);
  });

  test("that are not there", async () => {
    expect(errorsOf(await loadManifests(["/nowhere/a.yaml", "/nowhere/*.yaml"]))).toEqual([
      'the path "/nowhere/a.yaml" does not exist',
      'the path "/nowhere/*.yaml" does not exist',
    ]);
  });

  test("that may not be read", async () => {
    const file = await write({ "secret.yaml": pod("a") });
    await chmod(file, 0);
    const loaded = await loadManifests([file]);
    if (process.getuid?.() !== 0) expect(errorsOf(loaded)).toEqual([`${file}: permission denied`]);
  });

  test("that are no text", async () => {
    const file = await write({ "bytes.yaml": new Uint8Array([0x61, 0xff, 0xfe]) });
    expect(errorsOf(await loadManifests([file]))).toEqual([`${file}: not a text in UTF-8`]);
  });

  test("with a byte order mark", async () => {
    expect(names(await loadManifests([await write({ "bom.yaml": `\ufeff${pod("a")}` })]))).toEqual(["a"]);
  });

  test("that are pipes", async () => {
    const pipe = join(root, "pipe");
    await new Promise<void>((resolve, reject) =>
      execFile("mkfifo", [pipe], (e) => (e === null ? resolve() : reject(e))),
    );
    const loading = loadManifests([pipe]);
    await writeFile(pipe, pod("a"));
    expect(names(await loading)).toEqual(["a"]);
  });

  test("addresses are not fetched", async () => {
    expect(errorsOf(await loadManifests(["https://example.com/a.yaml"]))).toEqual([
      "https://example.com/a.yaml: Bulkhead does not read URLs: fetch it and give it as '-f -' (curl -fsSL https://example.com/a.yaml | bulkhead … -f -)",
    ]);
  });

  test("the same twice is every object twice", async () => {
    const file = await write({ "twice.yaml": pod("a") });
    expect(errorsOf(await loadManifests([file, file]))).toEqual([
      `${file}:1:1: Pod default/a is there twice: first at ${file}:1:1`,
    ]);
  });

  test("none at all", async () => {
    expect(errorsOf(await loadManifests([]))).toEqual(["no objects: no file was named"]);
  });
});

test("standard input is read once", async () => {
  expect(names(await load(pod("a")))).toEqual(["a"]);
  const loaded = await loadManifests(["-", "-"], { stdin: async () => pod("a") });
  expect(errorsOf(loaded)).toEqual(["standard input (-) can be read only once"]);
});
