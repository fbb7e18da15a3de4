/**
 * Output of decompression: reused memory with a limit.
 * @module
 */

/** A batch decompresses to more than is allowed. */
export class TooLarge extends Error {
  override readonly name = "TooLarge";

  constructor(bound: number) {
    super(`it unpacks to more than ${bound} bytes`);
  }
}

/** Bytes that are appended, and can be copied from earlier output. */
export class Output {
  /** Number of bytes written. */
  length = 0;
  /** The output memory. The system allocates it only as it is written. */
  readonly bytes: Uint8Array;

  /** @param bound most bytes that may be written */
  constructor(bound: number) {
    this.bytes = new Uint8Array(bound);
  }

  /** Returns a copy of the output, and starts a new output. */
  take(): Uint8Array {
    const written = this.bytes.slice(0, this.length);
    this.length = 0;
    return written;
  }

  /** @throws {TooLarge} if `more` bytes would exceed the limit */
  check(more: number): void {
    if (more > this.bytes.length - this.length) throw new TooLarge(this.bytes.length);
  }

  /** Writes the bytes from `from` to `to`. */
  append(bytes: Uint8Array, from: number, to: number): void {
    const count = to - from;
    this.check(count);
    const into = this.bytes;
    const at = this.length;
    if (count > 32) into.set(bytes.subarray(from, to), at);
    else for (let i = 0; i < count; i++) into[at + i] = bytes[from + i]!;
    this.length += count;
  }

  /** Writes one byte several times. */
  repeat(byte: number, times: number): void {
    this.check(times);
    this.bytes.fill(byte, this.length, this.length + times);
    this.length += times;
  }

  /**
   * Copies `count` bytes from `distance` bytes ago; if `distance` is smaller, the copied bytes repeat.
   *
   * @throws {Error} if fewer bytes than `distance` have been written
   */
  copy(distance: number, count: number): void {
    if (distance < 1 || distance > this.length) throw new Error("it refers to bytes before its beginning");
    this.check(count);
    const bytes = this.bytes;
    const from = this.length - distance;
    if (distance === 1) bytes.fill(bytes[from]!, this.length, this.length + count);
    else if (distance >= count && count > 32) bytes.copyWithin(this.length, from, from + count);
    else for (let i = 0, to = this.length; i < count; i++) bytes[to + i] = bytes[from + i]!;
    this.length += count;
  }
}
