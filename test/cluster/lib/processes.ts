/** Processes that outlive the program that started them, known by id and start time so that no stranger is ever killed. */
import { readdirSync, readFileSync } from "node:fs";
import { sleep } from "./run.ts";

/** As the machine that runs the tests numbers it. */
export interface ProcessId {
  readonly pid: number;
  /** Field 22 of /proc/PID/stat, proc(5): clock ticks after boot. Ids are used again, these pairs are not. */
  readonly started: string;
}

/** Fields of /proc/PID/stat from the third on: the second may hold blanks and parentheses. null: no such process. */
function stat(pid: number): readonly string[] | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    return text.slice(text.lastIndexOf(")") + 2).split(" ");
  } catch {
    return null;
  }
}

export function identify(pid: number): ProcessId | null {
  const started = stat(pid)?.[19];
  return started === undefined ? null : { pid, started };
}

/** A zombie counts as gone. */
export function isAlive({ pid, started }: ProcessId): boolean {
  const fields = stat(pid);
  return fields !== null && fields[19] === started && fields[0] !== "Z";
}

export function signalTo(id: ProcessId, signal: NodeJS.Signals): void {
  if (!isAlive(id)) return;
  try {
    process.kill(id.pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** Whether it was gone in time. */
export async function ended(id: ProcessId, within: number): Promise<boolean> {
  const deadline = performance.now() + within;
  while (isAlive(id)) {
    if (performance.now() > deadline) return false;
    await sleep(20);
  }
  return true;
}

export function childrenOf(pid: number): readonly number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((child) => Number(stat(child)?.[1]) === pid);
}
