/** `map -n -l`: the part of a map that someone asked for. */
import type { Connectivity, EndpointEntry } from "../policy/analyze/types.ts";
import type { Plan } from "../policy/compile/plan.ts";
import { compileSelector } from "../policy/select/selector.ts";
import { CliError } from "./io.ts";
import { parseSelector } from "./selector.ts";

export interface Narrowing {
  readonly namespace?: string;
  readonly selector?: string;
}

type Wanted = (endpoint: EndpointEntry) => boolean;

/**
 * Keeps the connections with at least one end that all narrowings want, and the endpoints that are wanted or connected.
 * What a narrowing names must exist: a mistyped namespace is no empty map.
 * @param where what was read, for that message
 */
export function narrowed(
  map: Connectivity,
  plan: Plan,
  { namespace, selector }: Narrowing,
  where: string,
): Connectivity {
  const tests: Wanted[] = [];
  if (namespace !== undefined) {
    if (!plan.namespaces.has(namespace)) throw new CliError(`no namespace "${namespace}" in ${where}`);
    tests.push((endpoint) => endpoint.namespace === namespace);
  }
  if (selector !== undefined) {
    const matcher = compileSelector(parseSelector(selector));
    if (matcher === null) throw new CliError(`"${selector}" is no label selector`);
    tests.push(({ kind, labels }) => (kind === "pod" || kind === "workload") && matcher.matches(labels));
  }
  if (tests.length === 0) return map;

  const wanted = new Set(
    map.endpoints.filter((endpoint) => tests.every((test) => test(endpoint))).map(({ ref }) => ref),
  );
  const connections = map.connections.filter(({ from, to }) => wanted.has(from) || wanted.has(to));
  const shown = new Set([...wanted, ...connections.flatMap(({ from, to }) => [from, to])]);
  return { ...map, endpoints: map.endpoints.filter(({ ref }) => shown.has(ref)), connections };
}
