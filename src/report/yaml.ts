/** Plain data (what JSON can hold) as YAML that readers of YAML 1.1 and of 1.2 take the same way. */

// A plain scalar is safe when it starts with a letter, holds no YAML syntax, and is no word that YAML 1.1 reads as a bool,
// a null or a number.
const plainScalar = /^[A-Za-z_][A-Za-z0-9_./-]*$/;
const reserved = /^(?:y|n|yes|no|on|off|true|false|null|nan|inf|e[0-9_]+)$/i;

const scalar = (value: unknown): string =>
  typeof value === "string"
    ? plainScalar.test(value) && !reserved.test(value)
      ? value
      : JSON.stringify(value)
    : JSON.stringify(value ?? null);

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const entries = (value: Record<string, unknown>): [string, unknown][] =>
  Object.entries(value).filter(([, v]) => v !== undefined);

function flow(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(flow).join(", ")}]`;
  if (isObject(value))
    return `{${entries(value)
      .map(([key, v]) => `${scalar(key)}: ${flow(v)}`)
      .join(", ")}}`;
  return scalar(value);
}

/** Collections whose flow form is at most this long are written in one line; empty ones always are. */
type FlowWidth = number;

const isEmpty = (value: unknown): boolean =>
  Array.isArray(value) ? value.length === 0 : !isObject(value) || entries(value).length === 0;

/** null: it fits in one line. */
const nested = (value: unknown, width: FlowWidth): string[] | null =>
  isEmpty(value) || (width > 0 && flow(value).length <= width) ? null : block(value, width);

/** One line for each part of a collection that is not empty. */
function block(value: unknown, width: FlowWidth): string[] {
  if (Array.isArray(value))
    return value.flatMap((item: unknown) => {
      const [first, ...rest] = nested(item, width) ?? [flow(item)];
      return [`- ${first}`, ...rest.map((text) => `  ${text}`)];
    });
  return entries(value as Record<string, unknown>).flatMap(([key, v]) => {
    const below = nested(v, width);
    if (below === null) return [`${scalar(key)}: ${flow(v)}`];
    // kubectl's own layout: lists are not indented below their key
    return [`${scalar(key)}:`, ...below.map((text) => (Array.isArray(v) ? text : `  ${text}`))];
  });
}

/** Lines in kubectl's layout. With `flowWidth`, small collections inside take one line: `{protocol: TCP, port: 80}`. */
export const yamlLines = (value: unknown, flowWidth: FlowWidth = 0): string[] =>
  isEmpty(value) ? [flow(value)] : block(value, flowWidth);

export const toYaml = (value: unknown): string =>
  yamlLines(value)
    .map((text) => `${text}\n`)
    .join("");

export const toJson = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

/** `-o json` and `-o yaml`: the same data. */
export const toData = (format: "json" | "yaml", value: unknown): string =>
  format === "json" ? toJson(value) : toYaml(value);
