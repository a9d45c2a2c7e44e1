/** The thread that receives, and notes what arrived. */
import { parentPort, workerData } from "node:worker_threads";
import { wouldBlock } from "../../src/netns/libc.ts";
import { Poller, readable } from "../../src/netns/poller.ts";
import { Messages, now } from "./native.ts";
import { batchSize, flag, type Ledger } from "./shared.ts";

export interface ReceiverData {
  readonly ledger: Ledger;
  readonly sockets: readonly number[];
  /** Class → way. */
  readonly wayOf: readonly number[];
}

const { ledger, sockets, wayOf } = workerData as ReceiverData;
const atOnce = 256;
const size = 16;
const messages = new Messages(atOnce, size);
const view = new DataView(messages.buffer(0).buffer);
const batches = ledger.begun.length;

function drain(fd: number): void {
  for (;;) {
    const count = messages.receive(fd, atOnce);
    if (count === wouldBlock) return;
    const time = now();
    for (let i = 0; i < count; i++) {
      const packet = view.getUint32(i * size);
      ledger.arrived[packet]!++;
      const at = wayOf[ledger.classes[packet]!]! * batches + Math.floor(packet / batchSize);
      if (ledger.seen[at] === 0) ledger.seen[at] = time;
    }
    if (count < atOnce) return;
  }
}

const poller = new Poller();
for (const fd of sockets) poller.watch(fd, readable, () => drain(fd));
let idle = 0;
while (Atomics.load(ledger.flags, flag.stopReceiving) === 0 || idle < 5) {
  idle = poller.run(20) === 0 ? idle + 1 : 0;
}
poller.close();
parentPort!.postMessage("done");
