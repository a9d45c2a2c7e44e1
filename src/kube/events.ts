/** Kubernetes Events about policies and nodes: written when it can be done, never in anybody's way. */
import { randomBytes } from "node:crypto";
import { apiVersionOf } from "../policy/decode/kinds.ts";
import type { PolicyRef } from "../policy/model/policy.ts";
import type { Client } from "./client.ts";
import { ApiError } from "./errors.ts";

export interface ClusterEvent {
  readonly type: "Normal" | "Warning";
  /** UpperCamelCase, at most 128 characters: `PolicyNotUnderstood`. */
  readonly reason: string;
  /** Cut off after 1 kB. */
  readonly message: string;
  /** What it is about; null: the node. */
  readonly policy: PolicyRef | null;
  /** Of the policy, so that `kubectl describe` finds the event. */
  readonly uid?: string;
}

export interface EventWriterOptions {
  /** The node that events come from, and are about when they name no policy. */
  readonly node: string;
  /** Default `bulkhead.dev/agent`. */
  readonly controller?: string;
  /** Writes within a burst, and how long after it until the next may follow, ms. Default 20, 1000. */
  readonly burst?: number;
  readonly interval?: number;
  /** An event that comes again is counted, and told to the server at most this often, ms. Default 60 s. */
  readonly seriesInterval?: number;
  /** In ms; default `performance.now`: the host's clock may jump. */
  readonly now?: () => number;
}

interface Series {
  readonly event: ClusterEvent;
  /** Empty until it has been created. */
  name: string;
  readonly firstAt: number;
  lastAt: number;
  count: number;
  /** Of `count`, those that the server knows. */
  told: number;
  toldAt: number;
}

/** Events that are remembered, waiting ones included. */
const capacity = 500;
/** An event that has not come for so long is a new one when it does, ms: as client-go has it. */
const seriesAge = 6 * 60_000;
const noteBytes = 1024;

/**
 * Needs `create` and `patch` on `events` (events.k8s.io) in all namespaces. Equal events become one with a count; more
 * than the server should bear are dropped; failures are dropped as well.
 */
export class EventWriter {
  readonly #client: Client;
  readonly #options: Required<EventWriterOptions>;
  readonly #series = new Map<string, Series>();
  #tokens: number;
  #refilledAt: number;
  #isWriting = false;
  #timer: NodeJS.Timeout | undefined;
  readonly #closing = new AbortController();

  constructor(client: Client, options: EventWriterOptions) {
    this.#client = client;
    this.#options = {
      controller: "bulkhead.dev/agent",
      burst: 20,
      interval: 1000,
      seriesInterval: 60_000,
      now: () => performance.now(),
      ...options,
    };
    this.#tokens = this.#options.burst;
    this.#refilledAt = this.#options.now();
  }

  tell(event: ClusterEvent): void {
    const { type, reason, message, policy, uid } = event;
    const key = JSON.stringify([type, reason, message, policy, uid]);
    const now = this.#options.now();
    const known = this.#series.get(key);
    if (known !== undefined && now - known.lastAt < seriesAge) {
      known.count++;
      known.lastAt = now;
    } else if (this.#series.size < capacity || this.#forget(now)) {
      this.#series.set(key, { event, name: "", firstAt: now, lastAt: now, count: 1, told: 0, toldAt: 0 });
    }
    void this.#write();
  }

  /** What has not been written is lost. */
  close(): void {
    clearTimeout(this.#timer);
    this.#closing.abort();
  }

  /** @returns whether there is room now */
  #forget(now: number): boolean {
    for (const [key, { lastAt, count, told }] of this.#series) {
      if (count === told && now - lastAt >= seriesAge) this.#series.delete(key);
    }
    return this.#series.size < capacity;
  }

  async #write(): Promise<void> {
    if (this.#isWriting || this.#closing.signal.aborted) return;
    this.#isWriting = true;
    clearTimeout(this.#timer);
    try {
      for (;;) {
        const now = this.#options.now();
        const next = this.#due(now);
        if (next === undefined || !this.#take(now)) break;
        await this.#send(next, now);
        if (this.#closing.signal.aborted) return;
      }
    } finally {
      this.#isWriting = false;
    }
    if ([...this.#series.values()].some(({ count, told }) => count > told)) {
      this.#timer = setTimeout(() => void this.#write(), this.#options.interval).unref();
    }
  }

  #due(now: number): Series | undefined {
    const { seriesInterval } = this.#options;
    for (const one of this.#series.values()) {
      if (one.count > one.told && (one.told === 0 || now - one.toldAt >= seriesInterval)) return one;
    }
    return undefined;
  }

  #take(now: number): boolean {
    const { burst, interval } = this.#options;
    const refilled = Math.floor((now - this.#refilledAt) / interval);
    this.#tokens = Math.min(burst, this.#tokens + refilled);
    this.#refilledAt += refilled * interval;
    if (this.#tokens === 0) return false;
    this.#tokens--;
    return true;
  }

  async #send(series: Series, now: number): Promise<void> {
    const { count } = series;
    series.told = count;
    series.toldAt = now;
    const path = `/apis/events.k8s.io/v1/namespaces/${series.event.policy?.namespace || "default"}/events`;
    const seen = count === 1 ? {} : { series: { count, lastObservedTime: this.#time(series.lastAt) } };
    const options = { signal: this.#closing.signal };
    try {
      if (series.name !== "") {
        await this.#client.patch(`${path}/${series.name}`, seen, options);
        return;
      }
      const name = this.#nameOf(series.event);
      await this.#client.post(path, { ...this.#object(series, name), ...seen }, options);
      series.name = name;
    } catch (error) {
      // Events live for an hour: one that is gone is created anew when it comes again.
      if (error instanceof ApiError && error.status === 404) series.name = "";
    }
  }

  /** meta/v1 MicroTime */
  #time(at: number): string {
    return new Date(Date.now() - (this.#options.now() - at)).toISOString().replace("Z", "000Z");
  }

  #nameOf({ policy }: ClusterEvent): string {
    const about = policy?.name ?? this.#options.node;
    return `${about.slice(0, 200).replace(/[^a-z0-9]+$/, "")}.${randomBytes(8).toString("hex")}`;
  }

  #object({ event, firstAt }: Series, name: string): object {
    const { node, controller } = this.#options;
    const { type, reason, message, policy, uid } = event;
    const namespace = policy?.namespace || "default"; // where events of cluster-scoped objects belong
    return {
      apiVersion: "events.k8s.io/v1",
      kind: "Event",
      metadata: { name, namespace },
      eventTime: this.#time(firstAt),
      reportingController: controller,
      reportingInstance: `${controller.split("/")[0]}-${node}`.slice(0, 128),
      action: "Enforce",
      type,
      reason: reason.slice(0, 128),
      note: cut(message),
      regarding:
        policy === null
          ? { apiVersion: "v1", kind: "Node", name: node, uid: node } // as the kubelet names it
          : {
              apiVersion: apiVersionOf(policy.kind),
              kind: policy.kind,
              name: policy.name,
              ...(policy.namespace === "" ? {} : { namespace: policy.namespace }),
              ...(uid === undefined ? {} : { uid }),
            },
    };
  }
}

function cut(message: string): string {
  const bytes = Buffer.from(message);
  if (bytes.length <= noteBytes) return message;
  return `${bytes.toString("utf8", 0, noteBytes - 8).replace(/\uFFFD+$/, "")} …`;
}
