/**
 * What stands between the values of a record: a producer writes its fields in one order and with one spacing.
 * @module
 */
import { lowBytes } from "../columns/hash.ts";

/** Most bytes between two values that are remembered, which a record needs behind it, for they are read at once. */
export const MARGIN = 16;

/** How many ways to go on after a field are remembered: what is left out of some events makes several. */
const WAYS = 4;

/** What stands between one value and the next: the bytes from the end of a value to the beginning of the next. */
export class Separators {
  /** By way, `WAYS` for each field that came before: the field that comes next, and what stands before its value. */
  readonly #next: Int32Array;
  /** How many bytes stand there; 0 where nothing is remembered. */
  readonly #length: Int32Array;
  readonly #isText: Uint8Array;
  /** The bytes, as four words of which only those under the masks count. */
  readonly #words: Int32Array;
  readonly #masks: Int32Array;
  /** The way that is forgotten next, by the field before. */
  readonly #oldest: Uint8Array;

  /** @param fields how many fields there are to come before, the beginning among them */
  constructor(fields: number) {
    this.#next = new Int32Array(fields * WAYS);
    this.#length = new Int32Array(fields * WAYS);
    this.#isText = new Uint8Array(fields * WAYS);
    this.#words = new Int32Array(fields * WAYS * 4);
    this.#masks = new Int32Array(fields * WAYS * 4);
    this.#oldest = new Uint8Array(fields);
  }

  /** The way to go on after the field `before` that what stands at `at` is; -1 if it is none of those remembered. */
  find(before: number, view: DataView, at: number): number {
    const a = view.getInt32(at, true);
    const b = view.getInt32(at + 4, true);
    const c = view.getInt32(at + 8, true);
    const d = view.getInt32(at + 12, true);
    const words = this.#words;
    const masks = this.#masks;
    for (let way = before * WAYS; way < (before + 1) * WAYS && this.#length[way] !== 0; way++) {
      const k = way * 4;
      if (
        (((a ^ words[k]!) & masks[k]!) | ((b ^ words[k + 1]!) & masks[k + 1]!) |
          ((c ^ words[k + 2]!) & masks[k + 2]!) | ((d ^ words[k + 3]!) & masks[k + 3]!)) === 0
      ) return way;
    }
    return -1;
  }

  /** How many bytes match. */
  length(way: number): number {
    return this.#length[way]!;
  }

  /** The field that they announce. */
  next(way: number): number {
    return this.#next[way]!;
  }

  /** Whether they end with the quote that a text begins with. */
  isText(way: number): boolean {
    return this.#isText[way] === 1;
  }

  /** Takes note of `[start, end)`, which stood between the fields. */
  learn(before: number, next: number, isText: boolean, view: DataView, start: number, end: number): void {
    const length = end - start;
    if (length > MARGIN) return;
    const way = before * WAYS + this.#oldest[before]!;
    this.#oldest[before] = (this.#oldest[before]! + 1) % WAYS;
    this.#length[way] = length;
    this.#next[way] = next;
    this.#isText[way] = isText ? 1 : 0;
    for (let w = 0; w < 4; w++) {
      const used = Math.max(0, Math.min(4, length - w * 4));
      this.#words[way * 4 + w] = used === 0 ? 0 : view.getInt32(start + w * 4, true);
      this.#masks[way * 4 + w] = used === 4 ? -1 : lowBytes(-1, used);
    }
  }
}
