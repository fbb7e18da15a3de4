/**
 * The head of a record batch (Kafka's message format 2), as far as it is to be believed.
 * @module
 */
import type { Buffer } from "node:buffer";
import { crc32c } from "./crc32c.ts";

/** Bytes of a batch before its length counts. */
const LENGTH_END = 12;
/** Bytes of a batch before its records begin. */
export const HEAD_BYTES = 61;
/** Least length of anything that Kafka has ever written: a message of format 0 without key and value. */
const LEAST_LENGTH = 14;

/** What the head of a batch says. */
export interface Head {
  readonly end: number;
  readonly base: number;
  /** The offset after its last. */
  readonly after: number;
  /** Null where nobody knows. */
  readonly count: number | null;
  /** Whether the checksum is right, or it is of a format without one that can be known. */
  readonly state: "sound" | "damaged" | "old";
  /** Why it can't be read, if that is known by the head. */
  readonly why: string;
}

/** The head at `at`; a text where it can't be known where the batch ends, in bytes or in offsets. */
export function headAt(bytes: Buffer, at: number, next: number, logEnd: number): Head | string {
  if (bytes.length - at < LENGTH_END + 5) return "its head is cut off";
  const length = bytes.readInt32BE(at + 8);
  const end = at + LENGTH_END + length;
  if (length < LEAST_LENGTH) return `it says that it is ${length} bytes long`;
  if (end > bytes.length) return `it says that it is ${length} bytes long, and ${bytes.length - at - LENGTH_END} came`;
  const base = offsetAt(bytes, at);
  const magic = bytes[at + 16]!;
  if (magic < 2) {
    const why = `message format ${magic}; only 2 (Kafka 0.11 and later) can be read`;
    if (!isBetween(base, 0, logEnd)) return why;
    // What holds others has the offset of the last of them.
    return { end, base: Math.min(next, base), after: base + 1, count: null, state: "old", why };
  }
  const whole = wholeHead(bytes, at, end, logEnd);
  if (typeof whole !== "string") return whole;
  // The head is not to be trusted; what follows says where it ends.
  const follower = end < bytes.length - HEAD_BYTES ? wholeHead(bytes, end, endOf(bytes, end), logEnd) : "";
  const claimed = base + bytes.readInt32BE(Math.min(at + 23, bytes.length - 4)) + 1;
  const isPlausible = magic === 2 && end - at >= HEAD_BYTES && base >= 0 && claimed > Math.max(base, next);
  if (typeof follower !== "string" && follower.base > next) {
    const after = isPlausible ? Math.min(claimed, follower.base) : follower.base;
    return { end, base: isBetween(base, 0, after) ? base : next, after, count: null, state: "damaged", why: whole };
  }
  if (!isPlausible || claimed !== logEnd) return whole;
  return { end, base, after: claimed, count: null, state: "damaged", why: whole };
}

/** The head of a batch whose checksum is right and whose offsets are possible; otherwise what is wrong with it. */
function wholeHead(bytes: Buffer, at: number, end: number, logEnd: number): Head | string {
  if (end > bytes.length || end - at < HEAD_BYTES) return "its head is cut off";
  const magic = bytes[at + 16];
  if (magic !== 2) return `message format ${magic} is unknown`;
  const expected = bytes.readUInt32BE(at + 17);
  const found = crc32c(bytes.subarray(at + 21, end));
  if (found !== expected) return `it is damaged: its checksum is ${found}, it says ${expected}`;
  const base = offsetAt(bytes, at);
  const after = base + bytes.readInt32BE(at + 23) + 1;
  if (base < 0 || after <= base || (logEnd >= 0 && after > logEnd)) {
    return `it says that it holds the offsets ${base} to ${after - 1}, in a log that ends at ${logEnd}`;
  }
  return { end, base, after, count: bytes.readInt32BE(at + 57), state: "sound", why: "" };
}

function endOf(bytes: Buffer, at: number): number {
  return at + LENGTH_END + bytes.readInt32BE(at + 8);
}

function isBetween(offset: number, from: number, to: number): boolean {
  return offset >= from && (to < 0 || offset < to);
}

/** The 64-bit integer at `at`, such as an offset or a time, as far as doubles are exact. */
export function offsetAt(bytes: Buffer, at: number): number {
  return Number(bytes.readBigInt64BE(at));
}
