/**
 * Recognises duplicates: events whose id was seen within 10 minutes. The log alone decides.
 *
 * The log of a partition is cut into pieces, one per minute of its Kafka timestamps. Ids are remembered for the current
 * piece and the `KEPT_PIECES` before it, with the Kafka timestamps of their events. An event is a duplicate if one of
 * these timestamps is at most `WINDOW_MS` from its own.
 *
 * Timestamps may be wrong, so offsets limit a piece too:
 * - A piece has at least 512 offsets. A series of timestamps far ahead cannot push out what is remembered, and a clock
 *   that is an hour fast starts only one piece.
 * - A piece ends after 262,144 offsets if its minute is more than two ahead of the current records: the clock was wrong.
 *   Any piece ends after 2,097,152 offsets, which bounds the memory.
 *
 * So an event is compared with all events of its id within 10 minutes, with one exception: its timestamp lies less than
 * 10 minutes after a forgotten piece. That happens if timestamps are out of order by more than two minutes, if a
 * partition has more than 27 million events in twelve minutes, or if the kernel's memory for ids is full. Such events are
 * counted as unchecked.
 *
 * The record at which a piece begins decides alone about its minute. So reading the log again from the begin of the
 * oldest piece restores the memory exactly: a restart needs only that offset. A record without a timestamp is never a
 * duplicate and has none.
 * @module
 */
import type { DuplicateFinder, PieceLengths } from "../decode/decoder.ts";

/** How far apart the Kafka timestamps of two events of one id may lie for the second to be a duplicate. */
export const WINDOW_MS = 10 * 60_000;

/** Minutes by which timestamps may be out of order. */
const DISORDER_MINUTES = 2;

/** Remembered pieces besides the current one. */
export const KEPT_PIECES = WINDOW_MS / 60_000 + DISORDER_MINUTES;

/** Short enough to cost a slow partition little memory, and as long as a minute of 35,000 events/s. */
export const PIECE_LENGTHS: PieceLengths = { shortest: 512, wrong: 2 ** 18, longest: 2 ** 21 };

/** A piece of the log. */
interface Piece {
  /** Minute of its first record. */
  readonly minute: number;
  readonly offset: number;
}

/** The remembered ids of one partition. */
export class Duplicates implements DuplicateFinder {
  /** Remembered pieces, oldest first. */
  readonly #pieces: Piece[] = [];
  /** Number of the current piece. */
  #begun = 0;
  #current: Piece = { minute: -1, offset: -Infinity };
  /** End of what is forgotten, epoch milliseconds. */
  #forgottenMs = -Infinity;
  #unchecked = 0;
  readonly #ids = new Ids();
  readonly #lengths: PieceLengths;

  constructor(lengths = PIECE_LENGTHS) {
    this.#lengths = lengths;
  }

  /** Notes a record, event or not, in the order of the log. */
  pass(offset: number, kafkaTime: number): void {
    const { minute: current, offset: begin } = this.#current;
    const { shortest, wrong, longest } = this.#lengths;
    const length = offset - begin;
    if (length < shortest || kafkaTime < 0) return;
    const minute = Math.floor(kafkaTime / 60_000);
    const isOver = minute > current || length >= longest || length >= wrong && minute < current - DISORDER_MINUTES;
    if (isOver) this.#begin({ minute, offset });
  }

  /**
   * True if an event is a duplicate, by the three words of its id hash from index `at`. Call `pass` with its record first.
   */
  seen(hash: Int32Array, at: number, kafkaTime: number): boolean {
    if (kafkaTime < 0) return false;
    const isRepeated = this.#ids.put(hash[at]!, hash[at + 1]!, hash[at + 2]!, kafkaTime, this.#begun);
    if (!isRepeated && kafkaTime - WINDOW_MS < this.#forgottenMs) this.#unchecked++;
    return isRepeated;
  }

  /** Number of ids in memory, with forgotten ones that were not dropped yet. */
  get size(): number {
    return this.#ids.size;
  }

  /** Number of unchecked events since the last call. */
  takeUnchecked(): number {
    const unchecked = this.#unchecked;
    this.#unchecked = 0;
    return unchecked;
  }

  /** Offset from which reading restores the memory; `next` if it is empty. */
  replayFrom(next: number): number {
    return this.#pieces[0]?.offset ?? next;
  }

  #begin(piece: Piece): void {
    this.#current = piece;
    this.#begun++;
    this.#pieces.push(piece);
    if (this.#pieces.length <= KEPT_PIECES + 1) return;
    this.#pieces.shift();
    this.#forgottenMs = this.#pieces[0]!.minute * 60_000;
    this.#ids.forgetBefore(this.#begun - KEPT_PIECES);
  }
}

/** The arrays of a hash table of ids, all of one length. */
class Table {
  readonly a: Int32Array;
  readonly b: Int32Array;
  readonly c: Int32Array;
  /** Latest Kafka timestamp of the id in a piece, and how long before it the earliest was. */
  readonly last: Float64Array;
  readonly spread: Int32Array;
  /** Number of the piece; 0 marks a free entry. An id has an entry per piece. */
  readonly piece: Int32Array;

  constructor(capacity: number) {
    this.a = new Int32Array(capacity);
    this.b = new Int32Array(capacity);
    this.c = new Int32Array(capacity);
    this.last = new Float64Array(capacity);
    this.spread = new Int32Array(capacity);
    this.piece = new Int32Array(capacity);
  }
}

/** The table that was replaced last: most partitions move to one of the same size in turn. */
let spare: Table | null = null;

/** Widest range of timestamps in one entry, in milliseconds: it must fit into 31 bits. */
const WIDEST_SPREAD_MS = 2 ** 31 - 1;

/** Least capacity of a table with ids. */
const FEWEST_IDS = 64;

/** The table without ids; it is too small for any. */
const NO_IDS = new Table(1);

/** Hash table of ids with open addressing: 96 bits of a keyed hash, 28 bytes per id. */
class Ids {
  #table = NO_IDS;
  #count = 0;
  #oldest = 1;
  get size(): number {
    return this.#count;
  }

  /** Remembers an id; true if it was seen at most `WINDOW_MS` from `time`. */
  put(a: number, b: number, c: number, time: number, piece: number): boolean {
    if ((this.#count + 1) * 3 > this.#table.piece.length * 2) this.#rehash();
    const table = this.#table;
    const mask = table.piece.length - 1;
    let isRepeated = false;
    let isHeld = false;
    let at = a & mask;
    for (; table.piece[at]! > 0; at = (at + 1) & mask) {
      if (table.a[at] !== a || table.b[at] !== b || table.c[at] !== c || table.piece[at]! < this.#oldest) continue;
      const last = table.last[at]!;
      const first = last - table.spread[at]!;
      if (time > last + WINDOW_MS || time < first - WINDOW_MS) continue;
      isRepeated = true;
      // Any time between the two is within the window of one of them.
      if (isHeld || table.piece[at] !== piece) continue;
      const latest = Math.max(last, time);
      const spread = latest - Math.min(first, time);
      if (spread > WIDEST_SPREAD_MS) continue;
      table.last[at] = latest;
      table.spread[at] = spread;
      isHeld = true;
    }
    if (isHeld) return true;
    this.#count++;
    table.a[at] = a;
    table.b[at] = b;
    table.c[at] = c;
    table.last[at] = time;
    table.spread[at] = 0;
    table.piece[at] = piece;
    return isRepeated;
  }

  /** Forgets the ids of earlier pieces. */
  forgetBefore(piece: number): void {
    this.#oldest = piece;
  }

  /** Moves the remembered ids to a table of twice their number. */
  #rehash(): void {
    const from = this.#table;
    let alive = 0;
    for (let i = 0; i < from.piece.length; i++) if (from.piece[i]! >= this.#oldest) alive++;
    let capacity = FEWEST_IDS;
    while (capacity < alive * 2) capacity *= 2;
    const into = takenSpare(capacity) ?? new Table(capacity);
    for (let i = 0; i < from.piece.length; i++) {
      if (from.piece[i]! < this.#oldest) continue;
      let at = from.a[i]! & (capacity - 1);
      while (into.piece[at]! > 0) at = (at + 1) & (capacity - 1);
      into.a[at] = from.a[i]!;
      into.b[at] = from.b[i]!;
      into.c[at] = from.c[i]!;
      into.last[at] = from.last[i]!;
      into.spread[at] = from.spread[i]!;
      into.piece[at] = from.piece[i]!;
    }
    this.#count = alive;
    this.#table = into;
    if (from !== NO_IDS) spare = from;
  }
}

/** The spare table, emptied, if it has this size. */
function takenSpare(capacity: number): Table | null {
  const table = spare;
  if (table?.piece.length !== capacity) return null;
  spare = null;
  table.piece.fill(0);
  return table;
}
