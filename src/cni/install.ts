/** `bulkhead cni install` and `uninstall`: the plugin's files and its place in the chain. */
import { layCopy, takeCopiesAway } from "./conf-folder.ts";
import type { PluginSettings } from "./conflist.ts";
import { type Installed, installProgram, type ProgramPlace, removeProgram } from "./program.ts";

export interface HostFolders {
  readonly program: ProgramPlace;
  /** The runtime's folder of network configurations, as this process sees it. */
  readonly conf: string;
}

export interface InstallReport {
  readonly program: Installed;
  /** The network plugin's file that is chained now; null when there is none yet: the agent waits for it. */
  readonly source: string | null;
  /** The file that was written; null when it was right already. */
  readonly written: string | null;
  /** Is there a gate before the network plugin? */
  readonly gate: boolean;
}

/**
 * The program first: a chain must never name a plugin that is not there.
 * @throws Error when a file can't be written, ConfError when the network configuration can't be used
 */
export function installCni({ program, conf }: HostFolders, settings: PluginSettings): InstallReport {
  const installed = installProgram(program);
  const { source, write, gate } = layCopy(conf, settings);
  return { program: installed, source, written: write?.name ?? null, gate };
}

export interface UninstallReport {
  readonly removedConf: readonly string[];
  readonly removedProgram: boolean;
}

/**
 * Harmless where nothing was installed. The chain first, as above. `keepProgram`: CRI-O takes a pod's network down by the
 * chain that it was set up with, and can't without the plugin.
 */
export function uninstallCni({ program, conf }: HostFolders, { keepProgram = false } = {}): UninstallReport {
  return { removedConf: takeCopiesAway(conf), removedProgram: !keepProgram && removeProgram(program.folder) };
}

/** @example "/host/opt/cni/bin" → "/opt/cni/bin": the usual mount of the host's folders in a container */
export const pathOnHost = (path: string): string => path.replace(/^\/host(?=\/)/, "");
