/** What comes through npm: Node itself, and the libraries that the agent loads. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { type Arch, npmArch } from "./arch.ts";
import { cacheFolder, integrityOf, sha256 } from "./cache.ts";
import { type Layer, makeLayer } from "./layer.ts";
import { run } from "./run.ts";
import { type Entry, entriesOf, entryOf } from "./tar.ts";

const root = resolve(import.meta.dirname, "../..");

/** npm's `dist.integrity` of node-linux-ARCH, which the package `node` leaves to its install script. */
const nodeIntegrity: Readonly<Record<string, Readonly<Record<Arch, string>>>> = {
  "24.21.0": {
    amd64: "sha512-3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==",
    arm64: "sha512-FpJRPEz2OvvTLfjIOlNGFY9JLPMKgl5m+d4oGYBLg24kJ1mmvN1Zl/HPJgF4HDaJ51ISev1l1cRZ/DM+keXW5g==",
  },
};

interface LockedPackage {
  readonly version: string;
  readonly integrity?: string;
  readonly os?: readonly string[];
  readonly cpu?: readonly string[];
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

type Lock = Readonly<Record<string, LockedPackage>>;

const readLock = (): Lock =>
  (JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")) as { readonly packages: Lock }).packages;

/** Only a kubeconfig needs it; in a cluster the agent reads its token itself. It is as large as all the rest. */
const leftOut = "@kubernetes/client-node";

/** Node as its makers built it. */
export async function nodeLayer(arch: Arch, say: (line: string) => void): Promise<Layer> {
  const version = readLock()[""]!.devDependencies!["node"]!;
  const integrity = nodeIntegrity[version]?.[arch];
  const name = `node-linux-${npmArch[arch]}`;
  if (integrity === undefined)
    throw new Error(
      `scripts/image/npm.ts has no integrity for Node ${version}: npm view ${name}@${version} dist.integrity`,
    );
  const tarball = fetch(name, version, integrity, say);
  return makeLayer(`Node.js ${version} for ${arch}`, [integrity], (scratch) => {
    say(`packing Node.js ${version}`);
    run("tar", ["-xzf", tarball, "-C", scratch, "package/bin/node", "package/LICENSE"]);
    return [
      entryOf(join(scratch, "package/bin/node"), "usr/local/bin/node"),
      entryOf(join(scratch, "package/LICENSE"), "usr/local/share/doc/node/LICENSE"),
    ];
  });
}

/** What Node needs of a package, and the terms it comes under. */
const neededFile = /(?:\.(?:js|cjs|mjs|json|node)|(?:^|\/)(?:licen[cs]e|notice)[^/]*)$/i;
const neededFolder = /(?:^|\/)(?:node_modules|tests?|docs?|examples?|benchmarks?|\.github|musl_\w+)\//;

/** The libraries, as package-lock.json has them, under `opt/bulkhead`. */
export async function librariesLayer(arch: Arch, say: (line: string) => void): Promise<Layer> {
  const lock = readLock();
  const places = closure(lock, arch);
  const inputs = places.map((place) => `${place} ${lock[place]!.version} ${lock[place]!.integrity}`);
  return makeLayer(`Libraries for ${arch}`, [...inputs, neededFile.source, neededFolder.source], (scratch) => {
    say(`packing ${places.length} libraries`);
    return places.flatMap((place): Entry[] => {
      const { version, integrity } = lock[place]!;
      const name = place.slice(place.lastIndexOf("node_modules/") + "node_modules/".length);
      const tarball = fetch(name, version, integrity!, say);
      const folder = join(scratch, sha256(place));
      mkdirSync(folder);
      run("tar", ["-xzf", tarball, "-C", folder, "--strip-components=1"]);
      return entriesOf(folder)
        .filter(({ path, kind }) => kind === "file" && neededFile.test(path) && !neededFolder.test(path))
        .map((entry) => ({ ...entry, path: `opt/bulkhead/${place}/${entry.path}` }));
    });
  });
}

/** Places in node_modules of all that the agent may load on that architecture, by npm's rules of resolution. */
function closure(lock: Lock, arch: Arch): string[] {
  const found = new Set<string>();
  const visit = (place: string): void => {
    const { os, cpu, dependencies, optionalDependencies } = lock[place]!;
    if (found.has(place) || os?.includes("linux") === false || cpu?.includes(npmArch[arch]) === false) return;
    if (place !== "") found.add(place);
    for (const name of Object.keys({ ...dependencies, ...optionalDependencies }))
      if (!(place === "" && name === leftOut)) visit(resolvePackage(lock, place, name));
  };
  visit("");
  return [...found].sort();
}

function resolvePackage(lock: Lock, from: string, name: string): string {
  for (let place = from; ; place = place.slice(0, Math.max(0, place.lastIndexOf("/node_modules/")))) {
    const candidate = `${place === "" ? "" : `${place}/`}node_modules/${name}`;
    if (lock[candidate] !== undefined) return candidate;
    if (place === "") throw new Error(`package-lock.json has no ${name}, which ${from} needs`);
  }
}

/** A package's archive from the registry that npm is configured for; what is in the cache was checked when it came. */
function fetch(name: string, version: string, integrity: string, say: (line: string) => void): string {
  const folder = cacheFolder("image", "npm");
  const file = join(folder, `${name.replace("@", "").replace("/", "-")}-${version}.tgz`); // npm's own name for it
  if (existsSync(file) && integrityOf(file) === integrity) return file;
  say(`fetching ${name} ${version}`);
  const unchecked = mkdtempSync(join(folder, "unchecked-"));
  try {
    run("npm", ["pack", "--silent", "--ignore-scripts", "--pack-destination=.", `${name}@${version}`], {
      cwd: unchecked,
    });
    const fetched = join(unchecked, basename(file));
    if (integrityOf(fetched) !== integrity)
      throw new Error(`${name} ${version}: what npm fetched is not what its integrity says`);
    renameSync(fetched, file);
  } finally {
    rmSync(unchecked, { recursive: true });
  }
  return file;
}
