/** What a look at a node found out. */

export interface Finding {
  /** What was looked at: `kernel`, `rights`, … */
  readonly name: string;
  /** `unknown`: it could not be looked at; `skipped`: nobody asked for it. */
  readonly state: "ok" | "problem" | "unknown" | "skipped";
  readonly text: string;
}

export const ok = (name: string, text: string): Finding => ({ name, state: "ok", text });
export const problem = (name: string, text: string): Finding => ({ name, state: "problem", text });
export const unknown = (name: string, text: string): Finding => ({ name, state: "unknown", text });
export const skipped = (name: string, text: string): Finding => ({ name, state: "skipped", text });
