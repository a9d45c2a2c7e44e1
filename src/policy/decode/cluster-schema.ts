/**
 * The CRDs of policy.networking.k8s.io: v1alpha2 of bundle v0.2.0, v1alpha1 of bundle v0.1.8, both channels (spec C2, C14, C16).
 */
import { maxPort, minPort } from "../../net/ports.ts";
import type { ClusterPolicyKind } from "../model/policy.ts";
import { isCelCidr } from "./cidr.ts";
import { domainNamePattern, isDomainNamePattern } from "./domain-name.ts";
import type { ObjectSchema, Rule, Schema } from "./schema.ts";
import { isObject } from "./shape.ts";

export type CrdChannel = "standard" | "experimental";

const any: Schema = { kind: "any" };
const string: Schema = { kind: "string" };
const port: Schema = { kind: "integer", minimum: minPort, maximum: maxPort };
const priority: Schema = { kind: "integer", minimum: 0, maximum: 1000 };
const oneOf = (...values: string[]): Schema => ({ kind: "string", values });
const upTo = (maxItems: number, items: Schema, minItems = 1): Schema => ({ kind: "list", items, minItems, maxItems });
const object = (
  properties: Readonly<Record<string, Schema>>,
  more: Omit<ObjectSchema, "kind" | "properties"> = {},
): ObjectSchema => ({ kind: "object", properties, ...more });

const selector: ObjectSchema = object({
  matchLabels: { kind: "map" },
  matchExpressions: {
    kind: "list",
    items: object(
      { key: string, operator: string, values: { kind: "list", items: string } },
      { required: ["key", "operator"] },
    ),
  },
});

const addressSet = (items: Schema): Schema => ({ kind: "list", minItems: 1, maxItems: 25, set: true, items });

const networks = addressSet({
  kind: "string",
  maxLength: 43,
  check: { code: "C8.4", holds: isCelCidr, message: () => "Invalid CIDR format provided" },
});

const domainNames = addressSet({
  kind: "string",
  check: {
    code: "C8.7",
    holds: isDomainNamePattern,
    message: (path) => `${path} in body should match '${domainNamePattern}'`,
  },
});

const hasAny = (items: unknown, ...fields: readonly string[]): boolean =>
  Array.isArray(items) && items.some((item) => isObject(item) && fields.some((field) => Object.hasOwn(item, field)));

/** An address has no named ports (spec C9.6). */
const noNamedPort = (peers: readonly string[], ports: string, namedPort: string): Rule => ({
  code: "C9.6",
  message: `${peers.join("/")} peer cannot be set with namedPorts since there are no namedPorts for ${peers.join("/")}`,
  holds: (rule) => !(hasAny(rule["to"], ...peers) && hasAny(rule[ports], namedPort)),
});

// ---- v1alpha2 -------------------------------------------------------------------------------------------------------

function clusterNetworkPolicy(channel: CrdChannel): ObjectSchema {
  const experimental = channel === "experimental";
  const pods = object({ namespaceSelector: selector, podSelector: selector }, { required: ["podSelector"] });
  const range = object(
    { start: port, end: port },
    {
      required: ["end", "start"],
      rules: [
        {
          code: "C9.3",
          message: "Start port must be less than End port",
          holds: ({ start, end }) => typeof start !== "number" || typeof end !== "number" || start < end,
        },
      ],
    },
  );
  const destinationPort = object({ number: port, range }, { exactlyOne: true });
  const transport = object({ destinationPort }, { minProperties: 1 });
  const protocols = upTo(
    25,
    object({ tcp: transport, udp: transport, sctp: transport, destinationNamedPort: string }, { exactlyOne: true }),
  );
  const rule = (peersField: "from" | "to", peer: ObjectSchema, rules: readonly Rule[]): Schema =>
    object(
      {
        name: { kind: "string", maxLength: 100 },
        action: oneOf("Accept", "Deny", "Pass"),
        [peersField]: upTo(25, peer),
        protocols,
      },
      { required: ["action", peersField], rules },
    );
  const ingressPeer = object({ namespaces: selector, pods }, { exactlyOne: true });
  const egressPeer = object(
    { namespaces: selector, pods, networks, ...(experimental ? { nodes: selector, domainNames } : {}) },
    { exactlyOne: true },
  );
  const namedPort = noNamedPort(["networks", "nodes", "domainNames"], "protocols", "destinationNamedPort");
  return object(
    {
      tier: oneOf("Admin", "Baseline"),
      priority,
      subject: object({ namespaces: selector, pods }, { exactlyOne: true }),
      ingress: upTo(25, rule("from", ingressPeer, []), 0),
      egress: upTo(25, rule("to", egressPeer, experimental ? [namedPort] : []), 0),
    },
    { required: ["priority", "subject", "tier"] },
  );
}

// ---- v1alpha1 -------------------------------------------------------------------------------------------------------

/** Peers as releases v0.1.0–v0.1.2 had them: read by newer rules they would select every namespace (spec C16.8). */
const oldPeers = {
  namespaces: {
    fields: ["namespaceSelector", "sameLabels", "notSameLabels"],
    code: "C16.8",
    detail:
      "this is the peer shape of releases v0.1.0 to v0.1.2; today's CRD drops it, and the empty rest selects all namespaces; write the label selector directly under namespaces",
  },
  pods: {
    fields: ["namespaces"],
    code: "C16.8",
    detail:
      "this is the peer shape of releases v0.1.0 to v0.1.2; today's CRD drops it, and with it the limit to some namespaces; write pods.namespaceSelector",
  },
};

function adminPolicy(channel: CrdChannel, kind: "AdminNetworkPolicy" | "BaselineAdminNetworkPolicy"): ObjectSchema {
  const experimental = channel === "experimental";
  const isAdmin = kind === "AdminNetworkPolicy";
  const pods = object(
    { namespaceSelector: selector, podSelector: selector },
    { required: ["namespaceSelector", "podSelector"], retired: oldPeers.pods },
  );
  const peerNamespaces: ObjectSchema = { ...selector, retired: oldPeers.namespaces };
  const ports = upTo(
    100,
    object(
      {
        portNumber: object({ protocol: string, port }, { required: ["port"] }),
        portRange: object({ protocol: string, start: port, end: port }, { required: ["end", "start"] }),
        ...(experimental ? { namedPort: string } : {}),
      },
      { exactlyOne: true },
    ),
  );
  const rule = (peersField: "from" | "to", peer: ObjectSchema, rules: readonly Rule[]): Schema =>
    object(
      {
        name: { kind: "string", maxLength: 100 },
        action: isAdmin ? oneOf("Allow", "Deny", "Pass") : oneOf("Allow", "Deny"),
        [peersField]: upTo(100, peer),
        ports,
      },
      { required: ["action", peersField], rules },
    );
  const ingressPeer = object({ namespaces: peerNamespaces, pods }, { exactlyOne: true });
  const egressPeer = object(
    {
      namespaces: peerNamespaces,
      pods,
      networks,
      ...(experimental ? { nodes: selector } : {}),
      ...(experimental && isAdmin ? { domainNames } : {}),
    },
    { exactlyOne: true },
  );
  const addressPeers = ["networks", "nodes", ...(isAdmin ? ["domainNames"] : [])];
  return object(
    {
      ...(isAdmin ? { priority } : {}),
      subject: object({ namespaces: selector, pods }, { exactlyOne: true }),
      ingress: upTo(100, rule("from", ingressPeer, []), 0),
      egress: upTo(
        100,
        rule("to", egressPeer, experimental ? [noNamedPort(addressPeers, "ports", "namedPort")] : []),
        0,
      ),
    },
    { required: isAdmin ? ["priority", "subject"] : ["subject"] },
  );
}

// ---- the whole object -----------------------------------------------------------------------------------------------

/** There is one Baseline policy at most, and its name is fixed (spec C16.3). */
const singleton: Rule = {
  code: "C16.3",
  message: 'Only one baseline admin network policy with metadata.name="default" can be created in the cluster',
  holds: ({ metadata }) => isObject(metadata) && metadata["name"] === "default",
};

function build(kind: ClusterPolicyKind, channel: CrdChannel): ObjectSchema {
  const spec = kind === "ClusterNetworkPolicy" ? clusterNetworkPolicy(channel) : adminPolicy(channel, kind);
  return object(
    { apiVersion: string, kind: string, metadata: any, spec, status: any },
    { required: ["metadata", "spec"], rules: kind === "BaselineAdminNetworkPolicy" ? [singleton] : [] },
  );
}

const cache = new Map<string, ObjectSchema>();

/** The schema of a whole object. Its metadata is left to `objectMeta`, its status to nobody. */
export function clusterPolicySchema(kind: ClusterPolicyKind, channel: CrdChannel): ObjectSchema {
  const key = `${kind}/${channel}`;
  const known = cache.get(key) ?? build(kind, channel);
  cache.set(key, known);
  return known;
}
