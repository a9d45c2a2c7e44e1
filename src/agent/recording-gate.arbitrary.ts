/** A gate that a test opens and shuts by hand. */
import type { PodGate, PodIdentity } from "./pod-gate.ts";

export interface Seen {
  readonly what: "admit" | "release";
  readonly pod: PodIdentity;
  readonly ips: readonly string[];
}

export class RecordingGate implements PodGate {
  readonly seen: Seen[] = [];
  why: string | null = null;
  /** What admission waits for, and may fail with. */
  admission: (signal: AbortSignal) => Promise<void> = async () => undefined;

  unready(): string | null {
    return this.why;
  }

  async admit(pod: PodIdentity, ips: readonly string[], signal: AbortSignal): Promise<void> {
    this.seen.push({ what: "admit", pod, ips });
    await this.admission(signal);
  }

  async release(pod: PodIdentity, ips: readonly string[]): Promise<void> {
    this.seen.push({ what: "release", pod, ips });
  }
}

/** An admission that goes on until it is aborted. */
export const forever = (signal: AbortSignal): Promise<void> =>
  new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
  });
