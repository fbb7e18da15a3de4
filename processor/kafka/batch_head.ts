/**
 * Reads the header of a record batch (Kafka's message format 2) and checks how far it can be trusted.
 * @module
 */
import type { Buffer } from "node:buffer";
import { crc32c } from "../kernel/checksum.ts";

/** Bytes of a batch up to the end of its length field. */
const LENGTH_END = 12;
/** Bytes of a batch before its records. */
export const HEAD_BYTES = 61;
/** Smallest length of anything that Kafka ever wrote: a message of format 0 without key and value. */
const LEAST_LENGTH = 14;

/** The header of a batch. */
export interface Head {
  readonly end: number;
  readonly base: number;
  /** The offset after its last. */
  readonly after: number;
  /** Number of records; null if unknown. */
  readonly count: number | null;
  /** Epoch of the leader that wrote it; null if unknown. */
  readonly leaderEpoch: number | null;
  /** `sound`: the checksum is right. `old`: a format without a checksum that we can check. */
  readonly state: "sound" | "damaged" | "old";
  /** Why the batch can't be read, if its header shows it. */
  readonly why: string;
}

/** What the header of a batch does not tell that can't be trusted. */
const UNKNOWN = { count: null, leaderEpoch: null } as const;

/** The header at `at`; or a text if it is unknown where the batch ends, in bytes or in offsets. */
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
    // A message that wraps others has the offset of its last one.
    return { end, base: Math.min(next, base), after: base + 1, ...UNKNOWN, state: "old", why };
  }
  const whole = wholeHead(bytes, at, end, logEnd);
  if (typeof whole !== "string") return whole;
  // The header can't be trusted; the batch after it shows where it ends.
  const follower = end < bytes.length - HEAD_BYTES ? wholeHead(bytes, end, endOf(bytes, end), logEnd) : "";
  const claimed = base + bytes.readInt32BE(Math.min(at + 23, bytes.length - 4)) + 1;
  const isPlausible = magic === 2 && end - at >= HEAD_BYTES && base >= 0 && claimed > Math.max(base, next);
  if (typeof follower !== "string" && follower.base > next) {
    const after = isPlausible ? Math.min(claimed, follower.base) : follower.base;
    return { end, base: isBetween(base, 0, after) ? base : next, after, ...UNKNOWN, state: "damaged", why: whole };
  }
  if (!isPlausible || claimed !== logEnd) return whole;
  return { end, base, after: claimed, ...UNKNOWN, state: "damaged", why: whole };
}

/** The header of a batch with a correct checksum and possible offsets; otherwise what is wrong with it. */
function wholeHead(bytes: Buffer, at: number, end: number, logEnd: number): Head | string {
  if (end > bytes.length || end - at < HEAD_BYTES) return "its head is cut off";
  const magic = bytes[at + 16];
  if (magic !== 2) return `message format ${magic} is unknown`;
  const expected = bytes.readUInt32BE(at + 17);
  const found = crc32c(bytes.subarray(at + 21, end));
  if (found !== expected) return `it is damaged: its checksum is ${found}, it says ${expected}`;
  const base = offsetAt(bytes, at);
  const after = base + bytes.readInt32BE(at + 23) + 1;
  if (base < 0 || after <= base || after > endOfOffsets(logEnd)) {
    return `it says that it holds the offsets ${base} to ${after - 1}, in a log that ends at ${logEnd}`;
  }
  // The checksum does not cover it: the leader writes it into a batch that its producer has made.
  const leaderEpoch = bytes.readInt32BE(at + 12);
  return {
    end,
    base,
    after,
    count: bytes.readInt32BE(at + 57),
    leaderEpoch: leaderEpoch < 0 ? null : leaderEpoch,
    state: "sound",
    why: "",
  };
}

function endOf(bytes: Buffer, at: number): number {
  return at + LENGTH_END + bytes.readInt32BE(at + 8);
}

/** The largest offset that may be believed: where the log ends, or the largest that is exact, if that is unknown. */
function endOfOffsets(logEnd: number): number {
  return logEnd < 0 ? Number.MAX_SAFE_INTEGER : logEnd;
}

function isBetween(offset: number, from: number, to: number): boolean {
  return offset >= from && offset < endOfOffsets(to);
}

/** The 64-bit integer at `at`, such as an offset or a time, rounded to a double. */
export function offsetAt(bytes: Buffer, at: number): number {
  return Number(bytes.readBigInt64BE(at));
}
