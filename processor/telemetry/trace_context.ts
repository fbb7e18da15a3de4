/**
 * Reads W3C trace context (`traceparent`, `tracestate`) from the headers of a Kafka record.
 * @module
 */
import type { Records } from "../records.ts";

/** The trace that a record belongs to. */
export interface TraceContext {
  readonly traceId: string;
  readonly spanId: string;
  /** Null without a valid `tracestate`. */
  readonly state: string | null;
}

/** Most headers of a record that are looked at. */
const MOST_HEADERS = 32;

/** Longest `traceparent` of a later version that is read, and longest `tracestate`, in bytes. */
const MOST_PARENT_BYTES = 128;
const MOST_STATE_BYTES = 512;

const PARENT_BYTES = 55;
const PARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-|$)/;
const NO_ID = /^0+$/;
const SAMPLED = 1;

const ascii = new TextEncoder();
const NAME_PARENT = ascii.encode("traceparent");
const NAME_STATE = ascii.encode("tracestate");

/**
 * The trace of record `i`; null without one, or if its producer did not keep it. The headers of a record follow its
 * value. Their lengths are not to be trusted: what is read is bounded, and counts only if it is a valid `traceparent`.
 */
export function traceContextOf({ bytes, starts, ends }: Records, i: number): TraceContext | null {
  // A record without a value has an end of -1, and its headers where the value would start.
  const at = ends[i]! < 0 ? starts[i]! : ends[i]!;
  const cursor = new Cursor(bytes, at);
  const count = Math.min(cursor.varint(), MOST_HEADERS);
  let parent: string | null = null;
  let state: string | null = null;
  for (let n = 0; n < count; n++) {
    const name = cursor.span(cursor.varint());
    const value = cursor.span(cursor.varint());
    if (cursor.failed) return null;
    if (isAt(bytes, name, NAME_PARENT)) parent = textOf(bytes, value, MOST_PARENT_BYTES);
    else if (isAt(bytes, name, NAME_STATE)) state = textOf(bytes, value, MOST_STATE_BYTES);
  }
  return parent === null ? null : contextOf(parent, state);
}

function contextOf(parent: string, state: string | null): TraceContext | null {
  const [, version, traceId = "", spanId = "", flags = "", end] = PARENT.exec(parent) ?? [];
  if (version === undefined || version === "ff" || NO_ID.test(traceId) || NO_ID.test(spanId)) return null;
  if (version === "00" ? parent.length !== PARENT_BYTES : end === "" && parent.length !== PARENT_BYTES) return null;
  if ((parseInt(flags, 16) & SAMPLED) === 0) return null;
  return { traceId, spanId, state: state === null || !/^[ -~]+$/.test(state) ? null : state };
}

/** Where a text lies in the bytes. */
interface Span {
  readonly from: number;
  readonly to: number;
}

function isAt(bytes: Uint8Array, { from, to }: Span, name: Uint8Array): boolean {
  if (to - from !== name.length) return false;
  for (let n = 0; n < name.length; n++) if (bytes[from + n] !== name[n]) return false;
  return true;
}

function textOf(bytes: Uint8Array, { from, to }: Span, most: number): string | null {
  if (to - from > most) return null;
  return String.fromCharCode(...bytes.subarray(from, to));
}

/** Reads numbers of variable length, and skips texts. */
class Cursor {
  readonly #bytes: Uint8Array;
  #at: number;
  /** True once something went beyond the bytes. */
  failed = false;

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes;
    this.#at = at;
  }

  /** A zig-zag integer of up to 32 bits. */
  varint(): number {
    let value = 0;
    for (let shift = 0; shift <= 28; shift += 7) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) break;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return (value >>> 1) ^ -(value & 1);
    }
    this.failed = true;
    return 0;
  }

  /** The next so many bytes; a negative number stands for none. */
  span(length: number): Span {
    const from = this.#at;
    const to = from + Math.max(0, length);
    if (to > this.#bytes.length) this.failed = true;
    this.#at = Math.min(to, this.#bytes.length);
    return { from, to: this.#at };
  }
}
