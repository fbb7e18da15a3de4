/** What is known of the records that are looked at together, until they are written to columns. */
import { alloc } from "./memory";

/** Most records that are looked at together: few enough that what is known of them stays in the nearest cache. */
export const MOST: i32 = 64;

/** A record. The spans of its fields follow, each a start and an end. */
@unmanaged
export class Note {
  /** Fields with a value, as bits; 0 if the host must judge the record. */
  present: i32 = 0;
  /** Fields with a number, as bits. */
  numbers: i32 = 0;
  /** Event time, epoch milliseconds. */
  time: f64 = 0;
  /** Kafka timestamp of the record, negative if it has none; and that of the event, which is then its own time. */
  logTime: f64 = 0;
  kafkaTime: f64 = 0;
  offset: f64 = 0;
  /** In minor units; NaN if absent. */
  price: f64 = 0;
  quantity: f64 = 0;
  revenue: f64 = 0;
  /** Keyed hash of the `eventId`; all 0 without one. */
  idA: u32 = 0;
  idB: u32 = 0;
  idC: u32 = 0;
  userHash: u32 = 0;
  pageHash: u32 = 0;
  regionHash: u32 = 0;
  sessionHash: u32 = 0;
  device: i32 = 0;
  /** The page as reports group by it. */
  pageStart: usize = 0;
  pageLength: i32 = 0;

  @inline
  start(field: i32): usize {
    return <usize>load<u32>(changetype<usize>(this) + (field << 3), SPANS);
  }

  @inline
  end(field: i32): usize {
    return <usize>load<u32>(changetype<usize>(this) + (field << 3), SPANS + 4);
  }

  @inline
  length(field: i32): i32 {
    return <i32>(this.end(field) - this.start(field));
  }

  @inline
  has(field: i32): bool {
    return (this.present & (1 << field)) !== 0;
  }

  @inline
  isNumber(field: i32): bool {
    return (this.numbers & (1 << field)) !== 0;
  }

  @inline
  setSpan(field: i32, start: usize, end: usize): void {
    store<u32>(changetype<usize>(this) + (field << 3), <u32>start, SPANS);
    store<u32>(changetype<usize>(this) + (field << 3), <u32>end, SPANS + 4);
  }
}

const SPANS: usize = 128;
const SIZE: usize = 320;

let notes: usize = 0;

export function initNotes(): void {
  notes = alloc(<usize>MOST * SIZE);
}

@inline
export function note(n: i32): Note {
  return changetype<Note>(notes + <usize>n * SIZE);
}
