/** What a change of manifests connects or cuts off: by meaning, not by text; exact over ports and addresses. */
import { type Family, families } from "../../net/address.ts";
import { PortSet } from "../../net/ports.ts";
import type { Plan } from "../compile/plan.ts";
import { type CommonEndpoint, commonEndpoints } from "./common-endpoints.ts";
import { isListed } from "./connectivity.ts";
import { portEntries } from "./entries.ts";
import { type MapEndpoints, mapEndpoints } from "./map-endpoints.ts";
import { isExempt, type MapRow, MapRows } from "./map-rows.ts";
import { everything, noFamily } from "./matrix.ts";
import { responsiblePolicies } from "./responsible.ts";
import { apiVersion, type Difference, type DifferenceEntry, type Level } from "./types.ts";

export interface DifferenceOptions {
  /** Default: workload. */
  readonly level?: Level;
}

/**
 * Compares what two plans allow. Endpoints are the same by kind, namespace and name; addresses are compared class by
 * class, split as finely as both sides do. An end that a side does not have can connect to nothing there, and so can a
 * family that an end does not have.
 *
 * @example difference(compile(readWorld("k8s/")), compile(readWorld("k8s/ with new-policy.yaml")))
 */
export function difference(before: Plan, after: Plan, { level = "workload" }: DifferenceOptions = {}): Difference {
  const old = new Side(before, level);
  const now = new Side(after, level);
  const endpoints = commonEndpoints(old.map, now.map);
  const compare = comparer();
  const lists: Record<"added" | "removed" | "changed", DifferenceEntry[]> = { added: [], removed: [], changed: [] };
  let widened = false;
  let narrowed = false;
  for (const from of endpoints) {
    const oldRow = old.row(from.before);
    const nowRow = now.row(from.after);
    for (const to of endpoints) {
      const change = compare(oldRow(to.before), nowRow(to.after));
      if (change === null || !isPair(from, to)) continue;
      widened ||= !change.widened.isEmpty;
      narrowed ||= !change.narrowed.isEmpty;
      const kind = isNothing(change.before) ? "added" : isNothing(change.after) ? "removed" : "changed";
      lists[kind].push({
        from: from.entry.ref,
        to: to.entry.ref,
        ...described(kind === "removed" ? change.before : change.after),
        before: described(change.before).ports,
        widened: portEntries(change.widened),
        narrowed: portEntries(change.narrowed),
        policies: responsiblePolicies(before, after, from, to, change.widened.union(change.narrowed)),
      });
    }
  }
  const only = (side: "before" | "after") => endpoints.filter((one) => one[side] === null).map(({ entry }) => entry);
  return {
    apiVersion,
    kind: "Difference",
    ...lists,
    endpoints: { added: only("before"), removed: only("after") },
    widened,
    narrowed,
  };
}

/** What a pair may do, by family; null: an end or the family is missing. */
type Allowed = Readonly<Record<Family, PortSet | null>>;

const none: Allowed = { IPv4: null, IPv6: null };

class Side {
  readonly map: MapEndpoints;
  readonly #rows: MapRows;
  /** One object for each pair of numbers, so that most comparisons are of two objects. */
  readonly #cells = new Map<number, Allowed>();

  constructor(plan: Plan, level: Level) {
    this.map = mapEndpoints(plan, {}, level);
    this.#rows = new MapRows(this.map.matrix);
  }

  row(from: CommonEndpoint["before"]): (to: CommonEndpoint["before"]) => Allowed {
    if (from === null) return () => none;
    const { IPv4, IPv6 } = this.#rows.of(from.class);
    return (to) => {
      if (to === null) return none;
      // A piece of an address class can lack a family that its class has.
      const v4 = has(from, "IPv4") && has(to, "IPv4") ? IPv4[to.class]! : noFamily;
      const v6 = has(from, "IPv6") && has(to, "IPv6") ? IPv6[to.class]! : noFamily;
      if (!isExempt(from, to)) return this.#allowed(v4, v6);
      return this.#allowed(v4 === noFamily ? v4 : everything, v6 === noFamily ? v6 : everything);
    };
  }

  #allowed(IPv4: number, IPv6: number): Allowed {
    const key = IPv4 * 2 ** 24 + IPv6;
    const held = this.#cells.get(key);
    if (held !== undefined) return held;
    const ports = (set: number): PortSet | null => (set === noFamily ? null : this.map.matrix.ports(set));
    const made = { IPv4: ports(IPv4), IPv6: ports(IPv6) };
    this.#cells.set(key, made);
    return made;
  }
}

const has = ({ members }: MapRow, family: Family): boolean => members[0]!.faces[family].length > 0;

interface PairChange {
  readonly before: Allowed;
  readonly after: Allowed;
  readonly widened: PortSet;
  readonly narrowed: PortSet;
}

/** null when both sides allow the same; each two cells are compared once. */
function comparer(): (before: Allowed, after: Allowed) => PairChange | null {
  const compared = new Map<Allowed, Map<Allowed, PairChange | null>>();
  return (before, after) => {
    const row = compared.get(before) ?? new Map<Allowed, PairChange | null>();
    compared.set(before, row);
    const held = row.get(after);
    if (held !== undefined) return held;
    const made = comparison(before, after);
    row.set(after, made);
    return made;
  };
}

function comparison(before: Allowed, after: Allowed): PairChange | null {
  const only = (a: Allowed, b: Allowed): PortSet =>
    families
      .map((family) => (a[family] ?? PortSet.empty).minus(b[family] ?? PortSet.empty))
      .reduce((x, y) => x.union(y));
  const widened = only(after, before);
  const narrowed = only(before, after);
  return widened.isEmpty && narrowed.isEmpty ? null : { before, after, widened, narrowed };
}

const isNothing = (allowed: Allowed): boolean => families.every((family) => allowed[family]?.isEmpty ?? true);

function described({ IPv4, IPv6 }: Allowed): Pick<DifferenceEntry, "ports" | "families"> {
  if (IPv4 === null || IPv6 === null) return { ports: portEntries(IPv4 ?? IPv6 ?? PortSet.empty) };
  const ports = portEntries(IPv4.intersect(IPv6));
  return IPv4.equals(IPv6) ? { ports } : { ports, families: { IPv4: portEntries(IPv4), IPv6: portEntries(IPv6) } };
}

const isPair = (from: CommonEndpoint, to: CommonEndpoint): boolean =>
  from !== to &&
  ((from.before !== null && to.before !== null && isListed(from.before, to.before)) ||
    (from.after !== null && to.after !== null && isListed(from.after, to.after)));
