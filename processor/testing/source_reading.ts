/**
 * A topic that remembers what was written to it, and a reader that compares every poll of a source with that.
 * @module
 */
import assert from "node:assert/strict";
import { lengthOf, type Records, type Seek } from "../records.ts";
import type { Source } from "../pipeline/source.ts";
import type { LogRecord } from "./fakes/memory.ts";

/** A record to append. */
export interface AppendedRecord extends LogRecord {
  readonly key: string | null;
}

/** A topic of one test, with access from outside. */
export interface TopicUnderTest {
  /** Opens another source that reads it. */
  open(): Source;
  /** Appends records; resolves when a source can read them. */
  append(partition: number, records: readonly AppendedRecord[]): Promise<void>;
  /** Deletes the records below an offset, if the log can. */
  trim?(partition: number, before: number): Promise<void>;
  /** The offset that `committed` has reported to the group last, if there is a group; null if none. */
  groupOffset?(partition: number): Promise<number | null>;
  close(): Promise<void>;
}

/** Longest wait for anything. */
const PATIENCE_MS = 30_000;

/** A topic and what was written to it. */
export class WatchedTopic {
  /** Every record ever appended, by partition. */
  readonly log: AppendedRecord[][];
  /** First offset of each partition. */
  readonly begins: number[];
  readonly #topic: TopicUnderTest;

  constructor(topic: TopicUnderTest, partitions: number) {
    this.#topic = topic;
    this.log = Array.from({ length: partitions }, () => []);
    this.begins = this.log.map(() => 0);
  }

  /** Appends records. */
  async append(partition: number, records: readonly AppendedRecord[]): Promise<void> {
    // Remember first: a source may read them before the writer gets its reply.
    this.log[partition]!.push(...records);
    await this.#topic.append(partition, records);
  }

  /** Deletes the records below an offset. */
  async trim(partition: number, before: number): Promise<void> {
    await this.#topic.trim!(partition, before);
    this.begins[partition] = before;
  }
}

/** Reads a source; fails at the first record that differs from what was written at its offset. */
export class Reading {
  readonly source: Source;
  readonly #topic: WatchedTopic;
  #next = new Map<number, number>();
  /** Where the next run of each partition begins, gaps included; null if unknown. */
  #at = new Map<number, number | null>();

  constructor(source: Source, topic: WatchedTopic) {
    this.source = source;
    this.#topic = topic;
  }

  /** Seeks to offsets, given as pairs of partition and offset. */
  seek(...offsets: readonly (readonly [number, number | null])[]): void {
    const seek: Seek = new Map(offsets);
    this.#at = new Map(offsets);
    this.#next = new Map(offsets.map(([p, offset]) => [p, Math.max(offset ?? 0, this.#topic.begins[p]!)]));
    this.source.seek(seek);
  }

  /** Seeks to the beginning of every partition. */
  seekAll(): void {
    this.seek(...this.#topic.log.map((_, partition) => [partition, null] as const));
  }

  /** Polls once. */
  async poll(maxWaitMs = 1000): Promise<readonly Records[]> {
    const polled = await within(`poll(${maxWaitMs})`, this.source.poll(maxWaitMs));
    for (const records of polled) this.#take(records);
    return polled;
  }

  /** Polls until something arrives. */
  async something(): Promise<readonly Records[]> {
    const deadline = performance.now() + PATIENCE_MS;
    for (let polled = await this.poll();; polled = await this.poll()) {
      if (polled.some(({ count }) => count > 0)) return polled;
      assert.ok(performance.now() < deadline, `nothing arrived: ${this.#told()}`);
    }
  }

  /** Polls until everything written has been read. */
  async drain(): Promise<void> {
    while (this.lag() > 0) await this.something();
  }

  /** Unread records of one partition, or of all partitions being read. */
  lag(partition?: number): number {
    const partitions = partition === undefined ? [...this.#next.keys()] : [partition];
    return partitions.reduce((sum, p) => sum + this.#topic.log[p]!.length - this.#next.get(p)!, 0);
  }

  /** Fails unless the records equal what was written. */
  compare({ partition, count, bytes, offsets, times, starts, ends }: Records): void {
    const log = this.#topic.log[partition]!;
    for (let i = 0; i < count; i++) {
      const offset = offsets[i]!;
      const record = log[offset];
      const where = `offset ${offset} of partition ${partition}`;
      assert.ok(record !== undefined, `${where} was never written`);
      const [start, end] = [starts[i]!, ends[i]!];
      if (record.value === null) assert.equal(end, -1, `${where} has no value, but is said to end at ${end}`);
      else if (!same(record.value, bytes, start, end)) assert.deepEqual(bytes.slice(start, end), record.value, where);
      if (times[i] !== record.time) assert.equal(times[i], record.time, `the time of ${where}`);
    }
  }

  #take(records: Records): void {
    const { partition, count, offsets, next, end, skipped, gap } = records;
    const begins = next - count - skipped - lengthOf(gap);
    // The reference client also knows no topic ids, and passes gaps silently.
    const expected = this.source.topicId() === null ? null : this.#at.get(partition);
    assert.equal(begins, expected ?? begins, `every offset of partition ${partition} is accounted for`);
    this.#at.set(partition, next);
    const from = this.#next.get(partition);
    assert.ok(from !== undefined, `partition ${partition} was read, and not asked for`);
    for (let i = 0; i < count; i++) {
      if (offsets[i] === from + i) continue;
      assert.fail(`partition ${partition} was read up to ${from + i}, and goes on with offset ${offsets[i]}`);
    }
    assert.equal(next, from + count, `where reading of partition ${partition} goes on`);
    const written = this.#topic.log[partition]!.length;
    assert.ok(
      next <= end && end <= written,
      `partition ${partition}: ${next} read, ends at ${end}, ${written} written`,
    );
    this.compare(records);
    this.#next.set(partition, next);
  }

  #told(): string {
    return [...this.#next].map(([p, next]) => `partition ${p} at ${next} of ${this.#topic.log[p]!.length}`).join(", ");
  }
}

function same(value: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start !== value.length) return false;
  for (let i = 0; i < value.length; i++) if (bytes[start + i] !== value[i]) return false;
  return true;
}

async function within<T>(what: string, promise: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`${what} did not return in ${PATIENCE_MS} ms`)), PATIENCE_MS);
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
