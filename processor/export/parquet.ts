/**
 * Writes Parquet.
 * @module
 */
import { ByteWriter, ParquetWriter } from "hyparquet-writer";
import type { SchemaElement } from "hyparquet";
import type { Column, Row, Write, Writer } from "./rows.ts";

/** Rows of a row group. */
const GROUP_ROWS = 50_000;

const ELEMENTS: Readonly<Record<Column["type"], Omit<SchemaElement, "name">>> = {
  text: { type: "BYTE_ARRAY", converted_type: "UTF8" },
  integer: { type: "INT32" },
  bigint: { type: "INT64" },
  double: { type: "DOUBLE" },
  boolean: { type: "BOOLEAN" },
  time: { type: "INT64", converted_type: "TIMESTAMP_MICROS" },
  day: { type: "INT32", converted_type: "DATE" },
};

const DAY_MS = 86_400_000;

const VALUES: Readonly<Record<Column["type"], (cell: string) => unknown>> = {
  text: (cell) => cell,
  integer: Number,
  bigint: BigInt,
  double: Number,
  boolean: (cell) => cell === "true",
  time: microseconds,
  day: (cell) => Date.parse(cell) / DAY_MS,
};

/** Since 1970. `Date.parse` would drop the last three digits. */
function microseconds(cell: string): bigint {
  return BigInt(Date.parse(cell)) * 1000n + BigInt(cell.slice(-4, -1));
}

/** Begins a Parquet file: every column may be null, and is compressed by Snappy. */
export function parquet(columns: readonly Column[], write: Write): Writer {
  const bytes = new ByteWriter();
  const writer = new ParquetWriter({
    writer: bytes,
    schema: [
      { name: "root", num_children: columns.length },
      ...columns.map(({ name, type }): SchemaElement => ({
        name,
        repetition_type: "OPTIONAL",
        ...ELEMENTS[type],
      })),
    ],
    createdBy: "clickstream",
  });
  let pending: Row[] = [];
  const group = async () => {
    await writer.write({
      columnData: columns.map(({ name, type }, n) => ({
        name,
        data: pending.map((row) => row[n] === null ? null : VALUES[type](row[n]!)),
      })),
      rowGroupSize: GROUP_ROWS,
    });
    pending = [];
    await flush();
  };
  // The writer goes on counting offsets; only its buffer begins anew.
  const flush = async () => {
    await write(bytes.getBytes().slice());
    bytes.index = 0;
  };
  return {
    async rows(rows) {
      pending = pending.concat(rows);
      if (pending.length >= GROUP_ROWS) await group();
    },
    async end() {
      if (pending.length > 0) await group();
      writer.finish();
      await flush();
    },
  };
}
