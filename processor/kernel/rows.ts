/**
 * Events of the kernel as rows of PostgreSQL's binary format.
 * @module
 */
import { CODED, type EventColumn, type WrittenRows } from "../columns/batch.ts";
import type { Memory } from "./memory.ts";

/** The columns of numbers, in the order of `Columns` in assembly/columns.ts. */
const NUMBERS = ["partition", "offset", "kafkaTime", "time", "idHash", "price", "quantity", "revenue"];

/** The kinds of columns in assembly/rows.ts. */
const ID = 0;
const KINDS = { text: 1, bigint: 2, timestamptz: 3, integer: 4, boolean: 5 } as const;

/** Writes rows of batches. */
export class RowWriter {
  readonly #memory: Memory;
  /** Where the kernel writes rows. */
  readonly #at: number;
  /** The columns that the kernel knows. */
  #columns: readonly EventColumn[] = [];

  constructor(memory: Memory) {
    this.#memory = memory;
    this.#at = memory.functions.newRows();
  }

  /**
   * Writes events from `from` on, at most to `until`, in chunks of some 256 KiB. Their bytes are the kernel's, and are
   * valid until the next chunk is written.
   *
   * @param words address of the texts of the commit
   * @param batch address of the columns of the batch
   * @param first number of events of the commit before the batch
   */
  write(
    words: number,
    batch: number,
    first: number,
    from: number,
    until: number,
    columns: readonly EventColumn[],
  ): WrittenRows {
    this.#declare(columns);
    const { functions, bytes } = this.#memory;
    const next = functions.writeRows(words, batch, first, from, until);
    if (next === from) throw new Error(`the kernel has no room for the row of event ${first + from} of a commit`);
    return { bytes: bytes.subarray(this.#at, this.#at + functions.rowBytes.value), next };
  }

  #declare(columns: readonly EventColumn[]): void {
    if (columns === this.#columns) return;
    const { functions } = this.#memory;
    functions.clearRowColumns();
    for (const { of, type } of columns) {
      const coded = (CODED as readonly string[]).indexOf(of);
      if (of === "id") functions.addRowColumn(ID, 0);
      else functions.addRowColumn(KINDS[type], coded < 0 ? NUMBERS.indexOf(of) : coded);
    }
    this.#columns = columns;
  }
}
