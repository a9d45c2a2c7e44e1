/** The part of docs/conformance.md that tells of the real cluster. */
import { count, type SuiteName, type SuiteResult } from "../cluster/suites/result.ts";
import { table } from "./table.ts";

const titles: Readonly<Record<SuiteName, string>> = {
  e2e: "Kubernetes e2e, Netpol",
  cnp: "network-policy-api conformance",
  cyclonus: "cyclonus (TCP, UDP)",
  "cyclonus-more": "cyclonus (TCP, UDP), cases that it leaves out by default",
};

export function clusterSection(results: readonly SuiteResult[]): string {
  const notAll = results.flatMap((result) =>
    result.cases
      .filter(({ outcome }) => outcome !== "pass")
      .map(({ name, outcome, why }) => [
        `${titles[result.suite]}, ${place(result)}`,
        name.replaceAll("|", "\\|"),
        outcome === "skip" ? "not run" : "failed",
        (why ?? "").replaceAll("|", "\\|"),
      ]),
  );
  return `## On a real cluster

The upstream suites themselves, unchanged, on Kubernetes with kubelet, containerd, kube-proxy and real pods (\`test/cluster/README.md\`), with Bulkhead
installed as a DaemonSet from \`deploy/\`. \`npm run test:cluster -- --suite all\` runs them and keeps what they say in \`test/cluster/results\`.

${
  results.length === 0
    ? "No run is kept."
    : table(
        ["suite", "version", "cluster", "passed", "failed", "not run", "time", "Bulkhead", "kernel", "date"],
        results.map((result) => [
          titles[result.suite],
          result.version,
          place(result),
          ...(["pass", "fail", "skip"] as const).map((outcome) => String(count(result, outcome))),
          `${Math.ceil(result.seconds / 60)} min`,
          result.commit,
          result.kernel,
          result.date.slice(0, 10),
        ]),
      )
}
${notAll.length === 0 ? "" : `\n${table(["suite", "case", "", "why"], notAll)}\n`}`;
}

const families = { dual: "dual-stack", ipv4: "IPv4", ipv6: "IPv6" } as const;

/** `kube-proxy nftables, bridge, dual-stack` */
function place({ cluster }: SuiteResult): string {
  const plugin = cluster.cniPlugin ? ", CNI plugin" : "";
  return `kube-proxy ${cluster.proxy}, ${cluster.cni === "bridge" ? "bridge" : "routed veths"}, ${families[cluster.families]}${plugin}`;
}
