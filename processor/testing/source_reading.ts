/**
 * A topic that knows what was written to it, and a source of it whose every poll is held against that.
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

/** A topic of one test, and what can be done to it from outside. */
export interface TopicUnderTest {
  /** Another source that reads it. */
  open(): Source;
  /** Appends records, which is over when a source can read them. */
  append(partition: number, records: readonly AppendedRecord[]): Promise<void>;
  /** Deletes the records below an offset, where the log can do that. */
  trim?(partition: number, before: number): Promise<void>;
  /** What the group has been told last by `committed`, where there is a group; null if nothing. */
  groupOffset?(partition: number): Promise<number | null>;
  close(): Promise<void>;
}

/** What has to happen, happens within this time, or never. */
const PATIENCE_MS = 30_000;

/** A topic, and what was written to it. */
export class WatchedTopic {
  /** Every record ever appended, by partition. */
  readonly log: AppendedRecord[][];
  /** Where each partition begins. */
  readonly begins: number[];
  readonly #topic: TopicUnderTest;

  constructor(topic: TopicUnderTest, partitions: number) {
    this.#topic = topic;
    this.log = Array.from({ length: partitions }, () => []);
    this.begins = this.log.map(() => 0);
  }

  /** Appends records. */
  async append(partition: number, records: readonly AppendedRecord[]): Promise<void> {
    // A source may have them before the one who writes knows that they are there.
    this.log[partition]!.push(...records);
    await this.#topic.append(partition, records);
  }

  /** Deletes the records below an offset. */
  async trim(partition: number, before: number): Promise<void> {
    await this.#topic.trim!(partition, before);
    this.begins[partition] = before;
  }
}

/** A source being read: fails at the first record that is not what was written, where it was written. */
export class Reading {
  readonly source: Source;
  readonly #topic: WatchedTopic;
  #next = new Map<number, number>();
  /** Where the next run of each partition begins, gaps included; null where that is not known. */
  #at = new Map<number, number | null>();

  constructor(source: Source, topic: WatchedTopic) {
    this.source = source;
    this.#topic = topic;
  }

  /** Goes to offsets: pairs of partition and offset. */
  seek(...offsets: readonly (readonly [number, number | null])[]): void {
    const seek: Seek = new Map(offsets);
    this.#at = new Map(offsets);
    this.#next = new Map(offsets.map(([p, offset]) => [p, Math.max(offset ?? 0, this.#topic.begins[p]!)]));
    this.source.seek(seek);
  }

  /** Goes to the beginning of every partition. */
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

  /** Polls until everything that was written has been read. */
  async drain(): Promise<void> {
    while (this.lag() > 0) await this.something();
  }

  /** Records still to be read, of one partition or of all that are read. */
  lag(partition?: number): number {
    const partitions = partition === undefined ? [...this.#next.keys()] : [partition];
    return partitions.reduce((sum, p) => sum + this.#topic.log[p]!.length - this.#next.get(p)!, 0);
  }

  /** Fails unless records hold what was written. */
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
    // The reference client, which knows no ids either, passes gaps in silence.
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
