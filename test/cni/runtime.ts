/** What a container runtime does with a list of CNI plugins (libcni), as far as tests need it. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe } from "vitest";
import type { Namespace } from "../../src/netns/namespace.ts";
import { describeKernel } from "../kernel/support.ts";

/** Where Debian's containernetworking-plugins are, or whoever builds them says. */
export const referencePlugins = process.env["CNI_PATH"] ?? "/usr/lib/cni";

const missing: string | null = ["bridge", "ptp", "host-local"].every((name) => existsSync(join(referencePlugins, name)))
  ? null
  : `no CNI plugins in ${referencePlugins} (Debian: containernetworking-plugins)`;

/** `describe` for suites that need the reference plugins. In CI they fail without, elsewhere they are skipped with a line that says so. */
export const describeChain = (() => {
  if (missing === null || process.env["CI"] === "true") return describeKernel;
  console.warn(`test/cni is skipped: ${missing}`);
  return describe.skip;
})();

export interface Sandbox {
  readonly id: string;
  readonly namespace: Namespace;
  readonly pod: string;
}

export interface Result {
  readonly cniVersion: string;
  readonly interfaces: readonly { readonly name: string; readonly sandbox?: string }[];
  readonly ips: readonly { readonly address: string }[];
}

interface Plugin {
  readonly type: string;
}

/** A plugin's error in the specification's form. */
export class PluginError extends Error {
  readonly code: number;
  readonly type: string;

  constructor(type: string, { code, msg }: { code: number; msg: string }) {
    super(msg);
    this.code = code;
    this.type = type;
  }
}

export class Runtime {
  readonly #node: Namespace;
  readonly #path: readonly string[];
  readonly #list: { readonly cniVersion: string; readonly name: string; readonly plugins: readonly Plugin[] };

  /** `node`: where the plugins run. `path`: folders of plugins. `list`: the text of a .conflist. */
  constructor(node: Namespace, path: readonly string[], list: string) {
    this.#node = node;
    this.#path = path;
    this.#list = JSON.parse(list);
  }

  async add(sandbox: Sandbox): Promise<Result> {
    let result: object | undefined;
    for (const plugin of this.#list.plugins) {
      const next = await this.#call("ADD", plugin, sandbox, result);
      if (next === null) throw new Error(`${plugin.type} ADD: no result`);
      result = next;
    }
    return result as Result;
  }

  async check(sandbox: Sandbox, result: Result): Promise<void> {
    for (const plugin of this.#list.plugins) await this.#call("CHECK", plugin, sandbox, result);
  }

  /** Last plugin first. */
  async del(sandbox: Sandbox, result?: Result): Promise<void> {
    for (const plugin of this.#list.plugins.toReversed()) await this.#call("DEL", plugin, sandbox, result);
  }

  async status(): Promise<void> {
    for (const plugin of this.#list.plugins) await this.#call("STATUS", plugin);
  }

  #call(command: string, plugin: Plugin, sandbox?: Sandbox, prevResult?: object): Promise<object | null> {
    const { cniVersion, name } = this.#list;
    const file = this.#path.map((folder) => join(folder, plugin.type)).find((path) => existsSync(path));
    if (file === undefined)
      throw new Error(missing ?? `failed to find plugin ${plugin.type} in ${this.#path.join(":")}`);
    const env = {
      PATH: process.env["PATH"],
      CNI_COMMAND: command,
      CNI_PATH: this.#path.join(":"),
      ...(sandbox === undefined
        ? {}
        : {
            CNI_CONTAINERID: sandbox.id,
            CNI_NETNS: `/proc/${process.pid}/fd/${sandbox.namespace.fd}`,
            CNI_IFNAME: "eth0",
            CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=${sandbox.pod};K8S_POD_INFRA_CONTAINER_ID=${sandbox.id};K8S_POD_UID=uid-${sandbox.pod}`,
          }),
    };
    const config = { ...plugin, cniVersion, name, ...(prevResult === undefined ? {} : { prevResult }) };
    return new Promise((resolve, reject) => {
      const child = this.#node.run(() => ({ process: spawn(file, { env, stdio: "pipe" }) })).process;
      let [stdout, stderr] = ["", ""];
      child.stdout.on("data", (data) => {
        stdout += data;
      });
      child.stderr.on("data", (data) => {
        stderr += data;
      });
      child.on("error", reject);
      child.on("close", (code) => {
        if (code === 0) return resolve(stdout.trim() === "" ? null : JSON.parse(stdout));
        try {
          reject(new PluginError(plugin.type, JSON.parse(stdout)));
        } catch {
          reject(new Error(`${plugin.type} ${command}: exit code ${code}: ${stdout}${stderr}`));
        }
      });
      child.stdin.end(JSON.stringify(config));
    });
  }
}
