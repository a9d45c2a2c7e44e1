/** The main thread's side of `kernel-worker.ts`. */
import { Worker } from "node:worker_threads";
import type { KeyOrder } from "./key-order.ts";
import type { BatchRefusal } from "./nf-tables.ts";

interface Common {
  readonly id: number;
  /** Names a network namespace that was opened. */
  readonly place: number;
}

export type Request = Common &
  (
    | { readonly kind: "open"; readonly netns: string | null }
    | { readonly kind: "load" }
    | { readonly kind: "run"; readonly script: string; readonly json: boolean }
    | { readonly kind: "send"; readonly batch: Uint8Array<ArrayBuffer> }
    | { readonly kind: "key-order"; readonly table: string; readonly chain: string; readonly set: string }
    | { readonly kind: "clear-marks"; readonly mask: number; readonly first: number; readonly last: number }
    | { readonly kind: "forget-flows"; readonly addresses: readonly string[] }
    | { readonly kind: "watch"; readonly table: string }
    | { readonly kind: "close" }
  );

export interface RunResult {
  readonly ok: boolean;
  readonly output: string;
  readonly error: string;
}

export interface Answer {
  readonly id: number;
  readonly value: RunResult | BatchRefusal | KeyOrder | number | null;
  readonly error: string | null;
}

/** Told without being asked again: another program changed the table of the `watch` request of this id. */
export interface Notice {
  readonly notice: number;
}

type Unsent<R> = R extends Request ? Omit<R, "id"> : never;

interface Pending {
  readonly resolve: (value: Answer["value"]) => void;
  readonly reject: (error: Error) => void;
}

class KernelThread {
  readonly #worker: Worker;
  readonly #pending = new Map<number, Pending>();
  readonly #watchers = new Map<number, () => void>();
  #next = 1;

  constructor() {
    const file = import.meta.url.endsWith(".ts") ? "./kernel-worker.ts" : "./kernel-worker.js";
    this.#worker = new Worker(new URL(file, import.meta.url));
    this.#worker.unref();
    this.#worker.on("message", (answer: Answer | Notice) => {
      if ("notice" in answer) {
        this.#watchers.get(answer.notice)?.();
        return;
      }
      const pending = this.#pending.get(answer.id)!;
      this.#settle(answer.id);
      if (answer.error === null) pending.resolve(answer.value);
      else pending.reject(new Error(answer.error));
    });
    this.#worker.on("error", (error) => {
      shared = undefined;
      for (const [id, pending] of this.#pending) {
        this.#settle(id);
        pending.reject(new Error(`kernel thread: ${error instanceof Error ? error.message : String(error)}`));
      }
    });
  }

  ask(request: Unsent<Request>): Promise<Answer["value"]> {
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      this.#worker.ref(); // an answer is owed: the process must not end before it
      this.#worker.postMessage({ ...request, id }, request.kind === "send" ? [request.batch.buffer] : []);
    });
  }

  /** Calls `changed` whenever another program has changed a table, until the place is closed. @throws where that cannot be seen */
  async watch(place: number, table: string, changed: () => void): Promise<void> {
    const watcher = this.#next; // the id of the request
    this.#watchers.set(watcher, changed);
    try {
      await this.ask({ kind: "watch", place, table });
    } catch (error) {
      this.#watchers.delete(watcher);
      throw error;
    }
  }

  newPlace(): number {
    return this.#next++;
  }

  #settle(id: number): void {
    this.#pending.delete(id);
    if (this.#pending.size === 0) this.#worker.unref();
  }
}

let shared: KernelThread | undefined;

/** The process's one kernel thread; it starts on first use and ends with the process. */
export function kernelThread(): KernelThread {
  shared ??= new KernelThread();
  return shared;
}
