/** Running nftables scripts: one interface over libnftables in process and the `nft` program. */
import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { kernelThread, type RunResult } from "./kernel-thread.ts";

/** The kernel of one network namespace. Calls run one after another, off the main thread. */
export interface Runner {
  /** `libnftables` in process, or the `nft` program. */
  readonly backend: "libnftables" | "nft";
  /**
   * Runs commands in nft's own syntax as one transaction: all of them take effect, or none.
   * @param format of listings
   * @returns what nft printed
   * @throws NftablesError
   */
  run(script: string, format?: "text" | "json"): Promise<string>;
  /**
   * Sets the bits of `mask` to 0 in the conntrack mark of every flow whose masked mark is in `first..last`.
   * @returns the number of flows changed
   */
  clearMarks(mask: number, first: number, last: number): Promise<number>;
  /**
   * Removes every flow from connection tracking that one of `addresses` opened or answers, and with it its address
   * translation.
   * @returns the number of flows removed
   */
  forgetFlows(addresses: readonly string[]): Promise<number>;
  /**
   * Calls `changed` whenever another program has changed a table of family `inet`, within some 25 ms, until the runner is
   * closed. null: the program `nft` is another program each time.
   * @throws where the kernel does not tell
   */
  readonly watch: ((table: string, changed: () => void) => Promise<void>) | null;
  close(): Promise<void>;
}

/** A script that was refused: nft's own text, and the line it points at. */
export class NftablesError extends Error {
  /** The line of the script, null where nft names none. */
  readonly line: string | null;

  constructor(text: string, script: string) {
    const at = /:(\d+):\d+(?:-\d+)?:/.exec(text)?.[1];
    const line = at === undefined ? null : (script.split("\n")[Number(at) - 1] ?? null);
    const said = text
      .trim()
      .split("\n", 8)
      .map((part) => part.slice(0, 300))
      .join("\n");
    super(`nftables: ${said}${line === null ? "" : `\nin: ${line.slice(0, 300)}`}`);
    this.name = "NftablesError";
    this.line = line;
  }
}

export interface RunnerOptions {
  /** A network namespace: an open file's descriptor, or a path. Default: the process's own. */
  readonly netns?: number | string;
  /** Default: `BULKHEAD_NFT` if that is one of the two, else libnftables where it can be loaded. */
  readonly backend?: Runner["backend"];
}

/** Opens the kernel of a network namespace. The descriptor in `options` may be closed afterwards. */
export async function openRunner(options: RunnerOptions = {}): Promise<Runner> {
  const netns = typeof options.netns === "number" ? `/proc/self/fd/${options.netns}` : (options.netns ?? null);
  const asked = options.backend ?? process.env["BULKHEAD_NFT"];
  const thread = kernelThread();
  const place = thread.newPlace();
  await thread.ask({ kind: "open", place, netns });
  const common = {
    clearMarks: async (mask: number, first: number, last: number): Promise<number> =>
      (await thread.ask({ kind: "clear-marks", place, mask, first, last })) as number,
    forgetFlows: async (addresses: readonly string[]): Promise<number> =>
      (await thread.ask({ kind: "forget-flows", place, addresses })) as number,
  };
  if (asked !== "nft") {
    try {
      await thread.ask({ kind: "load", place });
      return {
        ...common,
        backend: "libnftables",
        watch: (table, changed) => thread.watch(place, table, changed),
        run: async (script, format = "text") => {
          const result = await thread.ask({ kind: "run", place, script, json: format === "json" });
          return outputOf(result as RunResult, script);
        },
        close: async () => void (await thread.ask({ kind: "close", place })),
      };
    } catch (error) {
      if (asked === "libnftables") throw error;
    }
  }
  const fd = netns === null ? null : openSync(netns, "r");
  let queue: Promise<unknown> = Promise.resolve();
  return {
    ...common,
    backend: "nft",
    watch: null,
    run: (script, format = "text") => {
      const result = queue.then(async () => outputOf(await runProgram(script, format, fd), script));
      queue = result.catch(() => undefined);
      return result;
    },
    close: async () => {
      await queue;
      if (fd !== null) closeSync(fd);
      await thread.ask({ kind: "close", place });
    },
  };
}

function outputOf(result: RunResult, script: string): string {
  if (!result.ok) throw new NftablesError(result.error, script);
  return result.output;
}

/** Starts `nft`, in a namespace through `nsenter` (util-linux). */
function runProgram(script: string, format: "text" | "json", netns: number | null): Promise<RunResult> {
  // `nft -j -f -` opens its input a second time, which a socket, as Node makes for pipes, does not let it.
  const nft = format === "json" ? ["nft", "-j", script] : ["nft", "-f", "-"];
  const [file, ...args] = netns === null ? nft : ["nsenter", "--net=/proc/self/fd/3", "--", ...nft];
  return new Promise((resolve, reject) => {
    const child = spawn(file!, args, { stdio: ["pipe", "pipe", "pipe", ...(netns === null ? [] : [netns])] });
    const output: Buffer[] = [];
    const error: Buffer[] = [];
    child.stdout!.on("data", (part: Buffer) => output.push(part));
    child.stderr!.on("data", (part: Buffer) => error.push(part));
    child.on("error", (cause: NodeJS.ErrnoException) =>
      reject(cause.code === "ENOENT" ? new Error(`neither libnftables nor the program ${file} was found`) : cause),
    );
    child.on("close", (status) =>
      resolve({
        ok: status === 0,
        output: Buffer.concat(output).toString(),
        error: Buffer.concat(error).toString(),
      }),
    );
    child.stdin!.on("error", () => undefined); // nft that ends early says why on stderr
    child.stdin!.end(script);
  });
}
