/** The text of docs/json.md: what every JSON output means, with examples that the program has just printed. */
import { runCli } from "../src/cli/program.ts";

export const page = "docs/json.md";

const folder = "test/cli/shop";

async function output(args: readonly string[]): Promise<string> {
  let text = "";
  const write = (part: string): void => {
    text += part;
  };
  const io = {
    stdout: { isTTY: false, columns: undefined, write },
    stderr: { isTTY: false, columns: undefined, write: () => {} },
    stdin: { read: async () => "" },
    env: {},
    signal: new AbortController().signal,
  };
  await runCli(args, io, "");
  return text.trim();
}

async function example(...args: string[]): Promise<string> {
  return `\`bulkhead ${args.join(" ")}\`:\n\n\`\`\`json\n${compact(JSON.parse(await output(args)))}\n\`\`\`\n`;
}

/** JSON whose small parts stand in one line. */
function compact(value: unknown, indent = ""): string {
  const flat = spaced(value);
  if (typeof value !== "object" || value === null || flat.length + indent.length <= 110) return flat;
  const inner = `${indent}  `;
  if (Array.isArray(value)) return `[\n${value.map((one) => `${inner}${compact(one, inner)}`).join(",\n")}\n${indent}]`;
  const fields = Object.entries(value).map(([key, one]) => `${inner}${JSON.stringify(key)}: ${compact(one, inner)}`);
  return `{\n${fields.join(",\n")}\n${indent}}`;
}

function spaced(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(spaced).join(", ")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  return `{${Object.entries(value)
    .map(([key, one]) => `${JSON.stringify(key)}: ${spaced(one)}`)
    .join(", ")}}`;
}

export async function jsonPage(): Promise<string> {
  return `# JSON output

Written by \`npm run docs:cli\`; the examples are what the program prints for the manifests in \`${folder}\`. \`-o yaml\` says the same.

Every output has \`apiVersion: bulkhead.dev/v1alpha1\` and a \`kind\`. Within an apiVersion fields are only added: readers ignore those they
do not know. The types, with the meaning of every field, are in \`src/policy/analyze/types.ts\`.

## Common parts

| part | form |
|---|---|
| endpoint reference | \`from\`, \`to\`, \`ref\`: canonical spelling; every command takes it back |
| ports | list of \`{protocol, start, end}\`, inclusive. All ports of a protocol: 1–65535. Protocol \`other\`: everything without ports (ICMP and the like), 0–0 |
| reason | \`{policy: {kind, namespace, name}, rule, action, file, line, column}\`. \`rule\` counts from 0; null for a default deny, whose reasons are all isolating policies. \`file\` is null for objects of a cluster |
| direction | \`{verdict: allow\\|deny, tier: Admin\\|NetworkPolicy\\|Baseline\\|Default, exempt: null\\|self\\|own-node\\|no-pod, reasons}\` |
| \`families\` | \`{IPv4, IPv6}\` beside \`ports\`, present where they differ; \`ports\` is then what both allow |
| \`notes\` | what the answer depends on or leaves out: \`{note: CODE, …}\` |

## Verdict: \`can -o json\`

\`allowed\` says whether every pair, port and family asked is allowed; \`partly\` whether at least one is. \`counterexample\` is a flow that is
denied, \`example\` one that is allowed; \`decisions\` (one pair only) has how each direction decides each port.

${await example("can", "shop/deploy/web", "shop/sts/db", "5432", "-f", folder, "-o", "json")}
## Explanation: \`explain -o json\`

A Verdict with \`change\`, the shortest list of edits that flips it, and \`alternatives\` of the same length. An edit has \`op\`
(\`add-rule\`, \`remove-rule\`, \`add-peer\`, \`remove-peer\`, \`add-port\`, \`remove-port\`, \`add-policy\`), the \`policy\`, the field \`path\`, and for additions the
\`value\`. \`unchangeable\` says why there is none.

${await example("explain", "shop/deploy/web", "shop/sts/db", "5432", "-f", folder, "-o", "json")}
## Connectivity: \`map -o json\`

A pair that is missing is denied. Left out are pairs without a pod and an endpoint with itself. Addresses outside the cluster are grouped into the
classes that policies tell apart, one endpoint each (kind \`cidr\`, \`ips\` its disjoint CIDRs); \`external\` is the class that no policy names.

${await example("map", "-f", folder, "--focus", "shop/sts/db", "-o", "json")}
## Difference: \`diff -o json\`

Entries are connections with what was allowed \`before\`, what is \`widened\` and \`narrowed\`, and the policies it comes from. In \`removed\`, \`ports\` is what
was allowed.

${await example("diff", "-f", folder, "--with", "test/cli/extra.yaml", "-o", "json")}
## TestResults: \`test -o json\`

\`actual\` is \`partly\` where some of the pairs and ports are allowed and some are not.

${await example("test", "test/cli/failing.test.yaml", "-o", "json")}
## Verification: \`verify -o json\`

\`agree\`: engine, reference and kernel say the same in every cell, and nothing was dropped that should not be. \`complete\`: everything was
asked. \`mismatches\` are cells with \`differences\` and the \`explanations\` of all three. \`evidence\` counts answers and drops, and says what the id of
every drop stands for. A cell:

\`\`\`json
{"from": "shop/web-0", "to": "shop/db-0", "address": "10.244.0.4", "family": "IPv4", "protocol": "TCP", "port": 5432, "service": null,
 "engine": "allow", "reference": "allow", "kernel": "allow"}
\`\`\`

## Version: \`version -o json\`

\`{apiVersion, kind: Version, version}\`
`;
}
