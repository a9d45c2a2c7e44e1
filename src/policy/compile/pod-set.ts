/** The pods of a plan: their shapes, their addresses, and which of them are judged. */
import { type Address, type Family, families } from "../../net/address.ts";
import { isFinished, namespacedName, type Pod } from "../model/world.ts";
import type { DeltaRecorder } from "./delta.ts";
import { type Ends, podAddresses } from "./ends.ts";
import type { Shape, Shapes } from "./shapes.ts";
import type { Sleepers } from "./sleepers.ts";

export interface PodSetParts {
  /** The node whose pods are judged; null: all are. */
  readonly node: string | null;
  readonly shapes: Shapes;
  readonly ends: Ends;
  readonly sleepers: Sleepers | null;
  readonly delta: DeltaRecorder;
  /** Told when a shape has pods that are judged, and had none before. */
  readonly wake: (shape: Shape) => void;
}

export class PodSet {
  readonly #pods: Map<string, Pod>;
  readonly #parts: PodSetParts;
  /** By key; finished pods and those on the host network have none (spec A8.2, A17.4). */
  readonly #shapeOf = new Map<string, Shape>();

  /** @param pods by key; followed in place */
  constructor(pods: Map<string, Pod>, parts: PodSetParts) {
    this.#pods = pods;
    this.#parts = parts;
  }

  /** @throws RangeError for pods that take no part in traffic, or are not in the plan */
  shapeOf(pod: Pod): Shape {
    const key = namespacedName(pod);
    const shape = this.#shapeOf.get(key);
    if (shape !== undefined) return shape;
    if (!this.#pods.has(key)) throw new RangeError(`pod ${key} is not in the plan`);
    throw new RangeError(`pod ${key} is finished or on the host network: it has no class`);
  }

  /** The shape of a pod that has an address. */
  shapeAt(key: string): Shape {
    return this.#shapeOf.get(key)!;
  }

  isJudged(pod: Pod): boolean {
    const { node } = this.#parts;
    return node === null || pod.node === node;
  }

  put(pod: Pod): void {
    const { shapes, ends, delta } = this.#parts;
    const key = namespacedName(pod);
    const before = this.#pods.get(key);
    const oldShape = this.#shapeOf.get(key) ?? null;
    const takesPart = !pod.hostNetwork && !isFinished(pod);
    // The new shape first: groups that hold both must not look empty in between.
    const shape = takesPart ? shapes.add(pod, key) : null;
    if (shape !== null && this.isJudged(pod)) this.#countJudged(shape, 1);
    if (oldShape !== null && this.isJudged(before!)) this.#countJudged(oldShape, -1);
    if (oldShape !== null && oldShape !== shape) shapes.remove(oldShape, key);
    const addresses: Partial<Record<Family, Address>> = takesPart ? podAddresses(pod) : {};
    const old: typeof addresses = before === undefined || oldShape === null ? {} : podAddresses(before);
    const same =
      before !== undefined &&
      oldShape === shape &&
      before.node === pod.node &&
      before.uid === pod.uid && // another pod of the same name: its addresses are another's (spec A18.7)
      before.phase === pod.phase && // of two pods that report one address the running one has it
      families.every((family) => old[family]?.value === addresses[family]?.value);
    this.#pods.set(key, pod);
    if (same) return;
    ends.removePod(key, old);
    if (shape === null) this.#shapeOf.delete(key);
    else {
      this.#shapeOf.set(key, shape);
      ends.addPod(key, pod, addresses);
    }
    delta.pod(key);
  }

  remove(key: string): void {
    const { shapes, ends, delta } = this.#parts;
    const before = this.#pods.get(key);
    if (before === undefined) return;
    const shape = this.#shapeOf.get(key);
    this.#pods.delete(key);
    this.#shapeOf.delete(key);
    if (shape !== undefined) {
      if (this.isJudged(before)) this.#countJudged(shape, -1);
      shapes.remove(shape, key);
      ends.removePod(key, podAddresses(before));
    }
    delta.pod(key);
  }

  #countJudged(shape: Shape, step: 1 | -1): void {
    const { shapes, sleepers, wake } = this.#parts;
    shapes.countJudged(shape, step);
    const isFirst = step > 0 && shape.judged === 1;
    if (isFirst || shape.judged === 0) sleepers?.note(shape);
    if (isFirst) wake(shape);
  }
}
