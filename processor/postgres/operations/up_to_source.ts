/**
 * A log whose end is where somebody says.
 * @module
 */
import type { Source } from "../../pipeline/source.ts";
import { cutAt, type Records, type Seek } from "../../records.ts";

/** A log that is read no further than to given offsets; partitions without one are not read. */
export class UpToSource implements Source {
  readonly #inner: Source;
  #limits: ReadonlyMap<number, number> = new Map();

  constructor(inner: Source) {
    this.#inner = inner;
  }

  /** Sets how far to read; takes effect with the next seek, for what lies beyond has been thrown away. */
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

  /** @throws {Error} if the log no longer has all that is to be read */
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
