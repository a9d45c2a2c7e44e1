/** The agent's log: one JSON object a line on stdout, or text for people. */
import { writeSync } from "node:fs";

/** What the parts of the agent write to; pino's loggers are such. Fields never hold tokens or headers. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface LogOptions {
  readonly format: "json" | "text";
  /** Debug lines as well. */
  readonly verbose: boolean;
  /** Default: file descriptor 1, written at once, so that a process that dies has said everything. */
  readonly write?: (line: string) => void;
}

/** A file descriptor as a destination that never loses a line and never throws: a log that is full or closed stops nothing. */
const toStdout = (line: string): void => {
  let rest = Buffer.from(line);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(1, rest));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") return;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
};

/** Opens the log; the library is loaded here, so that only an agent that runs pays for it. */
export async function openLog({ format, verbose, write = toStdout }: LogOptions): Promise<Log> {
  const { pino } = await import("pino");
  const destination = { write: format === "json" ? write : (line: string) => write(asText(line)) };
  const log: Log = pino(
    {
      level: verbose ? "debug" : "info",
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      messageKey: "message",
    },
    destination,
  );
  return log;
}

/** `{"level":"warn","time":"…","message":"…","policy":"a/b"}` → `… WARN  … policy=a/b`. */
function asText(line: string): string {
  const { level, time, message, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const rest = Object.entries(fields).map(([key, value]) => {
    const text = typeof value === "string" ? value : JSON.stringify(value);
    return ` ${key}=${/^[^\s"]+$/.test(text) ? text : JSON.stringify(text)}`;
  });
  return `${String(time)} ${String(level).toUpperCase().padEnd(5)} ${printable(String(message))}${rest.join("")}\n`;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not reach a terminal
const printable = (text: string): string => text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, " ");

/** What an error says, for a log line. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
