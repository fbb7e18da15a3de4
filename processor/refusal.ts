/**
 * A record that cannot be an event.
 * @module
 */
import type { Reason } from "./event.ts";

/** A message that can't be an event, and why. */
export interface Refusal {
  readonly reason: Reason;
  /** The field at fault, if it is one. */
  readonly field: string | null;
  /** In words: the value, and what is allowed. */
  readonly detail: string;
  readonly partition: number;
  readonly offset: number;
  /** First 64 KiB of the message, byte for byte; nothing if it had no value. */
  readonly payload: Uint8Array;
}
