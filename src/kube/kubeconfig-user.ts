/**
 * A user entry's credentials, by the official library: certificates, tokens, token files, OpenID Connect, exec plugins. What
 * it gets wrong about them is set right here:
 *
 * - it takes files before data, and CA data only if there is a user entry at all;
 * - it does not know `tokenFile`, and sends the line break at the end of a token file;
 * - impersonation knows no groups, uid or extra fields;
 * - exec plugins run beside a token or certificate, which kubectl prefers (and see kubeconfig-exec.ts).
 */
import type { OutgoingHttpHeaders } from "node:http";
import type { RequestOptions } from "node:https";
import type { User } from "@kubernetes/client-node";
import type { TlsSettings } from "./connection.ts";
import type { ClusterEntry, UserEntry } from "./kubeconfig-entries.ts";
import { KubeconfigError } from "./kubeconfig-error.ts";
import { checkExec, ExecAuthenticator, type ExecCluster, type ExecSurroundings } from "./kubeconfig-exec.ts";
import { fileFault } from "./kubeconfig-files.ts";

/** What kubectl refuses. @throws {KubeconfigError} */
export function checkUser(name: string, user: UserEntry): void {
  const fail = (message: string, hint?: string): never => {
    throw new KubeconfigError(`user "${name}": ${message}`, hint === undefined ? {} : { hint });
  };
  const hasCert = user.certFile !== "" || user.certData !== "";
  const hasKey = user.keyFile !== "" || user.keyData !== "";
  if (hasCert && !hasKey) fail("client-key-data or client-key must be specified beside the client certificate");
  if (user.token !== "" && user.username !== "") fail("token and username are both given, only one is allowed");
  if (user.as === "" && (user.asUid !== "" || user.asGroups.length > 0 || user.asExtra.size > 0))
    fail("uid, groups or user-extra to impersonate, but no user: name one with --as");
  if (user.exec !== null && user.authProvider !== null) fail("auth-provider and exec are both given");
  if (user.exec !== null) checkExec(name, user.exec);
  if (user.authProvider !== null) checkAuthProvider(user.authProvider.name, fail);
}

const replacements: Readonly<Record<string, string>> = {
  gcp: "gke-gcloud-auth-plugin: gcloud container clusters get-credentials NAME",
  azure: "kubelogin: kubelogin convert-kubeconfig",
};

function checkAuthProvider(name: string, fail: (message: string, hint?: string) => never): void {
  if (name === "oidc") return;
  const plugin = replacements[name];
  if (plugin === undefined) fail(`no auth provider "${name}" is known`, "Use its exec plugin.");
  fail(`the auth provider "${name}" was removed from Kubernetes in 1.26`, `Use the exec plugin ${plugin}`);
}

/** Answers for one user on one cluster, asked anew for each request: files and tokens rotate. */
export class UserCredentials {
  readonly #name: string;
  readonly #user: UserEntry;
  readonly #cluster: ClusterEntry;
  readonly #exec: ExecAuthenticator | null;
  #options: Promise<() => Promise<RequestOptions>> | null = null;

  constructor(name: string, user: UserEntry, cluster: ClusterEntry, surroundings: ExecSurroundings, told: ExecCluster) {
    this.#name = name;
    this.#user = user;
    this.#cluster = cluster;
    const { exec } = user;
    const needsPlugin = !hasOwnCredentials(user) && exec !== null;
    this.#exec = needsPlugin ? new ExecAuthenticator(exec, exec.provideClusterInfo ? told : null, surroundings) : null;
  }

  /** Nothing that was cached is used again. */
  drop(): void {
    this.#exec?.drop();
    this.#options = null;
  }

  async tls(): Promise<TlsSettings> {
    const { ca, cert, key, servername, rejectUnauthorized } = await this.#ask();
    return {
      ca: pem(ca, `certificate authority of user "${this.#name}"'s cluster`),
      cert: pem(cert, `client certificate of user "${this.#name}"`),
      key: pem(key, `client key of user "${this.#name}"`),
      servername: servername ?? null,
      verify: rejectUnauthorized !== false,
    };
  }

  /** The value of Authorization; null without one. */
  async authorization(): Promise<string | null> {
    const { headers, auth } = await this.#ask();
    // The library makes an object of them.
    const header = (headers as OutgoingHttpHeaders | undefined)?.["Authorization"];
    if (typeof header === "string") return header.trim();
    return auth === undefined || auth === null ? null : `Basic ${Buffer.from(auth).toString("base64")}`;
  }

  async #ask(): Promise<RequestOptions> {
    this.#options ??= this.#load();
    const options = await this.#options;
    try {
      return await options();
    } catch (error) {
      if (error instanceof KubeconfigError) throw error;
      const { path } = error as NodeJS.ErrnoException;
      const what = path === undefined ? "credentials" : path;
      throw new KubeconfigError(`user "${this.#name}": unable to read ${what}: ${fileFault(error)}`);
    }
  }

  async #load(): Promise<() => Promise<RequestOptions>> {
    const { KubeConfig } = await import("@kubernetes/client-node");
    const config = new KubeConfig();
    const { caData, caFile, tlsServerName, skipTlsVerify: skipTLSVerify } = this.#cluster;
    const ca = caData === "" ? { caFile } : { caData };
    // The library opens no connection, and needs no proxy to say what a connection needs.
    const cluster = { name: "cluster", server: "https://unused", skipTLSVerify, tlsServerName, ...ca };
    config.loadFromOptions({
      clusters: [cluster],
      users: [libraryUser(this.#name, this.#user)],
      contexts: [{ name: "context", cluster: "cluster", user: this.#name }],
      currentContext: "context",
    });
    if (this.#exec !== null) config.addAuthenticator(this.#exec);
    return async () => {
      const options: RequestOptions = {};
      await config.applyToHTTPSOptions(options);
      return options;
    };
  }
}

const hasOwnCredentials = ({ token, tokenFile, username, certData, certFile }: UserEntry): boolean =>
  [token, tokenFile, username, certData, certFile].some((text) => text !== "");

function libraryUser(name: string, user: UserEntry): User {
  const { certData, certFile, keyData, keyFile, token, tokenFile, username, password, authProvider } = user;
  const provider = tokenFile !== "" ? { name: "tokenFile", config: { tokenFile } } : authProvider;
  return {
    name,
    ...(certData === "" ? { certFile } : { certData }),
    ...(keyData === "" ? { keyFile } : { keyData }),
    // The library would let the token that was written down once win over the file, which rotates.
    ...(token === "" || tokenFile !== "" ? {} : { token }),
    ...(username === "" ? {} : { username, password }),
    // ExecAuthenticator, added to the library's own, is asked where none of those feels concerned.
    ...(provider === null ? {} : { authProvider: provider }),
  };
}

function pem(value: unknown, what: string): Buffer | null {
  if (value === undefined || value === null) return null;
  const bytes = Buffer.isBuffer(value) ? value : Buffer.from(String(value));
  if (!bytes.includes("-----BEGIN ")) throw new KubeconfigError(`the ${what} is not in PEM`);
  return bytes;
}
