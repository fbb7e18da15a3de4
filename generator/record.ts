/**
 * What the simulator sends.
 * @module
 */
import type { RecordReason } from "../processor/event.ts";

/** A record to send. */
export interface ShopRecord {
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
