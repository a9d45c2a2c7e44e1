/** The same measures of other engines, and ours beside them. */
import type { Comparison } from "../results.ts";
import { median, quantile } from "../statistics.ts";
import type { ConnectionResults } from "./connections.ts";
import type { FreshResults } from "./fresh-pods.ts";
import type { RoundResults } from "./rounds.ts";

export interface Measured {
  readonly rounds: RoundResults;
  readonly fresh: FreshResults;
  readonly connections: ConnectionResults;
  readonly memory: number;
}

const head = [
  "",
  "Bulkhead",
  "kube-router 2.10 (iptables-nft, ipset)",
  "kube-network-policies 1.1.1 (verdicts in userspace)",
  "Calico (published)",
];

/** @param measured by place: `empty`, `crowd` */
export function comparison({ empty, crowd }: Partial<Record<string, Measured>>): Comparison {
  const of = (one: Measured | undefined, format: (one: Measured) => string): string =>
    one === undefined ? "not measured in this run" : format(one);
  const both = (format: (one: Measured) => string): string => `${of(empty, format)} / ${of(crowd, format)}`;
  const quantiles = ({ rounds: { deny } }: Measured): string => `${ms(median(deny))} / ${ms(quantile(deny, 0.95))}`;
  const cut = ({ rounds: { udpCut, tcpCut } }: Measured): string => ms(quantile([...udpCut, ...tcpCut], 0.99));
  const share = ({ connections: { ratio } }: Measured): string => `${Math.round(100 * median(ratio))} %`;
  const leaked = ({ fresh }: Measured): string => `${Math.max(...fresh.leaked)}`;
  const works = ({ fresh }: Measured): string => ms(median(fresh.works));
  return {
    title: "Beside other engines",
    head,
    rows: [
      [
        "a deny takes hold, p50 / p95, empty cluster",
        of(empty, quantiles),
        "143 / 169 ms",
        "0 / 1 ms",
        "changes wait for a tick of up to 100 ms",
      ],
      [
        "the same with 1,000 policies and 2,000 pods",
        of(crowd, quantiles),
        "2,069 / 2,230 ms",
        "0 / 0.3 ms",
        "one member of a set, 2,000 sets: 2.9 s, later 17 ms",
      ],
      ["connections a second with one policy, of those without an engine", of(empty, share), "97 %", "82 %", ""],
      ["the same with 1,000 policies on the server", of(crowd, share), "48 %", "1 %", ""],
      [
        "a live flow is cut by a new deny, p99, empty / 1,000 policies",
        both(cut),
        "never",
        "never (by its design after 30 s or more)",
        "never",
      ],
      [
        "connections that a new pod gets out under default deny, empty / 1,000 policies",
        both(leaked),
        "777 / 34,900",
        "50",
        "none: unknown interfaces are closed",
      ],
      ["first allowed connection of a new pod, empty / 1,000 policies", both(works), "146 ms / 2.9 s", "21 ms", ""],
      [
        "CPU time of the engine for a change, empty / 1,000 policies",
        both(({ rounds }) => ms(rounds.cpu)),
        "125 / 1,980 ms",
        "170 / 200 ms",
        "",
      ],
      [
        "memory of the engine on a node, empty / 1,000 policies",
        both(({ memory }) => `${Math.round(memory)} MB`),
        "53 / 98 MB",
        "32 / 53 MB",
        "",
      ],
    ],
    sources: [
      "kube-router and kube-network-policies: measured once on this machine with a real Kubernetes 1.36 and kubelets, from the API server's answer to the first connection judged anew; CPU time and memory were of two nodes and are halved here. Bulkhead's first allowed connection is counted from the API server's answer with the pod's address, theirs from the start of the pod.",
      "kube-network-policies sees only first packets, as it was run; its verdict is made for each connection, so that a change holds at once and connections are slow.",
      "Calico: felix/design/dataplane.md and github.com/projectcalico/calico pull requests 12979, 12983 and 12984 for one member of a set; issue 6399 for established flows.",
    ],
  };
}

const ms = (value: number): string => `${value.toFixed(value < 100 ? 1 : 0)} ms`;
