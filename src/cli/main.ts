#!/usr/bin/env node
/** The process: its streams, signals and exit code. Everything else is in `program.ts`, loaded after the cheap questions. */
import { readFileSync, writeSync } from "node:fs";
import type { Io, Sink } from "./io.ts";

const minimumNode = 24;

function packageVersion(): string {
  // src/cli and dist/cli are equally deep.
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}

/**
 * Writes synchronously: nothing is lost when the process ends, and a reader that went away (`| head`) shows at once, and
 * quietly ends this process as it ends any other program in a pipe.
 */
function sink(stream: NodeJS.WriteStream, fd: number): Sink {
  return {
    isTTY: stream.isTTY === true,
    columns: stream.isTTY ? stream.columns : undefined,
    write(text) {
      let rest = Buffer.from(text);
      while (rest.length > 0) {
        try {
          rest = rest.subarray(writeSync(fd, rest));
        } catch (error) {
          const { code } = error as NodeJS.ErrnoException;
          if (code === "EPIPE") process.exit(process.exitCode ?? 0);
          // A pipe that someone set non-blocking is full: wait for its reader.
          if (code === "EAGAIN") Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
          else throw error;
        }
      }
    },
  };
}

const readStdin = async (): Promise<string> => (await import("../manifests/input.ts")).readStdin();

let interruption: AbortController | undefined;

const io: Io = {
  stdout: sink(process.stdout, 1),
  stderr: sink(process.stderr, 2),
  stdin: { read: readStdin },
  env: process.env,
  // Only a command that asks for the signal is spared the sudden end: a handler could not run during a long computation.
  get signal() {
    if (interruption === undefined) {
      const controller = new AbortController();
      interruption = controller;
      for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(name, () => controller.abort(name));
    }
    return interruption.signal;
  },
};

async function main(): Promise<void> {
  const [major = "0"] = process.versions.node.split(".");
  if (Number(major) < minimumNode) {
    io.stderr.write(`error: Node.js ${minimumNode} or newer is needed, this is ${process.version}\n`);
    process.exitCode = 2;
    return;
  }
  const args = process.argv.slice(2);
  if (args.length === 1 && args[0] === "--version") {
    io.stdout.write(`bulkhead ${packageVersion()}\n`);
    return;
  }
  const { runCli } = await import("./program.ts");
  process.exitCode = await runCli(args, io, packageVersion());
}

// What a command does not catch, be it in a callback or while loading: one line, as for every other fault.
process.on("uncaughtException", (error) => {
  const detail = process.env["BULKHEAD_DEBUG"] === "1" ? (error.stack ?? error.message) : error.message;
  io.stderr.write(`error: a fault in bulkhead itself: ${detail}\n`);
  process.exit(2);
});

await main();
