/**
 * The chained CNI plugin. As the last of the chain it holds: ADD succeeds when the agent says that the rules of the pod are
 * in force. As the first, with `gate` in its entry, it lets no network be made before the agent says that it can admit pods:
 * its rules are in force then, and hold what it does not know yet. It runs on the host, where there is nothing but the `node`
 * that was installed beside it: this file and what it imports use node: alone, and are copied as they are (`program.ts`).
 */
import { readFileSync, writeSync } from "node:fs";
import { ask, Unreachable } from "./ask.ts";
import { defaultSocket, type Operation, type PodName, ProtocolError, type Response } from "./protocol.ts";
import {
  addressesOf,
  CniError,
  cniVersionOf,
  cniVersions,
  convertResult,
  emptyResult,
  errorCode,
  isObject,
  type JsonObject,
  newestCniVersion,
} from "./result.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** Seconds. Well below the 2 minutes that kubelet waits for a container runtime. */
const defaultTimeout = 60;
const longestTimeout = 110;
/** Seconds for what must not wait: a pod that goes away, and a question about the present state. */
const shortTimeout = 5;
/** Seconds for the gate. An agent that is being replaced is back by then; nothing has been made yet that would have to wait. */
const gateTimeout = 10;

interface Settings {
  readonly socket: string;
  readonly timeoutSeconds: number;
}

function settingsOf({ socket = defaultSocket, timeoutSeconds = defaultTimeout }: JsonObject): Settings {
  if (typeof socket !== "string" || !socket.startsWith("/"))
    throw new CniError(errorCode.invalidConfig, "socket: must be an absolute path");
  if (typeof timeoutSeconds !== "number" || !(timeoutSeconds > 0 && timeoutSeconds <= longestTimeout))
    throw new CniError(errorCode.invalidConfig, `timeoutSeconds: must be a number above 0, at most ${longestTimeout}`);
  return { socket, timeoutSeconds };
}

function parseConfig(text: string): JsonObject {
  let config: unknown;
  try {
    config = JSON.parse(text);
  } catch {
    throw new CniError(errorCode.undecodable, "the network configuration on standard input is not JSON");
  }
  if (!isObject(config)) throw new CniError(errorCode.undecodable, "the network configuration is not an object");
  return config;
}

/** Null when the caller is no Kubernetes: CNI_ARGS then names no pod. */
function podOf(env: Environment): PodName | null {
  const args = new Map(
    (env["CNI_ARGS"] ?? "").split(";").map((pair) => {
      const [key = "", ...value] = pair.split("=");
      return [key, value.join("=")];
    }),
  );
  const namespace = args.get("K8S_POD_NAMESPACE") ?? "";
  const name = args.get("K8S_POD_NAME") ?? "";
  if (namespace === "" && name === "") return null;
  return { namespace, name, uid: args.get("K8S_POD_UID") || null, sandbox: env["CNI_CONTAINERID"] || null };
}

function needVariables(env: Environment, ...names: readonly string[]): void {
  const missing = names.filter((name) => (env[name] ?? "") === "");
  if (missing.length > 0)
    throw new CniError(errorCode.invalidEnvironment, `required variables are missing: ${missing.join(", ")}`);
}

function previousResult(config: JsonObject): JsonObject {
  const { prevResult } = config;
  if (!isObject(prevResult))
    throw new CniError(
      errorCode.invalidConfig,
      "no prevResult: bulkhead must stand behind another plugin in the list, it sets up no network itself",
    );
  return prevResult;
}

class Call {
  readonly #env: Environment;
  readonly #config: JsonObject;

  constructor(env: Environment, config: JsonObject) {
    this.#env = env;
    this.#config = config;
  }

  /** ADD of the gate. @returns the result, as text: an empty one, or that of the plugins before it */
  async pass(): Promise<string> {
    needVariables(this.#env, "CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME");
    const version = cniVersionOf(this.#config);
    const { prevResult } = this.#config;
    const result = isObject(prevResult) ? convertResult(prevResult, version) : emptyResult(version);
    await this.#mustAccept(() => this.#ask("status", null, [], { within: gateTimeout, retry: true }));
    return JSON.stringify(result);
  }

  /** @returns the result, as text */
  async add(): Promise<string> {
    needVariables(this.#env, "CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME");
    const result = convertResult(previousResult(this.#config), cniVersionOf(this.#config));
    const ips = addressesOf(result);
    await this.#mustAccept((pod) => this.#ask("add", pod, ips, { within: longestTimeout, retry: true }));
    return JSON.stringify(result);
  }

  async check(): Promise<void> {
    needVariables(this.#env, "CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME");
    const ips = addressesOf(previousResult(this.#config));
    await this.#mustAccept((pod) => this.#ask("check", pod, ips));
  }

  /** Never fails: nothing must keep a pod from going away, and the agent sees from the API server that it is gone. */
  async del(): Promise<void> {
    const { prevResult } = this.#config;
    const pod = podOf(this.#env);
    if (pod === null) return;
    const ips = isObject(prevResult) ? addressesOf(prevResult) : [];
    await this.#ask("del", pod, ips).catch(() => undefined);
  }

  async status(): Promise<void> {
    const response = await this.#ask("status", null, []).catch((error: Error) => error);
    if (response instanceof Error || !response.ok)
      throw new CniError(errorCode.notAvailable, "bulkhead can't admit pods now", response.message);
  }

  /** `within`: seconds; the entry's own `timeoutSeconds` may be shorter. */
  async #ask(
    operation: Operation,
    pod: PodName | null,
    ips: readonly string[],
    { within, retry } = { within: shortTimeout, retry: false },
  ): Promise<Response> {
    const { socket, timeoutSeconds } = settingsOf(this.#config);
    return ask(socket, { operation, pod, ips }, { timeout: Math.min(within, timeoutSeconds) * 1000, retry });
  }

  /** Callers that are no Kubernetes need nobody's consent. */
  async #mustAccept(question: (pod: PodName) => Promise<Response>): Promise<void> {
    const pod = podOf(this.#env);
    if (pod === null) return;
    const about = `pod ${pod.namespace}/${pod.name}`;
    let response: Response;
    try {
      response = await question(pod);
    } catch (error) {
      if (error instanceof ProtocolError)
        throw new CniError(errorCode.notAdmitted, `${about}: the bulkhead agent: ${error.message}`);
      if (error instanceof Unreachable)
        throw new CniError(
          errorCode.tryAgainLater,
          `${about} waits: the bulkhead agent of this node can't be asked whether its policies are in force (${error.message})`,
          "is the agent running? where it was removed for good, remove its plugin too: bulkhead cni uninstall",
        );
      throw error;
    }
    if (response.ok) return;
    if (response.refusal === "not-ready")
      throw new CniError(
        errorCode.tryAgainLater,
        `${about} waits: the bulkhead agent is not ready (${response.message})`,
      );
    const code = response.refusal === "invalid" ? errorCode.invalidEnvironment : errorCode.notAdmitted;
    throw new CniError(code, `${about}: its policies are not in force (${response.message})`);
  }
}

/** Runs one call. @returns what goes to standard output */
async function perform(env: Environment, config: JsonObject): Promise<string> {
  const command = env["CNI_COMMAND"];
  const call = new Call(env, config);
  // Of a pod that is there the gate knows nothing: CHECK and DEL are for the entry that holds.
  const isGate = config["gate"] === true;
  if (command === "ADD") return isGate ? call.pass() : call.add();
  if (command === "CHECK") await (isGate ? undefined : call.check());
  else if (command === "DEL") await (isGate ? undefined : call.del());
  else if (command === "STATUS") await call.status();
  // GC: the plugin keeps nothing on the host that could be left behind.
  else if (command !== "GC")
    throw new CniError(errorCode.invalidEnvironment, `unknown CNI_COMMAND ${JSON.stringify(command ?? "")}`);
  return "";
}

export interface Outcome {
  readonly exitCode: 0 | 1;
  /** For standard output: a result, or an error in the specification's form. */
  readonly output: string;
}

/** One call of a container runtime: its environment and the network configuration that it sent. Never throws. */
export async function runPlugin(env: Environment, stdin: string): Promise<Outcome> {
  let cniVersion: string = newestCniVersion;
  // Asked before anything is known about the caller's version: its input is not looked at.
  if (env["CNI_COMMAND"] === "VERSION")
    return { exitCode: 0, output: JSON.stringify({ cniVersion, supportedVersions: cniVersions }) };
  try {
    const config = parseConfig(stdin);
    cniVersion = cniVersionOf(config);
    return { exitCode: 0, output: await perform(env, config) };
  } catch (error) {
    const { code, message, details } =
      error instanceof CniError ? error : new CniError(errorCode.ioFailure, `a fault in bulkhead: ${String(error)}`);
    const told = { cniVersion, code, msg: message, ...(details === undefined ? {} : { details }) };
    return { exitCode: 1, output: JSON.stringify(told) };
  }
}

function writeAll(text: string): void {
  let rest = Buffer.from(text);
  while (rest.length > 0) rest = rest.subarray(writeSync(1, rest));
}

/** The whole process that a container runtime starts. */
export async function main(): Promise<void> {
  const { exitCode, output } = await runPlugin(process.env, readFileSync(0, "utf8"));
  if (output !== "") writeAll(`${output}\n`);
  process.exitCode = exitCode;
}
