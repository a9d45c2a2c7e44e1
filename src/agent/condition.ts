/** What the agent says about itself, one line a subject: read by /readyz, by the gate of pod starts and by people. */

export interface Condition {
  readonly name: string;
  /** `failed` makes the agent not ready; `warning` does not. */
  readonly state: "ok" | "warning" | "failed";
  readonly text: string;
}

const signs: Readonly<Record<Condition["state"], string>> = { ok: "+", warning: "!", failed: "-" };

/** As the API server writes its own checks: `[+]rules ok: in force since …`, `[-]rules failed: …`. */
export const conditionLine = ({ name, state, text }: Condition): string => `[${signs[state]}]${name} ${state}: ${text}`;

/** Why the agent is not ready; null when it is. */
export function firstFailure(conditions: readonly Condition[]): string | null {
  const failed = conditions.find(({ state }) => state === "failed");
  return failed === undefined ? null : `${failed.name}: ${failed.text}`;
}
