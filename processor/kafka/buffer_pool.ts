/**
 * Memory that is used again: what each response brings would otherwise be left to the garbage collector, which runs the
 * oftener the more bytes come.
 * @module
 */
import { Buffer } from "node:buffer";

/** Reused memory for the bytes of one round of fetches. */
export class BufferPool {
  #bytes = Buffer.allocUnsafeSlow(64 * 1024);
  #used = 0;

  /** Makes room for another round, once what `take` returned is no longer needed. */
  clear(): void {
    this.#used = 0;
  }

  /** So many bytes, to be written to. */
  take(length: number): Buffer {
    if (this.#used + length > this.#bytes.length) {
      // What lies in the smaller one stays there, for those who hold it.
      this.#bytes = Buffer.allocUnsafeSlow(Math.max(this.#used + length, this.#bytes.length * 2));
      this.#used = 0;
    }
    const start = this.#used;
    this.#used += length;
    return this.#bytes.subarray(start, this.#used);
  }
}
