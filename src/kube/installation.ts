/** When a kind that is not installed may be: its CRD is watched for as long as it is not. */
import type { Timing } from "./backoff.ts";
import type { Client } from "./client.ts";
import { statusError } from "./errors.ts";
import { lines } from "./lines.ts";

const path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const accept = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
/** How long the server keeps the watch open: so many seconds, plus up to as many again. */
const watchSeconds = 300;
/** Where the CRD can't be watched, the kind is asked for after so many ms, plus up to as many again. */
const pollInterval = 5000;
/**
 * A kind is served some moments after its CRD has changed, with several API servers up to some seconds: it is asked for after
 * so many ms plus up to as many again, and that doubled, so many times.
 */
const firstTry = 250;
const mostTries = 6;

/** Needs `watch` on customresourcedefinitions.apiextensions.k8s.io of this name; does with less where it has to. */
export class Installation {
  readonly #crd: string;
  readonly #client: Client;
  readonly #timing: Timing;
  /** The CRD's resourceVersion; "": there is none. */
  #version = "";
  #tries = mostTries;

  /** @param crd its name: `clusternetworkpolicies.policy.networking.k8s.io` */
  constructor(crd: string, client: Client, timing: Timing) {
    this.#crd = crd;
    this.#client = client;
    this.#timing = timing;
  }

  /** Resolves when the kind, which is not served, may be. Never rejects. */
  async likely(signal: AbortSignal): Promise<void> {
    if (this.#tries === mostTries) {
      try {
        if (!(await this.#changed(signal))) return;
      } catch {
        return this.pause(signal);
      }
      this.#tries = 0;
    }
    await this.#timing.sleep(firstTry * 2 ** this.#tries++ * (1 + this.#timing.random()), signal);
  }

  /** Resolves when it is time to ask again whatever the CRD is like. */
  async pause(signal: AbortSignal): Promise<void> {
    await this.#timing.sleep(pollInterval * (1 + this.#timing.random()), signal);
  }

  /** @returns whether the CRD is another than it was; false when the server has ended the watch */
  async #changed(signal: AbortSignal): Promise<boolean> {
    const end = new AbortController();
    const query = {
      watch: true,
      allowWatchBookmarks: true,
      fieldSelector: `metadata.name=${this.#crd}`,
      timeoutSeconds: Math.ceil(watchSeconds * (1 + this.#timing.random())),
    };
    try {
      const options = { signal: AbortSignal.any([signal, end.signal]), accept };
      for await (const found of lines(await this.#client.stream(path, query, options))) {
        for (const line of found) if (this.#isChange(JSON.parse(line.toString()))) return true;
      }
      return false;
    } finally {
      end.abort();
    }
  }

  #isChange(event: unknown): boolean {
    const { type, object } = event as { type?: unknown; object?: { metadata?: { resourceVersion?: unknown } } };
    if (type === "ERROR") throw statusError(object, "watch customresourcedefinitions.apiextensions.k8s.io");
    if (type === "BOOKMARK") return false;
    const version = type === "DELETED" ? "" : String(object?.metadata?.resourceVersion ?? "");
    const isChange = version !== "" && version !== this.#version;
    this.#version = version;
    return isChange;
  }
}
