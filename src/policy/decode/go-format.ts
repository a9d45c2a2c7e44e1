/** Values as Go prints them in the API server's messages. */

const escapes: Readonly<Record<string, string>> = {
  "\u0007": "\\a",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\v": "\\v",
  "\\": "\\\\",
  '"': '\\"',
};

const hex = (code: number, digits: number): string => code.toString(16).padStart(digits, "0");

function escapeRune(rune: string): string {
  const known = escapes[rune];
  if (known !== undefined) return known;
  const code = rune.codePointAt(0)!;
  if (code < 0x80) return `\\x${hex(code, 2)}`;
  return code > 0xffff ? `\\U${hex(code, 8)}` : `\\u${hex(code, 4)}`;
}

/** Go's `%q`: letters, marks, numbers, punctuation, symbols and the blank stay, everything else is escaped. */
export function quote(text: string): string {
  return `"${text.toWellFormed().replace(/["\\]|[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/gu, escapeRune)}"`;
}

/** Output limit in characters: values come from outside and may be huge, shared or cyclic. */
const maxPrinted = 16_384;
const maxDepth = 32;

/** Go's `json.Marshal` of a plain value, cut off where it gets too deep or too long. */
function json(value: unknown, depth: number, budget: { left: number }): string {
  let out: string;
  if (budget.left <= 0 || depth > maxDepth) return "…";
  if (Array.isArray(value)) {
    const items: string[] = [];
    for (const item of value as readonly unknown[]) {
      items.push(json(item, depth + 1, budget));
      if (budget.left <= 0) break;
    }
    out = `[${items.join(",")}]`;
  } else if (typeof value === "object" && value !== null) {
    const fields: string[] = [];
    for (const [key, item] of Object.entries(value)) {
      fields.push(`${JSON.stringify(key)}:${json(item, depth + 1, budget)}`);
      if (budget.left <= 0) break;
    }
    out = `{${fields.join(",")}}`;
  } else {
    out = typeof value === "bigint" ? value.toString() : (JSON.stringify(value) ?? "null");
    budget.left -= out.length;
  }
  budget.left -= 2;
  return out;
}

/** A bad value in an error: strings quoted, numbers and booleans plain, the rest as JSON. */
export function formatBadValue(value: unknown): string {
  if (typeof value === "string") return quote(value);
  if (typeof value === "number" || typeof value === "bigint" || typeof value === "boolean") return String(value);
  return json(value, 0, { left: maxPrinted }).replace(/[<>&]/g, (c) => `\\u${hex(c.charCodeAt(0), 4)}`);
}
