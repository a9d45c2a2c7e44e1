/** `test/cluster/build`: builds what a real cluster is made of, once; what is there already stays. */
import { parseArgs } from "node:util";
import { assetFolder } from "./lib/assets.ts";
import { build, missingOf } from "./parts/builder.ts";
import { type PartSet, partSets } from "./parts/list.ts";

const usage = `usage: test/cluster/build [--only helm|api|cluster|e2e|cnp|cyclonus] [--list]

Builds Kubernetes, etcd and containerd (cluster) and the upstream suites from their Go modules into
${assetFolder}.
About 12 minutes cold on 2 cores. A build that was stopped goes on where it was. KUBEBUILDER_ASSETS is looked into first.

  --only    helm: Helm; api: etcd, kube-apiserver, kubectl, Helm; cluster: these and all that nodes need; e2e, cnp, cyclonus: what
            that suite needs
  --list    say what is missing, and build nothing
`;

const { values } = parseArgs({
  options: {
    only: { type: "string", default: "all" },
    list: { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  },
});
const say = (line: string): void => void process.stderr.write(`cluster: ${line}\n`);

const isSet = (name: string): name is PartSet => Object.hasOwn(partSets, name);

if (values.help) process.stdout.write(usage);
else if (!isSet(values.only)) {
  process.stderr.write(`error: --only ${values.only}: one of ${Object.keys(partSets).join(", ")}\n`);
  process.exitCode = 2;
} else if (values.list) for (const { name } of missingOf(partSets[values.only])) process.stdout.write(`${name}\n`);
else
  try {
    await build(partSets[values.only], say);
    say(`all is in ${assetFolder}`);
  } catch (error) {
    process.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
