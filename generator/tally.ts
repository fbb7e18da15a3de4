/**
 * What the shop has made, counted.
 * @module
 */
import { RECORD_REASONS, type RecordReason } from "../processor/event.ts";
import type { ShopRecord } from "./record.ts";

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
export class Tally {
  #records = 0;
  #events = 0;
  #duplicates = 0;
  #late = 0;
  #revenueCents = 0;
  readonly #refusals = new Map<RecordReason, number>(RECORD_REASONS.map((reason) => [reason, 0]));
  readonly #eventTypes = new Map<string, number>();
  readonly #users = new Set<string>();

  /** Counts one more record. */
  add({ kind, key, eventType, revenueCents }: ShopRecord): void {
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
  counts(): Counts {
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
