/**
 * The times of a funnel's steps: how far they reach, and which of them a later event could still change.
 * @module
 */
import { Bytes, type Cells } from "../columns/cells.ts";
import { grown, NO_DOUBLES } from "../columns/grown.ts";
import { NONE } from "../columns/strings.ts";

/** Size of a time in bytes. */
const TIME_BYTES = 8;

/** Times of one step, in memory that is used again. */
class TimeList {
  times: Float64Array<ArrayBuffer> = NO_DOUBLES;
  count = 0;

  add(time: number): void {
    if (this.count === this.times.length) this.times = grown(this.times, 16);
    this.times[this.count++] = time;
  }

  /** Sorts the times, which nearly always are sorted. */
  sort(): void {
    for (let i = 1; i < this.count; i++) {
      if (this.times[i - 1]! > this.times[i]!) return void this.times.subarray(0, this.count).sort();
    }
  }

  /** The earliest time at `from` or later, of sorted times; infinite if there is none. */
  firstFrom(from: number): number {
    for (let i = 0; i < this.count; i++) if (this.times[i]! >= from) return this.times[i]!;
    return Infinity;
  }

  /** Keeps, each once, of the sorted times: the last up to `last`, the first from `first` on, and all between. */
  thin(last: number, first: number): void {
    const { times, count } = this;
    this.count = 0;
    for (let i = 0; i < count; i++) {
      const time = times[i]!;
      if (time <= last) {
        times[0] = time;
        this.count = 1;
      } else if (time >= first) {
        times[this.count++] = time;
        return;
      } else if (this.count === 0 || times[this.count - 1] !== time) times[this.count++] = time;
    }
  }
}

/**
 * Times of the steps, in memory that is used again. A state is its bytes: the earliest time of the first step, the latest
 * of the last, how many times each step between has (but for the last of these, which has the rest), and these times;
 * infinite if there is none.
 */
export class Times {
  readonly steps: number;
  #first = Infinity;
  #last = -Infinity;
  /** Those of the steps between the first and the last. */
  readonly #between: readonly TimeList[];
  /** For each step, where the earliest chain to it ends. */
  readonly #ends: Float64Array;
  #written = new Float64Array(16);
  /** The state is its first `length` bytes; valid after `thin`, until the next one. */
  view: DataView<ArrayBuffer> = new DataView(this.#written.buffer);
  /** Size of the state in bytes; 0 if no time matters. */
  length = 0;

  constructor(steps: number) {
    this.steps = steps;
    this.#between = Array.from({ length: steps - 2 }, () => new TimeList());
    this.#ends = new Float64Array(steps);
  }

  /** Starts with these times of the first and of the last step. */
  start(first: number = Infinity, last: number = -Infinity): this {
    this.#first = first;
    this.#last = last;
    for (const list of this.#between) list.count = 0;
    return this;
  }

  /** Adds a time of the step `between` after the first one. */
  add(between: number, time: number): void {
    this.#between[between]!.add(time);
  }

  /** Adds a state. */
  addState(view: DataView, start: number, length: number): void {
    let at = start;
    const next = () => {
      const number = view.getFloat64(at, true);
      at += TIME_BYTES;
      return number;
    };
    this.#first = Math.min(this.#first, next());
    this.#last = Math.max(this.#last, next());
    const lists = this.#between;
    if (lists.length === 0) return;
    let counts = at;
    at += (lists.length - 1) * TIME_BYTES;
    for (let n = 0; n < lists.length - 1; n++, counts += TIME_BYTES) {
      for (let count = view.getFloat64(counts, true); count > 0; count--) lists[n]!.add(next());
    }
    while (at < start + length) lists.at(-1)!.add(next());
  }

  /** Adds the state in a row of a column, if there is one. */
  addCell(cells: Cells, row: number): void {
    if (cells instanceof Bytes) {
      const { strings, codes } = cells;
      const code = codes[row]!;
      if (code !== NONE) this.addState(strings.view, strings.start(code), strings.length(code));
    } else {
      const state = (cells as readonly (Uint8Array | null)[])[row]!;
      if (state !== null) this.addState(new DataView(state.buffer, state.byteOffset), 0, state.length);
    }
  }

  /**
   * Keeps only the times that a later event could still change, each once and sorted, and writes the state; returns the
   * steps reached. Once all are, none is kept. Thinning loses nothing, because the earliest chain to a step only moves
   * back, and the latest chain from a step to the last only forward:
   * - Of a step's times after the earliest chain to the step before, the earliest is the easiest to follow.
   * - Of those before the latest chain from the step after it, the latest is the easiest to precede.
   * - Those between wait for both, so all are kept.
   */
  thin(): number {
    const lists = this.#between;
    const ends = this.#ends;
    let reached = this.#first < Infinity ? 1 : 0;
    ends[0] = this.#first;
    lists.forEach((list, n) => {
      list.sort();
      ends[n + 1] = list.firstFrom(ends[n]!);
      if (ends[n + 1]! < Infinity) reached = n + 2;
    });
    if (ends[lists.length]! <= this.#last) {
      this.length = 0;
      return this.steps;
    }
    let begin = this.#last;
    for (let n = lists.length - 1; n >= 0; n--) {
      const list = lists[n]!;
      list.thin(begin, ends[n]!);
      begin = list.count > 0 && list.times[0]! <= begin ? list.times[0]! : -Infinity;
    }
    this.#write();
    return reached;
  }

  /** The bytes of the state, valid until the next change; null if it is empty. */
  get state(): Uint8Array | null {
    return this.length === 0 ? null : new Uint8Array(this.view.buffer, 0, this.length);
  }

  #write(): void {
    const lists = this.#between;
    const counts = Math.max(0, lists.length - 1);
    const times = lists.reduce((sum, { count }) => sum + count, 0);
    if (times === 0 && this.#first === Infinity && this.#last === -Infinity) {
      this.length = 0;
      return;
    }
    const length = 2 + counts + times;
    if (length > this.#written.length) {
      this.#written = grown(this.#written, length);
      this.view = new DataView(this.#written.buffer);
    }
    const written = this.#written;
    written[0] = this.#first;
    written[1] = this.#last;
    let at = 2 + counts;
    lists.forEach((list, n) => {
      if (n < counts) written[2 + n] = list.count;
      for (let i = 0; i < list.count; i++) written[at++] = list.times[i]!;
    });
    this.length = length * TIME_BYTES;
  }
}
