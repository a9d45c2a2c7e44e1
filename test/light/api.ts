/** Writing objects to an API server, by kind and name. */
import type { Manifest } from "../../bench/worlds.ts";
import type { Client } from "../../src/kube/client.ts";
import { ApiError } from "../../src/kube/errors.ts";
import { Transport } from "../../src/kube/transport.ts";

export interface ObjectName {
  readonly kind: string;
  readonly namespace?: string;
  readonly name: string;
}

const prefixes: Readonly<Record<string, readonly [prefix: string, resource: string]>> = {
  Namespace: ["/api/v1", "namespaces"],
  Node: ["/api/v1", "nodes"],
  Pod: ["/api/v1", "pods"],
  NetworkPolicy: ["/apis/networking.k8s.io/v1", "networkpolicies"],
  ClusterNetworkPolicy: ["/apis/policy.networking.k8s.io/v1alpha2", "clusternetworkpolicies"],
};

function folderOf({ kind, namespace }: Omit<ObjectName, "name">): string {
  const [prefix, resource] = prefixes[kind]!;
  return `${prefix}${namespace === undefined ? "" : `/namespaces/${namespace}`}/${resource}`;
}

/** `{ kind, namespace, name }` of a manifest. */
export function nameOf(object: Manifest): ObjectName {
  const { name, namespace } = object["metadata"] as { readonly name: string; readonly namespace?: string };
  return { kind: object["kind"] as string, name, ...(namespace === undefined ? {} : { namespace }) };
}

export class Api {
  readonly client: Client;
  readonly #deleting: Transport;

  constructor(client: Client) {
    this.client = client;
    this.#deleting = new Transport(client.connection, { pingInterval: 10_000 });
  }

  /** @returns the object as the server stored it */
  async create(object: Manifest): Promise<Manifest> {
    return (await this.client.post(folderOf(nameOf(object)), object)) as Manifest;
  }

  async get(name: ObjectName): Promise<Manifest> {
    return (await this.client.get(`${folderOf(name)}/${name.name}`)) as Manifest;
  }

  /** By merge patch (RFC 7386). */
  async patch(name: ObjectName, patch: Manifest, subresource?: "status"): Promise<Manifest> {
    const path = `${folderOf(name)}/${name.name}${subresource === undefined ? "" : `/${subresource}`}`;
    return (await this.client.patch(path, patch)) as Manifest;
  }

  /** At once, without a grace period; an object that is not there is fine. @throws Error with the server's answer */
  async delete(name: ObjectName): Promise<void> {
    const { connection } = this.client;
    const body = { kind: "DeleteOptions", apiVersion: "v1", gracePeriodSeconds: 0, propagationPolicy: "Background" };
    const answer = await this.#deleting.send({
      method: "DELETE",
      path: `${folderOf(name)}/${name.name}`,
      headers: { accept: "application/json", "content-type": "application/json", ...(await connection.headers()) },
      body: Buffer.from(JSON.stringify(body)),
      signal: AbortSignal.timeout(60_000),
    });
    const parts: Buffer[] = [];
    for await (const part of answer.body) parts.push(part);
    if (answer.status >= 300 && answer.status !== 404) {
      throw new Error(
        `delete ${name.kind} ${name.name}: ${answer.status} ${Buffer.concat(parts).toString().slice(0, 300)}`,
      );
    }
  }

  close(): void {
    this.#deleting.close();
    this.client.close();
  }
}

/** The object is not there, or no more. */
export const isNotFound = (error: unknown): boolean => error instanceof ApiError && error.status === 404;

/** Runs a job for each item, `concurrency` at a time; rejects with the first failure. */
export async function forAll<T>(
  items: Iterable<T>,
  concurrency: number,
  job: (item: T) => Promise<unknown>,
): Promise<void> {
  const source = items[Symbol.iterator]();
  const work = async (): Promise<void> => {
    for (let next = source.next(); !next.done; next = source.next()) await job(next.value);
  };
  await Promise.all(Array.from({ length: concurrency }, work));
}
