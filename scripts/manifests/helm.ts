/** The Helm program: the one of `BULKHEAD_HELM`, or one built from its Go module. */
import { assetPath, hasAsset } from "../../test/cluster/lib/assets.ts";
import { build } from "../../test/cluster/parts/builder.ts";
import { partSets } from "../../test/cluster/parts/list.ts";

/** @returns null when `BULKHEAD_HELM` is not set and Helm has not been built */
export const findHelm = (): string | null =>
  process.env["BULKHEAD_HELM"] ?? (hasAsset("helm") ? assetPath("helm") : null);

/**
 * Builds Helm where it is not there yet: some minutes with Go.
 * @throws Error when there is no Go
 */
export async function obtainHelm(say: (line: string) => void): Promise<string> {
  const found = findHelm();
  if (found !== null) return found;
  await build(partSets.helm, say);
  return assetPath("helm");
}
