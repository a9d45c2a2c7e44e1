/** Kubernetes Events, as far as the agent makes them. */
import type { EventWriter } from "../kube/index.ts";

/** Takes events and sends them when it can; never fails, never waits. */
export type Events = Pick<EventWriter, "tell">;

export const noEvents: Events = { tell: () => undefined };
