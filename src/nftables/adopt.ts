/** Reads back what an earlier process left in the kernel. */
import type { KernelNumbers } from "./numbers.ts";
import type { TableOptions } from "./skeleton.ts";
import type { KernelState } from "./state.ts";

/**
 * The state of a listed table (nft's JSON), and the numbers that its classes have.
 * @returns null where the table is of another layout
 */
export function adopt(_listing: string, _options: TableOptions): { state: KernelState; numbers: KernelNumbers } | null {
  return null;
}
