/** Kubernetes Events, as far as the agent makes them. */
import type { PolicyRef } from "../policy/model/policy.ts";

export interface AgentEvent {
  readonly type: "Normal" | "Warning";
  /** UpperCamelCase, for filters. */
  readonly reason: string;
  readonly message: string;
  /** What it is about; null: this agent's Node. */
  readonly policy: PolicyRef | null;
}

/** Takes events and sends them when it can; never fails, never waits. */
export interface Events {
  tell(event: AgentEvent): void;
}

export const noEvents: Events = { tell: () => undefined };
