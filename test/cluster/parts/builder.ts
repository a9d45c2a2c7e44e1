/** Makes what is missing, one part after the other; a build that was killed goes on where it was. */
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { assetFolder, assetPath } from "../lib/assets.ts";
import { identify, isAlive, type ProcessId } from "../lib/processes.ts";
import { lastLines, RunError, run, sleep } from "../lib/run.ts";
import { findGo, type Go } from "./go.ts";

/** What a part's `make` works with. */
export interface Workshop {
  readonly go: () => Promise<Go>;
  /** An empty folder that is thrown away afterwards. */
  readonly scratch: string;
  /** Runs a program; what it writes goes into the log. Gives its stdout. */
  run(program: string, args: readonly string[], options?: { cwd?: string; env?: NodeJS.ProcessEnv }): Promise<string>;
}

export interface Part {
  /** For people. */
  readonly name: string;
  /** Below the asset folder: programs, image archives, folders. */
  readonly makes: readonly string[];
  /** Made anew when it changes. */
  readonly version: string;
  /** Cold, on 2 cores. */
  readonly seconds: number;
  /** Leaves what it `makes` in `out`, under the same names. */
  make(out: string, workshop: Workshop): Promise<void>;
}

const log = join(assetFolder, "build.log");
const lock = join(assetFolder, ".lock");
const stamps = join(assetFolder, ".built.json");

const readStamps = (): Readonly<Record<string, string>> =>
  existsSync(stamps) ? (JSON.parse(readFileSync(stamps, "utf8")) as Record<string, string>) : {};

/** Of another version, or not there. Programs from KUBEBUILDER_ASSETS are taken as they are. */
export function missingOf(parts: readonly Part[]): readonly Part[] {
  const built = readStamps();
  const isThere = (name: string, version: string): boolean => {
    const path = assetPath(name);
    return existsSync(path) && (path !== join(assetFolder, name) || built[name] === version);
  };
  return parts.filter(({ makes, version }) => !makes.every((name) => isThere(name, version)));
}

/** A part that could not be made; the message has the last lines of its output. */
export class BuildError extends Error {
  override readonly name = "BuildError";
}

/**
 * @param say takes a line of progress
 * @throws BuildError, or NoGo
 */
export async function build(parts: readonly Part[], say: (line: string) => void): Promise<void> {
  if (missingOf(parts).length === 0) return;
  mkdirSync(assetFolder, { recursive: true });
  const release = await takeLock(parts, say);
  if (release === null) return;
  try {
    const missing = missingOf(parts); // another build may have made some meanwhile
    let go: Promise<Go> | undefined;
    const findOnce = (): Promise<Go> => {
      go ??= findGo(say);
      return go;
    };
    for (const [i, part] of missing.entries()) {
      say(`building ${part.name} (${i + 1} of ${missing.length}; about ${part.seconds} s without Go's caches)`);
      const started = performance.now();
      await makePart(part, findOnce);
      say(`built ${part.name} in ${((performance.now() - started) / 1000).toFixed(0)} s`);
    }
  } finally {
    release();
  }
}

async function makePart(part: Part, go: () => Promise<Go>): Promise<void> {
  const folder = join(assetFolder, ".building");
  rmSync(folder, { recursive: true, force: true });
  const [out, scratch] = [join(folder, "out"), join(folder, "scratch")];
  for (const one of [out, scratch]) mkdirSync(one, { recursive: true });
  const write = (text: string): void => appendFileSync(log, text);
  write(`\n=== ${part.name} ${part.version}, ${new Date().toISOString()}\n`);
  const runLogged: Workshop["run"] = async (program, args, options = {}) => {
    write(`$ ${[program, ...args].join(" ")}\n`);
    try {
      return await run(program, args, { ...options, within: 3_600_000 });
    } catch (error) {
      if (!(error instanceof RunError)) throw error;
      write(error.stderr);
      throw new BuildError(
        `${part.name} could not be built: ${lastLines(error.stderr || error.stdout || error.message, 12)}\n(the whole log: ${log})`,
      );
    }
  };
  await part.make(out, { go, scratch, run: runLogged });
  for (const name of part.makes) {
    const target = join(assetFolder, name);
    mkdirSync(dirname(target), { recursive: true });
    rmSync(target, { recursive: true, force: true });
    renameSync(join(out, name), target);
  }
  const made = Object.fromEntries(part.makes.map((name) => [name, part.version]));
  writeFileSync(`${stamps}.new`, JSON.stringify({ ...readStamps(), ...made }, null, 1));
  renameSync(`${stamps}.new`, stamps);
  rmSync(folder, { recursive: true, force: true });
}

/**
 * A symlink, made atomically, whose target names the process that builds. The lock of a process that is gone is taken over.
 * null: whoever held it has made all of `parts`.
 */
async function takeLock(parts: readonly Part[], say: (line: string) => void): Promise<(() => void) | null> {
  const own = identify(process.pid)!;
  let waiting = false;
  for (;;) {
    try {
      symlinkSync(JSON.stringify(own), lock);
      return () => rmSync(lock, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
    const holder = lockHolder();
    if (holder === null) continue;
    if (!isAlive(holder)) {
      rmSync(lock, { force: true });
      continue;
    }
    if (!waiting) say(`waiting for process ${holder.pid}, which builds the same`);
    waiting = true;
    await sleep(500);
    if (missingOf(parts).length === 0) return null;
  }
}

function lockHolder(): ProcessId | null {
  try {
    return JSON.parse(readlinkSync(lock)) as ProcessId;
  } catch {
    return null;
  }
}
