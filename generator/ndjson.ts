/**
 * Reads and writes files of events, one JSON object per line.
 * @module
 */

/** A line of a file, as it is sent. */
export interface Line {
  /** Counted from 1, empty lines included. */
  readonly number: number;
  /** The `userId`, if the line is an object with a text as `userId`. */
  readonly key: string | null;
  /** The bytes of the line without its line end and without a leading byte-order mark. */
  readonly value: Uint8Array;
}

/** Parts of a file that belong to no event. */
export interface Skipped {
  emptyLines: number;
  /** Byte-order marks: one at the beginning, or more if files were concatenated. */
  byteOrderMarks: number;
}

/** Longest line in bytes: by default brokers accept records of 1 MiB, overhead included. */
export const MAX_LINE_BYTES = 1023 * 1024;

const LF = 10;
const CR = 13;
const EMPTY = new Uint8Array(0);
const BOM = [0xef, 0xbb, 0xbf];

/** Bytes per write. */
const CHUNK_BYTES = 256 * 1024;

/**
 * Yields the lines of a file, whatever they contain. They end with LF or CRLF; the last line end is optional. Empty
 * lines and byte-order marks at the beginning of a line are skipped and counted in `skipped`.
 *
 * @throws {Error} if a line is longer than `MAX_LINE_BYTES` (with its number), or if the file is UTF-16
 */
export async function* readLines(
  stream: ReadableStream<Uint8Array>,
  skipped: Skipped = { emptyLines: 0, byteOrderMarks: 0 },
): AsyncGenerator<Line, void, void> {
  let number = 0;
  const begun = new BegunLine();
  for await (const chunk of stream) {
    let start = 0;
    for (let end = chunk.indexOf(LF); end >= 0; end = chunk.indexOf(LF, start)) {
      const line = lineOf(++number, begun.ended(chunk.subarray(start, end), number), skipped);
      if (line !== null) yield line;
      start = end + 1;
    }
    begun.add(chunk.subarray(start), number + 1);
  }
  const last = begun.ended(EMPTY, number + 1);
  const line = last.length === 0 ? null : lineOf(number + 1, last, skipped);
  if (line !== null) yield line;
}

/**
 * Encodes records as lines, in chunks of bytes. Only the value of a record is kept: a record without one becomes an
 * empty line.
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

/** The beginning of a line that continues in the next chunk. */
class BegunLine {
  #bytes = EMPTY;
  #used = 0;

  /** Adds the next bytes of line `number`. */
  add(more: Uint8Array, number: number): void {
    const used = this.#used + more.length;
    // Longer by a byte-order mark and by the CR before the line end.
    if (used > MAX_LINE_BYTES + BOM.length + 1) throw tooLong(number);
    if (used > this.#bytes.length) {
      // Twice as large, because a pipe may bring it byte by byte.
      const bytes = new Uint8Array(Math.max(used, 2 * this.#bytes.length));
      bytes.set(this.#bytes.subarray(0, this.#used));
      this.#bytes = bytes;
    }
    this.#bytes.set(more, this.#used);
    this.#used = used;
  }

  /** The whole line with its last bytes; the next line begins. */
  ended(end: Uint8Array, number: number): Uint8Array {
    if (this.#used === 0 && end.length <= MAX_LINE_BYTES) return end;
    this.add(end, number);
    const line = this.#bytes.subarray(0, this.#used);
    this.#bytes = EMPTY;
    this.#used = 0;
    return line;
  }
}

function lineOf(number: number, bytes: Uint8Array, skipped: Skipped): Line | null {
  if (number === 1 && isUtf16(bytes)) {
    throw new Error("the file is UTF-16, events are UTF-8: convert it, such as by iconv -f UTF-16 -t UTF-8");
  }
  const isMarked = BOM.every((byte, i) => bytes[i] === byte);
  if (isMarked) skipped.byteOrderMarks++;
  const value = bytes.subarray(isMarked ? BOM.length : 0, bytes.at(-1) === CR ? -1 : undefined);
  if (value.length > MAX_LINE_BYTES) throw tooLong(number);
  if (value.length === 0) {
    skipped.emptyLines++;
    return null;
  }
  return { number, key: keyOf(value), value };
}

/** Whether the file begins with a byte-order mark of UTF-16, in either byte order. */
function isUtf16([first, second]: Uint8Array): boolean {
  return (first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff);
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
