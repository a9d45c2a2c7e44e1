/** Colour on a terminal. Renderers get one of the two styles and know nothing of terminals. */

export interface Style {
  readonly good: (text: string) => string;
  readonly bad: (text: string) => string;
  readonly warning: (text: string) => string;
  readonly strong: (text: string) => string;
  readonly faint: (text: string) => string;
}

const same = (text: string): string => text;
const sgr =
  (on: number, off: number) =>
  (text: string): string =>
    text === "" ? "" : `\u001b[${on}m${text}\u001b[${off}m`;

export const plain: Style = { good: same, bad: same, warning: same, strong: same, faint: same };

export const ansi: Style = {
  good: sgr(32, 39),
  bad: sgr(31, 39),
  warning: sgr(33, 39),
  strong: sgr(1, 22),
  faint: sgr(2, 22),
};

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the bytes that start a colour
const escapes = /\u001b\[[0-9;]*m/g;

/** Columns that a text takes on a terminal: colour takes none. */
export const visibleWidth = (text: string): number => {
  const bare = text.includes("\u001b") ? text.replace(escapes, "") : text;
  let width = 0;
  for (const _ of bare) width++;
  return width;
};
