/** What `verify` asks: every pair, every protocol, every port that rules tell apart, directly and through Services. */
import type { Family } from "../net/address.ts";
import { protocols as everyProtocol, type Protocol } from "../net/ports.ts";
import type { Plan } from "../policy/compile/plan.ts";
import type { Flow } from "../policy/model/verdict.ts";
import type { World } from "../policy/model/world.ts";
import { type Face, faceOf, facesOf } from "./faces.ts";
import { PortClasses } from "./port-classes.ts";
import { type Frontend, frontends } from "./services.ts";

/** One connection to be tried. */
export interface Question {
  readonly from: Face;
  readonly to: Face;
  readonly protocol: Protocol;
  /** The destination's own port; 0 for protocol `other`, asked by ICMP echo. */
  readonly port: number;
  /** The client dials a Service and gets this backend of it. */
  readonly via: { readonly frontend: Frontend; readonly backend: number } | null;
  /** The first that is asked of its pair, protocol and family: without policies it must connect. */
  readonly first: boolean;
}

export const flowOf = ({ from, to, protocol, port, via }: Question): Flow => ({
  from: from.end,
  to: to.end,
  family: from.family,
  protocol,
  port,
  ...(via === null ? {} : { viaService: true }),
});

export interface QuestionOptions {
  readonly families?: readonly Family[];
  readonly protocols?: readonly Protocol[];
  /** Ask this one port of every pair and protocol, instead of those that rules tell apart. */
  readonly port?: number;
}

/** All questions, by destination: what listens there is needed for one stretch only. */
export function* questions(plan: Plan, world: World, options: QuestionOptions = {}): Generator<Question> {
  const { protocols = everyProtocol } = options;
  const faces = facesOf(plan, world, options.families);
  const classes = new PortClasses(plan);
  for (const to of faces) {
    for (const from of faces) {
      if (from.family !== to.family || !worthAsking(from, to)) continue;
      for (const protocol of protocols) {
        const ports =
          options.port === undefined || protocol === "other" ? classes.between(from, to, protocol) : [options.port];
        const asked = samePod(from, to) ? ports.slice(0, 1) : ports;
        for (const [i, port] of asked.entries()) yield { from, to, protocol, port, via: null, first: i === 0 };
      }
    }
  }
  yield* serviceQuestions(world, faces, protocols);
}

function* serviceQuestions(world: World, faces: readonly Face[], protocols: readonly Protocol[]): Generator<Question> {
  const byAddress = new Map(faces.map((face) => [face.address, face]));
  for (const frontend of frontends(world)) {
    if (!protocols.includes(frontend.protocol)) continue;
    for (const [backend, { address, port }] of frontend.backends.entries()) {
      const to = byAddress.get(address) ?? faceOf({ kind: "address", address }, address);
      for (const from of faces) {
        if (from.family !== frontend.family || from.end.kind === "address") continue;
        const { protocol } = frontend;
        yield { from, to, protocol, port, via: { frontend, backend }, first: true };
      }
    }
  }
}

const samePod = (from: Face, to: Face): boolean => from.end.kind === "pod" && from.address === to.address;

/** Outside to outside never meets a node; a node to itself never leaves it. */
function worthAsking(from: Face, to: Face): boolean {
  if (from.end.kind === "address") return to.end.kind !== "address";
  return from.end.kind !== "node" || to.end.kind !== "node" || from.end.node.name !== to.end.node.name;
}
