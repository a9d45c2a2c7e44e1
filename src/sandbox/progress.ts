/** A progress bar, on terminals only. */

/** The part of a stream that a bar needs. */
export interface ProgressSink {
  write(text: string): void;
  readonly isTTY: boolean;
  readonly columns: number | undefined;
}

const interval = 100; // ms between redraws

export class Progress {
  readonly #sink: ProgressSink | null;
  #drawn = 0;

  constructor(sink: ProgressSink, quiet: boolean) {
    this.#sink = sink.isTTY && !quiet ? sink : null;
  }

  /** Shows `done` of `total`; `total` 0 = not countable. */
  show(label: string, done: number, total: number): void {
    const now = performance.now();
    if (this.#sink === null || (now - this.#drawn < interval && done !== total)) return;
    this.#drawn = now;
    const width = 24;
    const filled = total === 0 ? 0 : Math.floor((done / total) * width);
    const bar = total === 0 ? "" : ` [${"#".repeat(filled)}${" ".repeat(width - filled)}] ${done}/${total}`;
    this.#sink.write(`\r\u001b[K${`${label}${bar}`.slice(0, (this.#sink.columns ?? 80) - 1)}`);
  }

  /** Takes the bar away. */
  clear(): void {
    if (this.#drawn > 0) this.#sink?.write("\r\u001b[K");
  }
}
