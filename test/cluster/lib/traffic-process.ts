/**
 * One connection on which a request goes out as soon as the one before it is answered, at most every millisecond. It is never
 * opened again: after it has been cut there are no more answers. A line for each answer, its time of `clock`; `closed` at an
 * end that the other side or the kernel made. Usage: node traffic-process.ts ADDRESS PORT, an HTTP server
 */
import { connect } from "node:net";
import { clock } from "./clock.ts";

const [address, port] = process.argv.slice(2);
const socket = connect({ host: address!, port: Number(port), noDelay: true });
const request = "GET /hostname HTTP/1.1\r\nHost: x\r\n\r\n";

socket.on("connect", () => socket.write(request));
// the answer is shorter than a segment: it comes in one piece
socket.on("data", () => {
  process.stdout.write(`${clock()}\n`);
  setTimeout(() => socket.write(request), 1);
});
socket.on("error", () => {}); // "close" tells
socket.on("close", () => process.stdout.write("closed\n"));
