/** Classes of endpoints: what a question about many ends needs to ask once only. */
import { families } from "../../net/address.ts";
import type { Endpoint } from "./endpoint.ts";

/** Ends that every policy treats alike; nodes stay alone and, for the own-node exemption, `byNode` keeps pods of different nodes apart. */
export function groupAlike(
  ends: readonly Endpoint[],
  byNode: boolean,
  extra: (end: Endpoint) => string = () => "",
): readonly (readonly Endpoint[])[] {
  const groups = new Map<string, Endpoint[]>();
  const ids = new Map<object, number>();
  const id = (object: object): number => {
    const known = ids.get(object) ?? ids.size;
    ids.set(object, known);
    return known;
  };
  for (const end of ends) {
    const faces = families.map((f) =>
      end.faces[f].map(({ peers }) => `${id(peers.egress)}.${id(peers.ingress)}`).join(" "),
    );
    const identity =
      end.kind === "pod"
        ? `${id(end.subject.egress)}.${id(end.subject.ingress)}@${byNode ? (end.pod.node ?? "") : ""}`
        : end.kind === "node"
          ? `node/${end.node.name}/${end.elsewhere}`
          : "";
    const key = `${end.kind}|${identity}|${faces.join("|")}|${extra(end)}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [end]);
    else group.push(end);
  }
  return Array.from(groups.values());
}
