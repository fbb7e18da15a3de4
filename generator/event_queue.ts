/**
 * What is to come, soonest first.
 * @module
 */

/** Children of each node: with four, whose times share a cache line, the heap is half as deep as with two. */
const CHILDREN = 4;

/** A heap: the soonest is on top. Of equal times, which comes first depends on nothing but the calls before. */
export class EventQueue<T> {
  /** Apart from the items, for they are compared all the time, and items lie scattered in memory. */
  readonly #times: number[] = [];
  readonly #items: T[] = [];

  /** How many items there are. */
  get size(): number {
    return this.#items.length;
  }

  /** When the soonest is due, in milliseconds; infinity if there is none. */
  get nextMs(): number {
    return this.#times.length === 0 ? Infinity : this.#times[0]!;
  }

  /** The soonest, left where it is. The queue must not be empty. */
  get next(): T {
    return this.#items[0]!;
  }

  /** Adds something that is due at a time, in milliseconds. */
  add(dueMs: number, item: T): void {
    const times = this.#times;
    const items = this.#items;
    let at = times.length;
    times.push(dueMs);
    items.push(item);
    while (at > 0) {
      const parent = Math.floor((at - 1) / CHILDREN);
      if (times[parent]! <= dueMs) break;
      times[at] = times[parent]!;
      items[at] = items[parent]!;
      at = parent;
    }
    times[at] = dueMs;
    items[at] = item;
  }

  /** Puts the soonest off until a later time. The queue must not be empty. */
  postpone(dueMs: number): void {
    this.#sink(dueMs, this.#items[0]!);
  }

  /** Takes the soonest off. The queue must not be empty. */
  take(): T {
    const first = this.#items[0]!;
    const dueMs = this.#times.pop()!;
    const last = this.#items.pop()!;
    if (this.#items.length > 0) this.#sink(dueMs, last);
    return first;
  }

  #sink(dueMs: number, item: T): void {
    const times = this.#times;
    const items = this.#items;
    const count = times.length;
    let at = 0;
    for (;;) {
      const first = at * CHILDREN + 1;
      if (first >= count) break;
      const end = Math.min(first + CHILDREN, count);
      let soonest = first;
      for (let child = first + 1; child < end; child++) {
        if (times[child]! < times[soonest]!) soonest = child;
      }
      if (times[soonest]! >= dueMs) break;
      times[at] = times[soonest]!;
      items[at] = items[soonest]!;
      at = soonest;
    }
    times[at] = dueMs;
    items[at] = item;
  }
}
