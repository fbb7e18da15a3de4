/**
 * Recognises duplicates, by the rules of processor/pipeline/duplicates.ts: one of these for each partition. Ids lie in
 * segments, by the highest bits of their hash. A full segment drops what is forgotten, or is split in two: so the table
 * grows without a stop, and its memory follows the number of ids closely. Where its share of the memory is used up, or
 * memory is short, the oldest piece is forgotten early: events that may be its duplicates are unchecked.
 */
import { alloc, free, isShort, sizeOf } from "./memory";

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

/** A hash table of ids whose hashes begin with the same `depth` bits. Its entries follow. */
@unmanaged
class Segment {
  depth: u32 = 0;
  slots: u32 = 0;
  count: u32 = 0;
  /** Most entries; more would make searches long. */
  most: u32 = 0;
}

const ENTRIES: usize = 32;
/** Bytes of a partition's first segment, and of one that is split rather than enlarged: so much it may always take. */
const SMALLEST: usize = 32 * 1024;
const USUAL: usize = 128 * 1024;
/** A segment this deep is enlarged: it has copies of one id, which no split takes apart. */
const DEEPEST: u32 = 16;
const SPREAD_BITS: u64 = 16;
const WIDEST_SPREAD: u64 = 0xffff;
/** Largest timestamp that fits into an entry; no event can have a larger one. */
const LATEST_MS: f64 = 281_474_976_710_655;

/** The host reads `unchecked` by its place: see processor/kernel/duplicates.ts. */
@unmanaged
export class Duplicates {
  unchecked: i32 = 0;
  count: u32 = 0;
  /** The segments by the first `depth` bits of a hash. */
  directory: usize = 0;
  depth: u32 = 0;
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
  /** The last record that was passed. */
  last: f64 = 0;
  /** Bytes of its segments, and where they end to grow. */
  bytes: u64 = 0;
  most: u64 = 0;
}

const PIECE: usize = 16;

/** Lengths of pieces, in offsets: at least, of a wrong clock, and at most. Most bytes that it may take. */
export function newDuplicates(shortest: f64, wrong: f64, longest: f64, most: f64): Duplicates {
  const own = changetype<Duplicates>(alloc(offsetof<Duplicates>()));
  own.most = <u64>most;
  own.directory = alloc(4);
  store<u32>(own.directory, <u32>changetype<usize>(newSegment(own, 0, SMALLEST)));
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
  for (let n: u32 = 0; n < <u32>1 << own.depth;) {
    const segment = segmentAt(own, n);
    n += <u32>1 << (own.depth - segment.depth);
    free(changetype<usize>(segment));
  }
  free(own.directory);
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
  own.last = offset;
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
  if (own.pieceCount > KEPT + 1) forgetOldest(own);
}

function forgetOldest(own: Duplicates): void {
  own.pieceCount--;
  memory.copy(own.pieces, own.pieces + PIECE, <usize>own.pieceCount * PIECE);
  own.forgottenMs = load<i64>(own.pieces) * 60_000;
  own.oldest = own.begun + 1 - own.pieceCount;
}

function newSegment(own: Duplicates, depth: u32, bytes: usize): Segment {
  const segment = changetype<Segment>(alloc(bytes));
  own.bytes += bytes;
  segment.depth = depth;
  segment.slots = <u32>((bytes - ENTRIES) / ENTRY);
  segment.most = segment.slots / 4 * 3;
  return segment;
}

/** The first bits of a hash, as a number. */
@inline
function prefixOf(a: u32, bits: u32): u32 {
  return <u32>((<u64>a << bits) >> 32);
}

@inline
function segmentAt(own: Duplicates, place: u32): Segment {
  return changetype<Segment>(<usize>load<u32>(own.directory + (<usize>place << 2)));
}

@inline
function segmentOf(own: Duplicates, a: u32): Segment {
  return segmentAt(own, prefixOf(a, own.depth));
}

/** Where slot `n` lies; the one behind the last is the end. */
@inline
function slotAt(segment: Segment, n: u32): usize {
  return changetype<usize>(segment) + ENTRIES + <usize>n * ENTRY;
}

@inline
function slotOf(segment: Segment, a: u32): usize {
  return slotAt(segment, ((a & 0xffff) * segment.slots) >> 16);
}

@inline
function endOf(segment: Segment): usize {
  return slotAt(segment, segment.slots);
}

/** The slot behind `at`; the first follows the last. */
@inline
function next(segment: Segment, at: usize): usize {
  return at + ENTRY === endOf(segment) ? slotAt(segment, 0) : at + ENTRY;
}

/** Where an id is looked for first. */
@inline
export function entryAt(own: Duplicates, a: u32): usize {
  return slotOf(segmentOf(own, a), a);
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
  let segment = segmentOf(own, a);
  while (segment.count >= segment.most) {
    makeRoom(own, a, segment);
    segment = segmentOf(own, a);
  }
  const piece = own.begun;
  let isRepeated = false;
  let isHeld = false;
  let at = slotOf(segment, a);
  while (true) {
    const entry = changetype<Entry>(at);
    if (entry.piece === 0) {
      if (!isHeld) {
        own.count++;
        segment.count++;
        entry.a = a;
        entry.b = b;
        entry.c = c;
        entry.piece = piece;
        entry.times = <u64>time << SPREAD_BITS;
      }
      return isRepeated;
    }
    at = next(segment, at);
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

/**
 * Makes room in the full segment of a hash: drops what is forgotten, and splits or enlarges it if that isn't enough. If
 * memory is short, forgets a piece instead, after which it must be called again.
 */
function makeRoom(own: Duplicates, a: u32, full: Segment): void {
  const end = endOf(full);
  let alive: u32 = 0;
  for (let at = slotAt(full, 0); at < end; at += ENTRY) {
    const entry = changetype<Entry>(at);
    if (entry.piece >= own.oldest) alive++;
  }
  const bytes = sizeOf(changetype<usize>(full));
  const depth = full.depth;
  const isEnough = alive * 2 <= full.most;
  if (!isEnough && (isShort(bytes * 2) || (bytes >= USUAL && own.bytes + bytes > own.most))) {
    // The current piece is not forgotten, so what it has becomes one that can be.
    if (own.pieceCount <= 1) begin(own, own.minute, own.last);
    forgetOldest(own);
    return;
  }
  own.count -= full.count - alive;
  if (isEnough || bytes < USUAL || depth === DEEPEST) {
    const whole = newSegment(own, depth, isEnough ? bytes : bytes * 2);
    move(own, full, whole, whole);
    replace(own, a, depth, whole, whole);
  } else {
    if (depth === own.depth) deepen(own);
    const low = newSegment(own, depth + 1, USUAL);
    const high = newSegment(own, depth + 1, USUAL);
    move(own, full, low, high);
    replace(own, a, depth, low, high);
  }
  own.bytes -= bytes;
  free(changetype<usize>(full));
}

/** Copies the remembered ids of a segment to these two, by the first bit in which they may differ. */
function move(own: Duplicates, from: Segment, low: Segment, high: Segment): void {
  const end = endOf(from);
  for (let at = slotAt(from, 0); at < end; at += ENTRY) {
    const entry = changetype<Entry>(at);
    if (entry.piece < own.oldest) continue;
    const to = (entry.a << from.depth) >> 31 === 0 ? low : high;
    let place = slotOf(to, entry.a);
    while (changetype<Entry>(place).piece !== 0) place = next(to, place);
    memory.copy(place, at, ENTRY);
    to.count++;
  }
}

/** Puts two segments in place of the one of a hash, which has this depth. */
function replace(own: Duplicates, a: u32, depth: u32, low: Segment, high: Segment): void {
  const count = <u32>1 << (own.depth - depth);
  const place = prefixOf(a, depth) * count;
  for (let n: u32 = 0; n < count; n++) {
    const segment = n * 2 < count ? low : high;
    store<u32>(own.directory + (<usize>(place + n) << 2), <u32>changetype<usize>(segment));
  }
}

/** Doubles the directory. */
function deepen(own: Duplicates): void {
  const before = own.directory;
  const count = <usize>1 << own.depth;
  own.directory = alloc(count * 8);
  own.depth += 1;
  for (let n: usize = 0; n < count; n++) {
    const segment = load<u32>(before + (n << 2));
    store<u32>(own.directory + (n << 3), segment);
    store<u32>(own.directory + (n << 3), segment, 4);
  }
  free(before);
}
