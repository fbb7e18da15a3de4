/**
 * Reads a log only up to given offsets.
 * @module
 */
import { SourceAround } from "../../pipeline/source.ts";
import { cutAt, type Records } from "../../records.ts";

/** A source that ends each partition at a given offset; it does not read partitions without one. */
export class UpToSource extends SourceAround {
  #limits: ReadonlyMap<number, number> = new Map();

  /** Sets how far to read. It takes effect with the next seek, because records beyond the limit were dropped. */
  readTo(limits: ReadonlyMap<number, number>): void {
    this.#limits = limits;
  }

  /** @throws {Error} if Kafka has deleted records that are to be read */
  override async poll(maxWaitMs: number): Promise<readonly Records[]> {
    return (await this.inner.poll(maxWaitMs)).flatMap((records) => {
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

  override committed(): Promise<void> {
    return Promise.resolve();
  }
}
