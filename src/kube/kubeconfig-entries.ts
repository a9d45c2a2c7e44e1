/** The parts of a kubeconfig (client-go's `clientcmd/api/v1`), from unknown: what is not read here has no meaning for us. */
import { KubeconfigError } from "./kubeconfig-error.ts";

export interface ClusterEntry {
  readonly server: string;
  readonly caFile: string;
  /** base64 */
  readonly caData: string;
  readonly tlsServerName: string;
  readonly skipTlsVerify: boolean;
  readonly proxyUrl: string;
  /** `extensions[client.authentication.k8s.io/exec]`: handed to the exec plugin as it is. */
  readonly execConfig: unknown;
}

export interface ExecEntry {
  readonly apiVersion: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env: readonly { readonly name: string; readonly value: string }[];
  readonly installHint: string;
  readonly provideClusterInfo: boolean;
  readonly interactiveMode: string;
}

export interface UserEntry {
  readonly certFile: string;
  /** base64 */
  readonly certData: string;
  readonly keyFile: string;
  /** base64 */
  readonly keyData: string;
  readonly token: string;
  readonly tokenFile: string;
  readonly username: string;
  readonly password: string;
  readonly as: string;
  readonly asUid: string;
  readonly asGroups: readonly string[];
  readonly asExtra: ReadonlyMap<string, readonly string[]>;
  readonly authProvider: { readonly name: string; readonly config: Readonly<Record<string, unknown>> } | null;
  readonly exec: ExecEntry | null;
}

export interface ContextEntry {
  readonly cluster: string;
  readonly user: string;
  readonly namespace: string;
}

export interface Kubeconfig {
  readonly clusters: ReadonlyMap<string, ClusterEntry>;
  readonly users: ReadonlyMap<string, UserEntry>;
  readonly contexts: ReadonlyMap<string, ContextEntry>;
  readonly currentContext: string;
}

/** One object of the file, and where it is, for messages. */
class Entry {
  readonly #value: Readonly<Record<string, unknown>>;
  readonly #where: string;

  constructor(value: unknown, where: string) {
    if (value !== null && value !== undefined && (typeof value !== "object" || Array.isArray(value)))
      throw new KubeconfigError(`${where || "it"} must be an object`);
    this.#value = (value ?? {}) as Readonly<Record<string, unknown>>;
    this.#where = where;
  }

  #at(name: string): string {
    return this.#where === "" ? name : `${this.#where}.${name}`;
  }

  get(name: string): unknown {
    return (Object.hasOwn(this.#value, name) ? this.#value[name] : null) ?? null;
  }

  text(name: string): string {
    const value = this.get(name);
    if (value !== null && typeof value !== "string") throw new KubeconfigError(`${this.#at(name)} must be a string`);
    return value ?? "";
  }

  flag(name: string): boolean {
    const value = this.get(name);
    if (value !== null && typeof value !== "boolean")
      throw new KubeconfigError(`${this.#at(name)} must be true or false`);
    return value ?? false;
  }

  #list(name: string): readonly unknown[] {
    const value = this.get(name);
    if (value !== null && !Array.isArray(value)) throw new KubeconfigError(`${this.#at(name)} must be a list`);
    return value ?? [];
  }

  texts(name: string): string[] {
    return this.#list(name).map((item) => {
      if (typeof item !== "string") throw new KubeconfigError(`${this.#at(name)} must be a list of strings`);
      return item;
    });
  }

  object(name: string): Entry {
    return new Entry(this.get(name), this.#at(name));
  }

  objects(name: string): Entry[] {
    return this.#list(name).map((item, i) => new Entry(item, `${this.#at(name)}[${i}]`));
  }

  names(): string[] {
    return Object.keys(this.#value);
  }

  /** A list of `{name, [what]: {…}}` as a map. */
  named<T>(list: string, what: string, decode: (entry: Entry) => T): Map<string, T> {
    const found = new Map<string, T>();
    for (const item of this.objects(list)) {
      const name = item.text("name");
      if (found.has(name)) throw new KubeconfigError(`${this.#at(list)}: the name "${name}" is there twice`);
      found.set(name, decode(item.object(what)));
    }
    return found;
  }
}

/** The key of the extension that is for exec plugins (client-go, `clusterExtensionKey`). */
const execExtension = "client.authentication.k8s.io/exec";

const cluster = (entry: Entry): ClusterEntry => ({
  server: entry.text("server"),
  caFile: entry.text("certificate-authority"),
  caData: entry.text("certificate-authority-data"),
  tlsServerName: entry.text("tls-server-name"),
  skipTlsVerify: entry.flag("insecure-skip-tls-verify"),
  proxyUrl: entry.text("proxy-url"),
  execConfig: entry
    .objects("extensions")
    .find((extension) => extension.text("name") === execExtension)
    ?.get("extension"),
});

const user = (entry: Entry): UserEntry => ({
  certFile: entry.text("client-certificate"),
  certData: entry.text("client-certificate-data"),
  keyFile: entry.text("client-key"),
  keyData: entry.text("client-key-data"),
  token: entry.text("token"),
  tokenFile: entry.text("tokenFile"),
  username: entry.text("username"),
  password: entry.text("password"),
  as: entry.text("as"),
  asUid: entry.text("as-uid"),
  asGroups: entry.texts("as-groups"),
  asExtra: new Map(
    entry
      .object("as-user-extra")
      .names()
      .map((name) => [name, entry.object("as-user-extra").texts(name)] as const),
  ),
  authProvider: entry.get("auth-provider") === null ? null : authProvider(entry.object("auth-provider")),
  exec: entry.get("exec") === null ? null : exec(entry.object("exec")),
});

const authProvider = (entry: Entry): UserEntry["authProvider"] => {
  const config = entry.object("config");
  return {
    name: entry.text("name"),
    config: Object.fromEntries(config.names().map((name) => [name, config.get(name)])),
  };
};

const exec = (entry: Entry): ExecEntry => ({
  apiVersion: entry.text("apiVersion"),
  command: entry.text("command"),
  args: entry.texts("args"),
  env: entry.objects("env").map((item) => ({ name: item.text("name"), value: item.text("value") })),
  installHint: entry.text("installHint"),
  provideClusterInfo: entry.flag("provideClusterInfo"),
  interactiveMode: entry.text("interactiveMode"),
});

const context = (entry: Entry): ContextEntry => ({
  cluster: entry.text("cluster"),
  user: entry.text("user"),
  namespace: entry.text("namespace"),
});

export const emptyCluster: ClusterEntry = cluster(new Entry(null, ""));
export const emptyUser: UserEntry = user(new Entry(null, ""));

/** @throws {KubeconfigError} at the field that is wrong. Unknown fields are passed over, as by kubectl. */
export function decodeKubeconfig(value: unknown): Kubeconfig {
  const file = new Entry(value, "");
  return {
    clusters: file.named("clusters", "cluster", cluster),
    users: file.named("users", "user", user),
    contexts: file.named("contexts", "context", context),
    currentContext: file.text("current-context"),
  };
}
