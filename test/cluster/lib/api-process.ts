/**
 * Runs in the control plane's network and passes requests on to the API server over one kept connection: a JSON line each
 * way. Usage: node api-process.ts CLUSTER-FOLDER SERVER
 */
import { readFileSync } from "node:fs";
import { Agent, request } from "node:https";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { ApiAnswer, ApiRequest } from "./api.ts";
import { clock } from "./clock.ts";

const [folder, server] = process.argv.slice(2);
const agent = new Agent({ keepAlive: true, maxSockets: 8, ca: readFileSync(join(folder!, "ca.crt")) });
const { users } = JSON.parse(readFileSync(join(folder!, "kubeconfig"), "utf8")) as {
  readonly users: readonly { readonly user: { readonly token: string } }[];
};
const authorization = `Bearer ${users[0]!.user.token}`;

function ask({ id, method, path, contentType, body }: ApiRequest): Promise<ApiAnswer> {
  return new Promise((resolve) => {
    const fail = (error: Error): void => resolve({ id, status: 0, answeredAt: clock(), body: error.message });
    const headers = { authorization, accept: "application/json", "content-type": contentType };
    const outgoing = request(new URL(path, server), { method, agent, headers, timeout: 30_000 }, (incoming) => {
      const answeredAt = clock();
      const chunks: Buffer[] = [];
      incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
      incoming.on("error", fail);
      incoming.on("end", () =>
        resolve({ id, status: incoming.statusCode ?? 0, answeredAt, body: Buffer.concat(chunks).toString() }),
      );
    });
    outgoing.on("timeout", () => outgoing.destroy(new Error("no answer for 30 s")));
    outgoing.on("error", fail);
    outgoing.end(body);
  });
}

for await (const line of createInterface({ input: process.stdin }))
  void ask(JSON.parse(line) as ApiRequest).then((answer) => process.stdout.write(`${JSON.stringify(answer)}\n`));
