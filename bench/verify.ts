/** How long the sandbox takes: `node bench/verify.ts`. Targets: 100 pods fully probed ≤ 15 s, 1,000 pods up ≤ 10 s. */
import { compile } from "../src/policy/compile/live-plan.ts";
import { namespaceNameLabel } from "../src/policy/model/labels.ts";
import type { NetworkPolicy } from "../src/policy/model/policy.ts";
import { emptyWorld, plainPod, type World } from "../src/policy/model/world.ts";
import { allot } from "../src/sandbox/allot.ts";
import { Judge } from "../src/sandbox/judge.ts";
import { questions } from "../src/sandbox/questions.ts";
import { Sandbox } from "../src/sandbox/sandbox.ts";

const tiers = 10;

/** `count` pods in namespaces of ten; each app lets in the app before it, on one port. */
function world(count: number): World {
  const names = Array.from({ length: Math.ceil(count / tiers) }, (_, i) => `ns-${i}`);
  const pods = Array.from({ length: count }, (_, i) =>
    plainPod(names[Math.floor(i / tiers)]!, `app-${i % tiers}`, { labels: { app: `app-${i % tiers}` } }),
  );
  const policies = names.flatMap((namespace) =>
    Array.from(
      { length: tiers },
      (_, i): NetworkPolicy => ({
        kind: "NetworkPolicy",
        metadata: { namespace, name: `app-${i}` },
        spec: {
          podSelector: { matchLabels: { app: `app-${i}` } },
          ingress: [
            {
              from: [
                { namespaceSelector: {}, podSelector: { matchLabels: { app: `app-${(i + tiers - 1) % tiers}` } } },
              ],
              ports: [{ port: 8080 }],
            },
          ],
        },
        source: null,
      }),
    ),
  );
  const namespaces = names.map((name) => ({
    name,
    labels: { [namespaceNameLabel]: name },
    defined: true,
    source: null,
  }));
  return allot({ ...emptyWorld, namespaces, pods, policies }).world;
}

async function measure(count: number, probe: boolean): Promise<void> {
  const start = performance.now();
  let last = start;
  const lap = (what: string): void => {
    const now = performance.now();
    console.log(`  ${what.padEnd(44)} ${((now - last) / 1000).toFixed(2)} s`);
    last = now;
  };
  console.log(`${count} pods`);
  const all = world(count);
  const plan = compile(all);
  lap("compiled");
  const sandbox = await Sandbox.up(all);
  lap("up");
  await sandbox.program(plan);
  lap("programmed");
  if (probe) {
    const options = { families: ["IPv4"], protocols: ["TCP"], port: 8080 } as const;
    const asked = [...questions(plan, all, options)].filter(
      ({ from, to }) => from.end.kind === "pod" && to.end.kind === "pod",
    );
    const observations = await sandbox.probe(asked);
    lap(`${asked.length} connections`);
    const judge = new Judge(plan, all, sandbox);
    const judgements = observations.map((observation, i) => judge.judge(asked[i]!, observation));
    lap("compared with engine and reference");
    const wrong = judgements.filter(({ mismatches }) => mismatches.length > 0).length;
    const denied = judgements.filter(({ kernel }) => kernel === "deny").length;
    console.log(`  ${denied} dropped, ${wrong} mismatches`);
  }
  console.log(`  total ${((last - start) / 1000).toFixed(2)} s`);
  await sandbox.down();
}

await measure(100, true);
await measure(1_000, false);
