/**
 * Writes rows as CSV, NDJSON or Parquet.
 * @module
 */
import { stringify } from "csv-stringify/sync";
import type { Column, Row, Write, Writer } from "./rows.ts";

/** The formats by name; each is also the ending of its files. */
export const FORMATS = ["csv", "ndjson", "parquet"] as const;

/** The name of a format. */
export type Format = typeof FORMATS[number];

/** Begins a file. */
export async function writerOf(format: Format, columns: readonly Column[], write: Write): Promise<Writer> {
  switch (format) {
    case "csv":
      return await csv(columns, write);
    case "ndjson":
      return ndjson(columns, write);
    case "parquet": {
      // Large, and seldom asked for.
      const { parquet } = await import("./parquet.ts");
      return parquet(columns, write);
    }
  }
}

const encoder = new TextEncoder();

/** RFC 4180, with a line of names; an empty cell is no value. */
async function csv(columns: readonly Column[], write: Write): Promise<Writer> {
  const lines = (rows: readonly Row[]) => encoder.encode(stringify([...rows], { record_delimiter: "windows" }));
  await write(lines([columns.map(({ name }) => name)]));
  return {
    rows: (rows) => write(lines(rows)),
    end: async () => {},
  };
}

/** An object a line. Numbers have all their digits, also beyond 2^53. */
function ndjson(columns: readonly Column[], write: Write): Writer {
  const names = columns.map(({ name }) => JSON.stringify(name));
  const valueOf = (cell: string | null, { type }: Column): string => {
    if (cell === null) return "null";
    if (type === "integer" || type === "bigint" || type === "boolean") return cell;
    // JSON has no other numbers.
    if (type === "double") return Number.isFinite(Number(cell)) ? cell : "null";
    return JSON.stringify(cell);
  };
  const line = (row: Row) => `{${row.map((cell, n) => `${names[n]!}:${valueOf(cell, columns[n]!)}`).join(",")}}\n`;
  return {
    rows: (rows) => write(encoder.encode(rows.map(line).join(""))),
    end: async () => {},
  };
}
