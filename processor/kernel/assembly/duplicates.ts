/** Recognises duplicates, by the rules of processor/pipeline/duplicates.ts: one of these for each partition. */
import { alloc, free } from "./memory";

const WINDOW_MS: i64 = 600_000;
const DISORDER_MINUTES: i64 = 2;
/** Remembered pieces besides the current one. */
const KEPT: i32 = 12;

/** An id in a piece of the log: 96 bits of its hash, and the Kafka timestamps of its events there. */
@unmanaged
class Entry {
  a: u32 = 0;
  b: u32 = 0;
  c: u32 = 0;
  /** Number of the piece; 0 if the entry is free. */
  piece: u32 = 0;
  /** Latest timestamp, and in the lowest 16 bits how long before it the earliest was. */
  times: u64 = 0;
}

const ENTRY: usize = 24;
const FEWEST: u32 = 1024;
const SPREAD_BITS: u64 = 16;
const WIDEST_SPREAD: u64 = 0xffff;
/** Largest timestamp that fits into an entry; no event can have a larger one. */
const LATEST_MS: f64 = 281_474_976_710_655;

/** The host reads `unchecked` by its place: see processor/kernel/duplicates.ts. */
@unmanaged
export class Duplicates {
  unchecked: i32 = 0;
  count: u32 = 0;
  table: usize = 0;
  mask: u32 = 0;
  /** Number of the current piece, and of the oldest that is remembered. */
  begun: u32 = 0;
  oldest: u32 = 1;
  /** The current piece. */
  minute: i64 = -1;
  offset: f64 = -Infinity;
  /** End of what is forgotten, epoch milliseconds. */
  forgottenMs: i64 = 0;
  shortest: f64 = 0;
  wrong: f64 = 0;
  longest: f64 = 0;
  /** Remembered pieces, oldest first: the minute and the first offset of each. */
  pieces: usize = 0;
  pieceCount: i32 = 0;
}

const PIECE: usize = 16;

/** Lengths of pieces, in offsets: at least, of a wrong clock, and at most. */
export function newDuplicates(shortest: f64, wrong: f64, longest: f64): Duplicates {
  const own = changetype<Duplicates>(alloc(offsetof<Duplicates>()));
  own.table = alloc(<usize>FEWEST * ENTRY);
  own.mask = FEWEST - 1;
  own.oldest = 1;
  own.minute = -1;
  own.offset = -Infinity;
  own.forgottenMs = i64.MIN_VALUE / 2;
  own.shortest = shortest;
  own.wrong = wrong;
  own.longest = longest;
  own.pieces = alloc(<usize>(KEPT + 2) * PIECE);
  return own;
}

export function freeDuplicates(own: Duplicates): void {
  free(own.table);
  free(own.pieces);
  free(changetype<usize>(own));
}

/** Offset from which reading restores what is remembered; `next` if that is nothing. */
export function replayFrom(own: Duplicates, next: f64): f64 {
  return own.pieceCount === 0 ? next : load<f64>(own.pieces, 8);
}

/** Notes a record, event or not, in the order of the log. */
@inline
export function pass(own: Duplicates, offset: f64, kafkaTime: f64): void {
  const length = offset - own.offset;
  if (length < own.shortest || kafkaTime < 0) return;
  const minute = <i64>Math.floor(kafkaTime / 60_000);
  if (
    minute > own.minute || length >= own.longest || (length >= own.wrong && minute < own.minute - DISORDER_MINUTES)
  ) begin(own, minute, offset);
}

function begin(own: Duplicates, minute: i64, offset: f64): void {
  own.minute = minute;
  own.offset = offset;
  own.begun++;
  const piece = own.pieces + <usize>own.pieceCount * PIECE;
  own.pieceCount += 1;
  store<i64>(piece, minute);
  store<f64>(piece, offset, 8);
  if (own.pieceCount <= KEPT + 1) return;
  own.pieceCount--;
  memory.copy(own.pieces, own.pieces + PIECE, <usize>own.pieceCount * PIECE);
  own.forgottenMs = load<i64>(own.pieces) * 60_000;
  own.oldest = own.begun - KEPT;
}

/** Where an id is looked for first. */
@inline
export function entryAt(own: Duplicates, a: u32): usize {
  return own.table + <usize>(a & own.mask) * ENTRY;
}

/** Remembers the id of an event; true if it is a duplicate. Call `pass` with its record first. */
@inline
export function isDuplicate(own: Duplicates, a: u32, b: u32, c: u32, kafkaTime: f64): bool {
  if (kafkaTime < 0) return false;
  const time = <i64>min(kafkaTime, LATEST_MS);
  const isRepeated = put(own, a, b, c, time);
  if (!isRepeated && time - WINDOW_MS < own.forgottenMs) own.unchecked++;
  return isRepeated;
}

@inline
function put(own: Duplicates, a: u32, b: u32, c: u32, time: i64): bool {
  if (own.count * 3 > (own.mask + 1) * 2) rehash(own);
  const piece = own.begun;
  let isRepeated = false;
  let isHeld = false;
  let place = a & own.mask;
  while (true) {
    const entry = changetype<Entry>(own.table + <usize>place * ENTRY);
    if (entry.piece === 0) {
      if (!isHeld) {
        own.count++;
        entry.a = a;
        entry.b = b;
        entry.c = c;
        entry.piece = piece;
        entry.times = <u64>time << SPREAD_BITS;
      }
      return isRepeated;
    }
    place = (place + 1) & own.mask;
    if (entry.a !== a || entry.b !== b || entry.c !== c || entry.piece < own.oldest) continue;
    const last = <i64>(entry.times >>> SPREAD_BITS);
    const first = last - <i64>(entry.times & WIDEST_SPREAD);
    if (time > last + WINDOW_MS || time < first - WINDOW_MS) continue;
    // Any time between the two is within the window of one of them.
    isRepeated = true;
    if (isHeld || entry.piece !== piece) continue;
    const latest = max(last, time);
    const spread = <u64>(latest - min(first, time));
    if (spread > WIDEST_SPREAD) continue;
    entry.times = (<u64>latest << SPREAD_BITS) | spread;
    isHeld = true;
  }
}

/** Moves the remembered ids to a table of twice their number. */
function rehash(own: Duplicates): void {
  const before = own.table;
  const end = before + <usize>(own.mask + 1) * ENTRY;
  let alive: u32 = 0;
  for (let at = before; at < end; at += ENTRY) {
    const entry = changetype<Entry>(at);
    if (entry.piece >= own.oldest) alive++;
  }
  let capacity = FEWEST;
  while (capacity < alive * 2) capacity *= 2;
  own.table = alloc(<usize>capacity * ENTRY);
  own.mask = capacity - 1;
  own.count = alive;
  for (let at = before; at < end; at += ENTRY) {
    const entry = changetype<Entry>(at);
    if (entry.piece < own.oldest) continue;
    let place = entry.a & own.mask;
    while (changetype<Entry>(own.table + <usize>place * ENTRY).piece !== 0) place = (place + 1) & own.mask;
    memory.copy(own.table + <usize>place * ENTRY, at, ENTRY);
  }
  free(before);
}
