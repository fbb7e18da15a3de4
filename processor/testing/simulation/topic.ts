/**
 * The simulated topic: partitions of record batches, with everything that can happen to a log.
 * @module
 */
import { Buffer } from "node:buffer";
import { batchBytes } from "../batches.ts";
import type { LogRecord } from "../fakes/memory.ts";

/** What an offset holds: a record, nothing that is for us, or a part of a damaged batch. */
export type Slot = LogRecord | "nothing" | { readonly damagedFrom: number };

/** A batch of a partition, as Kafka stores it. */
export interface StoredBatch {
  readonly from: number;
  readonly to: number;
  readonly bytes: Buffer;
  /** Whether the broker itself cannot read it. */
  readonly isCorrupt: boolean;
}

/** How a batch differs from one that has only records. */
export type Flaw = "none" | "holes" | "damaged" | "corrupt";

/** Kafka's bits for a control batch: transactional, and without records for consumers. */
const CONTROL = 0x30;

/** Key of the record that commits a transaction: its version and its type. */
const COMMIT_MARKER = Uint8Array.of(0, 0, 0, 1);

/** A partition of a topic. */
export class Partition {
  /** What each offset holds or held. */
  slots: Slot[] = [];
  batches: StoredBatch[] = [];
  /** First offset that was not deleted. */
  begin = 0;
  /** Up to where records were ever deleted by retention. */
  deletedTo = 0;
  leader: number;
  /** After a leader change: the end that the new leader reports, and until when; null if it reports the right one. */
  lagging: { readonly end: number; readonly untilMs: number } | null = null;
  /** Where it ended before records were lost that may have been read; null if none were. */
  lostUpTo: number | null = null;

  constructor(leader: number) {
    this.leader = leader;
  }

  /** The high watermark. */
  get end(): number {
    return this.slots.length;
  }

  /** Appends records as one batch. */
  append(records: readonly LogRecord[], flaw: Flaw): void {
    const from = this.end;
    const isReadable = flaw === "none" || flaw === "holes";
    const step = flaw === "holes" ? 2 : 1;
    const deltas = records.map((_, i) => i * step);
    const length = records.length * step;
    for (let delta = 0; delta < length; delta++) {
      const record = delta % step === 0 ? records[delta / step]! : "nothing";
      this.slots.push(isReadable ? record : { damagedFrom: from });
    }
    const bytes = batchBytes(records.map((record, i) => ({ ...record, delta: deltas[i]! })), {
      base: from,
      lastDelta: length - 1,
    });
    // The checksum no longer fits.
    if (flaw === "damaged") bytes[bytes.length - 1]! ^= 0xff;
    this.batches.push({ from, to: this.end, bytes, isCorrupt: flaw === "corrupt" });
  }

  /** Appends the end of a transaction, which is no record for consumers. */
  appendControl(): void {
    const from = this.end;
    this.slots.push("nothing");
    const bytes = batchBytes([{ key: COMMIT_MARKER, value: null }], { base: from, attributes: CONTROL });
    this.batches.push({ from, to: this.end, bytes, isCorrupt: false });
  }

  /** Deletes the records before an offset. */
  deleteBelow(offset: number): void {
    this.begin = this.deletedTo = offset;
  }

  /** Loses the records from the `keep`th batch on, as after the election of a leader that did not have them. */
  truncate(keep: number): void {
    const lostUpTo = this.end;
    this.batches = this.batches.slice(0, keep);
    this.slots = this.slots.slice(0, this.batches.at(-1)?.to ?? 0);
    this.begin = Math.min(this.begin, this.end);
    this.lostUpTo = lostUpTo;
  }

  /** The end that its leader reports. */
  reportedEnd(nowMs: number): number {
    if (this.lagging !== null && this.lagging.untilMs <= nowMs) this.lagging = null;
    return Math.min(this.end, this.lagging?.end ?? Infinity);
  }

  /** Batches from the one with offset `from` on, before `end`, up to `most` of them. */
  read(from: number, end: number, most: number): readonly StoredBatch[] {
    const first = this.batches.findIndex(({ to }) => to > from);
    return first < 0 ? [] : this.batches.slice(first, first + most).filter(({ to }) => to <= end);
  }
}

/** A topic, until it is deleted. */
export interface Topic {
  /** Its id in hexadecimal; empty for a topic without one. */
  readonly uuid: string;
  readonly partitions: Partition[];
}

/** The brokers, and the topic, if there is one. */
export class Cluster {
  readonly name = "clickstream-events";
  readonly brokers: readonly number[] = [1, 2, 3];
  topic: Topic | null;
  #made = 0;
  readonly #hasIds: boolean;

  /** @param hasIds whether topics have ids, as since Kafka 2.8 */
  constructor(partitions: number, hasIds: boolean) {
    this.#hasIds = hasIds;
    this.topic = this.#newTopic(partitions);
  }

  /** The partitions that exist. */
  get partitions(): readonly Partition[] {
    return this.topic?.partitions ?? [];
  }

  /** Whether topics have ids. */
  get hasIds(): boolean {
    return this.#hasIds;
  }

  /** Creates another topic of the same name. */
  recreate(partitions: number): void {
    this.topic = this.#newTopic(partitions);
  }

  /** Adds a partition. */
  addPartition(): void {
    this.topic?.partitions.push(new Partition(this.#leaderOf(this.topic.partitions.length)));
  }

  #newTopic(partitions: number): Topic {
    const uuid = this.#hasIds ? (++this.#made).toString(16).padStart(32, "0") : "";
    return { uuid, partitions: Array.from({ length: partitions }, (_, p) => new Partition(this.#leaderOf(p))) };
  }

  #leaderOf(partition: number): number {
    return this.brokers[partition % this.brokers.length]!;
  }
}
