/**
 * Runs statements, on a server's connection or on the embedded PostgreSQL.
 * @module
 */

import { BinaryParameter } from "./binary.ts";

/** What a statement returned. */
export interface Result<R> {
  readonly rows: R[];
  /** Rows returned or changed. */
  readonly rowCount: number;
}

/**
 * Runs one statement at a time; the caller must wait for each. `boolean` is read as a boolean, integers of up to 32
 * bits and floating point as numbers, `bytea` as bytes. Everything else is read as PostgreSQL's text, so that nothing
 * loses precision: `bigint` and `numeric` in digits, times in ISO 8601 and UTC.
 *
 * @throws {DatabaseUnavailable} from every method, if a retry is worth it, on a new connection if this one is lost
 * @throws {DatabaseError} if it is not
 */
export interface Statements {
  /** Statement that begins a transaction; includes the settings of this connection if its session cannot keep them. */
  readonly begin: string;
  /** True behind a pooler, which may run each transaction in another session of the server. */
  readonly pooled: boolean;
  /** Runs one statement. Parameters are null, texts, numbers, bigints, booleans, bytes or `BinaryParameter`s. */
  query<R = Record<string, unknown>>(sql: string, params?: readonly unknown[]): Promise<Result<R>>;
  /** Runs several statements, which take no parameters. */
  exec(sql: string): Promise<void>;
  /** Runs `copy … from stdin` with these chunks. Each may be overwritten when the next is asked for. */
  copyIn(sql: string, chunks: Iterable<Uint8Array>): Promise<void>;
  close(): Promise<void>;
}

/** Parsers by OID, for types that are not read as text: boolean, bytea, int2, int4, oid, float4, float8. */
const READERS = new Map<number, (text: string) => unknown>([
  [16, (text) => text === "t"],
  [17, (text) => Uint8Array.fromHex(text.slice(2))],
  ...[21, 23, 26, 700, 701].map((oid) => [oid, Number] as const),
]);

/** The value of a type, given by its OID, from the text that PostgreSQL writes. */
export function readValue(oid: number, text: string): unknown {
  return READERS.get(oid)?.(text) ?? text;
}

/** A parameter in the form that PostgreSQL reads: text, or an array in its binary format. */
export function written(value: unknown): string | BinaryParameter | null {
  if (value === null || value === undefined) return null;
  if (typeof value === "string") return value;
  if (value instanceof BinaryParameter) return value;
  if (value instanceof Uint8Array) return `\\x${value.toHex()}`;
  if (typeof value === "number" || typeof value === "bigint" || typeof value === "boolean") return String(value);
  throw new TypeError(`a parameter can't be ${value instanceof Date ? "a Date" : typeof value}: write it as text`);
}
