/** Pods of other nodes that come and go all the time, as in a large cluster. */
import { now } from "../../test/fire/native.ts";
import { type CrowdSize, crowd } from "../../test/light/crowd.ts";
import { storeObjects } from "../../test/light/store.ts";
import type { Manifest } from "../worlds.ts";
import type { Stage } from "./stage.ts";

const every = 100; // ms

/**
 * Changes pods until the signal aborts, `rate` of them a second.
 * @returns how many were changed
 */
export async function churn(stage: Stage, size: CrowdSize, rate: number, signal: AbortSignal): Promise<number> {
  const { etcdUrl } = stage.cluster.controlPlane;
  const pods = crowd(size).pods();
  const begun = now();
  let count = 0;
  while (!signal.aborted) {
    const due = Math.floor(((now() - begun) * rate) / 1000) - count;
    const some: Manifest[] = [];
    for (let i = 0; i < due; i++) {
      const next = pods.next();
      if (next.done) return count;
      some.push(changed(next.value, count + i));
    }
    await storeObjects(etcdUrl, some);
    count += some.length;
    await new Promise((resolve) => setTimeout(resolve, every));
  }
  return count;
}

function changed(pod: Manifest, i: number): Manifest {
  const metadata = pod["metadata"] as { readonly labels: Manifest };
  return { ...pod, metadata: { ...metadata, labels: { ...metadata.labels, tier: i % 2 === 0 ? "web" : "cache" } } };
}
