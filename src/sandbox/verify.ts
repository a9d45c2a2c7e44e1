/** `bulkhead verify`: does the kernel decide as the engine says? */
import type { Family } from "../net/address.ts";
import type { Protocol } from "../net/ports.ts";
import { SystemError } from "../netns/libc.ts";
import { hasIPv6 } from "../netns/namespace.ts";
import { compile } from "../policy/compile/live-plan.ts";
import type { Plan } from "../policy/compile/plan.ts";
import { isFinished, namespacedName, type World } from "../policy/model/world.ts";
import type { Style } from "../report/style.ts";
import { toJson } from "../report/yaml.ts";
import { allot } from "./allot.ts";
import { SandboxError } from "./error.ts";
import { type Evidence, Judge } from "./judge.ts";
import { Progress, type ProgressSink } from "./progress.ts";
import { type Question, questions } from "./questions.ts";
import { MatrixTally, mismatchText, summaryText, type WorldSize } from "./render.ts";
import { Sandbox } from "./sandbox.ts";
import { frontends } from "./services.ts";
import {
  type CellEntry,
  cellEntry,
  dropEntry,
  type MismatchEntry,
  mismatchEntry,
  type StrayEntry,
  strayEntry,
  type Verification,
} from "./verification.ts";

export interface VerifyOptions {
  readonly output: "table" | "json" | "matrix";
  readonly families?: readonly Family[];
  readonly protocols?: readonly Protocol[];
  readonly podsPerWorkload?: number;
  /** Ask everything, however much is wrong. */
  readonly keepGoing?: boolean;
  /** Only mismatches and the summary. */
  readonly quiet?: boolean;
  readonly style: Style;
}

export interface VerifyIo {
  readonly stdout: { write(text: string): void };
  readonly stderr: ProgressSink;
  readonly signal: AbortSignal;
}

/** Mismatches after which nothing more is asked, unless told to keep going. */
const enough = 50;
/** Mismatches that are told in full. */
const told = 20;
/** Questions in memory at a time. */
const chunkSize = 8_192;

/**
 * Builds the world, programs it, asks it, compares. Exit code: 0 all agree, 1 they do not, 130 interrupted.
 *
 * @throws SandboxError when it cannot be built, or does not connect without policies
 */
export async function runVerify(world: World, options: VerifyOptions, io: VerifyIo): Promise<0 | 1 | 130> {
  const { style, output, quiet = false } = options;
  const completed = allot(world, options);
  const limited = hasIPv6() ? options : { ...options, families: ["IPv4"] as const };
  const size = sizeOf(completed.world);
  if (size.pods === 0) throw new SandboxError("there is no pod and no workload to verify with");
  const notes = [...completed.notes];
  if (!hasIPv6()) notes.push("This kernel has no IPv6: only IPv4 was asked.");
  if (size.services > 0)
    notes.push("A pod that calls its own Service is judged by its own address, before that is masqueraded.");
  const progress = new Progress(io.stderr, quiet);
  const matrix = new MatrixTally();
  const outcome = await verify(completed.world, limited, matrix, progress, io.signal)
    .finally(() => progress.clear())
    .catch((error: unknown) => {
      throw refusal(error) ?? error;
    });
  if (outcome === null) {
    io.stderr.write("interrupted; everything that was built is gone\n");
    return 130;
  }
  const found: Verification = { ...outcome, notes: [...notes, ...outcome.notes] };
  if (output === "json") {
    io.stdout.write(toJson(found));
    return found.agree ? 0 : 1;
  }
  if (!quiet) {
    for (const note of found.notes) io.stderr.write(`note: ${note}\n`);
    io.stdout.write(`${matrix.render(style)}\n`);
  }
  if (output === "table") {
    for (const mismatch of found.mismatches.slice(0, told)) io.stdout.write(`${mismatchText(mismatch, style)}\n`);
    if (found.mismatches.length > told)
      io.stdout.write(`and ${found.mismatches.length - told} more mismatches (-o json has all)\n\n`);
    io.stdout.write(summaryText(found, size, style));
  }
  return found.agree ? 0 : 1;
}

/** What the kernel refused, as the user can act on it; null for any other error. */
function refusal(error: unknown): SandboxError | null {
  const code = error instanceof Error && "code" in error ? error.code : null;
  if (code === "EMFILE" || code === "ENFILE")
    return new SandboxError(
      "the limit of open files is too low",
      "A pod takes one, what listens in it a few more: raise the hard limit (ulimit -Hn).",
    );
  if (code === "EROFS")
    return new SandboxError(
      `the kernel's network settings cannot be changed: ${(error as Error).message}`,
      "In a container, /proc/sys is read-only unless it is started as privileged.",
    );
  return error instanceof SystemError ? new SandboxError(`the kernel refused: ${error.message}`) : null;
}

const sizeOf = (world: World): WorldSize => ({
  pods: world.pods.filter((pod) => !pod.hostNetwork && !isFinished(pod)).length,
  nodes: world.nodes.length,
  services: new Set(
    frontends(world).map(({ service, protocol, port }) => `${namespacedName(service)} ${protocol} ${port}`),
  ).size,
  policies: world.policies.length,
});

/** null: interrupted. */
async function verify(
  world: World,
  options: VerifyOptions,
  matrix: MatrixTally,
  progress: Progress,
  signal: AbortSignal,
): Promise<Verification | null> {
  const clock = stopwatch();
  progress.show("building the cluster", 0, 0);
  const plan = compile(world);
  const sandbox = await Sandbox.up(world);
  try {
    const build = clock();
    const total = count(questions(plan, world, options));
    const baseline = await withoutPolicies(sandbox, plan, world, options, progress, signal);
    if (signal.aborted) return null;
    const baselineTime = clock();
    progress.show("programming the policies", 0, 0);
    await sandbox.program(plan);
    const program = clock();
    const probed = await withPolicies(sandbox, plan, world, options, { matrix, progress, signal, total });
    if (signal.aborted) return null;
    return {
      notes: sandbox.warnings,
      apiVersion: "bulkhead.dev/v1alpha1",
      kind: "Verification",
      agree: probed.mismatches.length === 0 && isSound(probed.evidence),
      ...probed,
      evidence: { baseline, ...probed.evidence },
      milliseconds: { build, baseline: baselineTime, program, probe: clock() },
    };
  } finally {
    await sandbox.down();
  }
}

/** Proves that what a policy does not stop connects: one port of every pair, protocol and family. Returns how many. */
async function withoutPolicies(
  sandbox: Sandbox,
  plan: Plan,
  world: World,
  options: VerifyOptions,
  progress: Progress,
  signal: AbortSignal,
): Promise<number> {
  const total = count(firsts(questions(plan, world, options)));
  let done = 0;
  for (const chunk of chunks(firsts(questions(plan, world, options)))) {
    const observations = await sandbox.probe(chunk, {
      signal,
      onProgress: (n) => progress.show("connecting without policies", done + n, total),
    });
    if (signal.aborted) return done;
    const failed = observations.findIndex(
      ({ answeredBy }, i) => answeredBy === null || sandbox.destination(answeredBy)?.address !== chunk[i]!.to.address,
    );
    if (failed >= 0) {
      const { from, to, port, protocol, family } = { ...chunk[failed]!, family: chunk[failed]!.from.family };
      const error = observations[failed]!.error;
      throw new SandboxError(
        `without any policy ${from.ref} does not reach ${to.ref} on ${port}/${protocol} over ${family}${error === null ? "" : ` (${error})`}`,
        "Something on this machine drops packets in new network namespaces; nothing can be verified like this.",
      );
    }
    done += chunk.length;
  }
  return done;
}

interface Asking {
  readonly matrix: MatrixTally;
  readonly progress: Progress;
  readonly signal: AbortSignal;
  readonly total: number;
}

async function withPolicies(
  sandbox: Sandbox,
  plan: Plan,
  world: World,
  options: VerifyOptions,
  { matrix, progress, signal, total }: Asking,
): Promise<
  Pick<Verification, "complete" | "cells" | "mismatches"> & { evidence: Omit<Verification["evidence"], "baseline"> }
> {
  const judge = new Judge(plan, world, sandbox);
  const cells: CellEntry[] = [];
  const mismatches: MismatchEntry[] = [];
  const strays: StrayEntry[] = [];
  const drops = new Map<string, { evidence: Evidence; packets: number }>();
  let answered = 0;
  let dropped = 0;
  let done = 0;
  for (const chunk of chunks(questions(plan, world, options))) {
    if (signal.aborted || (mismatches.length >= enough && options.keepGoing !== true)) break;
    const observations = await sandbox.probe(chunk, {
      signal,
      onProgress: (n) => progress.show("connecting with policies", done + n, total),
    });
    strays.push(...sandbox.takeStrays().map(strayEntry));
    for (const [i, observation] of observations.entries()) {
      const question = chunk[i]!;
      const judgement = judge.judge(question, observation);
      const { evidence, kernel } = judgement;
      if (observation.answeredBy !== null) answered++;
      if (evidence !== null) {
        dropped++;
        const key = `${evidence.node}|${evidence.id}`;
        const known = drops.get(key);
        if (known === undefined) drops.set(key, { evidence, packets: 1 });
        else known.packets++;
      }
      if (options.output === "json") cells.push(cellEntry(judgement));
      if (judgement.mismatches.length > 0) mismatches.push(mismatchEntry(judgement));
      matrix.add(question.from.group, question.to.group, kernel === "allow", judgement.mismatches.length > 0);
    }
    done += chunk.length;
  }
  return {
    complete: done === total,
    cells,
    mismatches,
    evidence: {
      answered,
      dropped,
      drops: [...drops.values()].map(({ evidence, packets }) => ({ ...dropEntry(evidence), packets })),
      strays,
      logged: sandbox.records,
      counted: await sandbox.counted(),
      overruns: sandbox.overruns,
    },
  };
}

/** Nothing was dropped that was not asked, and what was dropped was counted exactly. */
const isSound = ({ strays, logged, counted, overruns }: Omit<Verification["evidence"], "baseline">): boolean =>
  strays.length === 0 && (logged === counted || overruns > 0);

function* firsts(all: Iterable<Question>): Generator<Question> {
  for (const question of all) if (question.first) yield question;
}

function* chunks(all: Iterable<Question>): Generator<Question[]> {
  let chunk: Question[] = [];
  for (const question of all) {
    chunk.push(question);
    if (chunk.length < chunkSize) continue;
    yield chunk;
    chunk = [];
  }
  if (chunk.length > 0) yield chunk;
}

function count(all: Iterable<unknown>): number {
  let n = 0;
  for (const _ of all) n++;
  return n;
}

/** Milliseconds since the last call. */
function stopwatch(): () => number {
  let last = performance.now();
  return () => {
    const now = performance.now();
    const passed = now - last;
    last = now;
    return Math.round(passed);
  };
}
