/** What an answer depends on, as sentences. */
import type { Note } from "../policy/analyze/types.ts";
import { formatPolicyRef } from "../policy/model/policy.ts";

const some = (items: readonly string[], most = 3): string =>
  items.length <= most ? items.join(", ") : `${items.slice(0, most).join(", ")} and ${items.length - most} more`;

export function formatNote(note: Note): string {
  switch (note.note) {
    case "depends-on-address":
      return `${note.endpoint} has no address: whether ${some(note.cidrs)} covers it depends on the address it gets; judged as not covered (--pod-cidr tells what it can get)`;
    case "own-node-unknown":
      return `${note.endpoint} has no nodeName: its own node, which policies never keep out, is not known`;
    case "between-replicas":
      return `${note.endpoint} may be several pods: asked is one of them calling another`;
    case "host-node-unknown":
      return `${note.endpoint} runs on the host network of a node that is not known: judged as a node other than the peer's`;
    case "domain-names":
      return `${formatPolicyRef(note.policy)} rule ${note.rule} names domain names, which match nothing until their addresses are known`;
    case "host-network":
      return `${note.endpoint} runs on the host network: judged as node ${note.node}`;
    case "target-port":
      return `${note.service} port ${note.port} is port ${note.targetPort} of its pods, which is what policies judge`;
    case "port-name-missing":
      return `no port named ${note.name}, so not asked: ${some(note.endpoints)}`;
    case "no-common-family":
      return `${note.pairs === 1 ? "one pair has" : `${note.pairs} pairs have`} no address family in common and ${note.pairs === 1 ? "was" : "were"} not asked`;
  }
}
