/**
 * What is to come, soonest first.
 * @module
 */

/** Something that is due at a time, in milliseconds. */
export interface Due {
  dueMs: number;
}

/** A binary heap: the soonest is on top. */
export class Agenda<T extends Due> {
  readonly #heap: T[] = [];

  get size(): number {
    return this.#heap.length;
  }

  /** When the soonest is due; infinity if there is none. */
  get nextMs(): number {
    return this.#heap.length === 0 ? Infinity : this.#heap[0]!.dueMs;
  }

  /** The soonest, left where it is. The agenda must not be empty. */
  get next(): T {
    return this.#heap[0]!;
  }

  /** Adds something. */
  add(item: T): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(item);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (heap[parent]!.dueMs <= item.dueMs) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = item;
  }

  /** Puts the soonest in its place again, after it has been given a later time. */
  settle(): void {
    this.#sink(this.#heap[0]!);
  }

  /** Takes the soonest off. The agenda must not be empty. */
  take(): T {
    const first = this.#heap[0]!;
    const last = this.#heap.pop()!;
    if (this.#heap.length > 0) this.#sink(last);
    return first;
  }

  #sink(item: T): void {
    const heap = this.#heap;
    const count = heap.length;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= count) break;
      if (child + 1 < count && heap[child + 1]!.dueMs < heap[child]!.dueMs) child++;
      if (heap[child]!.dueMs >= item.dueMs) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = item;
  }
}
