/** How to reach one API server, and as whom. */

/** For `tls.connect`. */
export interface TlsSettings {
  readonly ca: Buffer | null;
  readonly cert: Buffer | null;
  readonly key: Buffer | null;
  /** The name that the server's certificate must have, where it is not the URL's host. */
  readonly servername: string | null;
  /** false only for `insecure-skip-tls-verify`. */
  readonly verify: boolean;
}

export interface Connection {
  readonly server: URL;
  /** Asked before each new connection: files rotate. null for plain http. */
  tls(): Promise<TlsSettings | null>;
  /** Authorization and impersonation (several groups are several values). Asked for each request: tokens rotate. */
  headers(): Promise<Readonly<Record<string, string | string[]>>>;
  /** The server answered 401: what was cached is not used again. */
  unauthorized(): void;
  /** An HTTP proxy, from `proxy-url` or the environment. */
  readonly proxy: URL | null;
  /** The context's namespace; `default` where it names none. */
  readonly namespace: string;
  /** For messages: `context "prod" (https://10.0.0.1:6443)`. Holds no secret. */
  readonly description: string;
}
