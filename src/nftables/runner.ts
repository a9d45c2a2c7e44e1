/** Running nftables scripts: one interface over libnftables in process and the `nft` program. */

/** Runs scripts in one network namespace, one after another, each as one atomic transaction. */
export interface Runner {
  /**
   * Runs commands in nft's own syntax; all of them take effect, or none.
   * @returns what nft printed (listings).
   * @throws NftablesError
   */
  run(script: string): Promise<string>;
  close(): Promise<void>;
}

/** A transaction that was refused: nft's own text, and the line of the script it points at. */
export class NftablesError extends Error {
  readonly line: string | null;

  constructor(text: string, script: string) {
    const at = /:(\d+):\d+(?:-\d+)?:/.exec(text)?.[1];
    const line = at === undefined ? null : (script.split("\n")[Number(at) - 1] ?? null);
    super(`nftables: ${text.trim().split("\n", 8).join("\n")}${line === null ? "" : `\nin: ${line.slice(0, 200)}`}`);
    this.name = "NftablesError";
    this.line = line;
  }
}
