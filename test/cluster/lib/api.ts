/** Requests to the API server as cluster-admin, without a kubectl for each, and with the moment of the answer. */
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";

export interface ApiRequest {
  readonly id: number;
  readonly method: string;
  readonly path: string;
  readonly contentType: string;
  readonly body?: string;
}

export interface ApiAnswer {
  readonly id: number;
  /** 0: no answer came, `body` says why. */
  readonly status: number;
  /** When the answer's first bytes came, of `clock`. */
  readonly answeredAt: number;
  readonly body: string;
}

/** The API server refused, or did not answer. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;

  constructor(message: string, status: number) {
    super(message);
    this.status = status;
  }
}

export class Api {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, { resolve(answer: ApiAnswer): void; reject(error: Error): void }>();
  #next = 1;

  /** `netns`: from where the server is reached. */
  constructor(folder: string, server: string, netns: string) {
    const program = join(import.meta.dirname, "api-process.ts");
    const node = [process.execPath, "--disable-warning=ExperimentalWarning", program, folder, server];
    this.#child = spawn("nsenter", [`--net=${netns}`, "--", ...node], { stdio: ["pipe", "pipe", "inherit"] });
    createInterface({ input: this.#child.stdout! }).on("line", (line) => {
      const answer = JSON.parse(line) as ApiAnswer;
      this.#waiting.get(answer.id)?.resolve(answer);
      this.#waiting.delete(answer.id);
    });
    this.#child.on("exit", () => {
      for (const { reject } of this.#waiting.values())
        reject(new Error("the process that asks the API server has ended"));
      this.#waiting.clear();
    });
    this.#child.stdin!.on("error", () => {}); // "exit" tells
  }

  /**
   * @param path `/api/v1/namespaces/default/pods`
   * @param contentType of `body`; patches need theirs
   * @throws ApiError in the server's words
   */
  async send<T>(
    method: string,
    path: string,
    body?: object,
    contentType = "application/json",
  ): Promise<{ readonly object: T; readonly answeredAt: number }> {
    const id = this.#next++;
    const answer = await new Promise<ApiAnswer>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      const request: ApiRequest = {
        id,
        method,
        path,
        contentType,
        ...(body !== undefined && { body: JSON.stringify(body) }),
      };
      this.#child.stdin!.write(`${JSON.stringify(request)}\n`);
    });
    if (answer.status < 200 || answer.status > 299)
      throw new ApiError(`${method} ${path}: ${answer.status} ${messageOf(answer.body)}`, answer.status);
    return { object: JSON.parse(answer.body) as T, answeredAt: answer.answeredAt };
  }

  close(): void {
    this.#child.kill();
  }
}

function messageOf(body: string): string {
  try {
    return (JSON.parse(body) as { readonly message?: string }).message ?? body;
  } catch {
    return body;
  }
}
