/** Starting programs and waiting for what they do. */
import { spawn } from "node:child_process";

export interface RunOptions {
  readonly input?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** After which the program is killed and the promise rejects, in ms. Default 60,000. */
  readonly within?: number;
  readonly signal?: AbortSignal;
}

/** How a program ended that did not end well. */
export class RunError extends Error {
  override readonly name = "RunError";
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;

  constructor(message: string, exitCode: number | null, stdout: string, stderr: string) {
    super(message);
    this.exitCode = exitCode;
    this.stdout = stdout;
    this.stderr = stderr;
  }
}

/**
 * Runs a program to its end and gives what it wrote to stdout.
 * @throws RunError with the last lines of stderr
 */
export function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const { input, env, cwd, within = 60_000, signal } = options;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { env: env ?? process.env, ...(cwd !== undefined && { cwd }), stdio: "pipe" });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    let late = false;
    const stop = (): void => {
      child.kill("SIGKILL");
    };
    const timer = setTimeout(() => {
      late = true;
      stop();
    }, within);
    signal?.addEventListener("abort", stop);
    child.stdout.on("data", (chunk: Buffer) => out.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => err.push(chunk));
    child.stdin.on("error", () => {}); // the program may end without reading
    child.stdin.end(input);
    const finish = (then: () => void): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", stop);
      then();
    };
    child.on("error", (error) => finish(() => reject(new RunError(`${program}: ${error.message}`, null, "", ""))));
    child.on("close", (code) =>
      finish(() => {
        const [stdout, stderr] = [Buffer.concat(out).toString(), Buffer.concat(err).toString()];
        if (code === 0) return resolve(stdout);
        const why = late ? `did not end within ${within / 1000} s` : `ended with ${code ?? "a signal"}`;
        const last = lastLines(stderr || stdout, 8);
        reject(new RunError(`${[program, ...args].join(" ").slice(0, 300)} ${why}: ${last}`, code, stdout, stderr));
      }),
    );
  });
}

export const lastLines = (text: string, count: number): string => text.trimEnd().split("\n").slice(-count).join("\n");

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Asks until the answer is neither false, null nor undefined, and gives it. A question that throws is asked again.
 * @throws Error that says what was waited for, with the last error
 */
export async function until<T>(
  what: string,
  ask: () => T | Promise<T>,
  { within = 60_000, every = 100 }: { readonly within?: number; readonly every?: number } = {},
): Promise<NonNullable<Exclude<T, false>>> {
  const deadline = performance.now() + within;
  let last: unknown;
  for (;;) {
    try {
      const answer = await ask();
      if (answer !== false && answer !== null && answer !== undefined) return answer as NonNullable<Exclude<T, false>>;
      last = undefined;
    } catch (error) {
      last = error;
    }
    if (performance.now() > deadline) {
      const because = last === undefined ? "" : `: ${last instanceof Error ? last.message : String(last)}`;
      throw new Error(`waited ${within / 1000} s in vain for ${what}${because}`);
    }
    await sleep(every);
  }
}
