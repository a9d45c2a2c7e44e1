/** What a command may touch of the world around it. Injected, so that tests need no process. */
import { oneLine } from "../report/escape.ts";

/** 0 fine, allowed, no difference · 1 findings, denied, difference · 2 could not answer · 130 interrupted. */
export type ExitCode = 0 | 1 | 2 | 130;

export interface Sink {
  write(text: string): void;
  readonly isTTY: boolean;
  /** Width of the terminal; undefined when it is none. */
  readonly columns: number | undefined;
}

export interface Io {
  /** Data that was asked for. */
  readonly stdout: Sink;
  /** Everything else. */
  readonly stderr: Sink;
  /** The whole of standard input. */
  readonly stdin: { read(): Promise<string> };
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborted by Ctrl-C; commands that run long, or hold something, listen. */
  readonly signal: AbortSignal;
}

/** Lines for stderr that quote manifests or arguments: control characters are shown, so that none reaches the terminal. */
export function writeLines({ stderr }: Pick<Io, "stderr">, ...lines: readonly string[]): void {
  for (const line of lines) stderr.write(`${oneLine(line)}\n`);
}

/** An error that the user can understand and act on: one line on stderr, exit code 2. */
export class CliError extends Error {
  override readonly name = "CliError";
  /** A second line that says what to do next. */
  readonly hint: string | undefined;

  constructor(message: string, hint?: string) {
    super(message);
    this.hint = hint;
  }
}

/** What a command's `register` gets: its world, and where it leaves its answer. */
export interface Shell {
  readonly io: Io;
  readonly version: string;
  exitCode: ExitCode;
}

/** Thrown by a command that Ctrl-C stopped, after it has put everything away: exit code 130. */
export class Interrupted extends Error {
  override readonly name = "Interrupted";
}
