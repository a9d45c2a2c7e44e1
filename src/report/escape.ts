/**
 * Text that comes from manifests, made safe for the languages that reports are written in. Names are usually DNS labels,
 * but label values, file names and invalid objects under `--allow-partial` can hold anything.
 */

// biome-ignore lint/suspicious/noControlCharactersInRegex: the point is to find control characters
const control = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]/g;

/** For a terminal or a line of text: control characters, line ends included, become visible escapes. */
export const oneLine = (text: string): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: see above
  text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, (c) => {
    if (c === "\n") return "\\n";
    if (c === "\t") return "\\t";
    return `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** For XML and HTML, in text and in quoted attributes. Characters that XML cannot hold become U+FFFD. */
export const xml = (text: string): string =>
  text
    .replace(/[&<>"']/g, (c) => entities[c]!)
    .replace(control, "\ufffd")
    .replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]|[\ufffe\uffff]/g, "\ufffd");

/** JSON that can stand inside a <script> element of an HTML page. */
export const scriptJson = (value: unknown): string =>
  JSON.stringify(value).replace(/[<>&\u2028\u2029]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);

/**
 * One CSV field (RFC 4180). A field that a spreadsheet would run as a formula gets an apostrophe in front, which
 * spreadsheets hide.
 */
export function csvField(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

export const csvLine = (fields: readonly string[]): string => `${fields.map(csvField).join(",")}\r\n`;

/** Text in a Markdown table cell or paragraph, shown as it is. */
export const markdown = (text: string): string =>
  oneLine(text)
    .replace(/[\\`*_{}[\]#|~!]/g, (c) => `\\${c}`)
    .replace(/[&<>]/g, (c) => entities[c]!);

/** Inside backquotes in a Markdown table cell. */
export function markdownCode(text: string): string {
  const shown = oneLine(text).replaceAll("|", "\\|");
  const longest = (shown.match(/`+/g) ?? []).reduce((n, run) => Math.max(n, run.length), 0);
  const fence = "`".repeat(longest + 1);
  return longest === 0 ? `\`${shown}\`` : `${fence} ${shown} ${fence}`;
}

/** A quoted DOT string. */
export const dotString = (text: string): string =>
  `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n").replace(control, "\ufffd")}"`;

/** A quoted Mermaid label: quotes, brackets and markup become entities of Mermaid's own (`#quot;`). */
export const mermaidLabel = (text: string): string =>
  `"${oneLine(text).replace(/["#&<>;`|\\[\]{}()]/g, (c) => `#${c.charCodeAt(0)};`)}"`;

/** A property of a GitHub workflow command; `data` is what follows `::`. */
export const githubData = (text: string): string =>
  text.replaceAll("%", "%25").replaceAll("\r", "%0D").replaceAll("\n", "%0A").replace(control, "\ufffd");
export const githubProperty = (text: string): string => githubData(text).replaceAll(":", "%3A").replaceAll(",", "%2C");
