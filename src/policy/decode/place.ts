/** Where validation stands in an object. Nearly every place turns out to be fine: paths are made only of those that do not. */
import type { Path, PathStep } from "../model/source.ts";

/** A step below another place; null is the object itself. */
export interface Place {
  readonly above: Place | null;
  readonly step: PathStep;
}

export const below = (above: Place | null, step: PathStep): Place => ({ above, step });

export function pathOf(place: Place | null): Path {
  const path: PathStep[] = [];
  for (let at = place; at !== null; at = at.above) path.push(at.step);
  return path.reverse();
}
