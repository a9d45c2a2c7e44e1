/** The faults of agents and of what they depend on, but for those of kubelets and machines. */
import { setTimeout as sleep } from "node:timers/promises";
import { now } from "../fire/native.ts";
import { EventLayer } from "./event-layer.ts";
import { kernelFaults } from "./kernel-faults.ts";
import type { Fault } from "./scenario.ts";
import { nodes, restartAgents, type Stage } from "./stage.ts";
import { random } from "./throughout.ts";

/** ms; of a machine that has much else to do. */
const patience = 600_000;

/** Agents that one repetition of `agentKilled` kills. */
export const killsAtOnce = 10;

const agentKilled: Fault = {
  name: "agents killed",
  what: `${killsAtOnce} SIGKILLs at random moments of a storm of changes, of agents that work and of agents that start`,
  long: 20,
  short: 1,
  afterwards: async ({ stage }) => {
    for (let i = 0; i < killsAtOnce / nodes.length; i++) {
      await Promise.all(
        nodes.map(async (node) => {
          const { program } = stage.agent(node);
          // One of two may get ready and work for a while.
          if (Math.random() < 0.5)
            await Promise.race([
              stage
                .agent(node)
                .ready(patience)
                .catch(() => undefined),
              program.ended,
            ]);
          else await sleep(random(3000));
          await sleep(random(200));
          await program.kill();
          stage.launchAgent(node);
        }),
      );
    }
    const origin = now();
    await Promise.all(nodes.map((node) => stage.agent(node).ready(patience)));
    return origin;
  },
};

const agentReplaced: Fault = {
  name: "agents replaced",
  what: "a new agent starts while the old one runs, which then gets SIGTERM: a rolling update",
  long: 5,
  short: 0,
  afterwards: async ({ stage, index }) => {
    const node = nodes[index % 2]!;
    const before = stage.agent(node);
    stage.launchAgent(node);
    await sleep(random(2000));
    await before.program.stop();
    const origin = now();
    await stage.agent(node).ready(patience);
    return origin;
  },
};

const agentHangs: Fault = {
  name: "agents hang",
  what: "SIGSTOP of both agents for up to 3 s, then SIGCONT",
  long: 8,
  short: 0,
  afterwards: async ({ stage }) => {
    const programs = nodes.map((node) => stage.agent(node).program.pid!);
    for (const pid of programs) process.kill(pid, "SIGSTOP");
    await sleep(random(3000));
    for (const pid of programs) process.kill(pid, "SIGCONT");
    return null;
  },
};

const apiserverKilled: Fault = {
  name: "API server killed",
  what: "SIGKILL of kube-apiserver, away for up to 3 s, started again",
  long: 6,
  short: 1,
  afterwards: async ({ stage }) => {
    const { controlPlane } = stage.cluster;
    await controlPlane.apiserver.kill();
    await sleep(random(3000));
    await controlPlane.startApiserver();
    return null;
  },
};

const apiserverStopped: Fault = {
  name: "API server restarted",
  what: "SIGTERM of kube-apiserver, which ends its watches in good order, and a new one",
  long: 3,
  short: 0,
  afterwards: async ({ stage }) => {
    const { controlPlane } = stage.cluster;
    await controlPlane.apiserver.stop(30_000);
    await controlPlane.startApiserver();
    return null;
  },
};

const etcdKilled: Fault = {
  name: "etcd killed",
  what: "SIGKILL of etcd, away for up to 3 s, started again; kube-apiserver runs on",
  long: 5,
  short: 0,
  afterwards: async ({ stage }) => {
    const { controlPlane } = stage.cluster;
    await controlPlane.etcd.kill();
    await sleep(random(3000));
    await controlPlane.startEtcd();
    return null;
  },
};

const bothKilled: Fault = {
  name: "etcd and API server killed",
  what: "SIGKILL of etcd and kube-apiserver, both started again",
  long: 3,
  short: 0,
  afterwards: async ({ stage }) => {
    const { controlPlane } = stage.cluster;
    await Promise.all([controlPlane.etcd.kill(), controlPlane.apiserver.kill()]);
    await sleep(random(1000));
    await controlPlane.start();
    return null;
  },
};

/** Agents whose connections go through the proxy. */
const throughProxy: Pick<Fault, "before" | "after"> = {
  before: (stage) => restartAgents(stage, { server: stage.proxy.url }),
  after: async (stage) => {
    stage.proxy.mode = { kind: "open" };
    await restartAgents(stage);
  },
};

const connectionsReset: Fault = {
  ...throughProxy,
  name: "connections reset",
  what: "all connections of both agents reset up to five times within half a second, in the middle of events",
  long: 15,
  short: 2,
  afterwards: async ({ stage }) => {
    const { proxy } = stage;
    for (let i = 0; i <= random(5); i++) {
      proxy.reset();
      await sleep(random(100));
    }
    return null;
  },
};

const serverUnreachable: Fault = {
  ...throughProxy,
  name: "API server unreachable",
  what: "connections reset, and new ones refused for up to 5 s",
  long: 5,
  short: 0,
  first: ({ stage }) => {
    stage.proxy.mode = { kind: "refusing" };
    stage.proxy.reset();
  },
  afterwards: async ({ stage }) => {
    const { proxy } = stage;
    await sleep(random(5000));
    proxy.mode = { kind: "open" };
    return null;
  },
};

const halfOpen: Fault = {
  ...throughProxy,
  name: "half-open connections",
  what: "connections stay and nothing passes any more; new ones work, and the verdict must come over them",
  long: 3,
  short: 0,
  first: ({ stage }) => stage.proxy.stallOpen(),
};

const stalled: Fault = {
  ...throughProxy,
  name: "network stalls",
  what: "nothing passes for up to 15 s on connections old and new, then everything goes on",
  long: 3,
  short: 0,
  first: ({ stage }) => {
    stage.proxy.mode = { kind: "stalled" };
  },
  afterwards: async ({ stage }) => {
    const { proxy } = stage;
    await sleep(random(15_000));
    proxy.mode = { kind: "open" };
    return null;
  },
};

const slow: Fault = {
  ...throughProxy,
  name: "slow events",
  what: "every piece that the API server sends waits for 200 ms; the verdict must come all the same",
  long: 5,
  short: 0,
  before: async (stage) => {
    await throughProxy.before!(stage);
    stage.proxy.mode = { kind: "slow", delay: 200 };
  },
};

const compacted: Fault = {
  ...throughProxy,
  name: "etcd compacted (410)",
  what: "agents cut off while things change, etcd compacted, kube-apiserver killed and started: where they were is gone",
  long: 4,
  short: 0,
  first: ({ stage }) => {
    stage.proxy.mode = { kind: "refusing" };
    stage.proxy.reset();
  },
  afterwards: async ({ stage }) => {
    const { proxy, cluster } = stage;
    await sleep(500);
    await stage.storm.stop();
    await cluster.controlPlane.compact();
    await cluster.controlPlane.apiserver.kill();
    await cluster.controlPlane.startApiserver();
    proxy.mode = { kind: "open" };
    stage.storm.start();
    return null;
  },
};

const layers = new WeakMap<Stage, EventLayer>();

const duplicated: Fault = {
  name: "duplicated events",
  what: "every event comes twice, each up to 50 ms late; the events of different kinds overtake each other",
  long: 6,
  short: 0,
  before: async (stage) => {
    const { controlPlane, folder } = stage.cluster;
    const { connection: upstream, serviceAccount } = controlPlane;
    const layer = new EventLayer({ upstream, serviceAccount, folder, delay: 50 });
    layers.set(stage, layer);
    await layer.start();
    await restartAgents(stage, { server: layer.url, serviceAccount: layer.serviceAccount });
  },
  after: async (stage) => {
    await restartAgents(stage);
    await layers.get(stage)?.close();
  },
};

export const faults: readonly Fault[] = [
  agentKilled,
  agentReplaced,
  agentHangs,
  apiserverKilled,
  apiserverStopped,
  etcdKilled,
  bothKilled,
  connectionsReset,
  serverUnreachable,
  halfOpen,
  stalled,
  slow,
  compacted,
  duplicated,
  ...kernelFaults,
];
