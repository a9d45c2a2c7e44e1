/** Running nftables scripts: one interface over libnftables in process and the `nft` program. */
import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { type Batch, batchOf, hasPortRanges } from "./batch.ts";
import type { Command } from "./commands.ts";
import { kernelThread, type RunResult } from "./kernel-thread.ts";
import type { KeyOrder } from "./key-order.ts";
import type { BatchRefusal } from "./nf-tables.ts";
import { scriptOf } from "./script.ts";

/** The kernel of one network namespace. Calls run one after another, off the main thread. */
export interface Runner {
  /** `libnftables` in process, or the `nft` program. */
  readonly backend: "libnftables" | "nft";
  /**
   * Sends commands to a table of family `inet` as one transaction: all of them take effect, or none.
   * @throws NftablesError
   */
  commit(commands: readonly Command[], table: string): Promise<void>;
  /**
   * Runs commands in nft's own syntax, as one transaction too.
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

/**
 * Errors that say nothing of what was sent: no memory, no time, no right, or nft was killed. In the kernel's names and in those
 * of strerror(3), which nft prints.
 */
const passing =
  /\bE(?:NOMEM|NOBUFS|AGAIN|INTR|BUSY|PERM|ACCES)\b|Cannot allocate memory|No buffer space available|Resource temporarily unavailable|Interrupted system call|Device or resource busy|Operation not permitted|Permission denied|and said nothing$/m;

/** What was refused: nft's own text or the kernel's, and the command that it is about, in nft's words. */
export class NftablesError extends Error {
  /** null where it is not known which one. */
  readonly line: string | null;
  /** It may well be taken if it is sent again, as it is. */
  readonly isPassing: boolean;

  /** @param text of nft about a script */
  static ofScript(text: string, script: string): NftablesError {
    const at = /:(\d+):\d+(?:-\d+)?:/.exec(text)?.[1];
    return new NftablesError(text, at === undefined ? null : (script.split("\n")[Number(at) - 1] ?? null));
  }

  constructor(text: string, line: string | null) {
    const said = text
      .trim()
      .split("\n", 8)
      .map((part) => part.slice(0, 300))
      .join("\n");
    super(`nftables: ${said}${line === null ? "" : `\nin: ${line.slice(0, 300)}`}`);
    this.name = "NftablesError";
    this.line = line;
    this.isPassing = passing.test(text);
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
      const run: Runner["run"] = async (script, format = "text") => {
        const result = await thread.ask({ kind: "run", place, script, json: format === "json" });
        return outputOf(result as RunResult, script);
      };
      return {
        ...common,
        backend: "libnftables",
        watch: (table, changed) => thread.watch(place, table, changed),
        run,
        commit: async (commands, table) => {
          if (commands.length === 0) return; // nothing that could be answered
          const ranged = commands.find(hasPortRanges);
          const order =
            ranged?.lookedUpIn === undefined
              ? null
              : await thread.ask({ kind: "key-order", place, table, chain: ranged.lookedUpIn, set: ranged.set });
          const batch = batchOf(commands, table, order as KeyOrder | null);
          if (batch === null) return void (await run(scriptOf(commands, table)));
          const refusal = (await thread.ask({ kind: "send", place, batch: batch.bytes })) as BatchRefusal | null;
          if (refusal !== null) throw errorOf(refusal, batch, table);
        },
        close: async () => void (await thread.ask({ kind: "close", place })),
      };
    } catch (error) {
      if (asked === "libnftables") throw error;
    }
  }
  const fd = netns === null ? null : openSync(netns, "r");
  let queue: Promise<unknown> = Promise.resolve();
  const run: Runner["run"] = (script, format = "text") => {
    const result = queue.then(async () => outputOf(await runProgram(script, format, fd), script));
    queue = result.catch(() => undefined);
    return result;
  };
  return {
    ...common,
    backend: "nft",
    watch: null,
    run,
    commit: async (commands, table) => void (await run(scriptOf(commands, table))),
    close: async () => {
      await queue;
      if (fd !== null) closeSync(fd);
      await thread.ask({ kind: "close", place });
    },
  };
}

function outputOf(result: RunResult, script: string): string {
  if (!result.ok) throw NftablesError.ofScript(result.error, script);
  return result.output;
}

function errorOf({ sequence, text }: BatchRefusal, { commands }: Batch, table: string): NftablesError {
  const command = commands[sequence] ?? null;
  return new NftablesError(text, command === null ? null : (scriptOf([command], table).split("\n")[0] ?? null));
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
    child.on("close", (status, signal) => {
      const said = Buffer.concat(error).toString();
      resolve({
        ok: status === 0,
        output: Buffer.concat(output).toString(),
        error: said === "" ? `nft ended with ${signal ?? `status ${status}`} and said nothing` : said,
      });
    });
    child.stdin!.on("error", () => undefined); // nft that ends early says why on stderr
    child.stdin!.end(script);
  });
}
