/**
 * Looks again and again whether the table is still there and is what it should be. The enforcer is told by the kernel of
 * what others do to it; this is for what such a message does not say, or does not reach.
 */
import type { Runner } from "../nftables/runner.ts";
import { type Log, messageOf } from "./log.ts";
import type { Mailbox } from "./mailbox.ts";

export interface TableWatchDeps {
  readonly runner: Runner;
  readonly table: string;
  readonly mailbox: Mailbox;
  readonly log: Log;
}

/** Milliseconds between two looks whether there is a table: it costs about as much as a small transaction. */
const glance = 10_000;
/** Every so many of them, once an hour, all of it is read and compared: at 30,000 pods that takes 100 MB for a while. */
const glancesToReading = 360;

export class TableWatch {
  readonly #deps: TableWatchDeps;
  #timer: NodeJS.Timeout | undefined;
  #glances = 0;

  constructor(deps: TableWatchDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#timer = setInterval(() => void this.#look(), glance).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    const { runner, table, mailbox, log } = this.#deps;
    const isDue = ++this.#glances % glancesToReading === 0;
    if (!isDue) {
      try {
        await runner.run(`list set inet ${table} about\n`);
        return;
      } catch (error) {
        log.debug({}, `the table could not be looked at: ${messageOf(error)}`);
      }
    }
    mailbox.post({
      act: async (kernel) => {
        const transactions = await kernel.repair();
        if (transactions.length > 0) log.error({ table }, "the table was not what it should be: repaired");
        return transactions;
      },
    });
  }
}
