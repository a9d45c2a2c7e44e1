/** Which groups, and which port names, the rules of active policies look at; who looks different when that changes. */
import { type Direction, directions } from "../model/verdict.ts";
import type { DeltaRecorder } from "./delta.ts";
import type { Ends } from "./ends.ts";
import { type Entry, isNodeEntry, isPodEntry, type PolicyState } from "./groups.ts";
import type { LiveSplit } from "./live-split.ts";
import type { PodClasses } from "./pod-classes.ts";
import type { Shape, Shapes } from "./shapes.ts";

export interface GroupUseParts {
  readonly shapes: Shapes;
  readonly ends: Ends;
  readonly classes: PodClasses;
  readonly splits: Readonly<Record<Direction, LiveSplit>>;
  readonly delta: DeltaRecorder;
}

export class GroupUse {
  readonly #parts: GroupUseParts;
  /** How many active policies look each port name up on every destination. */
  readonly #destinationNames = new Map<string, number>();

  constructor(parts: GroupUseParts) {
    this.#parts = parts;
  }

  /** Does an egress rule of an active policy look this port name up on everybody? */
  looksUpOnAll(name: string): boolean {
    return this.#destinationNames.has(name);
  }

  /** A policy became active, or ceased to be. */
  count({ peers, peerNames }: PolicyState, step: 1 | -1): void {
    for (const direction of directions) {
      for (const entry of peers[direction]) {
        const before = entry.used[direction];
        entry.used[direction] += step;
        if (before === 0 || entry.used[direction] === 0) this.#useChanged(entry, direction);
      }
    }
    for (const { entry, name } of peerNames) {
      if (entry !== null) entry.names ??= new Map();
      const names = entry?.names ?? this.#destinationNames;
      const before = names.get(name) ?? 0;
      if (before + step === 0) names.delete(name);
      else names.set(name, before + step);
      if (before === 0 || before + step === 0) this.#lookUpChanged(entry, name);
    }
  }

  /** The pods of a shape look different. */
  peerChanged(shape: Shape, direction: Direction): void {
    const { classes, delta } = this.#parts;
    classes.forgetPeer(shape, direction);
    delta.podsOf(shape);
  }

  /** Egress rules began or ceased to look a port name up: on who is in a group, or on everybody. */
  #lookUpChanged(entry: Entry | null, name: string): void {
    const { shapes, ends, classes } = this.#parts;
    if (entry !== null && isNodeEntry(entry)) return; // nodes have no named ports
    if (entry !== null && isPodEntry(entry)) {
      for (const shape of entry.members.shapes)
        if (shape.ports.some((port) => port.name === name)) this.peerChanged(shape, "egress");
      return;
    }
    for (const shape of shapes.withPortName(name)) {
      if (entry === null) this.peerChanged(shape, "egress");
      else classes.forgetPeer(shape, "egress");
    }
    if (entry !== null) ends.touchWithin(entry.group.set);
  }

  /** A group began or ceased to matter in a direction: whoever is in it looks different now. */
  #useChanged(entry: Entry, direction: Direction): void {
    const { ends, splits, delta } = this.#parts;
    if (isPodEntry(entry)) {
      for (const shape of entry.members.shapes) this.peerChanged(shape, direction);
      return;
    }
    if (isNodeEntry(entry)) {
      delta.nodes();
      return;
    }
    if (entry.used[direction] > 0) splits[direction].add(entry.group);
    else splits[direction].remove(entry.group);
    delta.nets(direction);
    ends.touchWithin(entry.group.set);
  }
}
