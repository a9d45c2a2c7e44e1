/** The network namespace whose traffic the agent rules: the process's own, or in tests another. */
import type { Namespace } from "../netns/namespace.ts";

export type Network = Pick<Namespace, "run">;

export const ownNetwork: Network = { run: (work) => work() };
