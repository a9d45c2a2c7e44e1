import { expect, test } from "vitest";
import { ruleText } from "./rules.ts";
import { baseRules, defaultTableOptions, hooks, skeleton } from "./skeleton.ts";

const epochs = [0, 1, 65535];

test("only a packet that `pass` let through is stamped and accepted; whoever comes back without that is dropped", () => {
  const lines = skeleton(defaultTableOptions, 1);
  const setter = lines.filter((line) => line.startsWith("meta priority set ff") || line.includes("ct mark set"));
  expect(setter).toEqual(["meta priority set fff0:0", "meta priority set ffe0:0", "meta priority set ffc0:0"]);
  expect(lines[lines.indexOf(setter[0]!) - 1]).toBe("chain pass {");
  for (const epoch of epochs) {
    for (const hook of ["forward", "input"] as const) {
      const rules = baseRules(defaultTableOptions, hook, epoch).map(ruleText);
      const judged = rules.indexOf(`jump judge_${hook}`);
      expect(rules.slice(judged + 1, judged + 6)).toEqual([
        "meta priority != ffc0:0 jump e_judge",
        "meta priority & ffc0:0 != ffc0:0 drop",
        "jump arrive",
        "meta priority != fff0:0 jump i_judge",
        "meta priority != fff0:0 drop",
      ]);
      expect(rules.slice(0, judged).every((rule) => /^ct state new,established ct mark .* accept$/.test(rule))).toBe(
        true,
      );
    }
  }
});

test("no chain that finds a class leads to one that judges", () => {
  const judging = /(goto|jump) [ei]_(judge|answer_header)\b/;
  const inside = skeleton(defaultTableOptions, 1).filter((line) => judging.test(line));
  expect(inside).toEqual([
    "ct state invalid,untracked goto e_answer_header",
    "ct state invalid,untracked goto i_answer_header",
  ]);
});

test("no flow is trusted or stamped without an epoch", () => {
  expect(baseRules(defaultTableOptions, "forward", 0).map(ruleText).join("\n")).not.toContain("ct mark");
  expect(hooks(defaultTableOptions).join("\n")).not.toContain("ct mark");
  const rules = baseRules(defaultTableOptions, "forward", 3).map(ruleText);
  expect(rules.filter((rule) => !rule.includes("meta priority !="))).toEqual([
    "ct state new,established ct mark & 0xffff0000 == 0x00030000 accept",
    "jump judge_forward",
    "meta priority & ffc0:0 != ffc0:0 drop",
    "jump arrive",
    "ct mark set ct mark & 0x0000ffff | 0x00030000",
    "meta priority set 0:0 accept",
  ]);
});
