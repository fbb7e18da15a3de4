/**
 * Tells the first event of an id from its repetitions, from the log alone.
 *
 * The log of a partition is cut into pieces: one for each minute that its clock, the Kafka timestamps, shows. Ids are
 * remembered for the current piece and the `KEPT_PIECES` before it, each with the Kafka timestamps at which it was seen;
 * an event is a duplicate if one of these is at most `WINDOW_MS` from its own.
 *
 * A timestamp may be wrong, so pieces go by the place in the log too:
 * - A piece has 512 offsets or more: timestamps far ahead, one after the other, can't push out what is remembered. A
 *   clock that is an hour fast begins one piece, and what came before is still remembered.
 * - A piece whose minute is more than two ahead of the records that come ends after 262,144 offsets: the clock is taken
 *   to have been wrong, and is set back. Any piece ends after 2,097,152, which bounds the memory.
 *
 * So an event is compared with all events of its id within 10 minutes, except where its timestamp is less than 10 minutes
 * after that of a piece that has been forgotten: where timestamps are out of order by more than two minutes, or a
 * partition has more than 27 million events in twelve minutes. These are counted.
 *
 * Every piece begins at a record that alone decides where the clock stands. So what is remembered at any offset can be
 * had again by reading the log from where the oldest piece began: that offset is all that a restart needs. A record
 * without a timestamp neither repeats one nor is repeated.
 * @module
 */
/** How far apart the Kafka timestamps of two events of one id may lie for the second to be a duplicate. */
export const WINDOW_MS = 10 * 60_000;

/** Minutes by which timestamps may go back before the clock is taken to have been wrong. */
const DISORDER_MINUTES = 2;

/** Pieces that are remembered besides the current one, at least a minute each. */
export const KEPT_PIECES = WINDOW_MS / 60_000 + DISORDER_MINUTES;

/** How long pieces are, in offsets. */
export interface PieceLengths {
  readonly shortest: number;
  /** Of one whose minute is ahead of the records that come. */
  readonly wrong: number;
  readonly longest: number;
}

/** Short enough that a slow partition costs little memory, and as long as a minute of 35,000 events a second. */
export const PIECE_LENGTHS: PieceLengths = { shortest: 512, wrong: 2 ** 18, longest: 2 ** 21 };

/** A piece of the log. */
interface Piece {
  /** Minute of the record that it begins with. */
  readonly minute: number;
  readonly offset: number;
}

/** What one partition remembers of the ids that went by. */
export class Duplicates {
  /** Those remembered, oldest first. */
  readonly #pieces: Piece[] = [];
  /** How many pieces were begun: the number of the current one. */
  #begun = 0;
  #current: Piece = { minute: -1, offset: -Infinity };
  /** The end of what is forgotten, epoch milliseconds: ids that were seen later are remembered. */
  #forgottenMs = -Infinity;
  #unchecked = 0;
  readonly #ids = new Ids();
  readonly #lengths: PieceLengths;

  constructor(lengths = PIECE_LENGTHS) {
    this.#lengths = lengths;
  }

  /** Takes note of a record, in the order of the log, whether it is an event or not. */
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
   * True if an event is a repetition, by the three words of the hash of its id that begin at `at`. Call `pass` with its
   * record first.
   */
  seen(hash: Int32Array, at: number, kafkaTime: number): boolean {
    if (kafkaTime < 0) return false;
    const isRepeated = this.#ids.put(hash[at]!, hash[at + 1]!, hash[at + 2]!, kafkaTime, this.#begun);
    if (!isRepeated && kafkaTime - WINDOW_MS < this.#forgottenMs) this.#unchecked++;
    return isRepeated;
  }

  /** Has what is known of ids, by the first words of their hashes, brought into the nearest memory. */
  touch(firsts: Int32Array, count: number): void {
    this.#ids.touch(firsts, count);
  }

  /** Ids held in memory, with those that are forgotten but whose place has not been needed yet. */
  get size(): number {
    return this.#ids.size;
  }

  /** How many events since it was asked last were not found to be repetitions, but may be of what has been forgotten. */
  takeUnchecked(): number {
    const unchecked = this.#unchecked;
    this.#unchecked = 0;
    return unchecked;
  }

  /** Where the log must be read again from to remember what is remembered now; `next` if nothing is. */
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

/** The arrays of a table of ids, of one length. */
class Table {
  readonly a: Int32Array;
  readonly b: Int32Array;
  readonly c: Int32Array;
  /** Largest Kafka timestamp of the id in a piece, and how much before it the smallest was: none is far from the next. */
  readonly last: Float64Array;
  readonly spread: Int32Array;
  /** Number of the piece; 0 marks a free place. An id seen in several pieces has a place for each. */
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

/** The table that was left last: every partition in turn moves to one of the same size, most of the time. */
let spare: Table | null = null;

/** Widest range of timestamps that one place holds, in milliseconds: it must fit 31 bits. */
const WIDEST_SPREAD_MS = 2 ** 31 - 1;

/** Ids by 96 bits of a keyed hash, in typed arrays of open addressing: 28 bytes an id. */
class Ids {
  #table = new Table(1024);
  #count = 0;
  #oldest = 1;
  /** Takes what was read for nothing else, so that it is read. */
  readonly #touched = new Int32Array(1);

  get size(): number {
    return this.#count;
  }

  /** Has the places of ids brought into the nearest memory: together they are waited for once. */
  touch(firsts: Int32Array, count: number): void {
    const { a, b, c, piece } = this.#table;
    const mask = piece.length - 1;
    let all = 0;
    for (let i = 0; i < count; i++) {
      const at = firsts[i]! & mask;
      all |= piece[at]! | a[at]! | b[at]! | c[at]!;
    }
    this.#touched[0] = all;
  }

  /** Remembers an id, and tells whether it has been seen no more than `WINDOW_MS` from `time`. */
  put(a: number, b: number, c: number, time: number, piece: number): boolean {
    if (this.#count * 3 > this.#table.piece.length * 2) this.#rehash();
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
      // Within the window of one that is held, so that any time between is within the window of either.
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

  /** Ids of earlier pieces are as good as never seen. */
  forgetBefore(piece: number): void {
    this.#oldest = piece;
  }

  /** Drops what is forgotten, into a table with room to spare. */
  #rehash(): void {
    const from = this.#table;
    let alive = 0;
    for (let i = 0; i < from.piece.length; i++) if (from.piece[i]! >= this.#oldest) alive++;
    let capacity = 1024;
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
    spare = from;
  }
}

/** The spare table, emptied, if it is of this size. */
function takenSpare(capacity: number): Table | null {
  const table = spare;
  if (table?.piece.length !== capacity) return null;
  spare = null;
  table.piece.fill(0);
  return table;
}
