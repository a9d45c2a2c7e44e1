/** What to say, and to paste, when RBAC does not let someone read what policies are about. */
import { type ListedKind, listedKinds } from "./listed-kinds.ts";

interface Refusal {
  readonly kind: ListedKind;
  /** In the API server's words. */
  readonly refusal: string;
}

const groupOf = ({ apiVersion }: ListedKind): string => (apiVersion.includes("/") ? apiVersion.split("/")[0]! : "");

/** Several lines: what is lacking, in the server's words too, and a ClusterRole that grants all that is read. */
export function forbiddenMessage(cluster: string, refused: readonly Refusal[]): string {
  const [first] = refused;
  const user = /User "([^"]*)"/.exec(first?.refusal ?? "")?.[1];
  return [
    `${cluster}: you may not list ${refused.map(({ kind }) => kind.resource).join(", ")} in all namespaces`,
    `The API server: ${first?.refusal ?? ""}`,
    "--allow-partial answers without them. To read everything that policies are about, someone who administers the cluster applies:",
    "",
    ...clusterRole(),
    ...(user === undefined ? [] : ["---", ...binding(user)]),
  ].join("\n");
}

const roleName = "bulkhead-reader";

/** RBAC that lets the command line tool read a cluster: nothing but lists. */
function clusterRole(): string[] {
  const byGroup = Map.groupBy(listedKinds, groupOf);
  return [
    "apiVersion: rbac.authorization.k8s.io/v1",
    "kind: ClusterRole",
    `metadata: {name: ${roleName}}`,
    "rules:",
    ...[...byGroup].map(([group, kinds]) => {
      const resources = kinds.map(({ resource }) => resource).join(", ");
      return `- {apiGroups: [${JSON.stringify(group)}], resources: [${resources}], verbs: [list]}`;
    }),
  ];
}

function binding(user: string): string[] {
  const [, namespace, account] = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(user) ?? [];
  const subject =
    namespace === undefined
      ? `{kind: User, apiGroup: rbac.authorization.k8s.io, name: ${JSON.stringify(user)}}`
      : `{kind: ServiceAccount, namespace: ${namespace}, name: ${account}}`;
  return [
    "apiVersion: rbac.authorization.k8s.io/v1",
    "kind: ClusterRoleBinding",
    `metadata: {name: ${roleName}}`,
    `roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: ${roleName}}`,
    `subjects: [${subject}]`,
  ];
}
