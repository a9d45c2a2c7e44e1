/** The objects of one kind as they are now, and who is told when they change. */
import type { Resource } from "./resource.ts";

/** Told of each difference, in order. */
export interface Sink<T> {
  /** @param before what it replaces; undefined: the key was free, or its object has been removed */
  put(key: string, object: T, before: T | undefined): void;
  remove(key: string, object: T): void;
  /** What came together is complete. @param receivedAt when its bytes had been read, ms of `performance.now()` */
  flush(receivedAt: number): void;
  /** An object can't be identified. */
  unreadable(resource: string, why: string): void;
}

export class Store<T> {
  readonly #resource: Resource<T>;
  readonly #sink: Sink<T>;
  #objects = new Map<string, T>();

  constructor(resource: Resource<T>, sink: Sink<T>) {
    this.#resource = resource;
    this.#sink = sink;
  }

  get objects(): ReadonlyMap<string, T> {
    return this.#objects;
  }

  /** Into the next state; what did not change stays the same object, so that it is in memory once. */
  collect(next: Map<string, T>, object: T): void {
    const key = this.#resource.key(object);
    const before = this.#objects.get(key);
    const isKept = before !== undefined && !this.#isOther(before, object) && this.#resource.same(before, object);
    next.set(key, isKept ? before : object);
  }

  /** Deleted and made again under its name. */
  #isOther(before: T, after: T): boolean {
    return this.#resource.uid(before) !== this.#resource.uid(after);
  }

  /** Another complete state; what differs is told. */
  replace(next: Map<string, T>, receivedAt: number): void {
    const before = this.#objects;
    this.#objects = next;
    for (const [key, object] of before) {
      const now = next.get(key);
      if (now === undefined || this.#isOther(object, now)) this.#sink.remove(key, object);
    }
    for (const [key, object] of next) {
      const old = before.get(key);
      if (old === object) continue;
      this.#sink.put(key, object, old !== undefined && this.#isOther(old, object) ? undefined : old);
    }
    this.#sink.flush(receivedAt);
  }

  /** One event. */
  change(object: T, isDeleted: boolean): void {
    const key = this.#resource.key(object);
    const before = this.#objects.get(key);
    const isOther = before !== undefined && this.#isOther(before, object);
    if (isDeleted) {
      if (before === undefined || isOther) return; // a replay
      this.#objects.delete(key);
      this.#sink.remove(key, before);
      return;
    }
    if (before !== undefined && !isOther && this.#resource.same(before, object)) return;
    if (isOther) this.#sink.remove(key, before);
    this.#objects.set(key, object);
    this.#sink.put(key, object, isOther ? undefined : before);
  }
}
