/**
 * Puts objects into etcd as the API server would have stored them: a hundred thousand pods in half a minute, where requests to the
 * API server itself, one to create and one for the status of each, take several minutes of two processors.
 */
import http from "node:http";
import type { Manifest } from "../../bench/worlds.ts";

/** By kind: where the API server keeps objects. */
const folders: Readonly<Record<string, string>> = {
  Namespace: "namespaces",
  Node: "minions",
  Pod: "pods",
  NetworkPolicy: "networkpolicies",
};

/** What etcd takes in one transaction (`--max-txn-ops`), and in one request, in bytes. */
const mostOperations = 128;
const mostBytes = 1 << 20;
const concurrency = 4;

const base64 = (text: string): string => Buffer.from(text).toString("base64");

function storageKey(object: Manifest): string {
  const { name, namespace } = object["metadata"] as { readonly name: string; readonly namespace?: string };
  const kind = object["kind"] as string;
  return ["/registry", folders[kind]!, ...(namespace === undefined ? [] : [namespace]), name].join("/");
}

/**
 * The API server decodes JSON from storage as well as its own format, and learns of the objects by its watch of etcd.
 * @param etcd the URL that etcd listens on for clients
 * @returns how many objects were stored
 * @throws Error with etcd's words
 */
export async function storeObjects(etcd: string, objects: Iterable<Manifest>): Promise<number> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: concurrency });
  const source = transactions(objects);
  let count = 0;
  const work = async (): Promise<void> => {
    for (const puts of source) {
      await post(new URL("/v3/kv/txn", etcd), agent, `{"success":[${puts.join(",")}]}`);
      count += puts.length;
    }
  };
  try {
    await Promise.all(Array.from({ length: concurrency }, work));
  } finally {
    agent.destroy();
  }
  return count;
}

/** Shared by several readers: each takes the next. */
function* transactions(objects: Iterable<Manifest>): Generator<string[]> {
  let puts: string[] = [];
  let bytes = 0;
  for (const object of objects) {
    const put = `{"requestPut":{"key":"${base64(storageKey(object))}","value":"${base64(JSON.stringify(object))}"}}`;
    puts.push(put);
    bytes += put.length;
    if (puts.length === mostOperations || bytes > mostBytes) {
      yield puts;
      puts = [];
      bytes = 0;
    }
  }
  if (puts.length > 0) yield puts;
}

function post(url: URL, agent: http.Agent, body: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = http.request(url, { agent, method: "POST", headers: { "content-type": "application/json" } });
    request.once("response", (response) => {
      let said = "";
      response.setEncoding("utf8").on("data", (part: string) => {
        said += part;
      });
      response.once("end", () => {
        if (response.statusCode === 200) resolve();
        else reject(new Error(`etcd: HTTP status ${response.statusCode}: ${said.slice(0, 300)}`));
      });
      response.once("error", reject);
    });
    request.once("error", reject);
    request.end(body);
  });
}
