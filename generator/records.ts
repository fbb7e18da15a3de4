/**
 * What the simulator sends, and how many of each kind it has sent.
 * @module
 */
import { RECORD_REASONS, type RecordReason } from "../processor/event.ts";

/** A record to send. */
export interface SimulatedRecord {
  /** The user's id, for bad records too. */
  readonly key: string;
  readonly value: Uint8Array | null;
  /** When it is sent: its Kafka timestamp, epoch milliseconds. */
  readonly timestampMs: number;
  /** A late one is an event, a duplicate is none that counts, and what has a reason is refused for it. */
  readonly kind: "event" | "late" | "duplicate" | RecordReason;
  /** Empty where it is not an event. */
  readonly eventType: string;
  /** What the event adds to the revenue: 0 but for purchases. */
  readonly revenueCents: number;
}

/** How many of each. `records` is `events` + `duplicates` + all `refusals`. */
export interface Counts {
  readonly records: number;
  /** Events that count: valid, and the first of their identity; late ones too. */
  readonly events: number;
  readonly duplicates: number;
  /** Those of the events that were sent later than they happened. */
  readonly late: number;
  readonly refusals: Readonly<Record<RecordReason, number>>;
  /** Events by type. */
  readonly eventTypes: Readonly<Record<string, number>>;
  /** Events of type `purchase`. */
  readonly purchases: number;
  readonly revenueCents: number;
  /** Distinct users with an event. */
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

  /** Counts one more record. */
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
