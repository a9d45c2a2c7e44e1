/**
 * What an unquoted YAML word means to kubectl. It is neither YAML 1.1 nor 1.2 but Go's `go.yaml.in/yaml/v2` (function
 * `resolve`) followed by the turn into JSON of `sigs.k8s.io/yaml`.
 */

export type Scalar = string | number | boolean | null;

const words: ReadonlyMap<string, Scalar> = new Map<string, Scalar>([
  ...["y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"].map((w) => [w, true] as const),
  ...["n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"].map((w) => [w, false] as const),
  ...["", "~", "null", "Null", "NULL"].map((w) => [w, null] as const),
  ...[".nan", ".NaN", ".NAN"].map((w) => [w, Number.NaN] as const),
  ...[".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"].map((w) => [w, Number.POSITIVE_INFINITY] as const),
  ...["-.inf", "-.Inf", "-.INF"].map((w) => [w, Number.NEGATIVE_INFINITY] as const),
]);

/** Go's ParseInt with base 0 after the underscores are taken out. */
const integer = /^([+-]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|(0|[1-9][0-9]*))$/;
/** A word that begins with a dot goes to Go's ParseFloat as it is: underscores only between digits. */
const dotFloat = /^\.[0-9]+(?:_[0-9]+)*(?:[eE][-+]?[0-9]+(?:_[0-9]+)*)?$/;
const float = /^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$/;

function parseInteger(text: string): number | null {
  const match = integer.exec(text);
  if (match === null) return null;
  const [, sign, hex, binary, octal, decimal] = match;
  const radix = hex !== undefined ? 16 : binary !== undefined ? 2 : octal !== undefined ? 8 : 10;
  const digits = hex ?? binary ?? octal ?? decimal!;
  const size = Number(radix === 10 ? digits : `0${{ 16: "x", 2: "b", 8: "o" }[radix]}${digits}`);
  // What does not fit 64 bits is a float when it looks like one: the same number for decimals, a string for the rest.
  if (size >= 2 ** 64 || (sign === "-" && size > 2 ** 63)) return null;
  return sign === "-" ? -size : size;
}

/** Resolves a plain (unquoted, untagged) scalar. NaN and the infinities come out as such: JSON can't say them. */
export function resolvePlain(text: string): Scalar {
  const word = words.get(text);
  if (word !== undefined) return word;
  const first = text.charCodeAt(0);
  const isDigit = first >= 0x30 && first <= 0x39;
  if (!isDigit && first !== 0x2b && first !== 0x2d && first !== 0x2e) return text;
  if (first === 0x2e && !dotFloat.test(text)) return text;
  const plain = text.replaceAll("_", "");
  const whole = parseInteger(plain);
  if (whole !== null) return whole === 0 ? 0 : whole;
  if (!float.test(plain)) return text;
  const number = Number(plain);
  return Number.isFinite(number) ? number : text;
}

/** Does a plain scalar stand for an integer, not only for a number without fraction (`1.0`)? */
export const isIntegerWord = (text: string): boolean => parseInteger(text.replaceAll("_", "")) !== null;

/** The key of a mapping as JSON has it. @returns null for what can be no key: null, and integers of 64 bits without sign */
export function keyText(text: string, value: Scalar): string | null {
  if (value === null) return null;
  if (typeof value !== "number") return String(value);
  const whole = exactInteger(text);
  if (whole === null || whole >= 2n ** 64n || whole < -(2n ** 63n)) return floatKey(value);
  return whole < 2n ** 63n ? String(whole) : null;
}

function exactInteger(text: string): bigint | null {
  if (text.length > 100) return null; // no 64 bits are that long
  const match = integer.exec(text.replaceAll("_", ""));
  if (match === null) return null;
  const [, sign, hex, binary, octal, decimal] = match;
  const prefixed = hex !== undefined ? `0x${hex}` : binary !== undefined ? `0b${binary}` : `0o${octal}`;
  const size = BigInt(decimal ?? prefixed);
  return sign === "-" ? -size : size;
}

/** sigs.k8s.io/yaml makes a float32 of it, and Go's format `g` a text. */
function floatKey(value: number): string {
  if (Number.isNaN(value)) return ".nan";
  if (!Number.isFinite(Math.fround(value))) return value > 0 ? ".inf" : "-.inf";
  const single = Math.fround(value);
  let digits = 1;
  while (Math.fround(Number(single.toPrecision(digits))) !== single) digits++;
  const [mantissa, exponent] = single.toExponential(digits - 1).split("e") as [string, string];
  if (Number(exponent) >= -4 && Number(exponent) < 6) return String(Number(single.toPrecision(digits)));
  return `${mantissa}e${exponent[0]}${exponent.slice(1).padStart(2, "0")}`;
}
