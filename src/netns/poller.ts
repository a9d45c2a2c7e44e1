/** One epoll for all descriptors of a process. Level-triggered. */
import { close, epollControl, epollCreate, epollWait, littleEndian } from "./libc.ts";

export const readable = 0x1; // EPOLLIN
export const writable = 0x4; // EPOLLOUT

const add = 1;
const modify = 3;
const atOnce = 512;

// struct epoll_event is packed on x86-64 only.
const dataOffset = process.arch === "x64" ? 4 : 8;
const eventSize = dataOffset + 8;

export type Handler = (events: number) => void;

export class Poller {
  readonly #epoll = epollCreate();
  readonly #events = new Uint8Array(atOnce * eventSize);
  readonly #view = new DataView(this.#events.buffer);
  readonly #event = new Uint8Array(eventSize);
  readonly #eventView = new DataView(this.#event.buffer);
  /** By descriptor. */
  readonly #handlers: (Handler | undefined)[] = [];

  /** Errors and hang-ups are always reported to the handler too. Closing the descriptor ends it, after `forget`. */
  watch(fd: number, events: number, handler: Handler): void {
    this.#handlers[fd] = handler;
    this.#control(add, fd, events);
  }

  change(fd: number, events: number): void {
    this.#control(modify, fd, events);
  }

  /** To be called before a watched descriptor is closed: its number may come again. */
  forget(fd: number): void {
    this.#handlers[fd] = undefined;
  }

  /** Calls the handlers of what is ready; waits at most `timeout` ms for the first. Returns how many were ready. */
  run(timeout: number): number {
    const count = epollWait(this.#epoll, this.#events, atOnce, timeout);
    for (let i = 0; i < count; i++) {
      const at = i * eventSize;
      const fd = this.#view.getUint32(at + dataOffset, littleEndian);
      this.#handlers[fd]?.(this.#view.getUint32(at, littleEndian));
    }
    return count;
  }

  close(): void {
    close(this.#epoll);
  }

  #control(operation: number, fd: number, events: number): void {
    this.#eventView.setUint32(0, events, littleEndian);
    this.#eventView.setUint32(dataOffset, fd, littleEndian);
    epollControl(this.#epoll, operation, fd, this.#event);
  }
}
