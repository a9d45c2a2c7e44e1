import { expect, test } from "vitest";
import { baseRules, defaultTableOptions, hooks, skeleton } from "./skeleton.ts";

const epochs = [0, 1, 65535];

test("only a packet that `pass` let through is stamped and accepted; whoever comes back without that is dropped", () => {
  const lines = skeleton(defaultTableOptions, 1);
  const setter = lines.filter((line) => line.startsWith("meta priority set ff") || line.includes("ct mark set"));
  expect(setter).toEqual(["meta priority set fff0:0", "meta priority set ffe0:0"]);
  expect(lines[lines.indexOf(setter[0]!) - 1]).toBe("chain pass {");
  for (const epoch of epochs) {
    for (const hook of ["forward", "input"] as const) {
      const rules = baseRules(defaultTableOptions, hook, epoch);
      const judged = rules.indexOf(`jump judge_${hook}`);
      expect(rules[judged + 1]).toBe("meta priority != fff0:0 drop");
      expect(rules.slice(0, judged).every((rule) => /^ct state new,established ct mark .* accept$/.test(rule))).toBe(
        true,
      );
    }
  }
});

test("no flow is trusted or stamped without an epoch", () => {
  expect(baseRules(defaultTableOptions, "forward", 0).join("\n")).not.toContain("ct mark");
  expect(hooks(defaultTableOptions).join("\n")).not.toContain("ct mark");
  expect(baseRules(defaultTableOptions, "forward", 3)).toEqual([
    "ct state new,established ct mark & 0xffff0000 == 0x00030000 accept",
    "jump judge_forward",
    "meta priority != fff0:0 drop",
    "ct mark set ct mark & 0x0000ffff | 0x00030000",
    "meta priority set 0:0 accept",
  ]);
});
