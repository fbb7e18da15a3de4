/**
 * Reused memory for fetched bytes. Without it every response would become garbage, and the garbage collector would run
 * more often the more bytes arrive.
 * @module
 */
import { Buffer } from "node:buffer";

/** Reused memory for the bytes of one round of fetches. */
export class BufferPool {
  #bytes = Buffer.allocUnsafeSlow(64 * 1024);
  #used = 0;

  /** Frees the memory for another round, once the buffers that `take` returned are no longer needed. */
  clear(): void {
    this.#used = 0;
  }

  /** A buffer of `length` bytes to write to. */
  take(length: number): Buffer {
    if (this.#used + length > this.#bytes.length) {
      // Earlier buffers keep their bytes in the old memory.
      this.#bytes = Buffer.allocUnsafeSlow(Math.max(this.#used + length, this.#bytes.length * 2));
      this.#used = 0;
    }
    const start = this.#used;
    this.#used += length;
    return this.#bytes.subarray(start, this.#used);
  }
}
