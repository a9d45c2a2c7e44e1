/** A netlink socket to nf_tables that transactions are sent on. Calls block their thread: used in `kernel-worker.ts` only. */
import { attributes, errnoOf, messages, textOf, types } from "./netlink.ts";
import {
  closeSocket,
  errnoName,
  failed,
  netfilterSocket,
  optionCall,
  receiveNow,
  sendCall,
  setOption,
} from "./system-calls.ts";

/** Nothing of the batch took effect. */
export interface BatchRefusal {
  /** Of the first message that was refused; 0: the batch as a whole. */
  readonly sequence: number;
  readonly text: string;
}

const socketLevel = 1; // SOL_SOCKET
const netlinkLevel = 270; // SOL_NETLINK
const errorHeader = 4 + 16; // struct nlmsgerr: the errno, and the header of the message that it is about
const errorMessage = 1; // NLMSGERR_ATTR_MSG

/** In the network namespace that the thread is in when it is made. */
export class NfTables {
  readonly #fd = netfilterSocket();
  readonly #buffer = Buffer.alloc(1 << 17);

  constructor() {
    // Without privileges over the machine the kernel gives no more than net.core.wmem_max and rmem_max.
    const room = new Uint8Array(Int32Array.of(64 << 20).buffer);
    for (const [forced, name] of [
      [32, 7], // SO_SNDBUFFORCE, SO_SNDBUF
      [33, 8], // SO_RCVBUFFORCE, SO_RCVBUF
    ] as const) {
      if (optionCall(this.#fd, socketLevel, forced, room, 4) !== 0) optionCall(this.#fd, socketLevel, name, room, 4);
    }
    setOption(this.#fd, netlinkLevel, 10, 1); // NETLINK_CAP_ACK: refusals do not repeat what they refuse
    setOption(this.#fd, netlinkLevel, 11, 1); // NETLINK_EXT_ACK: and say why in words
  }

  /**
   * Sends a batch (see `batch.ts`), which the kernel has worked off when the call that sends it returns.
   * @returns null when it is in force
   * @throws where nothing could be sent, or it is not known what became of it
   */
  send(batch: Uint8Array): BatchRefusal | null {
    if (sendCall(this.#fd, batch, batch.length, 0) < 0) throw failed("nf_tables: send");
    let taken = false;
    let refusal: BatchRefusal | null = null;
    for (;;) {
      const length = receiveNow(this.#fd, this.#buffer);
      if (length === "overrun") throw new Error("nf_tables: answers were lost");
      if (length === 0) break;
      for (const { type, sequence, body } of messages(this.#buffer.subarray(0, length))) {
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
    closeSocket(this.#fd);
  }
}

function reason(errno: number, body: Buffer): string {
  const words = textOf(attributes(body.subarray(errorHeader)).get(errorMessage));
  return `the kernel refused the transaction: ${errnoName(errno)}${words === "" ? "" : ` (${words})`}`;
}
