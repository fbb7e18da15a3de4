/**
 * A log in files: replaces Kafka within one process, with nothing to install. A partition is a file of consecutive
 * records, each `length u32 (2^32 - 1: no value), time f64, tag u8, value`, little-endian.
 * @module
 */
import type { Records, Seek } from "../records.ts";
import type { Committed } from "../pipeline/commit.ts";
import { type Source, TopicChanged } from "../pipeline/source.ts";

const HEAD_BYTES = 13;
const NO_VALUE = 0xffffffff;
const READ_BYTES = 1024 * 1024;

/** A record to append. */
export interface Entry {
  /** Records of one key go to one partition, in order. */
  readonly key: string | null;
  readonly value: Uint8Array | null;
  /** Kafka timestamp, epoch milliseconds. */
  readonly time: number;
  /** A number for the writer's own use, 0 to 255, stored with the record; readers of the topic don't see it. */
  readonly tag: number;
}

/** A record in the log; `time` is its Kafka timestamp, epoch milliseconds. */
export interface StoredEntry {
  readonly partition: number;
  readonly offset: number;
  readonly time: number;
  readonly value: Uint8Array | null;
  readonly tag: number;
}

/** A topic in a folder. */
export class EmbeddedLog implements Source {
  readonly topic: string;
  readonly #id: string;
  readonly #partitions: readonly Partition[];
  #at = new Map<number, number>();
  #committed: ReadonlyMap<number, Committed> = new Map();
  #arrived: () => void = () => {};
  #closed = false;

  private constructor(topic: string, id: string, partitions: readonly Partition[]) {
    this.topic = topic;
    this.#id = id;
    this.#partitions = partitions;
  }

  /** Opens the log in `folder`, or creates it; drops a record that a crash cut off. */
  static open(folder: string, topic: string, partitions: number): EmbeddedLog {
    const file = (partition: number) => `${folder}/${topic}-${partition}.log`;
    const id = idIn(`${folder}/${topic}.id`);
    return new EmbeddedLog(topic, id, Array.from({ length: partitions }, (_, p) => new Partition(p, file(p))));
  }

  /** Appends records. They are in the file when the call returns. */
  append(entries: readonly Entry[]): void {
    const shares: Entry[][] = this.#partitions.map(() => []);
    for (const entry of entries) shares[partitionOf(entry.key, shares.length)]!.push(entry);
    shares.forEach((share, partition) => this.#partitions[partition]!.append(share));
    this.#arrived();
  }

  /** All records with their tags, partition by partition, from the beginning. */
  *entries(): Generator<StoredEntry> {
    for (const [p, partition] of this.#partitions.entries()) {
      for (let offset = 0; offset < partition.count;) {
        const { records, tags } = partition.read(offset);
        for (let i = 0; i < records.count; i++) {
          const none = records.ends[i]! < 0;
          yield {
            partition: p,
            offset: records.offsets[i]!,
            time: records.times[i]!,
            value: none ? null : records.bytes.subarray(records.starts[i]!, records.ends[i]!),
            tag: tags[i]!,
          };
        }
        offset = records.next;
      }
    }
  }

  /** Number of records, in all partitions. */
  get count(): number {
    return this.#partitions.reduce((sum, partition) => sum + partition.count, 0);
  }

  assigned(): Promise<readonly number[]> {
    return Promise.resolve(this.#partitions.map((_, partition) => partition));
  }

  topicId(): string {
    return this.#id;
  }

  seek(offsets: Seek, committed: ReadonlyMap<number, Committed> = new Map()): void {
    this.#at = new Map([...offsets].map(([partition, offset]) => [partition, offset ?? 0]));
    this.#committed = committed;
  }

  async poll(maxWaitMs: number): Promise<readonly Records[]> {
    const ready = this.#read();
    if (ready.length > 0 || maxWaitMs <= 0) return ready;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, maxWaitMs);
      this.#arrived = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    return this.#read();
  }

  committed(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#closed = true;
    this.#at.clear();
    for (const partition of this.#partitions) partition.close();
    this.#arrived();
    return Promise.resolve();
  }

  #read(): Records[] {
    const all: Records[] = [];
    for (const [p, at] of this.#at) {
      const partition = this.#partitions[p]!;
      const next = this.#committed.get(p)?.next ?? 0;
      if (partition.count < next) {
        const where = { topic: this.topic, partition: p, next, end: partition.count };
        throw new TopicChanged({ kind: "truncated", ...where, isOverwritten: false });
      }
      if (at >= partition.count) continue;
      const { records } = partition.read(at);
      this.#at.set(p, records.next);
      all.push(records);
    }
    return all;
  }
}

/** The file of one partition, and the byte position of each record. */
class Partition {
  readonly #number: number;
  readonly #file: Deno.FsFile;
  /** Byte position of each record, then of the end of the file. */
  readonly #places: number[] = [0];

  constructor(number: number, path: string) {
    this.#number = number;
    this.#file = Deno.openSync(path, { read: true, write: true, create: true });
    const size = this.#file.statSync().size;
    const head = new DataView(new ArrayBuffer(HEAD_BYTES));
    for (let at = 0; at + HEAD_BYTES <= size;) {
      this.#fill(new Uint8Array(head.buffer), at);
      at += HEAD_BYTES + valueLength(head.getUint32(0, true));
      if (at <= size) this.#places.push(at);
    }
    this.#file.truncateSync(this.#end);
  }

  get count(): number {
    return this.#places.length - 1;
  }

  get #end(): number {
    return this.#places[this.#places.length - 1]!;
  }

  append(entries: readonly Entry[]): void {
    if (entries.length === 0) return;
    const size = entries.reduce((sum, { value }) => sum + HEAD_BYTES + (value?.length ?? 0), 0);
    const bytes = new Uint8Array(size);
    const view = new DataView(bytes.buffer);
    const places: number[] = [];
    let at = 0;
    for (const { value, time, tag } of entries) {
      view.setUint32(at, value?.length ?? NO_VALUE, true);
      view.setFloat64(at + 4, time, true);
      view.setUint8(at + 12, tag);
      if (value !== null) bytes.set(value, at + HEAD_BYTES);
      at += HEAD_BYTES + (value?.length ?? 0);
      places.push(this.#end + at);
    }
    this.#file.seekSync(this.#end, Deno.SeekMode.Start);
    for (let written = 0; written < size;) written += this.#file.writeSync(bytes.subarray(written));
    for (const place of places) this.#places.push(place);
  }

  /** Records from `offset` on: as many as fit into one read, and at least one. */
  read(offset: number): { records: Records; tags: Uint8Array } {
    const from = this.#places[offset]!;
    let next = offset + 1;
    while (next < this.count && this.#places[next + 1]! - from <= READ_BYTES) next++;
    const bytes = new Uint8Array(this.#places[next]! - from);
    this.#fill(bytes, from);
    const view = new DataView(bytes.buffer);
    const count = next - offset;
    const offsets = new Float64Array(count);
    const times = new Float64Array(count);
    const starts = new Int32Array(count);
    const ends = new Int32Array(count);
    const tags = new Uint8Array(count);
    for (let i = 0; i < count; i++) {
      const at = this.#places[offset + i]! - from;
      const length = view.getUint32(at, true);
      offsets[i] = offset + i;
      times[i] = view.getFloat64(at + 4, true);
      tags[i] = view.getUint8(at + 12);
      starts[i] = at + HEAD_BYTES;
      ends[i] = length === NO_VALUE ? -1 : at + HEAD_BYTES + length;
    }
    const arrays = { bytes, offsets, times, starts, ends };
    const place = {
      partition: this.#number,
      next,
      end: this.count,
      stable: this.count,
      skipped: 0,
      gap: null,
      leaderEpoch: null,
    };
    return { records: { ...place, ...arrays, count }, tags };
  }

  close(): void {
    this.#file.syncSync();
    this.#file.close();
  }

  #fill(bytes: Uint8Array, from: number): void {
    this.#file.seekSync(from, Deno.SeekMode.Start);
    for (let read = 0; read < bytes.length;) {
      const n = this.#file.readSync(bytes.subarray(read));
      if (n === null) throw new Error(`partition ${this.#number} of the embedded log ends at ${from + read}`);
      read += n;
    }
  }
}

/** The id of a log: random, and created with the log. A log that has none gets one when it is opened. */
function idIn(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const id = crypto.getRandomValues(new Uint8Array(16)).toBase64({ alphabet: "base64url", omitPadding: true });
  Deno.writeTextFileSync(`${path}.new`, id);
  Deno.renameSync(`${path}.new`, path);
  return id;
}

function valueLength(length: number): number {
  return length === NO_VALUE ? 0 : length;
}

/** The partition of a key; always the same for the same key. */
function partitionOf(key: string | null, partitions: number): number {
  let hash = 0;
  for (let i = 0; i < (key?.length ?? 0); i++) hash = Math.imul(hash, 31) + key!.charCodeAt(i) | 0;
  return (hash >>> 0) % partitions;
}
