/** "did you mean": the known name nearest to a mistyped one. */

/** Edits (insert, delete, replace, swap of neighbours) between two short names. */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replace = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      let best = Math.min(replace, previous[j]! + 1, row[j - 1]! + 1);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) best = Math.min(best, before[j - 2]! + 1);
      row.push(best);
    }
    before = previous;
    previous = row;
  }
  return previous[b.length]!;
}

/** `; did you mean "web"?`, or nothing when no name is near. */
export function didYouMean(wrong: string, known: Iterable<string>): string {
  let best: { name: string; distance: number } | null = null;
  const limit = Math.max(1, Math.floor(wrong.length / 3));
  for (const name of known) {
    if (Math.abs(name.length - wrong.length) > limit) continue;
    const distance = editDistance(wrong, name);
    if (distance <= limit && (best === null || distance < best.distance)) best = { name, distance };
  }
  return best === null ? "" : `; did you mean "${best.name}"?`;
}
