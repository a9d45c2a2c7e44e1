/** The space of this node's pods: an address in it that the agent does not know yet is held, not passed (spec A17.1). */
import { formatCidr, parseCidr } from "../net/address.ts";
import type { Plan } from "../policy/compile/plan.ts";
import type { Condition } from "./condition.ts";

export interface HeldOptions {
  readonly node: string;
  /** `--pod-cidr`; this node's `spec.podCIDRs` are added. */
  readonly podCIDRs: readonly string[];
  /** `--pod-interface`. */
  readonly podInterfaces: readonly string[];
}

export class Held {
  readonly #options: HeldOptions;
  #cidrs: readonly string[] = [];
  /** Those that the kernel holds. */
  #inForce: readonly string[] = [];
  #hasNode = false;

  constructor(options: HeldOptions) {
    this.#options = options;
  }

  /** What is to be held. */
  get cidrs(): readonly string[] {
    return this.#cidrs;
  }

  /** The kernel holds them. */
  done(cidrs: readonly string[]): void {
    this.#inForce = cidrs;
  }

  /** Takes in what the plan says of this node. @returns whether the space is another than before */
  update(plan: Plan): boolean {
    const node = plan.nodes.get(this.#options.node);
    this.#hasNode = node !== undefined;
    // A Node object that is gone for a moment (it is made again after a reboot) does not open its space.
    if (node === undefined && this.#cidrs.length > 0) return false;
    const texts = [...this.#options.podCIDRs, ...(node?.podCIDRs ?? [])].flatMap((text) => {
      const parsed = parseCidr(text);
      return parsed === null ? [] : [formatCidr(parsed.cidr)];
    });
    const cidrs = [...new Set(texts)].sort();
    const isOther = cidrs.join(" ") !== this.#cidrs.join(" ");
    this.#cidrs = cidrs;
    return isOther;
  }

  conditions(): Condition[] {
    const { node, podInterfaces } = this.#options;
    const known = [...this.#inForce, ...podInterfaces.map((name) => `interface ${name}`)];
    const isOnItsWay = this.#inForce.length === 0 && this.#cidrs.length > 0;
    const space: Condition = isOnItsWay
      ? { name: "held", state: "failed", text: `unknown pods are not yet held in ${this.#cidrs.join(", ")}` }
      : known.length > 0
        ? { name: "held", state: "ok", text: `unknown pods are held in ${known.join(", ")}` }
        : {
            name: "held",
            state: "failed",
            text:
              "unknown pods are NOT held: this node's spec.podCIDRs is empty, and neither --pod-cidr nor --pod-interface is " +
              "given. Policies are enforced for all pods that are known",
          };
    if (this.#hasNode) return [space];
    return [{ name: "node", state: "failed", text: `there is no Node object ${node}: is --node-name right?` }, space];
  }
}
