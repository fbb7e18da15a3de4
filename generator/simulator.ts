/**
 * The simulator: a seed and a time span give records in time order, the same every time.
 * @module
 */
import { EventEncoder } from "./event_encoder.ts";
import { EventQueue } from "./event_queue.ts";
import { complete, type CompleteOptions, type SimulatorOptions } from "./options.ts";
import { Random } from "./random.ts";
import { type Counts, RecordCounts, type SimulatedRecord } from "./records.ts";
import { RefusedRecords } from "./refused_records.ts";
import { type Click, Visits } from "./visits.ts";
import type { ClickEvent } from "../processor/event.ts";

/** A record that waits for its send time. */
interface Waiting {
  readonly record: SimulatedRecord;
  /** False if a copy would be another event. */
  readonly repeatable: boolean;
}

const HOUR_MS = 3_600_000;

/** Smallest delay of a late event: clearly more than a slow network. */
const MIN_LATE_MS = 1000;
const MAX_LATE_MS = 6 * HOUR_MS;

/** Longest delay of a duplicate: less than 10 minutes, after which a copy is an event of its own. */
const MAX_COPY_MS = 9.5 * 60_000;

/**
 * Approximate number of records that may wait to be sent. Bounds the memory: beyond it, records wait for a shorter
 * time.
 */
const MAX_WAITING = 50_000;

/** One simulation. Its records can be iterated once, and are counted as they are returned. */
export class Simulator implements Iterable<SimulatedRecord> {
  /** The options with all defaults filled in. */
  readonly options: CompleteOptions;
  readonly #waiting = new EventQueue<Waiting>();
  readonly #random: Random;
  readonly #encoder: EventEncoder;
  readonly #visits: Visits;
  readonly #refused: RefusedRecords;
  readonly #counts = new RecordCounts();
  readonly #copied: number;
  readonly #maxLateMs: number;
  readonly #maxCopyMs: number;
  #refusedMs: number;

  /** @throws {RangeError} naming the option that is out of bounds, its value and its bounds */
  constructor(options: SimulatorOptions) {
    this.options = complete(options);
    const { seed, fromMs, rate, bad, duplicates, late } = this.options;
    const events = 1 - bad - duplicates;
    this.#random = new Random(seed, fromMs, 12);
    this.#encoder = new EventEncoder(seed, fromMs);
    this.#visits = new Visits(this.options, this.#encoder, rate * events);
    this.#refused = new RefusedRecords(new Random(seed, fromMs, 13));
    this.#copied = duplicates / events;
    this.#maxLateMs = longestWaitMs(rate * late, MIN_LATE_MS, MAX_LATE_MS);
    this.#maxCopyMs = longestWaitMs(rate * duplicates, 1, MAX_COPY_MS);
    this.#refusedMs = fromMs + this.#untilRefused();
  }

  /** Counts of the records returned so far. */
  get counts(): Counts {
    return this.#counts.snapshot();
  }

  *[Symbol.iterator](): Generator<SimulatedRecord, void, void> {
    for (;;) {
      const happeningMs = this.#visits.nextMs;
      const sendMs = this.#waiting.nextMs;
      const nowMs = Math.min(happeningMs, sendMs, this.#refusedMs);
      if (nowMs >= this.options.toMs) return;
      let record: SimulatedRecord | null = null;
      if (nowMs === happeningMs) {
        const click = this.#visits.step();
        if (click !== null) record = this.#report(click, nowMs);
      } else if (nowMs === sendMs) record = this.#send(this.#waiting.take());
      else record = this.#refuse();
      if (record === null) continue;
      this.#counts.add(record);
      yield record;
    }
  }

  /** Sends an event now, or delays it. */
  #report({ shopper, value, eventType, revenueCents }: Click, nowMs: number): SimulatedRecord | null {
    const { userId: key, client } = shopper;
    const record: SimulatedRecord = { key, value, timestampMs: nowMs, kind: "event", eventType, revenueCents };
    const latestMs = Math.min(this.#maxLateMs, this.options.toMs - 1 - nowMs);
    const late = latestMs >= MIN_LATE_MS && this.#random.chance(this.options.late);
    if (!late) return this.#send({ record, repeatable: client.sendsEventId });
    const lateMs = Math.floor(this.#random.logUniform(MIN_LATE_MS, latestMs));
    this.#putOff({ ...record, kind: "late", timestampMs: nowMs + lateMs }, client.sendsEventId);
    return null;
  }

  /** Sends a record, and sometimes schedules a duplicate. */
  #send({ record, repeatable }: Waiting): SimulatedRecord {
    const nowMs = record.timestampMs;
    const latestMs = Math.min(this.#maxCopyMs, this.options.toMs - 1 - nowMs);
    if (repeatable && latestMs >= 1 && this.#random.chance(this.#copied)) {
      const timestampMs = nowMs + Math.floor(this.#random.logUniform(1, latestMs));
      this.#putOff({ ...record, timestampMs, kind: "duplicate", eventType: "", revenueCents: 0 }, false);
    }
    return record;
  }

  /** Delays a record. Copies its bytes, so that it doesn't keep the shared buffer alive. */
  #putOff(record: SimulatedRecord, repeatable: boolean): void {
    this.#waiting.add(record.timestampMs, { record: { ...record, value: record.value!.slice() }, repeatable });
  }

  #refuse(): SimulatedRecord {
    const kafkaMs = Math.floor(this.#refusedMs);
    this.#refusedMs += this.#untilRefused();
    const { userId, device, region } = this.#visits.anybody(kafkaMs);
    const event: ClickEvent = {
      eventId: this.#encoder.eventId(),
      userId,
      eventType: "page_view",
      timestamp: new Date(kafkaMs).toISOString(),
      page: "/",
      device,
      region,
    };
    const { reason, value } = this.#refused.make({ event, kafkaMs, keepDays: this.options.keepDays });
    return { key: userId, value, timestampMs: kafkaMs, kind: reason, eventType: "", revenueCents: 0 };
  }

  #untilRefused(): number {
    const { rate, bad } = this.options;
    return bad === 0 ? Infinity : this.#random.exponential(1000 / (rate * bad));
  }
}

/** Longest delay in milliseconds that keeps the number of waiting records bounded. */
function longestWaitMs(perSecond: number, leastMs: number, mostMs: number): number {
  // Mean of a log-uniform delay.
  const meanMs = (longestMs: number) => (longestMs - leastMs) / Math.log(longestMs / leastMs);
  let longestMs = mostMs;
  while (perSecond * meanMs(longestMs) / 1000 > MAX_WAITING && longestMs > 4 * leastMs) longestMs /= 2;
  return longestMs;
}
