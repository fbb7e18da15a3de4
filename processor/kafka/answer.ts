/**
 * Reads the answers of brokers that this program parses itself. Trusts no length and no count: what goes beyond the
 * bytes that came is an error, and no loop runs longer than there are bytes.
 * @module
 */
import { Buffer } from "node:buffer";
import { Unavailable } from "../pipeline/commit.ts";

/** An answer, or a part of one, that breaks Kafka's protocol. */
export class Malformed extends Error {
  override readonly name = "Malformed";
}

/**
 * Parses an answer.
 *
 * @param what the answer in words, for the error
 * @throws {Unavailable} if it is malformed: another try may bring a right one
 */
export function parseAnswer<T>(what: string, bytes: Buffer, parse: (answer: Answer) => T): T {
  try {
    return parse(new Answer(bytes));
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    const reason = `Kafka's answer to ${what} is malformed: ${error.message}`;
    throw new Unavailable(reason, { kind: "kafka_unreachable", cause: error });
  }
}

/** Bytes that are read from beginning to end; every method throws `Malformed` if too few are left. */
export class Answer {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  int16(): number {
    return this.#bytes.readInt16BE(this.#taken(2));
  }

  int32(): number {
    return this.#bytes.readInt32BE(this.#taken(4));
  }

  int64(): bigint {
    return this.#bytes.readBigInt64BE(this.#taken(8));
  }

  /** An unsigned number of variable length, of at most 32 bits. */
  unsigned(): number {
    let number = 0;
    for (let factor = 1; factor <= 2 ** 28; factor *= 128) {
      const byte = this.#bytes[this.#taken(1)]!;
      number += (byte & 0x7f) * factor;
      if (byte < 0x80) return number;
    }
    throw new Malformed("one of its numbers is longer than a number can be");
  }

  /** Passes over so many bytes. */
  skip(length: number): void {
    this.#taken(length);
  }

  /** The next bytes, not copied. */
  bytes(length: number): Buffer {
    const start = this.#taken(length);
    return this.#bytes.subarray(start, this.#at);
  }

  /** A text after its length in 16 bits; empty if it is null. */
  text(): string {
    return this.bytes(this.#lengthOrNull(this.int16())).toString("utf8");
  }

  /** A text after its length of variable size; empty if it is null. */
  compactText(): string {
    return this.compactBytes().toString("utf8");
  }

  /** Bytes after their length in 32 bits; none if they are null. */
  longBytes(): Buffer {
    return this.bytes(this.#lengthOrNull(this.int32()));
  }

  /** Bytes after their length of variable size; none if they are null. */
  compactBytes(): Buffer {
    return this.bytes(Math.max(0, this.unsigned() - 1));
  }

  /** Items after their number in 32 bits; none if there is no list. */
  list<T>(item: () => T): T[] {
    return this.#items(this.#lengthOrNull(this.int32()), item);
  }

  /** Items after their number of variable size; none if there is no list. */
  compactList<T>(item: () => T): T[] {
    return this.#items(Math.max(0, this.unsigned() - 1), item);
  }

  /** Reads the tagged fields that `known` has, by their tag, and passes over all others. */
  tags(known: { readonly [tag: number]: (field: Answer) => void } = {}): void {
    for (let left = this.unsigned(); left > 0; left--) {
      const read = known[this.unsigned()];
      const field = this.bytes(this.unsigned());
      read?.(new Answer(field));
    }
  }

  #items<T>(count: number, item: () => T): T[] {
    const items: T[] = [];
    for (let n = 0; n < count; n++) {
      const before = this.#at;
      items.push(item());
      // An item without bytes would be read for ever.
      if (this.#at === before) throw new Malformed("one of its items is empty");
    }
    return items;
  }

  #lengthOrNull(length: number): number {
    if (length < -1) throw new Malformed(`it says that a part is ${length} bytes long`);
    return Math.max(0, length);
  }

  /** Takes so many bytes; returns where they begin. */
  #taken(length: number): number {
    const start = this.#at;
    const left = this.#bytes.length - start;
    if (length > left) throw new Malformed(`it says that a part is ${length} bytes long, and ${left} are left`);
    this.#at += length;
    return start;
  }
}

const FIRST_BYTES = 64 * 1024;

/**
 * Reused memory for the bytes of one round of fetches. Without it every response would become garbage, and the garbage
 * collector would run more often the more bytes arrive.
 */
export class BufferPool {
  /** Allocated when it is first needed. */
  #bytes = Buffer.alloc(0);
  #used = 0;

  /** Frees the memory for another round, once the buffers that `take` returned are no longer needed. */
  clear(): void {
    this.#used = 0;
  }

  /** A buffer of `length` bytes to write to. */
  take(length: number): Buffer {
    if (this.#used + length > this.#bytes.length) {
      // Earlier buffers keep their bytes in the old memory.
      this.#bytes = Buffer.allocUnsafeSlow(Math.max(this.#used + length, this.#bytes.length * 2, FIRST_BYTES));
      this.#used = 0;
    }
    const start = this.#used;
    this.#used += length;
    return this.#bytes.subarray(start, this.#used);
  }
}
