/**
 * Memory that is used again: what each response brings would otherwise be left to the garbage collector, which runs the
 * oftener the more bytes come.
 * @module
 */
import { Buffer } from "node:buffer";

/** Room for what one round of fetches brings. */
export class Room {
  #bytes = Buffer.allocUnsafeSlow(64 * 1024);
  #used = 0;

  /** Makes room for another round, once what `join` returned is no longer needed. */
  clear(): void {
    this.#used = 0;
  }

  /** A copy of these parts, of so many bytes together, one after the other. */
  join(parts: readonly Uint8Array[], length: number): Buffer {
    if (this.#used + length > this.#bytes.length) {
      // What lies in the smaller one stays there, for those who hold it.
      this.#bytes = Buffer.allocUnsafeSlow(Math.max(this.#used + length, this.#bytes.length * 2));
      this.#used = 0;
    }
    const start = this.#used;
    for (const part of parts) {
      this.#bytes.set(part, this.#used);
      this.#used += part.length;
    }
    return this.#bytes.subarray(start, this.#used);
  }
}
