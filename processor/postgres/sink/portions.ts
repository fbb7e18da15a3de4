/**
 * Rows in portions, one for each statement.
 * @module
 */

/** Most rows per statement: enough to make the round trip negligible, and few enough to hold them in memory twice. */
const STATEMENT_ROWS = 8192;

/** Bytes that a statement should read, and rows of the first one, when the size of a row is not known yet. */
const STATEMENT_BYTES = 2 ** 21;
const FIRST_ROWS = 1024;

/** Splits rows into portions. */
export function* portions(rows: Int32Array): Generator<Int32Array> {
  for (let from = 0; from < rows.length; from += STATEMENT_ROWS) yield rows.subarray(from, from + STATEMENT_ROWS);
}

/**
 * Splits rows into portions that read some 2 MiB each, because the driver needs several times as much memory. A session
 * of thousands of views takes kilobytes.
 */
export class PortionsBySize implements Iterable<Int32Array> {
  readonly #rows: Int32Array;
  #last = 0;
  #next = FIRST_ROWS;

  constructor(rows: Int32Array) {
    this.#rows = rows;
  }

  /** Notes how many bytes the last portion has read. */
  noteSize(bytes: number): void {
    const fitting = Math.floor(this.#last * STATEMENT_BYTES / Math.max(1, bytes));
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
