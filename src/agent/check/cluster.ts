/** What the API server says: is it there, may this identity read what it must, and what does it know of this node? */
import type { Connection } from "../../kube/connection.ts";
import { type Client, NetworkError, openClient } from "../../kube/index.ts";
import { messageOf } from "../log.ts";
import { type Finding, ok, problem, unknown } from "./finding.ts";

interface Right {
  readonly group: string;
  readonly resource: string;
  /** Default: all. */
  readonly names?: readonly string[];
  readonly verbs: readonly string[];
}

const clusterPolicies = ["clusternetworkpolicies", "adminnetworkpolicies", "baselineadminnetworkpolicies"];

/** All that the agent asks for, and all that deploy/ grants. */
export const neededRights: readonly Right[] = [
  { group: "", resource: "namespaces", verbs: ["list", "watch"] },
  { group: "", resource: "nodes", verbs: ["list", "watch"] },
  { group: "", resource: "pods", verbs: ["list", "watch"] },
  { group: "networking.k8s.io", resource: "networkpolicies", verbs: ["list", "watch"] },
  ...clusterPolicies.map((resource) => ({ group: "policy.networking.k8s.io", resource, verbs: ["list", "watch"] })),
  {
    group: "apiextensions.k8s.io",
    resource: "customresourcedefinitions",
    names: clusterPolicies.map((resource) => `${resource}.policy.networking.k8s.io`),
    verbs: ["watch"],
  },
  { group: "events.k8s.io", resource: "events", verbs: ["create", "patch"] },
];

const reviews = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";

export interface ClusterLook {
  readonly findings: readonly Finding[];
  /** `spec.podCIDRs` of the node; [] when unknown. */
  readonly podCIDRs: readonly string[];
}

export async function lookAtCluster(connection: Connection, node: string | null): Promise<ClusterLook> {
  const client = openClient(connection);
  try {
    const version = (await client.get("/version")) as { readonly gitVersion?: unknown };
    const server = ok("cluster", `${connection.description}, ${String(version.gitVersion)}`);
    const own = await lookAtNode(client, node);
    return { findings: [server, await rights(client), ...own.findings], podCIDRs: own.podCIDRs };
  } catch (error) {
    const isNamed = error instanceof NetworkError; // it says where it was
    const text = `${isNamed ? "" : `${connection.description}: `}${messageOf(error)}`;
    return { findings: [unknown("cluster", text)], podCIDRs: [] };
  } finally {
    client.close();
  }
}

async function rights(client: Client): Promise<Finding> {
  const asked = neededRights.flatMap(({ group, resource, names = [""], verbs }) =>
    names.flatMap((name) => verbs.map((verb) => ({ group, resource, verb, ...(name === "" ? {} : { name }) }))),
  );
  const answers = await Promise.all(
    asked.map(async (attributes) => {
      const { group, resource, verb, name } = attributes;
      const review = {
        apiVersion: "authorization.k8s.io/v1",
        kind: "SelfSubjectAccessReview",
        spec: { resourceAttributes: attributes },
      };
      const answer = (await client.post(reviews, review)) as { readonly status?: { readonly allowed?: unknown } };
      return {
        what: `${verb} ${resource}${group === "" ? "" : `.${group}`}${name === undefined ? "" : ` ${name}`}`,
        allowed: answer.status?.allowed === true,
      };
    }),
  );
  const missing = answers.filter(({ allowed }) => !allowed).map(({ what }) => what);
  return missing.length === 0
    ? ok("rbac", "all that the agent reads and writes is allowed")
    : problem("rbac", `not allowed: ${missing.join(", ")}`);
}

interface NodeList {
  readonly items?: readonly { readonly spec?: { readonly podCIDR?: string; readonly podCIDRs?: readonly string[] } }[];
}

async function lookAtNode(client: Client, node: string | null): Promise<ClusterLook> {
  if (node === null) return { findings: [unknown("node", "--node-name (or NODE_NAME) is not given")], podCIDRs: [] };
  const list = (await client.get("/api/v1/nodes", { fieldSelector: `metadata.name=${node}` })) as NodeList;
  const [found] = list.items ?? [];
  if (found === undefined) return { findings: [problem("node", `there is no Node object ${node}`)], podCIDRs: [] };
  const { podCIDR, podCIDRs = podCIDR === undefined ? [] : [podCIDR] } = found.spec ?? {};
  const text = podCIDRs.length === 0 ? "its spec.podCIDRs is empty" : `pods in ${podCIDRs.join(", ")}`;
  return { findings: [ok("node", `${node}: ${text}`)], podCIDRs };
}
