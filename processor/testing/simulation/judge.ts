/**
 * What must become of each record that an instance was given, worked out by itself: the definition of a duplicate is
 * written here a second time, without a hash table.
 * @module
 */
import { Batch, clear, dictionaries } from "../../columns/batch.ts";
import { KEPT_PIECES, WINDOW_MS } from "../../pipeline/duplicates.ts";
import { ALLOWED_DELAY_MS } from "../../pipeline/reading.ts";
import type { Records } from "../../records.ts";
import { beginOf, lengthOf } from "../../records.ts";
import { testKeyed } from "../fakes/keyed.ts";
import { type LogRecord, recordsOf } from "../fakes/memory.ts";
import { reference } from "../scenario.ts";
import type { Partition, Slot, StoredBatch } from "./topic.ts";

/** Ids that begin like this cannot be stored by the simulated database. */
export const POISON = "poison";

/** What an instance was given of a partition since it began to read; the log may be another one by now. */
export class Delivered {
  readonly partition: Partition;
  /** Offsets of the records. */
  readonly offsets: number[] = [];
  /** Offsets that it was told to be gone, each from and to. */
  readonly gaps: (readonly [from: number, to: number])[] = [];
  /** The first offset asked for of each damaged batch. */
  readonly damaged = new Set<number>();
  /** Where it began; null before the first records. */
  first: number | null = null;
  next = 0;
  /** The batch of each offset that it was given, and of the one before. */
  readonly #batches: (StoredBatch | undefined)[] = [];

  constructor(partition: Partition) {
    this.partition = partition;
  }

  /** The batch with an offset that it was given, or the one before these; null if it was not there. */
  batchAt(offset: number): StoredBatch | null {
    return this.#batches[offset] ?? null;
  }

  /** What an offset holds that it was given. */
  slot(offset: number): Slot | undefined {
    const batch = this.#batches[offset];
    return batch?.slots[offset - batch.from];
  }

  /** Notes a run of records. */
  take(records: Records): void {
    const { leaderEpoch } = records;
    let at = beginOf(records) + lengthOf(records.gap);
    if (this.first === null && leaderEpoch !== null) {
      this.#batches[at - 1] = this.partition.batchAt(at - 1, leaderEpoch);
    }
    this.first ??= beginOf(records);
    this.next = records.next;
    while (at < records.next) {
      const batch = this.partition.batchAt(at, leaderEpoch);
      const to = Math.min(records.next, batch?.to ?? at + 1);
      while (at < to) this.#batches[at++] = batch;
    }
    for (let i = 0; i < records.count; i++) this.offsets.push(records.offsets[i]!);
    if (records.gap !== null) this.gaps.push([records.gap.from, records.gap.to]);
    if (records.unreadable !== undefined) this.damaged.add(records.unreadable.offset);
  }
}

/** A record with its offset. */
export interface Placed {
  readonly offset: number;
  readonly record: LogRecord;
}

/** What must become of the offsets of a commit. */
export interface Expected {
  readonly stored: readonly Placed[];
  /** Offset and reason of each refusal. */
  readonly refused: readonly string[];
  readonly duplicates: number;
  readonly skipped: number;
  readonly gap: { readonly from: number; readonly to: number } | null;
  /** Where reading must begin again after a restart. */
  readonly replay: number;
  /** The largest event time stored, less the allowed delay; null if none was stored. */
  readonly watermark: number | null;
}

/** What a record is by itself. */
interface Judgement {
  /** Null for an event. */
  readonly reason: string | null;
  /** Null for an event without an id. */
  readonly id: string | null;
  readonly timeMs: number;
}

const words = dictionaries("topic", testKeyed());
const scratch = new Batch(words, 1);
const decoder = reference();
const nothing = recordsOf(0, 0, [{ value: null, time: 0 }]);
const judged = new WeakMap<LogRecord, Judgement>();

function judge(record: LogRecord): Judgement {
  const known = judged.get(record);
  if (known !== undefined) return known;
  clear(words);
  scratch.clear();
  const { value, time } = record;
  const records = {
    ...nothing,
    bytes: value ?? nothing.bytes,
    times: Float64Array.of(time),
    ends: Int32Array.of(value?.length ?? -1),
  };
  const refusal = decoder.decode(records, 0, scratch);
  const reason = refusal?.reason ?? null;
  const hasId = reason === null && scratch.idHash.subarray(0, 3).some((word) => word !== 0);
  const judgement = { reason, id: hasId ? scratch.id(0) : null, timeMs: reason === null ? scratch.time[0]! : NaN };
  judged.set(record, judgement);
  return judgement;
}

/** Whether a record is an event that can be stored and has an id. */
export function isUsual(record: LogRecord): boolean {
  return judge(record).id !== null;
}

/**
 * What a commit of the offsets from `first` to `next` must hold, by what its instance was given.
 *
 * @throws {Error} if an offset is in none of it, or is said to be gone and is not
 */
export function expectedOf(delivered: Delivered, first: number, next: number): Expected {
  const { isRepeated, replay, isIn } = rememberedBy(delivered, next);
  const stored: Placed[] = [];
  const refused: string[] = [];
  let [duplicates, skipped, watermark] = [0, 0, null as number | null];
  let gap = null as { from: number; to: number } | null;
  for (let offset = first; offset < next; offset++) {
    if (delivered.gaps.some(([from, to]) => offset >= from && offset < to)) {
      if (offset >= delivered.partition.deletedTo) throw new Error(`offset ${offset} is in a gap, but was not deleted`);
      gap = { from: gap?.from ?? offset, to: offset + 1 };
      continue;
    }
    const slot = delivered.slot(offset);
    if (slot === undefined) throw new Error(`offset ${offset} does not exist`);
    if (slot === "nothing") skipped++;
    else if ("damagedFrom" in slot) {
      if (delivered.damaged.has(offset)) refused.push(`${offset} unreadable_batch`);
      else skipped++;
    } else {
      if (!isIn.has(offset)) throw new Error(`offset ${offset} was not delivered`);
      const { reason, id, timeMs } = judge(slot);
      if (reason !== null) refused.push(`${offset} ${reason}`);
      else if (isRepeated.has(offset)) duplicates++;
      else if (id?.startsWith(POISON) === true) refused.push(`${offset} bad_value`);
      else {
        stored.push({ offset, record: slot });
        watermark = Math.max(watermark ?? -Infinity, timeMs - ALLOWED_DELAY_MS);
      }
    }
  }
  return { stored, refused, duplicates, skipped, gap, replay, watermark };
}

/** Which of the delivered records before `next` repeat an id, where pieces end with every minute. */
function rememberedBy(delivered: Delivered, next: number) {
  const seen = new Map<string, { readonly time: number; readonly piece: number }[]>();
  const isRepeated = new Set<number>();
  const isIn = new Set<number>();
  const begins: number[] = [];
  let minute = -1;
  for (const offset of delivered.offsets) {
    if (offset >= next) break;
    isIn.add(offset);
    const record = delivered.slot(offset) as LogRecord;
    const { time } = record;
    if (time >= 0 && Math.floor(time / 60_000) > minute) {
      minute = Math.floor(time / 60_000);
      begins.push(offset);
    }
    const { id } = judge(record);
    if (id === null || time < 0) continue;
    const earlier = seen.get(id) ?? [];
    const oldest = begins.length - KEPT_PIECES;
    if (earlier.some((other) => other.piece >= oldest && Math.abs(other.time - time) <= WINDOW_MS)) {
      isRepeated.add(offset);
    }
    earlier.push({ time, piece: begins.length });
    seen.set(id, earlier);
  }
  return { isRepeated, isIn, replay: begins.at(-KEPT_PIECES - 1) ?? begins[0] ?? next };
}
