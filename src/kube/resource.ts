import type { Projection } from "./project.ts";

/** A kind, and what is kept of its objects. */
export interface Resource<T> {
  /** Plural and group: `pods`, `networkpolicies.networking.k8s.io`; of a CRD its name. */
  readonly name: string;
  /** `/apis/networking.k8s.io/v1/networkpolicies` */
  readonly path: string;
  /** Not part of every cluster: its CRD comes and goes. */
  readonly optional?: boolean;
  /** Only metadata is needed, and asked for. */
  readonly metadataOnly?: boolean;
  /** What `decode` looks at. */
  readonly reads: Projection;
  /** null when the object can't even be identified. Never throws. */
  decode(object: unknown): T | null;
  key(object: T): string;
  uid(object: T): string;
  /** Nothing that matters differs; both have one key and uid. */
  same(before: T, after: T): boolean;
}
