import { describe, expect, test } from "vitest";
import { compile } from "../compile/live-plan.ts";
import { emptyWorld } from "../model/world.ts";
import { policyNamed, shopNamespace, templateNamed } from "../objects.arbitrary.ts";
import { ask } from "./ask.ts";
import { parseReference, type Reference } from "./reference.ts";
import { type Answer, isProblem } from "./types.ts";

/** `deploy/web` asked about itself, in a namespace that denies all ingress. */
function askItself(replicas: number | null): Answer {
  const world = {
    ...emptyWorld,
    namespaces: [shopNamespace],
    pods: [templateNamed("web", { replicas })],
    policies: [policyNamed("deny", {})],
  };
  const web = parseReference("deploy/web", { defaultNamespace: "shop" }) as Reference;
  const answer = ask(compile(world), { from: web, to: web });
  if (isProblem(answer)) throw new Error(answer.message);
  return answer;
}

describe("a workload and itself", () => {
  test("its only pod always reaches itself", () => {
    expect(askItself(1)).toMatchObject({ allowed: true, ingress: { exempt: "self" }, notes: [] });
  });

  test.each([3, null])("one replica of several (%s) calling another is judged", (replicas) => {
    const answer = askItself(replicas);
    expect(answer).toMatchObject({ allowed: false, partly: false, ingress: { verdict: "deny", exempt: null } });
    expect(answer.notes).toEqual([{ note: "between-replicas", endpoint: "shop/web" }]);
  });
});
