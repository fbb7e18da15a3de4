/**
 * The simulated topic: partitions of record batches, with everything that can happen to a log.
 * @module
 */
import { Buffer } from "node:buffer";
import { topicIdOf } from "../../kafka/fetch.ts";
import { batchBytes } from "../batches.ts";
import type { LogRecord } from "../fakes/memory.ts";

/** What an offset holds: a record, nothing that is for us, or a part of a damaged batch. */
export type Slot = LogRecord | "nothing" | { readonly damagedFrom: number };

/** A batch of a partition, as Kafka stores it. */
export interface StoredBatch {
  readonly from: number;
  readonly to: number;
  /** What each of its offsets holds. */
  readonly slots: readonly Slot[];
  readonly bytes: Buffer;
  readonly flaw: Flaw;
  /** Epoch of the leader that wrote it. */
  readonly epoch: number;
}

/** How a batch differs from one that has only records. */
export type Flaw = "none" | "holes" | "damaged" | "corrupt";

/** Kafka's bits for a control batch: transactional, and without records for consumers. */
const CONTROL = 0x30;

/** Key of the record that commits a transaction: its version and its type. */
const COMMIT_MARKER = Uint8Array.of(0, 0, 0, 1);

/** A partition of a topic. */
export class Partition {
  batches: StoredBatch[] = [];
  /** All batches that were ever in the log. */
  readonly #all: StoredBatch[] = [];
  /** First offset that was not deleted. */
  begin = 0;
  /** Up to where records were ever deleted by retention. */
  deletedTo = 0;
  leader: number;
  /** After a leader change: the end that the new leader reports, and until when; null if it reports the right one. */
  lagging: { readonly end: number; readonly untilMs: number } | null = null;
  /** Raised with each election of a leader. */
  #epoch = 0;
  /** Each epoch with records in the log, and its first offset, oldest first. */
  #epochs: { readonly epoch: number; readonly from: number }[] = [];

  constructor(leader: number) {
    this.leader = leader;
  }

  /** The high watermark. */
  get end(): number {
    return this.batches.at(-1)?.to ?? 0;
  }

  /** Appends records as one batch. */
  append(records: readonly LogRecord[], flaw: Flaw): void {
    const from = this.end;
    const step = flaw === "holes" ? 2 : 1;
    const deltas = records.map((_, i) => i * step);
    const length = records.length * step;
    const slots: Slot[] = [];
    for (let delta = 0; delta < length; delta++) {
      const record = delta % step === 0 ? records[delta / step]! : "nothing";
      slots.push(isReadable(flaw) ? record : { damagedFrom: from });
    }
    const bytes = batchBytes(records.map((record, i) => ({ ...record, delta: deltas[i]! })), {
      base: from,
      leaderEpoch: this.#epoch,
      lastDelta: length - 1,
    });
    // The checksum no longer fits.
    if (flaw === "damaged") bytes[bytes.length - 1]! ^= 0xff;
    this.#store(slots, bytes, flaw);
  }

  /** Appends the end of a transaction, which is no record for consumers. */
  appendControl(): void {
    const from = this.end;
    const options = { base: from, leaderEpoch: this.#epoch, attributes: CONTROL };
    this.#store(["nothing"], batchBytes([{ key: COMMIT_MARKER, value: null }], options), "none");
  }

  /** Deletes the records before an offset. */
  deleteBelow(offset: number): void {
    this.begin = this.deletedTo = offset;
  }

  /** Another broker becomes the leader. */
  elect(broker: number): void {
    this.leader = broker;
    this.#epoch++;
  }

  /** Loses the records from the `keep`th batch on: the next leader does not have them. */
  truncate(keep: number): void {
    this.#epoch++;
    this.batches = this.batches.slice(0, keep);
    this.#epochs = this.#epochs.filter(({ from }) => from < this.end);
    // An end that the former leader reported may lie within a batch of the next one, where no end is.
    if (this.lagging !== null) this.lagging = { ...this.lagging, end: Math.min(this.lagging.end, this.end) };
  }

  /**
   * First offset at which the log differs from one in which a leader of this epoch wrote the record before `next`.
   * Undefined if it has that record, `unknown` if it does not know the epoch: what a broker finds out.
   */
  divergence(next: number, epoch: number): number | "unknown" | undefined {
    const { epoch: known, end } = this.#endOf(epoch);
    if (end === null) return "unknown";
    return known < epoch || end < next ? end : undefined;
  }

  /** The batch with this offset in a log whose last epoch was this one; null for the last of all. */
  batchAt(offset: number, epoch: number | null): StoredBatch | undefined {
    return this.#all.findLast((batch) =>
      batch.from <= offset && offset < batch.to && (epoch === null || batch.epoch <= epoch)
    );
  }

  /** Epoch of the leader that wrote the record at an offset; null if the log does not have it, or it is damaged. */
  epochAt(offset: number): number | null {
    const batch = this.batches.find(({ from, to }) => from <= offset && offset < to);
    return batch === undefined || offset < this.begin || !isReadable(batch.flaw) ? null : batch.epoch;
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

  #store(slots: readonly Slot[], bytes: Buffer, flaw: Flaw): void {
    const epoch = this.#epoch;
    const from = this.end;
    const batch = { from, to: from + slots.length, slots, bytes, flaw, epoch };
    this.batches.push(batch);
    this.#all.push(batch);
    if (this.#epochs.at(-1)?.epoch !== epoch) this.#epochs.push({ epoch, from });
  }

  /** Where the records of an epoch end, or of the last one before it. */
  #endOf(epoch: number): { readonly epoch: number; readonly end: number | null } {
    const last = this.#epochs.at(-1);
    if (last?.epoch === epoch) return { epoch, end: this.end };
    const higher = this.#epochs.find((each) => each.epoch > epoch);
    if (higher === undefined) return { epoch, end: null };
    return { epoch: this.#epochs.findLast((each) => each.epoch <= epoch)?.epoch ?? epoch, end: higher.from };
  }
}

/** Whether a consumer can read a batch with this flaw. */
export function isReadable(flaw: Flaw): boolean {
  return flaw === "none" || flaw === "holes";
}

/** A topic, until it is deleted. */
export interface Topic {
  /** Its id in hexadecimal; empty for a topic without one. */
  readonly uuid: string;
  /** The same as Kafka prints it; null for a topic without one. */
  readonly id: string | null;
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
    return {
      uuid,
      id: topicIdOf(uuid),
      partitions: Array.from({ length: partitions }, (_, p) => new Partition(this.#leaderOf(p))),
    };
  }

  #leaderOf(partition: number): number {
    return this.brokers[partition % this.brokers.length]!;
  }
}
