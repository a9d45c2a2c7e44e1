/** Syntax of names, label keys and values, and port names; each check gives the server's complaints, [] when all is well. */

/** Length in bytes of UTF-8, as Go's `len` counts. */
export function byteLength(text: string): number {
  let bytes = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x80) bytes += 1;
    else if (code < 0x800) bytes += 2;
    else if (code >= 0xd800 && code < 0xdc00 && i + 1 < text.length) {
      bytes += 4; // a surrogate pair is one four-byte rune
      i++;
    } else bytes += 3;
  }
  return bytes;
}

/** The server counts bytes everywhere, but says so only for labels. */
type Unit = "bytes" | "characters";
const tooLong = (limit: number, unit: Unit): string => `must be no more than ${limit} ${unit}`;
/** The two blanks before "or" are the server's. */
const mustMatch = (rule: string, examples: readonly string[], pattern: string): string =>
  `${rule} (e.g. ${examples.map((e) => `'${e}'`).join(",  or ")}, regex used for validation is '${pattern}')`;

const labelPattern = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const subdomainPattern = `${labelPattern}(\\.${labelPattern})*`;
const keyPattern = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const valuePattern = `(${keyPattern})?`;

/*
 * The patterns above are for the messages. Backtracking engines take quadratic time and worse on them, and input is not
 * trusted, so the checks themselves look at the ends and at the set of characters.
 */
const isDnsLabel = (text: string): boolean =>
  /^[-a-z0-9]+$/.test(text) && text !== "" && text[0] !== "-" && text.at(-1) !== "-";
const isDnsSubdomain = (text: string): boolean => text.split(".").every(isDnsLabel);
const isKeyName = (text: string): boolean =>
  /^[-A-Za-z0-9_.]+$/.test(text) && /^[A-Za-z0-9]/.test(text) && /[A-Za-z0-9]$/.test(text.slice(-1));

/** An RFC 1123 subdomain of at most 253 bytes. */
export function dnsSubdomainProblems(text: string, unit: Unit = "characters"): readonly string[] {
  const out: string[] = [];
  if (byteLength(text) > 253) out.push(tooLong(253, unit));
  if (!isDnsSubdomain(text)) {
    const rule =
      "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character";
    out.push(mustMatch(rule, ["example.com"], subdomainPattern));
  }
  return out;
}

/** An RFC 1123 label of at most 63 bytes. */
export function dnsLabelProblems(text: string): readonly string[] {
  const out: string[] = [];
  if (byteLength(text) > 63) out.push(tooLong(63, "characters"));
  if (!isDnsLabel(text)) {
    const rule =
      "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character";
    out.push(isDnsSubdomain(text) ? "must not contain dots" : mustMatch(rule, ["my-name", "123-abc"], labelPattern));
  }
  return out;
}

const keyRule = mustMatch(
  "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
  ["MyName", "my.name", "123-abc"],
  keyPattern,
);

/** The few keys that all objects have: found to be right once. */
const rightKeys = new Set<string>();
const rememberedKeys = 1000;

/** A label or annotation key, `[prefix/]name` (spec B3.1). */
export function labelKeyProblems(text: string): readonly string[] {
  if (rightKeys.has(text)) return [];
  const problems = newKeyProblems(text);
  if (problems.length === 0 && rightKeys.size < rememberedKeys) rightKeys.add(text);
  return problems;
}

function newKeyProblems(text: string): readonly string[] {
  const parts = text.split("/");
  if (parts.length > 2) {
    return [`a valid label key ${keyRule} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`];
  }
  const out: string[] = [];
  if (parts.length === 2) {
    const prefix = parts[0]!;
    if (prefix === "") out.push("prefix part must be non-empty");
    else out.push(...dnsSubdomainProblems(prefix, "bytes").map((p) => `prefix part ${p}`));
  }
  const name = parts.at(-1)!;
  if (name === "") out.push("name part must be non-empty");
  else if (byteLength(name) > 63) out.push(`name part ${tooLong(63, "bytes")}`);
  if (!isKeyName(name)) out.push(`name part ${keyRule}`);
  return out;
}

/** A label value (spec B3.2). */
export function labelValueProblems(text: string): readonly string[] {
  const out: string[] = [];
  if (byteLength(text) > 63) out.push(tooLong(63, "bytes"));
  if (text !== "" && !isKeyName(text)) {
    const rule =
      "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
    out.push(mustMatch(rule, ["MyValue", "my_value", "12345"], valuePattern));
  }
  return out;
}

/** The name of a port (spec B4.3, B4.4, A14.11). */
export function portNameProblems(text: string): readonly string[] {
  const out: string[] = [];
  if (byteLength(text) > 15) out.push(tooLong(15, "characters"));
  if (!/^[-a-z0-9]+$/.test(text)) {
    out.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
  }
  if (!/[a-z]/.test(text)) out.push("must contain at least one letter (a-z)");
  if (text.includes("--")) out.push("must not contain consecutive hyphens");
  if (text.startsWith("-") || text.endsWith("-")) out.push("must not begin or end with a hyphen");
  return out;
}
