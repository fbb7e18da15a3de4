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

/**
 * Ids by a 64-bit hash, in typed arrays of open addressing: 20 bytes an id, where a `Map` of strings takes a hundred
 * and more. Two of 10 million different ids are taken for one with a probability of 1 in 400,000.
 */
class Ids {
  #high = new Int32Array(1024);
  #low = new Int32Array(1024);
  /** Largest Kafka timestamp of the id in that minute. */
  #time = new Float64Array(1024);
  /** Minute of log time; -1 marks a free place. An id seen in several minutes has a place for each. */
  #minute = new Int32Array(1024).fill(-1);
  #count = 0;
  #oldest = 0;

  get size(): number {
    return this.#count;
  }

  /** Remembers an id, and tells whether it has been seen no more than `WINDOW_MS` from `time`. */
  put(high: number, low: number, time: number, minute: number): boolean {
    if (this.#count * 3 > this.#minute.length * 2) this.#rehash();
    const mask = this.#minute.length - 1;
    let repeated = false;
    let mine = -1;
    let at = low & mask;
    for (; this.#minute[at]! >= 0; at = (at + 1) & mask) {
      if (this.#low[at] !== low || this.#high[at] !== high || this.#minute[at]! < this.#oldest) continue;
      repeated ||= Math.abs(time - this.#time[at]!) <= WINDOW_MS;
      if (this.#minute[at] === minute) mine = at;
    }
    if (mine >= 0) {
      this.#time[mine] = Math.max(time, this.#time[mine]!);
      return repeated;
    }
    this.#count++;
    this.#high[at] = high;
    this.#low[at] = low;
    this.#time[at] = time;
    this.#minute[at] = minute;
    return repeated;
  }

  /** Ids last seen in an earlier minute are as good as never seen. */
  forgetBefore(minute: number): void {
    this.#oldest = Math.max(0, minute);
  }

  /** Drops what is forgotten, into a table with room to spare. */
  #rehash(): void {
    const [highs, lows, times, minutes] = [this.#high, this.#low, this.#time, this.#minute];
    const alive = minutes.reduce((n, minute) => minute >= this.#oldest ? n + 1 : n, 0);
    let capacity = 1024;
    while (capacity < alive * 2) capacity *= 2;
    this.#high = new Int32Array(capacity);
    this.#low = new Int32Array(capacity);
    this.#time = new Float64Array(capacity);
    this.#minute = new Int32Array(capacity).fill(-1);
    this.#count = alive;
    for (let i = 0; i < minutes.length; i++) {
      if (minutes[i]! < this.#oldest) continue;
      let at = lows[i]! & (capacity - 1);
      while (this.#minute[at]! >= 0) at = (at + 1) & (capacity - 1);
      this.#high[at] = highs[i]!;
      this.#low[at] = lows[i]!;
      this.#time[at] = times[i]!;
      this.#minute[at] = minutes[i]!;
    }
  }
}
