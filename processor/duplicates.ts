/**
 * Tells the first event of an id from its repetitions, from the log alone.
 *
 * A partition's log time is the largest Kafka timestamp so far; it is cut into minutes. Of each id, the largest Kafka
 * timestamp in each of the last `KEPT_MINUTES` minutes of log time is remembered, and an event is a duplicate if one of
 * these is at most `WINDOW_MS` from its own. So what is remembered at any offset can be had again by reading the log from
 * where the oldest of those minutes began: that offset is all that a restart needs. Where timestamps are out of order by
 * up to two minutes, this is the same as comparing with every earlier event of the id. A record without a timestamp
 * neither repeats one nor is repeated.
 * @module
 */
/** How far apart the Kafka timestamps of two events of one id may lie for the second to be a duplicate. */
export const WINDOW_MS = 10 * 60_000;

/** Minutes of log time that are remembered: the window, and two for timestamps that are out of order. */
export const KEPT_MINUTES = 12;

/** What one partition remembers of the ids that went by. */
export class Duplicates {
  /** Where each remembered minute of log time began, oldest first. */
  readonly #minutes: { readonly minute: number; readonly offset: number }[] = [];
  #logTime = -1;
  readonly #ids = new Ids();

  /** Takes note of a record, in the order of the log, whether it is an event or not. */
  pass(offset: number, kafkaTime: number): void {
    if (kafkaTime <= this.#logTime) return;
    this.#logTime = kafkaTime;
    const minute = minuteOf(kafkaTime);
    if (minute === this.#minutes.at(-1)?.minute) return;
    this.#minutes.push({ minute, offset });
    while (this.#minutes[0]!.minute < minute - KEPT_MINUTES) this.#minutes.shift();
    this.#ids.forgetBefore(minute - KEPT_MINUTES);
  }

  /** True if an event is a repetition, by the halves of the hash of its id. Call `pass` with its record first. */
  seen(high: number, low: number, kafkaTime: number): boolean {
    return kafkaTime >= 0 && this.#ids.put(high, low, kafkaTime, minuteOf(this.#logTime));
  }

  /** Has what is known of ids of these hashes, by their lower halves, brought into the nearest memory. */
  touch(lows: Int32Array, count: number): void {
    this.#ids.touch(lows, count);
  }

  /** Ids held in memory, with those that are forgotten but whose room has not been needed yet. */
  get size(): number {
    return this.#ids.size;
  }

  /** Where the log must be read again from to remember what is remembered now; `next` if nothing is. */
  replayFrom(next: number): number {
    return this.#minutes[0]?.offset ?? next;
  }
}

/** The minute of a time; the last one that fits stands for all later ones. */
function minuteOf(time: number): number {
  return Math.min(Math.floor(Math.max(0, time) / 60_000), 0x7fffffff);
}

/** The arrays of a table of ids, of one length. */
class Table {
  readonly high: Int32Array;
  readonly low: Int32Array;
  /** Largest Kafka timestamp of the id in that minute. */
  readonly time: Float64Array;
  /** Minute of log time; -1 marks a free place. An id seen in several minutes has a place for each. */
  readonly minute: Int32Array;

  constructor(capacity: number) {
    this.high = new Int32Array(capacity);
    this.low = new Int32Array(capacity);
    this.time = new Float64Array(capacity);
    this.minute = new Int32Array(capacity).fill(-1);
  }
}

/** The table that was left last: every partition in turn moves to one of the same size, most of the time. */
let spare: Table | null = null;

/**
 * Ids by a 64-bit hash, in typed arrays of open addressing: 20 bytes an id, where a `Map` of strings takes a hundred
 * and more. Two of 10 million different ids are taken for one with a probability of 1 in 400,000.
 */
class Ids {
  #table = new Table(1024);
  #count = 0;
  #oldest = 0;
  /** Takes what was read for nothing else, so that it is read. */
  readonly #touched = new Int32Array(1);

  get size(): number {
    return this.#count;
  }

  /** Has the places of ids brought into the nearest memory: together they are waited for once. */
  touch(lows: Int32Array, count: number): void {
    const { high, low, minute } = this.#table;
    const mask = minute.length - 1;
    let all = 0;
    for (let i = 0; i < count; i++) {
      const at = lows[i]! & mask;
      all |= minute[at]! | low[at]! | high[at]!;
    }
    this.#touched[0] = all;
  }

  /** Remembers an id, and tells whether it has been seen no more than `WINDOW_MS` from `time`. */
  put(high: number, low: number, time: number, minute: number): boolean {
    if (this.#count * 3 > this.#table.minute.length * 2) this.#rehash();
    const table = this.#table;
    const mask = table.minute.length - 1;
    let repeated = false;
    let mine = -1;
    let at = low & mask;
    for (; table.minute[at]! >= 0; at = (at + 1) & mask) {
      if (table.low[at] !== low || table.high[at] !== high || table.minute[at]! < this.#oldest) continue;
      repeated ||= Math.abs(time - table.time[at]!) <= WINDOW_MS;
      if (table.minute[at] === minute) mine = at;
    }
    if (mine >= 0) {
      table.time[mine] = Math.max(time, table.time[mine]!);
      return repeated;
    }
    this.#count++;
    table.high[at] = high;
    table.low[at] = low;
    table.time[at] = time;
    table.minute[at] = minute;
    return repeated;
  }

  /** Ids last seen in an earlier minute are as good as never seen. */
  forgetBefore(minute: number): void {
    this.#oldest = Math.max(0, minute);
  }

  /** Drops what is forgotten, into a table with room to spare. */
  #rehash(): void {
    const from = this.#table;
    let alive = 0;
    for (let i = 0; i < from.minute.length; i++) if (from.minute[i]! >= this.#oldest) alive++;
    let capacity = 1024;
    while (capacity < alive * 2) capacity *= 2;
    const into = takenSpare(capacity) ?? new Table(capacity);
    for (let i = 0; i < from.minute.length; i++) {
      if (from.minute[i]! < this.#oldest) continue;
      let at = from.low[i]! & (capacity - 1);
      while (into.minute[at]! >= 0) at = (at + 1) & (capacity - 1);
      into.high[at] = from.high[i]!;
      into.low[at] = from.low[i]!;
      into.time[at] = from.time[i]!;
      into.minute[at] = from.minute[i]!;
    }
    this.#count = alive;
    this.#table = into;
    spare = from;
  }
}

/** The spare table, emptied, if it is of this size. */
function takenSpare(capacity: number): Table | null {
  const table = spare;
  if (table?.minute.length !== capacity) return null;
  spare = null;
  table.minute.fill(-1);
  return table;
}
