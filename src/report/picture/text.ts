/** Text in pictures. There is no font to ask, so widths are estimates on the wide side. */

const narrow = /[iljtfrI.,:;'|!()[\]{}/\- ]/;
const wide = /[mwMW@%→←↔]/;

/** Estimated width in pixels of a text in a sans-serif font of `fontSize` pixels. */
export function textWidth(text: string, fontSize: number): number {
  let units = 0;
  for (const c of text) units += narrow.test(c) ? 0.36 : wide.test(c) ? 0.92 : c > "\u2e7f" ? 1.05 : 0.6;
  return units * fontSize;
}

/** At most `length` characters; what is cut from the middle leaves an ellipsis. */
export function clip(text: string, length: number): string {
  const characters = [...text];
  if (characters.length <= length) return text;
  const head = Math.ceil((length - 1) * 0.6);
  return `${characters.slice(0, head).join("")}…${characters.slice(characters.length - (length - 1 - head)).join("")}`;
}
