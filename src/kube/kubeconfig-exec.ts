/**
 * Credentials from exec plugins (KEP-541): the official library reads, caches and renews them. What it leaves out is done
 * here: it starts plugins without telling them anything (KUBERNETES_EXEC_INFO), without a terminal, and waits for ever.
 */
import { type ChildProcess, spawn } from "node:child_process";
import type { RequestOptions } from "node:https";
import { Readable } from "node:stream";
import type { User } from "@kubernetes/client-node";
import type { Authenticator } from "@kubernetes/client-node/dist/auth.js";
import type { ExecEntry } from "./kubeconfig-entries.ts";
import { KubeconfigError } from "./kubeconfig-error.ts";

/** `spec.cluster` of an ExecCredential. */
export interface ExecCluster {
  readonly server: string;
  readonly "tls-server-name"?: string;
  readonly "insecure-skip-tls-verify"?: boolean;
  readonly "certificate-authority-data"?: string;
  readonly "proxy-url"?: string;
  readonly config?: unknown;
}

export interface ExecSurroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Standard input is a terminal that the plugin may ask at. */
  readonly isTerminal: boolean;
  /** Standard input is read by someone else. */
  readonly isStdinTaken: boolean;
}

const apiVersions = ["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"];

/** ms. Someone at a terminal has to find a phone or a browser first. */
const timeout = { interactive: 600_000, alone: 60_000 };
/** Bytes of standard output. */
const maxOutput = 1024 * 1024;

/** The mistakes that kubectl refuses a user entry for. @throws {KubeconfigError} */
export function checkExec(userName: string, { apiVersion, command, env, interactiveMode }: ExecEntry): void {
  const fail = (message: string, hint?: string): never => {
    throw new KubeconfigError(`user "${userName}": ${message}`, hint === undefined ? {} : { hint });
  };
  if (command === "") fail("exec.command must be specified");
  if (apiVersion === "") fail("exec.apiVersion must be specified");
  if (!apiVersions.includes(apiVersion))
    fail(
      `exec plugin: invalid apiVersion "${apiVersion}"`,
      `It must be ${apiVersions.join(" or ")}: update the plugin.`,
    );
  if (env.some(({ name }) => name === "")) fail("exec.env: a name must be specified");
  // v1beta1 defaults it.
  if (interactiveMode === "" && apiVersion === apiVersions[0]) fail("exec.interactiveMode must be specified");
  if (!["", "Never", "IfAvailable", "Always"].includes(interactiveMode))
    fail(`invalid exec.interactiveMode "${interactiveMode}"`);
}

/** @returns whether the plugin gets standard input. @throws {KubeconfigError} as kubectl, when it can't work without a terminal */
function isInteractive({ command, interactiveMode }: ExecEntry, surroundings: ExecSurroundings): boolean {
  if (interactiveMode === "Never") return false;
  const isAvailable = surroundings.isTerminal && !surroundings.isStdinTaken;
  if (interactiveMode !== "Always" || isAvailable) return isAvailable;
  const why = surroundings.isTerminal ? "standard input is used for manifests" : "standard input is not a terminal";
  throw new KubeconfigError(`exec plugin ${command} must ask at a terminal, and ${why}`, {
    hint: "Run it at a terminal, or log in once so that the plugin has its credentials cached.",
  });
}

/** What one run of the plugin did, for messages. */
interface Run {
  output: string;
  code: number | null;
  /** It could not be started. */
  startError: NodeJS.ErrnoException | null;
  stopped: string | null;
}

export class ExecAuthenticator implements Authenticator {
  readonly #entry: ExecEntry;
  readonly #cluster: ExecCluster | null;
  readonly #surroundings: ExecSurroundings;
  #library: Authenticator | null = null;
  #run: Run | null = null;
  /** One run at a time: a plugin may ask the user. */
  #queue: Promise<void> = Promise.resolve();

  /** @param cluster what the plugin is told of it; null without `provideClusterInfo` */
  constructor(entry: ExecEntry, cluster: ExecCluster | null, surroundings: ExecSurroundings) {
    this.#entry = entry;
    this.#cluster = cluster;
    this.#surroundings = surroundings;
  }

  isAuthProvider(): boolean {
    return true;
  }

  /** The server did not take them: the next request runs the plugin again. */
  drop(): void {
    this.#library = null;
  }

  /** Sets Authorization, cert and key. @throws {KubeconfigError} */
  applyAuthentication(user: User, options: RequestOptions): Promise<void> {
    const result = this.#queue.then(() => this.#apply(user, options));
    this.#queue = result.catch(() => {});
    return result;
  }

  async #apply(user: User, options: RequestOptions): Promise<void> {
    this.#library ??= await this.#load();
    const library = this.#library;
    const { command, args } = this.#entry;
    this.#run = null;
    try {
      await library.applyAuthentication({ ...user, exec: { command, args } }, options);
      if (this.#ran() !== null) this.#check();
    } catch (error) {
      this.#library = null; // it keeps answers that are no credentials
      throw error instanceof KubeconfigError ? error : this.#fault();
    }
  }

  #ran(): Run | null {
    return this.#run;
  }

  async #load(): Promise<Authenticator> {
    const { ExecAuth } = await import("@kubernetes/client-node/dist/exec_auth.js");
    const library = new ExecAuth();
    // Its own way of starting a program; there is no other way in.
    Object.assign(library, { execFn: () => this.#spawn() });
    return library;
  }

  #spawn(): Pick<ChildProcess, "stdout" | "stderr" | "on"> {
    const { command, args, env, apiVersion } = this.#entry;
    const interactive = isInteractive(this.#entry, this.#surroundings);
    const spec = { ...(this.#cluster === null ? {} : { cluster: this.#cluster }), interactive };
    const info = JSON.stringify({ kind: "ExecCredential", apiVersion, spec });
    const child = spawn(command, args, {
      env: {
        ...this.#surroundings.env,
        ...Object.fromEntries(env.map(({ name, value }) => [name, value])),
        KUBERNETES_EXEC_INFO: info,
      },
      stdio: [interactive ? "inherit" : "ignore", "pipe", "inherit"],
      windowsHide: true,
    });
    const run: Run = { output: "", code: null, startError: null, stopped: null };
    this.#run = run;
    const stop = (why: string): void => {
      run.stopped ??= why;
      child.kill("SIGKILL");
      child.stdout?.destroy(); // what it started itself may still write
    };
    const limit = interactive ? timeout.interactive : timeout.alone;
    const timer = setTimeout(() => stop(`did not answer within ${limit / 1000} s`), limit);
    child.on("error", (error) => {
      run.startError = error;
    });
    child.on("close", (code) => {
      clearTimeout(timer);
      run.code = code;
    });
    const { stdout } = child;
    stdout?.on("data", (chunk: string | Buffer) => {
      if (run.stopped === null) run.output += String(chunk);
      if (run.output.length > maxOutput) stop(`wrote more than ${maxOutput / 1024} KiB`);
    });
    // The plugin writes to the terminal itself; the library wants a stream to read.
    return { stdout, stderr: Readable.from([]), on: child.on.bind(child) };
  }

  /** What the library does not look at: is this an ExecCredential of the version asked for, with something in it? */
  #check(): void {
    const { apiVersion, kind, status } = JSON.parse(this.#run?.output ?? "") as Readonly<Record<string, unknown>>;
    if (apiVersion !== this.#entry.apiVersion || kind !== "ExecCredential")
      throw this.#error(
        `exec plugin is configured to use API version ${this.#entry.apiVersion}, plugin returned version ${String(apiVersion)}`,
      );
    const { token, clientCertificateData, clientKeyData } = (status ?? {}) as Readonly<Record<string, unknown>>;
    if (Boolean(clientCertificateData) !== Boolean(clientKeyData))
      throw this.#error("plugin returned a certificate without its key, or a key without its certificate");
    if (!token && !clientKeyData) throw this.#error("plugin didn't return a token or cert/key pair");
  }

  #fault(): KubeconfigError {
    const { startError, stopped, code, output } = this.#run ?? { startError: null, stopped: null, code: 0, output: "" };
    const { command } = this.#entry;
    if (startError?.code === "ENOENT") return this.#error(`exec: executable ${command} not found`);
    if (startError !== null) return this.#error(`exec: ${command}: ${startError.code ?? startError.message}`);
    if (stopped !== null) return this.#error(`exec: executable ${command} ${stopped}`);
    if (code !== 0) return this.#error(`exec: executable ${command} failed with exit code ${code ?? "?"}`);
    const what = output.trim() === "" ? "nothing" : "no ExecCredential in JSON";
    return this.#error(`exec: executable ${command} printed ${what}`);
  }

  #error(message: string): KubeconfigError {
    const { installHint } = this.#entry;
    return new KubeconfigError(`getting credentials: ${message}`, installHint === "" ? {} : { hint: installHint });
  }
}
