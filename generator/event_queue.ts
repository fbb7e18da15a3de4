/**
 * A priority queue of future events: the earliest comes first.
 * @module
 */

/** Children of each node. With four, which share a cache line, the heap is half as deep as with two. */
const CHILDREN = 4;

/** A heap with the earliest item on top. The order of items with equal times depends only on the preceding calls. */
export class EventQueue<T> {
  /** Kept apart from the items: times are compared all the time, and items are scattered in memory. */
  readonly #times: number[] = [];
  readonly #items: T[] = [];

  /** Number of items. */
  get size(): number {
    return this.#items.length;
  }

  /** Time of the earliest item, in milliseconds; infinity if there is none. */
  get nextMs(): number {
    return this.#times.length === 0 ? Infinity : this.#times[0]!;
  }

  /** Returns the earliest item without removing it. The queue must not be empty. */
  get next(): T {
    return this.#items[0]!;
  }

  /** Adds an item with its time in milliseconds. */
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

  /** Moves the earliest item to a later time. The queue must not be empty. */
  postpone(dueMs: number): void {
    this.#sink(dueMs, this.#items[0]!);
  }

  /** Removes and returns the earliest item. The queue must not be empty. */
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
