/**
 * The simulated shop: a seed and a span of time in, records in the order of their time out, the same every time.
 * @module
 */
import { Agenda } from "./agenda.ts";
import { Faults } from "./faults.ts";
import { EVENT_ID_BYTES, Ids } from "./ids.ts";
import { complete, type CompleteOptions, type ShopOptions } from "./options.ts";
import { Random } from "./random.ts";
import type { ShopRecord } from "./record.ts";
import { Tally } from "./tally.ts";
import { type Click, Visits } from "./visits.ts";
import type { ClickEvent } from "../processor/event.ts";

/** A record that waits for its time. */
interface Waiting {
  readonly record: ShopRecord;
  /** False where a copy would be another event. */
  readonly repeatable: boolean;
}

const HOUR_MS = 3_600_000;

/** By how much an event is late: at least so that it can be told from a slow network. */
const MIN_LATE_MS = 1000;
const MAX_LATE_MS = 6 * HOUR_MS;

/** After how long an event is repeated at most: less than the ten minutes after which a copy counts as another event. */
const MAX_COPY_MS = 9.5 * 60_000;

/** About how many records may wait to be sent. It bounds the memory; where more would, they wait for a shorter time. */
const MAX_WAITING = 50_000;

/** A shop that is simulated once: its records can be walked through once, and are counted as they are handed out. */
export class Shop implements Iterable<ShopRecord> {
  readonly tally = new Tally();
  /** The options, with what was left out filled in. */
  readonly options: CompleteOptions;
  readonly #waiting = new Agenda<Waiting>();
  readonly #random: Random;
  readonly #ids: Ids;
  readonly #visits: Visits;
  readonly #faults: Faults;
  readonly #copied: number;
  readonly #maxLateMs: number;
  readonly #maxCopyMs: number;
  #faultMs: number;

  /** @throws {RangeError} naming the option that is out of bounds, its value and what is allowed */
  constructor(options: ShopOptions) {
    this.options = complete(options);
    const { seed, fromMs, rate, bad, duplicates, late } = this.options;
    const events = 1 - bad - duplicates;
    this.#random = new Random(seed, fromMs, 12);
    this.#ids = new Ids(seed, fromMs);
    this.#visits = new Visits(this.options, this.#ids, rate * events);
    this.#faults = new Faults(new Random(seed, fromMs, 13));
    this.#copied = duplicates / events;
    this.#maxLateMs = longestWaitMs(rate * late, MIN_LATE_MS, MAX_LATE_MS);
    this.#maxCopyMs = longestWaitMs(rate * duplicates, 1, MAX_COPY_MS);
    this.#faultMs = fromMs + this.#untilFault();
  }

  *[Symbol.iterator](): Generator<ShopRecord, void, void> {
    for (;;) {
      const happeningMs = this.#visits.nextMs;
      const sendMs = this.#waiting.nextMs;
      const nowMs = Math.min(happeningMs, sendMs, this.#faultMs);
      if (nowMs >= this.options.toMs) return;
      let record: ShopRecord | null = null;
      if (nowMs === happeningMs) {
        const click = this.#visits.step();
        if (click !== null) record = this.#report(click, nowMs);
      } else if (nowMs === sendMs) record = this.#send(this.#waiting.take());
      else record = this.#fail();
      if (record === null) continue;
      this.tally.add(record);
      yield record;
    }
  }

  /** Sends an event, or puts it off. */
  #report({ shopper, value, eventType, revenueCents }: Click, nowMs: number): ShopRecord | null {
    const { userId: key, client } = shopper;
    const record: ShopRecord = { key, value, timestampMs: nowMs, kind: "event", eventType, revenueCents };
    const latestMs = Math.min(this.#maxLateMs, this.options.toMs - 1 - nowMs);
    const late = latestMs >= MIN_LATE_MS && this.#random.chance(this.options.late);
    if (!late) return this.#send({ record, repeatable: client.sendsEventId });
    const lateMs = Math.floor(this.#random.logUniform(MIN_LATE_MS, latestMs));
    this.#putOff({ ...record, kind: "late", timestampMs: nowMs + lateMs }, client.sendsEventId);
    return null;
  }

  /** Sends a record, and perhaps will do so again. */
  #send({ record, repeatable }: Waiting): ShopRecord {
    const nowMs = record.timestampMs;
    const latestMs = Math.min(this.#maxCopyMs, this.options.toMs - 1 - nowMs);
    if (repeatable && latestMs >= 1 && this.#random.chance(this.#copied)) {
      const timestampMs = nowMs + Math.floor(this.#random.logUniform(1, latestMs));
      this.#putOff({ ...record, timestampMs, kind: "duplicate", eventType: "", revenueCents: 0 }, false);
    }
    return record;
  }

  /** Lets a record wait, with bytes of its own, so that it doesn't keep the buffer that it shares with others. */
  #putOff(record: ShopRecord, repeatable: boolean): void {
    this.#waiting.add(record.timestampMs, { record: { ...record, value: record.value!.slice() }, repeatable });
  }

  #fail(): ShopRecord {
    const kafkaMs = Math.floor(this.#faultMs);
    this.#faultMs += this.#untilFault();
    const { userId, device, region } = this.#visits.anybody(kafkaMs);
    const event: ClickEvent = {
      eventId: this.#eventId(),
      userId,
      eventType: "page_view",
      timestamp: new Date(kafkaMs).toISOString(),
      page: "/",
      device,
      region,
    };
    const { reason, value } = this.#faults.make({ event, kafkaMs, keepDays: this.options.keepDays });
    return { key: userId, value, timestampMs: kafkaMs, kind: reason, eventType: "", revenueCents: 0 };
  }

  #eventId(): string {
    const bytes = new Uint8Array(EVENT_ID_BYTES);
    this.#ids.event(bytes, 0);
    return String.fromCharCode(...bytes);
  }

  #untilFault(): number {
    const { rate, bad } = this.options;
    return bad === 0 ? Infinity : this.#random.exponential(1000 / (rate * bad));
  }
}

/** The longest of waits, in milliseconds, with which not too many wait at once. */
function longestWaitMs(perSecond: number, leastMs: number, mostMs: number): number {
  // The mean of waits of which each order of magnitude is as likely.
  const meanMs = (longestMs: number) => (longestMs - leastMs) / Math.log(longestMs / leastMs);
  let longestMs = mostMs;
  while (perSecond * meanMs(longestMs) / 1000 > MAX_WAITING && longestMs > 4 * leastMs) longestMs /= 2;
  return longestMs;
}
