/**
 * Records of the simulator, and counts of each kind that it has sent.
 * @module
 */
import { RECORD_REASONS, type RecordReason } from "../processor/event.ts";

/** A record to send. */
export interface SimulatedRecord {
  /** The user's id; refused records have one too. */
  readonly key: string;
  readonly value: Uint8Array | null;
  /** Send time: its Kafka timestamp, epoch milliseconds. */
  readonly timestampMs: number;
  /**
   * `late` is an event that is sent late, `duplicate` is not counted, and a reason means that the record is refused for
   * it.
   */
  readonly kind: "event" | "late" | "duplicate" | RecordReason;
  /** Empty if the record is not an event. */
  readonly eventType: string;
  /** Revenue of the event; 0 unless it is a purchase. */
  readonly revenueCents: number;
}

/** Counts by kind. `records` = `events` + `duplicates` + all `refusals`. */
export interface Counts {
  readonly records: number;
  /** Events, late ones included, duplicates excluded. */
  readonly events: number;
  readonly duplicates: number;
  /** Events that were sent later than they happened. */
  readonly late: number;
  readonly refusals: Readonly<Record<RecordReason, number>>;
  /** Events by type. */
  readonly eventTypes: Readonly<Record<string, number>>;
  /** Events of type `purchase`. */
  readonly purchases: number;
  readonly revenueCents: number;
  /** Distinct users with at least one event. */
  readonly users: number;
}

/** Counts records. */
export class RecordCounts {
  #records = 0;
  #events = 0;
  #duplicates = 0;
  #late = 0;
  #revenueCents = 0;
  readonly #refusals = new Map<RecordReason, number>(RECORD_REASONS.map((reason) => [reason, 0]));
  readonly #eventTypes = new Map<string, number>();
  readonly #users = new Set<string>();

  /** Counts a record. */
  add({ kind, key, eventType, revenueCents }: SimulatedRecord): void {
    this.#records++;
    if (kind === "duplicate") this.#duplicates++;
    else if (kind === "event" || kind === "late") {
      this.#events++;
      if (kind === "late") this.#late++;
      this.#revenueCents += revenueCents;
      this.#eventTypes.set(eventType, (this.#eventTypes.get(eventType) ?? 0) + 1);
      this.#users.add(key);
    } else this.#refusals.set(kind, this.#refusals.get(kind)! + 1);
  }

  /** The counts so far. */
  snapshot(): Counts {
    return {
      records: this.#records,
      events: this.#events,
      duplicates: this.#duplicates,
      late: this.#late,
      refusals: Object.fromEntries(this.#refusals) as Record<RecordReason, number>,
      eventTypes: Object.fromEntries([...this.#eventTypes].sort(([a], [b]) => a < b ? -1 : 1)),
      purchases: this.#eventTypes.get("purchase") ?? 0,
      revenueCents: this.#revenueCents,
      users: this.#users.size,
    };
  }
}
