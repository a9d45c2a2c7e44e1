/** A netlink socket to nf_tables that transactions are sent on. Calls block their thread: used in `kernel-worker.ts` only. */
import { errorName } from "../netns/libc.ts";
import { attributes, errnoOf, messages, textOf, types } from "../netns/netlink-layout.ts";
import { netfilterSocket } from "./netfilter.ts";

/** Nothing of the batch took effect. */
export interface BatchRefusal {
  /** Of the first message that was refused; 0: the batch as a whole. */
  readonly sequence: number;
  readonly text: string;
}

const errorHeader = 4 + 16; // struct nlmsgerr: the errno, and the header of the message that it is about
const errorMessage = 1; // NLMSGERR_ATTR_MSG
const room = 64 << 20; // bytes
const extendedAnswers = 11; // NETLINK_EXT_ACK: refusals say why in words

/** In the network namespace that the thread is in when it is made. */
export class NfTables {
  readonly #socket = netfilterSocket();

  constructor() {
    this.#socket.setSendBuffer(room);
    this.#socket.setReceiveBuffer(room);
    this.#socket.enable(extendedAnswers);
  }

  /**
   * Sends a batch (see `batch.ts`), which the kernel has worked off when the call that sends it returns.
   * @returns null when it is in force
   * @throws where nothing could be sent, or it is not known what became of it
   */
  send(batch: Uint8Array): BatchRefusal | null {
    this.#socket.send(batch);
    let taken = false;
    let refusal: BatchRefusal | null = null;
    const lost = (): never => {
      throw new Error("nf_tables: answers were lost");
    };
    for (const answers of this.#socket.datagrams(lost)) {
      for (const { type, sequence, body } of messages(answers)) {
        if (type !== types.error) continue;
        const errno = errnoOf(body);
        if (errno === 0) taken = true;
        else refusal ??= { sequence, text: reason(errno, body) };
      }
    }
    if (refusal === null && !taken) throw new Error("nf_tables: no answer");
    return refusal;
  }

  close(): void {
    this.#socket.close();
  }
}

function reason(errno: number, body: Buffer): string {
  const words = textOf(attributes(body.subarray(errorHeader)).get(errorMessage));
  return `the kernel refused the transaction: ${errorName(errno)}${words === "" ? "" : ` (${words})`}`;
}
