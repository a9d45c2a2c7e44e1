/** The whole connectivity of worlds that are too large to list pair by pair: classes, counts and a checksum. */
import type { Plan } from "../compile/plan.ts";
import { mapEndpoints } from "./map-endpoints.ts";
import { type ClassMatrix, noFamily, nothing } from "./matrix.ts";

/**
 * @example {endpoints: 10000, classes: 412, connections: 1250311, checksum: "9f03b1c25a7e44d1"}
 */
export interface ConnectivityClasses {
  /** Pods, nodes and address classes. */
  readonly endpoints: number;
  /** Sets of endpoints that are judged alike. */
  readonly classes: number;
  /** Ordered pairs with a pod that may connect on something over some family, own-node exemptions aside. */
  readonly connections: number;
  /**
   * 16 hexadecimal digits of what every pair may do, by the names of ends and not by classes: worlds in which all pairs may
   * do the same have equal checksums, however their policies say it.
   */
  readonly checksum: string;
}

/**
 * Computes every pair of classes, and keeps only the sums.
 *
 * The checksum is the sum over all pairs of hash(from) · hash(to) · hash(ports), which is linear in each end: a pair of
 * classes adds the product of their sums of hashes.
 */
export function connectivityClasses(plan: Plan): ConnectivityClasses {
  const { matrix } = mapEndpoints(plan, {}, "pod");
  const { classes } = matrix;
  const isPods = classes.map(({ members }) => members[0]!.kind === "pod");
  const halves = [0x811c9dc5, 0x9747b28c].map((seed) => new Half(matrix, seed));
  let connections = 0;
  for (let from = 0; from < classes.length; from++) {
    const { IPv4, IPv6 } = matrix.rows(from);
    for (let to = 0; to < classes.length; to++) {
      const v4 = IPv4[to]!;
      const v6 = IPv6[to]!;
      if ((v4 <= nothing && v6 <= nothing) || (!isPods[from] && !isPods[to])) continue;
      connections += classes[from]!.members.length * (classes[to]!.members.length - (from === to ? 1 : 0));
      for (const half of halves) half.add(from, to, v4, v6);
    }
  }
  return {
    endpoints: classes.reduce((count, { members }) => count + members.length, 0),
    classes: classes.length,
    connections,
    checksum: halves.map((half) => half.text()).join(""),
  };
}

/** 32 bits of the checksum. */
class Half {
  readonly #matrix: ClassMatrix;
  readonly #seed: number;
  /** By class: the sums of its members' hashes as source and as destination; sources and destinations hash differently. */
  readonly #from: Int32Array;
  readonly #to: Int32Array;
  /** By class: what the pairs of members with themselves would add. */
  readonly #selves: Int32Array;
  readonly #ports = new Map<number, number>();
  #total = 0;

  constructor(matrix: ClassMatrix, seed: number) {
    this.#matrix = matrix;
    this.#seed = seed;
    this.#from = new Int32Array(matrix.classes.length);
    this.#to = new Int32Array(matrix.classes.length);
    this.#selves = new Int32Array(matrix.classes.length);
    for (const [index, { members }] of matrix.classes.entries())
      for (const { ref } of members) {
        const from = fnv1a(`from ${ref}`, seed);
        const to = fnv1a(`to ${ref}`, seed);
        this.#from[index] = this.#from[index]! + from;
        this.#to[index] = this.#to[index]! + to;
        this.#selves[index] = this.#selves[index]! + Math.imul(from, to);
      }
  }

  add(from: number, to: number, IPv4: number, IPv6: number): void {
    const pairs = (Math.imul(this.#from[from]!, this.#to[to]!) - (from === to ? this.#selves[from]! : 0)) | 0;
    this.#total = (this.#total + Math.imul(pairs, this.#hash(IPv4, IPv6))) | 0;
  }

  #hash(IPv4: number, IPv6: number): number {
    const key = IPv4 * 2 ** 24 + IPv6;
    const held = this.#ports.get(key);
    if (held !== undefined) return held;
    const text = (set: number): string => (set === noFamily ? "" : this.#matrix.ports(set).key);
    const made = fnv1a(`${text(IPv4)}/${text(IPv6)}`, this.#seed);
    this.#ports.set(key, made);
    return made;
  }

  text(): string {
    return (this.#total >>> 0).toString(16).padStart(8, "0");
  }
}

function fnv1a(text: string, seed: number): number {
  let hash = seed | 0;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash | 1; // odd: a product with it loses nothing
}
