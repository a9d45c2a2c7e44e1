/** The plugin's side of the socket. */
import { connect } from "node:net";
import { longestLine, ProtocolError, parseResponse, protocolVersion, type Request, type Response } from "./protocol.ts";

/** The agent could not be asked: not there, gone while it worked, or not in time. */
export class Unreachable extends Error {
  override readonly name = "Unreachable";
}

/** One question, one answer. @throws Unreachable, ProtocolError */
function askOnce(path: string, request: Request, deadline: number): Promise<Response> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    let received = "";
    const timer = setTimeout(() => fail(new Unreachable("the agent did not answer in time")), deadline - Date.now());
    const end = (): void => {
      clearTimeout(timer);
      socket.destroy();
    };
    const fail = (error: Error): void => {
      end();
      reject(error);
    };
    socket.setEncoding("utf8");
    socket.on("connect", () => socket.write(`${JSON.stringify(request)}\n`));
    socket.on("error", ({ code, message }: NodeJS.ErrnoException) =>
      fail(new Unreachable(`${path}: ${code === "ENOENT" ? "no such file" : (code ?? message)}`)),
    );
    socket.on("close", () => fail(new Unreachable("the agent ended the connection without an answer")));
    socket.on("data", (chunk: string) => {
      received += chunk;
      const length = received.indexOf("\n");
      if (length < 0 && received.length <= longestLine) return;
      end();
      try {
        if (length < 0) throw new ProtocolError("the agent's answer has no end");
        resolve(parseResponse(received.slice(0, length)));
      } catch (error) {
        reject(error);
      }
    });
  });
}

const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

export interface Patience {
  /** Milliseconds until the caller gives up. */
  readonly timeout: number;
  /** Ask again while the agent is away or not ready: it may be about to start. */
  readonly retry: boolean;
}

/** Milliseconds between two attempts: short at first, for the agent that is being restarted. */
const firstPause = 50;
const longestPause = 500;

/** @throws Unreachable, ProtocolError */
export async function ask(
  path: string,
  question: Omit<Request, "version" | "timeout">,
  { timeout, retry }: Patience,
): Promise<Response> {
  const deadline = Date.now() + timeout;
  for (let wait = firstPause; ; wait = Math.min(2 * wait, longestPause)) {
    const last = !retry || Date.now() + wait >= deadline;
    const left = Math.max(1, deadline - Date.now());
    try {
      const response = await askOnce(path, { version: protocolVersion, timeout: left, ...question }, deadline);
      if (last || response.ok || response.refusal !== "not-ready") return response;
    } catch (error) {
      if (last || !(error instanceof Unreachable)) throw error;
    }
    await pause(wait);
  }
}
