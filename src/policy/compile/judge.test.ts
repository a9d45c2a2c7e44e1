import fc from "fast-check";
import { expect, test } from "vitest";
import { families } from "../../net/address.ts";
import { PortSet } from "../../net/ports.ts";
import { directions } from "../model/verdict.ts";
import { isFinished } from "../model/world.ts";
import { arbitraryWorld } from "../world.arbitrary.ts";
import { compile } from "./live-plan.ts";

test("what is allowed is what the pieces allow, and no reason is needed to know", () => {
  fc.assert(
    fc.property(arbitraryWorld(), (world) => {
      const plan = compile(world);
      const pods = [...plan.pods.values()].filter((pod) => !pod.hostNetwork && !isFinished(pod));
      for (const direction of directions)
        for (const subject of pods)
          for (const peer of pods)
            for (const family of families) {
              const classes = [plan.policyClass(subject, direction), plan.podPeer(peer, family, direction)] as const;
              const allowed = plan.allowed(...classes);
              const pieces = plan.judge(...classes).filter(({ decision }) => decision.verdict === "allow");
              expect(allowed.key).toBe(pieces.reduce((all, { ports }) => all.union(ports), PortSet.empty).key);
            }
    }),
    { numRuns: 150 },
  );
});
