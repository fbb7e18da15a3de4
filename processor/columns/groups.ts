/**
 * Groups rows by key: a hash table from a window and some codes to a row number, in typed arrays, so that finding an
 * event's row allocates nothing.
 * @module
 */
import { grown, NO_INTEGERS } from "./grown.ts";

/** Slots of the first row; twice the rows that they are for. */
const FIRST_SLOTS = 128;

const NO_SLOTS: Int32Array<ArrayBuffer> = new Int32Array(1).fill(-1);

/** Numbers rows by their window and codes, in order of first use; takes no memory before the first. */
export class Groups {
  count = 0;
  readonly #width: number;
  /** Window and codes of each row, `#width` per row. A window is its number modulo 2^32. */
  #keys = NO_INTEGERS;
  #slots = NO_SLOTS;

  /** @param codes number of codes in a key, besides the window */
  constructor(codes: number) {
    this.#width = codes + 1;
  }

  /** Removes all rows, and keeps their memory. */
  clear(): void {
    this.count = 0;
    this.#slots.fill(-1);
  }

  /** The row of event `i` by these columns of codes, in window number `window`. */
  row(window: number, columns: readonly Int32Array[], i: number): number {
    const width = this.#width;
    const mask = this.#slots.length - 1;
    let slot = scatter(window | 0);
    for (let c = 0; c < columns.length; c++) slot = scatter(slot ^ columns[c]![i]!);
    slot &= mask;
    for (;;) {
      const row = this.#slots[slot]!;
      if (row < 0) return this.#insert(slot, window, columns, i);
      if (this.#same(row * width, window, columns, i)) return row;
      slot = (slot + 1) & mask;
    }
  }

  /** The window number of a row, modulo 2^32. */
  window(row: number): number {
    return this.#keys[row * this.#width]! >>> 0;
  }

  /** The same where windows may be below 0, and none has a number of 2^31 or more. */
  signedWindow(row: number): number {
    return this.#keys[row * this.#width]!;
  }

  /** The `c`th code of a row. */
  code(row: number, c: number): number {
    return this.#keys[row * this.#width + 1 + c]!;
  }

  #same(at: number, window: number, columns: readonly Int32Array[], i: number): boolean {
    const keys = this.#keys;
    if (keys[at] !== (window | 0)) return false;
    for (let c = 0; c < columns.length; c++) if (keys[at + 1 + c] !== columns[c]![i]) return false;
    return true;
  }

  #insert(slot: number, window: number, columns: readonly Int32Array[], i: number): number {
    const row = this.count++;
    const at = row * this.#width;
    if (at + this.#width > this.#keys.length) this.#keys = grown(this.#keys, (FIRST_SLOTS / 2) * this.#width);
    this.#keys[at] = window;
    for (let c = 0; c < columns.length; c++) this.#keys[at + 1 + c] = columns[c]![i]!;
    if (this.count * 2 > this.#slots.length) this.#rehash();
    else this.#slots[slot] = row;
    return row;
  }

  #rehash(): void {
    const mask = Math.max(FIRST_SLOTS, this.#slots.length * 2) - 1;
    this.#slots = new Int32Array(mask + 1).fill(-1);
    for (let row = 0; row < this.count; row++) {
      let slot = 0;
      for (let c = 0; c < this.#width; c++) slot = scatter(slot ^ this.#keys[row * this.#width + c]!);
      slot &= mask;
      while (this.#slots[slot]! >= 0) slot = (slot + 1) & mask;
      this.#slots[slot] = row;
    }
  }
}

function scatter(x: number): number {
  x = Math.imul(x ^ (x >>> 15), 0x2c1b3c6d);
  x = Math.imul(x ^ (x >>> 12), 0x297a2d39);
  return x ^ (x >>> 15);
}
