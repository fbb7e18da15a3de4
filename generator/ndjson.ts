/**
 * Events in files: one JSON object a line.
 * @module
 */

/** A line of a file, as it is sent. */
export interface Line {
  /** From 1. */
  readonly number: number;
  /** The `userId`, if the line is an object that has one, and it is text. */
  readonly key: string | null;
  /** The line byte for byte, without its end. */
  readonly value: Uint8Array;
}

/** Longest line in bytes: the largest record that brokers take unless told otherwise is 1 MiB, with all around it. */
export const MAX_LINE_BYTES = 1023 * 1024;

const LF = 10;
const CR = 13;
const EMPTY = new Uint8Array(0);

/** Bytes that are written at a time. */
const CHUNK_BYTES = 256 * 1024;

/**
 * The lines of a file, whatever is in them; empty ones are skipped. They end with LF or CRLF, the last one with or
 * without.
 *
 * @throws {Error} naming the line that is longer than `MAX_LINE_BYTES`
 */
export async function* readLines(stream: ReadableStream<Uint8Array>): AsyncGenerator<Line, void, void> {
  let number = 0;
  /** The beginning of a line that goes on in the next chunk. */
  let begun: Uint8Array = EMPTY;
  for await (const chunk of stream) {
    let start = 0;
    for (let end = chunk.indexOf(LF); end >= 0; end = chunk.indexOf(LF, start)) {
      const line = lineOf(++number, joined(begun, chunk.subarray(start, end), number));
      if (line !== null) yield line;
      begun = EMPTY;
      start = end + 1;
    }
    begun = joined(begun, chunk.subarray(start), number + 1);
  }
  const last = lineOf(number + 1, begun);
  if (last !== null) yield last;
}

/**
 * Records as lines, in chunks of bytes. Of a record only its value is kept: one without a value becomes an empty line.
 */
export function* writeLines(
  records: Iterable<{ readonly value: Uint8Array | null }>,
): Generator<Uint8Array<ArrayBuffer>, void, void> {
  let chunk = new Uint8Array(CHUNK_BYTES);
  let used = 0;
  for (const { value } of records) {
    const bytes = value?.length ?? 0;
    if (used + bytes + 1 > chunk.length) {
      if (used > 0) yield chunk.subarray(0, used);
      chunk = new Uint8Array(Math.max(CHUNK_BYTES, bytes + 1));
      used = 0;
    }
    if (value !== null) chunk.set(value, used);
    used += bytes;
    chunk[used++] = LF;
  }
  if (used > 0) yield chunk.subarray(0, used);
}

function joined(begun: Uint8Array, more: Uint8Array, number: number): Uint8Array {
  const bytes = begun.length + more.length;
  // One more, for the CR that may come before the end.
  if (bytes > MAX_LINE_BYTES + 1) throw tooLong(number);
  if (begun.length === 0) return more;
  const line = new Uint8Array(bytes);
  line.set(begun);
  line.set(more, begun.length);
  return line;
}

function lineOf(number: number, bytes: Uint8Array): Line | null {
  const value = bytes.at(-1) === CR ? bytes.subarray(0, -1) : bytes;
  if (value.length > MAX_LINE_BYTES) throw tooLong(number);
  return value.length === 0 ? null : { number, key: keyOf(value), value };
}

function tooLong(number: number): Error {
  return new Error(
    `line ${number} is longer than ${MAX_LINE_BYTES} bytes, which is as much as brokers take; take it out`,
  );
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function keyOf(value: Uint8Array): string | null {
  try {
    const json: unknown = JSON.parse(utf8.decode(value));
    if (typeof json !== "object" || json === null || !("userId" in json)) return null;
    return typeof json.userId === "string" ? json.userId : null;
  } catch {
    return null;
  }
}
