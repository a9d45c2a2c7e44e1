/** What `can` and `explain` have in common: a world, two references, a port. */
import type { AskOptions } from "../policy/analyze/ask.ts";
import { isProblem, type Note, type Problem } from "../policy/analyze/types.ts";
import type { Plan } from "../policy/compile/plan.ts";
import { formatNote } from "../report/note.ts";
import { CliError, type Io } from "./io.ts";
import type { FamilyOption, ManifestOptions, OutputOptions } from "./options.ts";
import { openInput } from "./world.ts";

export interface Question extends ManifestOptions, OutputOptions {
  /** FROM TO [PORT] as typed; a reference takes two words when its first is a kind: `deploy web`. */
  readonly words: readonly string[];
  readonly family?: FamilyOption;
}

export const referenceHelp = `
References:
  [NS/]KIND/NAME     a workload (deploy, sts, ds, rs, job, cj), a pod (po) or a Service's pods (svc)
  [NS/]POD           a pod
  NS/*, */*          every pod of a namespace, of the cluster
  [NS/]{k=v,k2=v2}   a pod with these labels, whether one exists or not
  203.0.113.9        an address or a range (10.0.0.0/8, 2001:db8::/32)
  external           any address that is no pod and no node
  node/NAME          a node's host network`;

/** The answer, or an error of the command line: a reference or port that names nothing never gets an answer. */
export function orFail<T extends object>(result: T | Problem): T {
  if (isProblem(result)) throw new CliError(result.message);
  return result;
}

/** Reads manifests or cluster and asks; the question is read first, so that its mistakes show at once. */
export async function question<T extends object>(
  { words, family, ...options }: Question,
  io: Io,
  ask: (plan: Plan, options: AskOptions) => T | Problem,
): Promise<T> {
  const { takeReference } = await import("../policy/analyze/reference.ts");
  const { parsePort } = await import("../policy/analyze/port-reference.ts");
  const input = await openInput(options, io);
  const context = { defaultNamespace: input.namespace };
  const from = orFail(takeReference(words, context));
  const to = orFail(takeReference(from.rest, context));
  const [portText, extra] = to.rest;
  if (extra !== undefined) throw new CliError(`unexpected argument "${extra}" after the port`);
  const port = portText === undefined ? {} : { port: orFail(parsePort(portText)) };
  const plan = await input.plan();
  const ends = { from: from.reference, to: to.reference };
  const { namespace } = input;
  if (options.namespace === undefined && !plan.namespaces.has(namespace)) {
    const unqualified = [ends.from, ends.to].some((end) => "namespace" in end && end.namespace === namespace);
    if (unqualified)
      throw new CliError(`no namespace "${namespace}" in ${input.name}: write NAMESPACE/NAME, or name one with -n`);
  }
  return orFail(ask(plan, { ...ends, ...port, ...(family === undefined ? {} : { family }) }));
}

const maxNotes = 5;

/** What the answer depends on, on stderr. */
export function writeNotes(notes: readonly Note[], io: Io): void {
  for (const note of notes.slice(0, maxNotes)) io.stderr.write(`note: ${formatNote(note)}\n`);
  if (notes.length > maxNotes) io.stderr.write(`note: and ${notes.length - maxNotes} more (-o json has all)\n`);
}
