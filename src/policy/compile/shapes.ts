/**
 * Which pods are in which pod groups, kept up to date.
 *
 * Pods are handled by **shape**: all that selectors and port names can tell pods apart by, that is the namespace, the
 * labels and the named ports. The replicas of a workload share one. Both directions of the relation are indexed by
 * labels, so that a new shape asks only the groups that name one of its labels, and a new group only the shapes that
 * have the label that it names.
 */
import type { LabelSelector, Labels } from "../model/labels.ts";
import { namespaceNameLabel } from "../model/labels.ts";
import type { ContainerPort, Pod } from "../model/world.ts";
import { compileSelector, labelTokens, type Matcher } from "../select/selector.ts";
import { compareText } from "./order.ts";
import type { PodGroup } from "./plan.ts";

/** Pods that no policy can tell apart, but by address. */
export interface Shape {
  readonly key: string;
  readonly namespace: NamespaceShapes;
  readonly labels: Labels;
  /** Sorted, without duplicates. */
  readonly ports: readonly ContainerPort[];
  /** `namespace/name` */
  readonly pods: Set<string>;
  /** How many of its pods the plan judges as subjects. */
  judged: number;
  readonly groups: Set<Members>;
}

/** A pod group and what is in it. */
export interface Members {
  readonly group: PodGroup;
  readonly shapes: Set<Shape>;
  /** How many of `shapes` have pods that are judged. */
  judged: number;
  readonly namespaces: Matcher | string;
  readonly pods: Matcher;
}

interface NamespaceShapes {
  readonly name: string;
  labels: Labels;
  readonly shapes: Map<string, Shape>;
  /** null: nobody has looked for a token yet where it is worth an index. */
  byToken: Map<string, Set<Shape>> | null;
}

/** Told after the fact. */
export interface MembershipListener {
  /** A shape joined or left a group. */
  moved(shape: Shape, members: Members): void;
  /** A shape of a group has pods that are judged now, or has none any more. */
  judged(members: Members): void;
}

/** Shapes of a namespace up to which one goes through all of them, rather than keep an index. */
const scanUpTo = 32;

export class Shapes {
  readonly #namespaces = new Map<string, NamespaceShapes>();
  readonly #namespacesByToken = new Map<string, Set<NamespaceShapes>>();
  /** Each under the most telling thing it asks of a member's namespace, then of the member: see `filedUnder`. */
  readonly #groups = new Map<string, Map<string, Set<Members>>>();
  readonly #byPortName = new Map<string, Set<Shape>>();
  readonly #listener: MembershipListener;
  /** The shape that a pod was filed under last, and what of: replicas come one after another, and share their labels and ports. */
  #latest: { readonly shape: Shape; readonly labels: Labels; readonly ports: readonly ContainerPort[] } | null = null;

  constructor(listener: MembershipListener) {
    this.#listener = listener;
  }

  /** Files a pod under its shape. The caller keeps the shape, to `remove` the pod by. */
  add(pod: Pod, key: string): Shape {
    const { namespace, labels, ports } = pod;
    let latest = this.#latest;
    if (
      latest === null ||
      latest.labels !== labels ||
      latest.ports !== ports ||
      latest.shape.namespace.name !== namespace ||
      latest.shape.pods.size === 0 // it is gone
    ) {
      latest = { shape: this.#shape(pod, key), labels, ports };
      this.#latest = latest;
    }
    latest.shape.pods.add(key);
    return latest.shape;
  }

  #shape(pod: Pod, key: string): Shape {
    const namespace = this.#namespace(pod.namespace);
    const ports = normalPorts(pod.ports);
    const { labels } = pod;
    const shapeKey = JSON.stringify([Object.entries(labels).sort(([a], [b]) => compareText(a, b)), ports]);
    let shape = namespace.shapes.get(shapeKey);
    if (shape === undefined) {
      shape = { key: shapeKey, namespace, labels, ports, pods: new Set([key]), judged: 0, groups: new Set() };
      namespace.shapes.set(shapeKey, shape);
      if (namespace.byToken !== null)
        for (const token of labelTokens(shape.labels)) addTo(namespace.byToken, token, shape);
      for (const { name } of ports) addTo(this.#byPortName, name, shape);
      for (const members of this.#groupsOf(shape)) this.#join(shape, members);
    }
    return shape;
  }

  remove(shape: Shape, key: string): void {
    shape.pods.delete(key);
    if (shape.pods.size > 0) return;
    const { namespace } = shape;
    namespace.shapes.delete(shape.key);
    if (namespace.byToken !== null)
      for (const token of labelTokens(shape.labels)) removeFrom(namespace.byToken, token, shape);
    for (const { name } of shape.ports) removeFrom(this.#byPortName, name, shape);
    for (const members of [...shape.groups]) this.#leave(shape, members);
  }

  /** One more pod of a shape is judged, or one less. */
  countJudged(shape: Shape, step: 1 | -1): void {
    const before = shape.judged > 0;
    shape.judged += step;
    if (before === shape.judged > 0) return;
    for (const members of shape.groups) {
      members.judged += step;
      this.#listener.judged(members);
    }
  }

  /** Sets a namespace's labels; null when its object is gone: it then has its name label only (spec A10.7). */
  setNamespace(name: string, labels: Labels | null): void {
    const namespace = this.#namespace(name);
    const now = { ...labels, [namespaceNameLabel]: name };
    if (sameRecord(namespace.labels, now)) return;
    for (const token of labelTokens(namespace.labels)) removeFrom(this.#namespacesByToken, token, namespace);
    namespace.labels = now;
    for (const token of labelTokens(namespace.labels)) addTo(this.#namespacesByToken, token, namespace);
    for (const shape of namespace.shapes.values()) {
      const groups = new Set(this.#groupsOf(shape));
      for (const members of groups) if (!shape.groups.has(members)) this.#join(shape, members);
      for (const members of [...shape.groups]) if (!groups.has(members)) this.#leave(shape, members);
    }
  }

  addGroup(group: PodGroup, namespaces: Matcher | string, pods: Matcher): Members {
    const members: Members = { group, shapes: new Set(), judged: 0, namespaces, pods };
    const [namespaceToken, podToken] = filedUnder(members);
    const byPod = this.#groups.get(namespaceToken) ?? new Map<string, Set<Members>>();
    this.#groups.set(namespaceToken, byPod);
    addTo(byPod, podToken, members);
    for (const namespace of this.#matchingNamespaces(namespaces)) {
      for (const shape of candidates(namespace, pods.token)) if (pods.matches(shape.labels)) this.#join(shape, members);
    }
    return members;
  }

  removeGroup(members: Members): void {
    const [namespaceToken, podToken] = filedUnder(members);
    const byPod = this.#groups.get(namespaceToken)!;
    removeFrom(byPod, podToken, members);
    if (byPod.size === 0) this.#groups.delete(namespaceToken);
    for (const shape of [...members.shapes]) this.#leave(shape, members);
  }

  withPortName(name: string): Iterable<Shape> {
    return this.#byPortName.get(name) ?? [];
  }

  #namespace(name: string): NamespaceShapes {
    let namespace = this.#namespaces.get(name);
    if (namespace === undefined) {
      namespace = { name, labels: { [namespaceNameLabel]: name }, shapes: new Map(), byToken: null };
      this.#namespaces.set(name, namespace);
      for (const token of labelTokens(namespace.labels)) addTo(this.#namespacesByToken, token, namespace);
    }
    return namespace;
  }

  *#matchingNamespaces(namespaces: Matcher | string): Generator<NamespaceShapes> {
    if (typeof namespaces === "string") {
      const one = this.#namespaces.get(namespaces);
      if (one !== undefined) yield one;
      return;
    }
    const { token } = namespaces;
    const asked = token === null ? this.#namespaces.values() : (this.#namespacesByToken.get(token) ?? []);
    for (const namespace of asked) if (namespaces.matches(namespace.labels)) yield namespace;
  }

  *#groupsOf(shape: Shape): Generator<Members> {
    const { namespace, labels } = shape;
    const podTokens = ["", ...labelTokens(labels)];
    for (const namespaceToken of [`@${namespace.name}`, "", ...labelTokens(namespace.labels)]) {
      const byPod = this.#groups.get(namespaceToken);
      if (byPod === undefined) continue;
      for (const podToken of podTokens) {
        for (const members of byPod.get(podToken) ?? []) {
          const { namespaces, pods } = members;
          if (typeof namespaces !== "string" && !namespaces.matches(namespace.labels)) continue;
          if (pods.matches(labels)) yield members;
        }
      }
    }
  }

  #join(shape: Shape, members: Members): void {
    members.shapes.add(shape);
    shape.groups.add(members);
    if (shape.judged > 0) members.judged++;
    this.#listener.moved(shape, members);
  }

  #leave(shape: Shape, members: Members): void {
    members.shapes.delete(shape);
    shape.groups.delete(members);
    if (shape.judged > 0) members.judged--;
    this.#listener.moved(shape, members);
  }
}

/** Shapes that can match a selector with this token. */
function candidates(namespace: NamespaceShapes, token: string | null): Iterable<Shape> {
  if (token === null) return namespace.shapes.values();
  if (namespace.byToken === null) {
    if (namespace.shapes.size <= scanUpTo) return namespace.shapes.values();
    namespace.byToken = new Map();
    for (const shape of namespace.shapes.values())
      for (const one of labelTokens(shape.labels)) addTo(namespace.byToken, one, shape);
  }
  return namespace.byToken.get(token) ?? [];
}

/** Does a selection hold the pods of a shape? */
export const selects = ({ namespaces, pods }: Selection, { namespace, labels }: Shape): boolean =>
  (typeof namespaces === "string" ? namespaces === namespace.name : namespaces.matches(namespace.labels)) &&
  pods.matches(labels);

/** `@shop` for the one namespace of that name, else a token that the namespace must have; and one that the pod must have. */
const filedUnder = ({ namespaces, pods }: Members): readonly [namespace: string, pod: string] => [
  typeof namespaces === "string" ? `@${namespaces}` : (namespaces.token ?? ""),
  pods.token ?? "",
];

/** The key of a pod group, and its matchers. */
export interface Selection {
  readonly key: string;
  readonly namespaces: Matcher | string;
  readonly pods: Matcher;
}

/** null when a selector cannot be parsed. */
export function podGroupContent(namespaces: string | LabelSelector, pods: LabelSelector): Selection | null {
  const podMatcher = compileSelector(pods);
  if (podMatcher === null) return null;
  if (typeof namespaces === "string") {
    return { key: `pods {${podMatcher.key}} of namespace ${namespaces}`, namespaces, pods: podMatcher };
  }
  const matcher = compileSelector(namespaces);
  if (matcher === null) return null;
  return { key: `pods {${podMatcher.key}} of namespaces {${matcher.key}}`, namespaces: matcher, pods: podMatcher };
}

/** Sorted by name, protocol and number, each once. */
function normalPorts(ports: readonly ContainerPort[]): readonly ContainerPort[] {
  const byText = new Map(
    ports.map(({ name, protocol, number }) => [`${name}/${protocol}/${number}`, { name, number, protocol }] as const),
  );
  return [...byText.values()].sort(
    (a, b) => compareText(a.name, b.name) || compareText(a.protocol, b.protocol) || a.number - b.number,
  );
}

/** Have two objects the same keys and values? */
export function sameRecord(a: Labels, b: Labels): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && a[key] === b[key]);
}

function addTo<T>(map: Map<string, Set<T>>, key: string, value: T): void {
  const set = map.get(key);
  if (set === undefined) map.set(key, new Set([value]));
  else set.add(value);
}

function removeFrom<T>(map: Map<string, Set<T>>, key: string, value: T): void {
  const set = map.get(key);
  if (set?.delete(value) && set.size === 0) map.delete(key);
}
