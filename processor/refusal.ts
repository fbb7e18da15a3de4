/**
 * A record that cannot be an event.
 * @module
 */
import type { Reason } from "./event.ts";

/** A record that cannot be an event, and why. */
export interface Refusal {
  readonly reason: Reason;
  /** The invalid field; null if it is not about a field. */
  readonly field: string | null;
  /** The value and what is allowed, in words. */
  readonly detail: string;
  readonly partition: number;
  readonly offset: number;
  /** First 64 KiB of the value, byte for byte; empty if the record had no value. */
  readonly payload: Uint8Array;
}
