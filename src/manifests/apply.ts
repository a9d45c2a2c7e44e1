/** What `kubectl apply` and the controllers make of a changed object: some of the old stays, some goes. */
import { isDeepStrictEqual } from "node:util";
import type { Service } from "../policy/model/world.ts";
import { Owners } from "./owners.ts";
import { type Content, identityKey, type ObjectRecord, type PodFacts } from "./record.ts";

/**
 * The objects (pods, ReplicaSets, Jobs) of `before` that belong to a workload whose template `changes` alters. Where labels,
 * ports and hostNetwork stay what they are, the pods may stay too.
 */
export function madeFromOldTemplates(
  before: readonly ObjectRecord[],
  changes: readonly ObjectRecord[],
): ReadonlySet<ObjectRecord> {
  const now = new Map(changes.map((record) => [identityKey(record), record]));
  const altered = new Set(
    before.filter((record) => isAltered(record, now.get(identityKey(record)))).map((record) => identityKey(record)),
  );
  if (altered.size === 0) return new Set();
  const owners = new Owners(before);
  return new Set(
    before.filter((record) => {
      const { namespace, owner, content } = record;
      if (content.type !== "pod" && content.type !== "workload") return false;
      return owners
        .chain({ namespace, owner, labels: content.pod.labels })
        .some((workload) => altered.has(identityKey({ ...workload, namespace })));
    }),
  );
}

function isAltered({ content: old }: ObjectRecord, replacing: ObjectRecord | undefined): boolean {
  const next = replacing?.content;
  if (old.type !== "workload" || next?.type !== "workload") return false;
  const facts = ({ labels, ports, hostNetwork }: typeof old.pod) => ({ labels, ports, hostNetwork });
  return !isDeepStrictEqual(facts(old.pod), facts(next.pod));
}

/** A manifest laid over a stored object does not say again what the cluster filled in: addresses, node, phase. */
export function applied(stored: ObjectRecord, change: ObjectRecord): ObjectRecord {
  return stored.source === null ? { ...change, content: filledIn(stored.content, change.content) } : change;
}

function filledIn(stored: Content, change: Content): Content {
  if (stored.type === "service" && change.type === "service")
    return { type: "service", service: withAddresses(stored.service, change.service) };
  if (stored.type === "pod" && change.type === "pod") return { type: "pod", pod: withStatus(stored.pod, change.pod) };
  return change;
}

const withAddresses = (stored: Service, change: Service): Service =>
  change.clusterIPs.length > 0 || change.headless || change.type === "ExternalName"
    ? change
    : { ...change, clusterIPs: stored.clusterIPs };

const withStatus = (stored: PodFacts, change: PodFacts): PodFacts =>
  change.ips.length > 0
    ? change
    : { ...change, ips: stored.ips, phase: stored.phase, node: change.node ?? stored.node };
