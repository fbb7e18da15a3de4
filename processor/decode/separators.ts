/**
 * Remembers the bytes between the values of a record: a producer writes its fields in one order and with one spacing.
 * @module
 */
import { lowBytes } from "../columns/hash.ts";

/**
 * Longest separator that is remembered, in bytes. This many bytes after a record must be readable, because they are
 * read at once.
 */
export const MARGIN = 16;

/** Separators remembered after each field: events that leave fields out have different next fields. */
const WAYS = 4;

/** Separators: the bytes from the end of one value to the beginning of the next. */
export class Separators {
  /** The next field, by separator: `WAYS` for each previous field. */
  readonly #next: Int32Array;
  /** Length in bytes; 0 if nothing is remembered. */
  readonly #length: Int32Array;
  readonly #isText: Uint8Array;
  /** The bytes, as four words; only bits under the masks count. */
  readonly #words: Int32Array;
  readonly #masks: Int32Array;
  /** By previous field: the separator to replace next. */
  readonly #oldest: Uint8Array;

  /** @param fields number of previous fields, including the beginning */
  constructor(fields: number) {
    this.#next = new Int32Array(fields * WAYS);
    this.#length = new Int32Array(fields * WAYS);
    this.#isText = new Uint8Array(fields * WAYS);
    this.#words = new Int32Array(fields * WAYS * 4);
    this.#masks = new Int32Array(fields * WAYS * 4);
    this.#oldest = new Uint8Array(fields);
  }

  /** The separator at `at` after the field `before`; -1 if it is not remembered. */
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

  /** Length of a separator, in bytes. */
  length(way: number): number {
    return this.#length[way]!;
  }

  /** The field after a separator. */
  next(way: number): number {
    return this.#next[way]!;
  }

  /** Whether a separator ends with the opening quote of a text. */
  isText(way: number): boolean {
    return this.#isText[way] === 1;
  }

  /** Remembers `[start, end)` as the separator between two fields. */
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
