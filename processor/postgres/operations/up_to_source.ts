/**
 * Reads a log only up to given offsets.
 * @module
 */
import type { Source } from "../../pipeline/source.ts";
import { cutAt, type Records, type Seek } from "../../records.ts";

/** A source that ends each partition at a given offset; it does not read partitions without one. */
export class UpToSource implements Source {
  readonly #inner: Source;
  #limits: ReadonlyMap<number, number> = new Map();

  constructor(inner: Source) {
    this.#inner = inner;
  }

  /** Sets how far to read. It takes effect with the next seek, because records beyond the limit were dropped. */
  readTo(limits: ReadonlyMap<number, number>): void {
    this.#limits = limits;
  }

  get topic(): string {
    return this.#inner.topic;
  }

  assigned(): Promise<readonly number[]> {
    return this.#inner.assigned();
  }

  topicId(): string | null {
    return this.#inner.topicId();
  }

  seek(offsets: Seek, committed?: ReadonlyMap<number, number>): void {
    this.#inner.seek(offsets, committed);
  }

  /** @throws {Error} if Kafka has deleted records that are to be read */
  async poll(maxWaitMs: number): Promise<readonly Records[]> {
    return (await this.#inner.poll(maxWaitMs)).flatMap((records) => {
      const limit = this.#limits.get(records.partition) ?? 0;
      return cutAt(records, limit).map((part) => {
        if (part.gap === null) return { ...part, end: Math.min(limit, part.end), stable: Math.min(limit, part.stable) };
        throw new Error(
          `could not read offsets ${part.gap.from} to ${part.gap.to - 1} of partition ${part.partition} of ` +
            `${this.topic}: Kafka has deleted them. Run it again with a later --from`,
        );
      });
    });
  }

  committed(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return this.#inner.close();
  }
}
