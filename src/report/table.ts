/** Tables as kubectl prints them: upper-case headers, three spaces between columns, no borders. */
import { visibleWidth } from "./style.ts";

export interface TableOptions {
  /** `--no-headers` */
  readonly headers?: boolean;
}

/**
 * Lines, each ending in a newline. Empty cells print as `<none>`. Control characters in cells are shown, not sent to
 * the terminal: names come from files that someone else may have written.
 */
export function table(
  headers: readonly string[],
  rows: readonly (readonly string[])[],
  { headers: withHeaders = true }: TableOptions = {},
): string {
  const cells = rows.map((row) => row.map((cell) => (cell === "" ? "<none>" : cell)));
  const all = withHeaders ? [headers.map((h) => h.toUpperCase()), ...cells] : cells;
  const widths = headers.map((_, i) => all.reduce((width, row) => Math.max(width, visibleWidth(row[i] ?? "")), 0));
  return all
    .map((row) =>
      row
        .map((cell, i) => (i === row.length - 1 ? cell : cell + " ".repeat(widths[i]! - visibleWidth(cell))))
        .join("   ")
        .trimEnd(),
    )
    .map((text) => `${text}\n`)
    .join("");
}
