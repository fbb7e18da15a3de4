/**
 * Rows in portions, one for each statement.
 * @module
 */

/** Most rows per statement: enough to make the round trip negligible, and few enough to hold them in memory twice. */
const STATEMENT_ROWS = 8192;

/** Bytes that a statement should read. */
const STATEMENT_BYTES = 2 ** 21;

/** Splits rows into portions. */
export function* portions(rows: Int32Array): Generator<Int32Array> {
  for (let from = 0; from < rows.length; from += STATEMENT_ROWS) yield rows.subarray(from, from + STATEMENT_ROWS);
}

/**
 * Splits rows into portions that read some 2 MiB each, because the driver needs several times as much memory. A session
 * of thousands of views takes kilobytes, and so does a window of thousands of users.
 */
export class PortionsBySize implements Iterable<Int32Array> {
  readonly #rows: Int32Array;
  #last = 0;
  #next: number;

  /** @param first rows of the first portion, when the size of a row is not known yet */
  constructor(rows: Int32Array, first: number) {
    this.#rows = rows;
    this.#next = first;
  }

  /** Notes for how many rows the last portion found something, and how many bytes that was. */
  noteSize(found: number, bytes: number): void {
    // Without any, the next ones may have any size.
    const fitting = found === 0 ? 2 * this.#last : Math.floor(found * STATEMENT_BYTES / bytes);
    this.#next = Math.max(1, Math.min(STATEMENT_ROWS, fitting));
  }

  *[Symbol.iterator](): Generator<Int32Array> {
    for (let from = 0; from < this.#rows.length; from += this.#last) {
      const portion = this.#rows.subarray(from, from + this.#next);
      this.#last = portion.length;
      yield portion;
    }
  }
}
