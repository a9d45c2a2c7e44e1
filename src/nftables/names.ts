/** Names of kernel objects come from their content, so that a new process finds its way in a table that an old one left. */
import { createHash } from "node:crypto";
import type { Direction } from "../policy/model/verdict.ts";

/** 12 hex digits of a content's SHA-256: two of a million contents meet with a chance below 1 in 500. */
export type Hash = string;

export const hash = (...parts: readonly string[]): Hash =>
  createHash("sha256").update(parts.join("\n")).digest("hex").slice(0, 12);

/** Where a name of kernel objects starts: egress `e_`, ingress `i_`. */
export const letter: Readonly<Record<Direction, string>> = { egress: "e", ingress: "i" };

/** The chain that judges a subject class. */
export const subjectChain = (direction: Direction, subject: Hash): string => `${letter[direction]}_${subject}`;

/** The chain, and the counter, of a drop id. */
export const denyChain = (id: string): string => `deny_${id}`;

/** The start of the log prefix of dropped packets; the drop id and a blank follow. */
export const logPrefix = "bulkhead:";
