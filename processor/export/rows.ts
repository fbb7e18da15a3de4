/**
 * Rows on their way into a file.
 * @module
 */

/** How a column is written; a time has the form `2026-11-02T10:00:00.000000Z`, a day `2026-11-02`. */
export interface Column {
  readonly name: string;
  readonly type: "text" | "integer" | "bigint" | "double" | "boolean" | "time" | "day";
}

/** A row: each value as text, null where there is none. */
export type Row = readonly (string | null)[];

/** Writes bytes, all of them, before it resolves. */
export type Write = (bytes: Uint8Array) => Promise<void>;

/** A file under way. */
export interface Writer {
  rows(rows: readonly Row[]): Promise<void>;
  /** Writes what a file ends with. */
  end(): Promise<void>;
}
