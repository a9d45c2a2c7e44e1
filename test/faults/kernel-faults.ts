/** Faults between an agent and its kernel: nft that fails, and other programs. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { openRunner } from "../../src/nftables/runner.ts";
import { now } from "../fire/native.ts";
import { Program } from "../light/program.ts";
import type { Fault, Turn } from "./scenario.ts";
import { type NodeIndex, nodes, restartAgents, type Stage } from "./stage.ts";
import { random } from "./throughout.ts";

/** What the program `nft` of the agents does: what it should, or refuse, or refuse or be killed now and then. */
type Mood = "well" | "refuses" | "refuses at times" | "is killed at times";

/** `nft` in a folder of its own, before the real one; its mood is in the file beside it. */
function unreliableNft(stage: Stage): { readonly env: Record<string, string>; set(mood: Mood): void } {
  const folder = join(stage.cluster.folder, "unreliable");
  mkdirSync(folder, { recursive: true });
  const real = execFileSync("which", ["nft"], { encoding: "utf8" }).trim();
  const script = `#!/bin/sh
dice=$(od -An -N1 -tu1 /dev/urandom)
refuse() {
  echo 'Error: Could not process rule: Cannot allocate memory' >&2
  exit 1
}
case $(cat "$0.mood") in
refuses) refuse ;;
'refuses at times') [ $((dice % 3)) -ne 0 ] || refuse ;;
'is killed at times') [ $((dice % 3)) -ne 0 ] || exec timeout --foreground -s KILL "0.0$((dice % 40 + 10))" ${real} "$@" ;;
esac
exec ${real} "$@"
`;
  const program = join(folder, "nft");
  const env = { BULKHEAD_NFT: "nft", PATH: `${folder}:${process.env["PATH"]}` };
  const set = (mood: Mood): void => writeFileSync(`${program}.mood`, mood);
  if (!existsSync(program)) {
    set("well");
    writeFileSync(program, script, { mode: 0o755 });
  }
  return { env, set };
}

const withUnreliableNft: Pick<Fault, "before" | "after"> = {
  before: (stage) => restartAgents(stage, { env: unreliableNft(stage).env }),
  after: async (stage) => {
    unreliableNft(stage).set("well");
    await restartAgents(stage);
  },
};

const nftRefuses: Fault = {
  ...withUnreliableNft,
  name: "nft refuses",
  what: "nft refuses everything (out of memory) until every agent says so in /readyz, then works again",
  long: 6,
  short: 0,
  first: ({ stage }) => unreliableNft(stage).set("refuses"),
  afterwards: async ({ stage, wrong }) => {
    const nft = unreliableNft(stage);
    for (const node of nodes)
      if (!(await saysSo(stage, node))) wrong(`the agent of node ${node} does not say that nft fails`);
    nft.set("well");
    return null;
  },
};

async function saysSo(stage: Stage, node: NodeIndex): Promise<boolean> {
  for (const deadline = now() + 60_000; now() < deadline; await sleep(20)) {
    const page = await stage.agent(node).get("/readyz?verbose");
    if (page?.status === 503 && page.text.includes("Cannot allocate memory")) return true;
  }
  return false;
}

const atTimes = (name: string, what: string, mood: Mood): Fault => ({
  ...withUnreliableNft,
  name,
  what,
  long: 8,
  short: 0,
  first: ({ stage }) => unreliableNft(stage).set(mood),
  afterwards: async ({ stage }) => {
    const nft = unreliableNft(stage);
    await sleep(500 + random(2000));
    nft.set("well");
    return null;
  },
});

const foreignStorm: Fault = {
  name: "other tables change",
  what: "a program like kube-proxy changes a table of its own hundreds of times a second on both nodes",
  long: 8,
  short: 0,
  before: async (stage) => {
    const script =
      'nft add table inet other; nft add set inet other s "{ type ipv4_addr; }"; ' +
      'while :; do for i in $(seq 1 250); do echo "add element inet other s { 192.0.2.$i }"; echo "delete element inet other s { 192.0.2.$i }"; done | nft -i >/dev/null; done';
    for (const node of nodes) {
      const netns = stage.cluster.node(node).fd;
      const program = new Program("other", ["sh", "-c", script], {
        log: join(stage.cluster.folder, "other.log"),
        netns,
      });
      others.set(stage, [...(others.get(stage) ?? []), program]);
      program.start();
    }
    await sleep(300);
  },
  after: async (stage) => {
    for (const program of others.get(stage) ?? []) await program.kill();
  },
};
const others = new WeakMap<Stage, readonly Program[]>();

/** Another program takes the rules away; `recoveries` say how long they were missing. */
const rulesTaken = (name: string, what: string, script: string): Fault => ({
  name,
  what,
  long: 20,
  short: 0,
  unpreventable: true,
  once: async (turn: Turn) => {
    const { stage, index, recovered, wrong } = turn;
    stage.storm.start();
    await sleep(random(300));
    const runner = await openRunner({ netns: stage.cluster.node(nodes[index % 2]!).fd });
    try {
      await runner.run(script);
      const begun = now();
      while (!(await isWhole(runner))) {
        if (now() - begun > 60_000) return wrong("the rules are not back after a minute");
        await sleep(1);
      }
      recovered(now() - begun);
    } finally {
      await runner.close();
    }
    if (index % 5 !== 4) return;
    await stage.storm.stop();
    await stage.kernelsEqual();
  },
});

/** The base chains are there: they come with the last transaction, when everything else is. */
async function isWhole(runner: Awaited<ReturnType<typeof openRunner>>): Promise<boolean> {
  try {
    return (await runner.run("list chain inet bulkhead base_forward\n")).includes("jump judge_forward");
  } catch {
    return false;
  }
}

export const kernelFaults: readonly Fault[] = [
  nftRefuses,
  atTimes("nft refuses at times", "nft refuses one transaction or listing of three, out of memory", "refuses at times"),
  atTimes(
    "nft killed at times",
    "one nft of three is killed after 10 to 50 ms: it may have committed, or not",
    "is killed at times",
  ),
  foreignStorm,
  rulesTaken("table deleted", "another program deletes the table `inet bulkhead`", "delete table inet bulkhead\n"),
  rulesTaken("ruleset flushed", "another program runs `nft flush ruleset`", "flush ruleset\n"),
];
