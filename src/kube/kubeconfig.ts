/** From kubeconfig files and kubectl's flags to a connection: client-go's rules (`clientcmd/client_config.go`). */
import { readFile } from "node:fs/promises";
import type { Connection } from "./connection.ts";
import {
  type ClusterEntry,
  type ContextEntry,
  emptyCluster,
  emptyUser,
  type Kubeconfig,
  type UserEntry,
} from "./kubeconfig-entries.ts";
import { KubeconfigError } from "./kubeconfig-error.ts";
import type { ExecCluster, ExecSurroundings } from "./kubeconfig-exec.ts";
import { fileFault, readKubeconfig } from "./kubeconfig-files.ts";
import { checkUser, UserCredentials } from "./kubeconfig-user.ts";
import { parseProxy, proxyFromEnvironment } from "./proxy.ts";

export { KubeconfigError } from "./kubeconfig-error.ts";

/** kubectl's flags of the same names. */
export interface KubeconfigOptions {
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly cluster?: string;
  readonly user?: string;
  readonly server?: string;
  readonly token?: string;
  readonly as?: string;
  readonly asGroup?: readonly string[];
  readonly namespace?: string;
  /** Default: those of this process. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly isTerminal?: boolean;
  /** Standard input has manifests: exec plugins can't ask at it. */
  readonly isStdinTaken?: boolean;
}

/**
 * The connection that kubectl would make with the same flags, files and environment. Reads files; connects to nothing, and
 * runs no plugin yet.
 * @throws {KubeconfigError} `isAbsent` when nothing names a server
 */
export async function kubeconfigConnection(options: KubeconfigOptions = {}): Promise<Connection> {
  const env = options.env ?? process.env;
  const config = await readKubeconfig(options.kubeconfig, env);
  const contextName = options.context || config.currentContext;
  const context = chooseContext(config, contextName, options);
  const cluster = chooseCluster(config, context, options);
  const user = chooseUser(config, context, options);
  if (cluster.server === "") throw absent(options, env, context);
  checkUser(context.user, user);

  const server = serverUrl(cluster);
  const proxy = chooseProxy(cluster, server, env);
  const isSecure = server.protocol === "https:";
  if (isSecure) checkTls(context.cluster, cluster);
  const surroundings: ExecSurroundings = {
    env,
    isTerminal: options.isTerminal ?? process.stdin.isTTY === true,
    isStdinTaken: options.isStdinTaken ?? false,
  };
  // kubectl, too, sends nothing secret in plain text.
  const credentials = isSecure
    ? new UserCredentials(context.user, user, cluster, surroundings, await execCluster(cluster, context.cluster))
    : null;
  const impersonation = impersonationHeaders(user);
  const shown = `${server.origin}${server.pathname.replace(/\/$/, "")}`;
  return {
    server,
    proxy,
    namespace: options.namespace || context.namespace || "default",
    description: contextName === "" ? shown : `context "${contextName}" (${shown})`,
    tls: async () => (credentials === null ? null : credentials.tls()),
    async headers() {
      const authorization = (await credentials?.authorization()) ?? null;
      return { ...(authorization === null ? {} : { authorization }), ...impersonation };
    },
    unauthorized() {
      credentials?.drop();
    },
  };
}

function chooseContext(config: Kubeconfig, name: string, options: KubeconfigOptions): ContextEntry {
  const found = config.contexts.get(name);
  if (found === undefined && (options.context ?? "") !== "") throw unknown("context", name, config.contexts);
  if (found === undefined && name !== "" && !options.server)
    throw new KubeconfigError(`context was not found for specified context: ${name}`, {
      hint: `current-context in the kubeconfig names it; ${listed("contexts", config.contexts)}.`,
    });
  const context = found ?? { cluster: "", user: "", namespace: "" };
  return { ...context, cluster: options.cluster || context.cluster, user: options.user || context.user };
}

function chooseCluster(config: Kubeconfig, context: ContextEntry, options: KubeconfigOptions): ClusterEntry {
  const found = config.clusters.get(context.cluster);
  if (found === undefined && (options.cluster || (context.cluster !== "" && !options.server)))
    throw unknown("cluster", context.cluster, config.clusters);
  const cluster = found ?? emptyCluster;
  // Another server has another name in its certificate.
  return options.server ? { ...cluster, server: options.server, tlsServerName: "" } : cluster;
}

function chooseUser(config: Kubeconfig, context: ContextEntry, options: KubeconfigOptions): UserEntry {
  const found = config.users.get(context.user);
  if (found === undefined && context.user !== "") throw unknown("user", context.user, config.users);
  const user = found ?? emptyUser;
  return {
    ...user,
    ...(options.token ? { token: options.token, tokenFile: "", username: "", authProvider: null } : {}),
    ...(options.as ? { as: options.as } : {}),
    ...(options.asGroup !== undefined && options.asGroup.length > 0 ? { asGroups: options.asGroup } : {}),
  };
}

const listed = (what: string, names: ReadonlyMap<string, unknown>): string =>
  names.size === 0 ? `there are no ${what}` : `there are: ${[...names.keys()].slice(0, 10).join(", ")}`;

const unknown = (what: string, name: string, names: ReadonlyMap<string, unknown>): KubeconfigError =>
  new KubeconfigError(`${what} "${name}" does not exist in the kubeconfig`, { hint: `${listed(`${what}s`, names)}.` });

function absent(
  { kubeconfig }: KubeconfigOptions,
  env: Readonly<Record<string, string | undefined>>,
  context: ContextEntry,
): KubeconfigError {
  if (context.cluster !== "") return new KubeconfigError(`no server found for cluster "${context.cluster}"`);
  const listed = env["KUBECONFIG"];
  const where = kubeconfig || (listed ? `KUBECONFIG (${listed})` : "~/.kube/config");
  return new KubeconfigError(`no current context in ${where}`, {
    isAbsent: true,
    hint: "kubectl config use-context NAME sets one; --context, --kubeconfig and --server name a cluster directly.",
  });
}

/** A server without a scheme: https where something about certificates is said, as client-go has it. */
function serverUrl({ server, caFile, caData, skipTlsVerify }: ClusterEntry): URL {
  const scheme = caFile !== "" || caData !== "" || skipTlsVerify ? "https" : "http";
  const text = /^[a-z]+:\/\//i.test(server) ? server : `${scheme}://${server}`;
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || (url.protocol !== "https:" && url.protocol !== "http:"))
    throw new KubeconfigError(`the server's address is not valid: ${server.replace(/\/\/[^/@]*@/, "//…@")}`);
  url.search = "";
  url.hash = "";
  return url;
}

function checkTls(name: string, { caFile, caData, skipTlsVerify }: ClusterEntry): void {
  if (skipTlsVerify && (caFile !== "" || caData !== ""))
    throw new KubeconfigError(
      `cluster "${name}": specifying a certificate authority with insecure-skip-tls-verify is not allowed`,
    );
}

function chooseProxy(
  { proxyUrl }: ClusterEntry,
  server: URL,
  env: Readonly<Record<string, string | undefined>>,
): URL | null {
  try {
    return proxyUrl === "" ? proxyFromEnvironment(server, env) : parseProxy(proxyUrl);
  } catch (error) {
    const where = proxyUrl === "" ? "HTTPS_PROXY or HTTP_PROXY" : "proxy-url";
    throw new KubeconfigError(`${where}: ${(error as Error).message}`);
  }
}

/** What `provideClusterInfo` tells a plugin. */
async function execCluster(cluster: ClusterEntry, name: string): Promise<ExecCluster> {
  const { server, tlsServerName, skipTlsVerify, caFile, caData, proxyUrl, execConfig } = cluster;
  const ca = caData !== "" || caFile === "" ? caData : await fileAsBase64(caFile, name);
  return {
    server,
    ...(tlsServerName === "" ? {} : { "tls-server-name": tlsServerName }),
    ...(skipTlsVerify ? { "insecure-skip-tls-verify": true } : {}),
    ...(ca === "" ? {} : { "certificate-authority-data": ca }),
    ...(proxyUrl === "" ? {} : { "proxy-url": proxyUrl }),
    ...(execConfig === undefined ? {} : { config: execConfig }),
  };
}

async function fileAsBase64(path: string, cluster: string): Promise<string> {
  try {
    return (await readFile(path)).toString("base64");
  } catch (error) {
    throw new KubeconfigError(`unable to read certificate-authority ${path} for ${cluster}: ${fileFault(error)}`);
  }
}

/** https://kubernetes.io/docs/reference/access-authn-authz/user-impersonation */
function impersonationHeaders({ as, asUid, asGroups, asExtra }: UserEntry): Record<string, string | string[]> {
  if (as === "") return {};
  return {
    "impersonate-user": as,
    ...(asUid === "" ? {} : { "impersonate-uid": asUid }),
    ...(asGroups.length === 0 ? {} : { "impersonate-group": [...asGroups] }),
    ...Object.fromEntries(
      [...asExtra].map(([key, values]) => [`impersonate-extra-${encodeURIComponent(key).toLowerCase()}`, [...values]]),
    ),
  };
}
