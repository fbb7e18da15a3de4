/**
 * Poll, fold, commit. A pipeline turns records into deltas and commits them together with the offsets that they came
 * from; between commits it remembers nothing that a crash would lose.
 * @module
 */
import { Batch, dictionaries, ID_WORDS } from "../columns/batch.ts";
import { KeyedHash } from "../columns/keyed_hash.ts";
import { type Decoder, MOST_AHEAD } from "../decode/decoder.ts";
import { MAX_EVENT_BYTES } from "../event.ts";
import { type Advance, type Commit, type Position, PositionsMoved, type Sink, Unstorable } from "./commit.ts";
import { Duplicates, PIECE_LENGTHS, type PieceLengths } from "./duplicates.ts";
import type { Observer, Timing } from "./observer.ts";
import { Pending } from "./pending.ts";
import { Rebalanced, type Source, TopicChanged } from "./source.ts";
import { beginOf, type Gap, lengthOf, type Records, type Unreadable } from "../records.ts";
import type { View } from "../views/view.ts";

/** How much later than the largest event time of its partition an event may come without being late, in milliseconds. */
export const ALLOWED_DELAY_MS = 10_000;

/** Records in the first commit after a start or a pause; the next has twice as many, up to `commitRecords`. */
const FIRST_COMMIT_RECORDS = 4_096;

/** Records that are taken in at a stretch while a commit is under way, whose sink has more to send with every answer. */
const STRETCH_RECORDS = 1024;

/** What a pipeline is made of. */
export interface PipelineOptions {
  readonly source: Source;
  readonly sink: Sink;
  readonly views: readonly View[];
  readonly decoder: Decoder;
  /** Whether events are stored one by one, besides being counted. */
  readonly storeEvents: boolean;
  /** Milliseconds on a clock that only goes forward. */
  readonly now: () => number;
  /** Longest time that an event waits for its commit, in milliseconds. */
  readonly commitEveryMs: number;
  /** The same, once all that the log has is read, so that nothing more is to be had by waiting; without it, as above. */
  readonly commitSoonMs?: number;
  /** Most records in one commit. The first are smaller, so that there is soon something to be seen. */
  readonly commitRecords: number;
  /** Resolves once whatever waits for this thread has had its turn; without it, that waits until the next poll. */
  readonly yieldToEventLoop?: () => Promise<void>;
  readonly observer?: Observer;
  /** How the log is cut to remember ids; without it, `PIECE_LENGTHS`. */
  readonly pieces?: PieceLengths;
}

/** A partition as far as it has been read. */
interface Reading {
  /** Where the last commit, or the one under way, has taken the partition; null before its first. */
  from: number | null;
  next: number;
  /** How far the partition could be read when it was read last: its last stable offset. */
  stable: number;
  /** Where the source is to go on; null until it has shown where the log begins. */
  at: number | null;
  /** Where the partition was first read; null until it is known. */
  first: number | null;
  /** Records below this have been committed: they are read again only to remember their ids. */
  readonly replayUntil: number;
  readonly duplicates: Duplicates;
  largestTime: number | null;
  skipped: number;
  gap: Gap | null;
  /** The last record that was taken. */
  last: number;
  stored: number;
  duplicated: number;
  refused: number;
}

/** The record at which a commit ends. */
interface Place {
  readonly partition: number;
  readonly offset: number;
  /** Whether it is stored, and neither refused nor a duplicate. */
  readonly isStored: boolean;
}

/** A record that can't be stored, and why. */
interface Culprit {
  readonly partition: number;
  readonly offset: number;
  readonly why: string;
}

/** Poll, fold, commit. Holds no state that a crash would miss. */
export class Pipeline {
  readonly #options: PipelineOptions;
  #reading = new Map<number, Reading>();
  #pending: Pending;
  /** What served the last commit, and can serve the next. */
  #spare: Pending | null = null;
  /** When the first of what is to be committed was read; Infinity while there is nothing. */
  #sinceMs = Infinity;
  /** How many records the next commit is to have. */
  #goal: number;
  /** The commit under way: the next batch is read and folded meanwhile. Never rejects. */
  #underWay: Promise<void> | null = null;
  #failure: { readonly error: unknown } | null = null;
  /** Records that no commit can be made with: they are refused. */
  #culprits: readonly Culprit[] = [];
  /** Records still to be committed of those among which a culprit is looked for; until then, commits don't grow. */
  #suspects = 0;
  #started = false;
  /** Hashes under the sink's key. */
  readonly #keyed = new KeyedHash();
  /** The topic that is read. */
  #topicId: string | null = null;
  /** Of the ids of the records looked at ahead, the first words of their hashes. */
  readonly #ahead = new Int32Array(MOST_AHEAD);
  /** Where the time went since the last commit. */
  #readMs = 0;
  #decodeMs = 0;
  #oldest = Infinity;

  constructor(options: PipelineOptions) {
    this.#options = options;
    this.#pending = this.#nothing();
    this.#goal = Math.min(FIRST_COMMIT_RECORDS, options.commitRecords);
  }

  /**
   * Forgets everything uncommitted, and reads on from what the sink remembers.
   *
   * @throws {TopicChanged} if that is of another topic
   */
  async start(cause: unknown = null): Promise<void> {
    const { source, sink, observer, pieces = PIECE_LENGTHS } = this.#options;
    this.#started = false;
    await this.#underWay;
    this.#failure = null;
    this.#pending = this.#nothing();
    this.#sinceMs = Infinity;
    if (!(cause instanceof Unstorable)) this.#goal = Math.min(FIRST_COMMIT_RECORDS, this.#options.commitRecords);
    this.#readMs = this.#decodeMs = 0;
    this.#oldest = Infinity;
    this.#keyed.use(await sink.hashKey());
    const partitions = await source.assigned();
    const positions = await sink.positions(source.topic, partitions);
    this.#topicId = source.topicId();
    for (const { topicId } of positions.values()) this.#mustFollow(topicId);
    this.#reading = new Map(partitions.map((p) => [p, readingFrom(positions.get(p) ?? null, pieces)]));
    this.#culprits = this.#culprits.filter(({ partition, offset }) => offset >= (positions.get(partition)?.next ?? 0));
    source.seek(
      new Map(partitions.map((p) => [p, positions.get(p)?.replay ?? null])),
      new Map([...positions].map(([p, { next }]) => [p, next])),
    );
    this.#started = true;
    observer?.started?.(new Map(partitions.map((p) => [p, positions.get(p) ?? null])), cause);
  }

  /** One turn of the loop. The service is this until told to stop; tests call it by hand. */
  async step(): Promise<void> {
    try {
      if (!this.#started) await this.start();
      const dueInMs = Math.min(this.#options.commitEveryMs, this.#dueMs() - this.#options.now());
      // With a commit under way the next one has to wait for it, which is no reason to spin.
      const waitMs = Math.max(this.#underWay === null ? 0 : 20, dueInMs);
      let stretch = 0;
      for (const records of await this.#poll(waitMs)) {
        await this.#take(records);
        stretch += records.count;
        if (this.#underWay === null || stretch < STRETCH_RECORDS) continue;
        stretch = 0;
        await this.#options.yieldToEventLoop?.();
      }
      this.#throwFailure();
      if (this.#due() && this.#underWay === null) this.#commit();
    } catch (error) {
      this.#started = false;
      if (!(error instanceof PositionsMoved || error instanceof Rebalanced || error instanceof Unstorable)) throw error;
      await this.start(error);
    }
  }

  /** Commits what has been read, and waits until it is; if that fails, the next step starts again. */
  async flush(): Promise<void> {
    if (!this.#started) return;
    try {
      await this.#underWay;
      this.#throwFailure();
      if (this.#sinceMs < Infinity) this.#commit();
      await this.#underWay;
      this.#throwFailure();
    } catch (error) {
      this.#started = false;
      throw error;
    }
  }

  #mustFollow(followed: string | null): void {
    const found = this.#topicId;
    if (followed === null || found === null || followed === found) return;
    throw new TopicChanged({ kind: "recreated", topic: this.#options.source.topic, followed, found });
  }

  #nothing(): Pending {
    const { source, views, storeEvents, now } = this.#options;
    return new Pending(source.topic, this.#keyed, views, storeEvents, now);
  }

  async #poll(waitMs: number): Promise<readonly Records[]> {
    const { source, now } = this.#options;
    // With all of it read, waiting is nobody's work.
    if (this.#caughtUp()) return await source.poll(waitMs);
    const sinceMs = now();
    const all = await source.poll(waitMs);
    this.#readMs += now() - sinceMs;
    return all;
  }

  #due(): boolean {
    return this.#pending.records >= this.#goal || this.#pending.full || this.#options.now() >= this.#dueMs();
  }

  /** When what is pending is to be committed, however little it is. */
  #dueMs(): number {
    const { commitEveryMs, commitSoonMs = commitEveryMs } = this.#options;
    return this.#sinceMs + (this.#caughtUp() ? Math.min(commitSoonMs, commitEveryMs) : commitEveryMs);
  }

  #caughtUp(): boolean {
    for (const { next, stable } of this.#reading.values()) if (next < stable) return false;
    return true;
  }

  /** Takes records in, waiting for a commit whenever there are enough for one. */
  async #take(records: Records): Promise<void> {
    const reading = this.#reading.get(records.partition);
    if (reading === undefined) throw new Error(`partition ${records.partition} was read but not assigned`);
    // Told first: taking them in may have to wait for a commit, and how much waits with them is to be known meanwhile.
    this.#options.observer?.read?.(records.partition, reading.next, records.end);
    reading.stable = records.stable;
    await this.#pass(reading, records);
    if (records.unreadable !== undefined) await this.#refuseBatch(reading, records.unreadable, records.partition);
    let at = 0;
    while (at < records.count && records.offsets[at]! < reading.replayUntil) at = this.#replay(reading, records, at);
    const first = at;
    while (at < records.count) {
      try {
        at = this.#read(reading, records, at);
      } catch (error) {
        // Of what is pending, one can't be folded; without any, it is this one.
        const last = { partition: records.partition, offset: records.offsets[at]!, isStored: true };
        throw this.#blamed(error, this.#pending.records + 1, last);
      }
      if (at < records.count || this.#pending.records >= this.#goal) await this.#commitNow();
    }
    if (records.next > reading.next) {
      // The last of the run hold no records; that there are so many of them has been checked when it came.
      reading.skipped += records.next - reading.next;
      reading.next = records.next;
      this.#sinceMs = Math.min(this.#sinceMs, this.#options.now());
    }
    if (first < records.count) this.#options.observer?.decoded?.(records, first);
  }

  /** Checks that a run begins where the one before it ended, and passes the gap that it begins with. */
  async #pass(reading: Reading, records: Records): Promise<void> {
    const { partition, next, count, skipped, gap } = records;
    const from = beginOf(records);
    reading.at ??= from;
    if (from < reading.at) throw new Error(`offset ${from} of partition ${partition} was read twice`);
    if (from > reading.at || (gap !== null && gap.from !== from)) {
      throw new Error(
        `not conserved: reading partition ${partition} goes on at offset ${reading.at}, and the run up to ${next} has ` +
          `${count} records, ${skipped} offsets without one and a gap of ${lengthOf(gap)}; nothing of it is committed`,
      );
    }
    reading.at = next;
    if (reading.first === null) reading.first = reading.next = from;
    if (gap === null) return;
    if (gap.from < reading.replayUntil) {
      this.#options.observer?.forgot?.(partition, { from: gap.from, to: Math.min(gap.to, reading.replayUntil) });
    }
    if (gap.to <= reading.next) return;
    if (reading.gap !== null) {
      // A commit has one gap of a partition.
      await this.#commitNow();
    }
    reading.gap = { from: reading.next, to: gap.to };
    reading.next = gap.to;
    this.#sinceMs = Math.min(this.#sinceMs, this.#options.now());
  }

  /** Refuses a batch that can't be read, as one record, unless that has been committed. */
  async #refuseBatch(reading: Reading, { offset, to, detail, bytes }: Unreadable, partition: number): Promise<void> {
    const first = Math.max(offset, reading.next, reading.replayUntil);
    if (first >= to) return;
    if (this.#pending.records >= this.#goal || this.#pending.full) await this.#commitNow();
    this.#pending.refuse({
      reason: "unreadable_batch",
      field: null,
      detail,
      partition,
      offset: first,
      // Copied, for the bytes may be used again; `slice` would not copy a Buffer.
      payload: new Uint8Array(bytes.subarray(0, MAX_EVENT_BYTES)),
    });
    this.#pending.records++;
    reading.skipped += first - reading.next;
    reading.refused++;
    reading.last = first;
    reading.next = first + 1;
    this.#sinceMs = Math.min(this.#sinceMs, this.#options.now());
    if (this.#pending.records >= this.#goal) await this.#commitNow();
  }

  /** Sends off what is pending, once what is under way is through. */
  async #commitNow(): Promise<void> {
    await this.#underWay;
    this.#throwFailure();
    this.#commit();
  }

  /** Remembers the ids of records that have been committed before; returns where it stopped. */
  #replay(reading: Reading, records: Records, from: number): number {
    const scratch = new Batch(dictionaries(this.#options.source.topic, this.#keyed), 1);
    const until = Math.min(records.count, from + 1024);
    for (let i = from; i < until; i++) {
      if (records.offsets[i]! >= reading.replayUntil) return i;
      const refusal = this.#options.decoder.decode(records, i, scratch);
      reading.duplicates.pass(records.offsets[i]!, records.times[i]!);
      if (refusal === null) repeated(reading, scratch, records.times[i]!);
    }
    reading.duplicates.takeUnchecked();
    return until;
  }

  /** Stores, refuses or tells as duplicates as many records as the commit has room for; returns where it stopped. */
  #read(reading: Reading, records: Records, from: number): number {
    const { decoder, now } = this.#options;
    const pending = this.#pending;
    const goal = this.#goal;
    const sinceMs = now() - pending.foldMs;
    let i = from;
    for (; i < records.count && pending.records < goal && !pending.full; i++) {
      const offset = records.offsets[i]!;
      if (offset < reading.next) throw new Error(`offset ${offset} of partition ${records.partition} was read twice`);
      const { batch } = pending;
      const ahead = decoder.lookAhead?.(records, i, batch.words, this.#ahead) ?? 0;
      if (ahead > 0) reading.duplicates.touch(this.#ahead, ahead);
      const refusal = decoder.decode(records, i, batch);
      reading.duplicates.pass(offset, records.times[i]!);
      if (refusal !== null) {
        pending.refuse(refusal);
        reading.refused++;
      } else if (repeated(reading, batch, records.times[i]!)) {
        reading.duplicated++;
      } else if (this.#culprits.length > 0 && this.#isRefused(records, i)) {
        reading.refused++;
      } else {
        this.#store(reading, batch.time[batch.count]!);
      }
      pending.records++;
      reading.skipped += offset - reading.next;
      reading.next = offset + 1;
    }
    this.#spend(now() - pending.foldMs - sinceMs, records.times[from]!);
    if (i > from) reading.last = records.offsets[i - 1]!;
    if (i > from) this.#sinceMs = Math.min(this.#sinceMs, now());
    return i;
  }

  /** Counts the time of decoding records, the first of them with this timestamp. */
  #spend(decodeMs: number, kafkaTime: number): void {
    this.#decodeMs += decodeMs;
    if (kafkaTime >= 0) this.#oldest = Math.min(this.#oldest, kafkaTime);
  }

  #store(reading: Reading, time: number): void {
    const latest = reading.largestTime;
    if (latest === null || time > latest) reading.largestTime = time;
    else if (time < latest - ALLOWED_DELAY_MS) this.#options.observer?.late?.(latest - ALLOWED_DELAY_MS - time);
    this.#pending.store();
    reading.stored++;
  }

  /** Sends off what is pending. Nothing else may be under way: commits follow each other in the order of the log. */
  #commit(): void {
    const { source, storeEvents, now, observer } = this.#options;
    const pending = this.#pending;
    const sinceMs = now() - pending.foldMs;
    const last = this.#last();
    const { deltas, batches } = this.#finished(pending, last);
    observer?.onBatchReady?.({
      readMs: this.#readMs,
      decodeMs: this.#decodeMs,
      foldMs: pending.foldMs,
      encodeMs: now() - pending.foldMs - sinceMs,
      oldest: this.#oldest === Infinity ? null : this.#oldest,
    });
    this.#readMs = this.#decodeMs = 0;
    this.#oldest = Infinity;
    const commit: Commit = {
      topic: source.topic,
      topicId: this.#topicId,
      advances: this.#advances(),
      deltas: deltas.filter((delta) => delta.count > 0),
      events: storeEvents ? batches : null,
      refusals: pending.refusals,
    };
    assertConserved(commit, pending);
    const { times } = pending;
    const unchecked = this.#reading.values().reduce((sum, { duplicates }) => sum + duplicates.takeUnchecked(), 0);
    const waitedSinceMs = this.#sinceMs;
    this.#pending = this.#spare ?? this.#nothing();
    this.#spare = null;
    this.#sinceMs = Infinity;
    if (this.#suspects === 0) {
      this.#goal = Math.min(this.#caughtUp() ? FIRST_COMMIT_RECORDS : this.#goal * 2, this.#options.commitRecords);
    }
    this.#underWay = this.#apply(commit, waitedSinceMs, { times, unchecked }).then(() => {
      if (pending.isOversized) return;
      // Never after a failure: the sink may still be reading what it was given.
      pending.clear();
      this.#spare = pending;
    }, (error) => {
      this.#failure = { error: this.#blamed(error, pending.records, last) };
    }).finally(() => {
      this.#underWay = null;
    });
  }

  #finished(pending: Pending, last: Place): ReturnType<Pending["finish"]> {
    try {
      return pending.finish();
    } catch (error) {
      throw this.#blamed(error, pending.records, last);
    }
  }

  /** The record that was taken last, of those that are pending. */
  #last(): Place {
    for (const [partition, { last, stored, duplicated, refused }] of this.#reading) {
      if (stored + duplicated + refused > 0) return { partition, offset: last, isStored: stored > 0 };
    }
    return { partition: -1, offset: -1, isStored: false };
  }

  /**
   * What to do about an error that so many records have led to, where one of them is to blame: commits become half as
   * large until they have only one, and that one is refused.
   *
   * @param last the only one, where there is but one
   */
  #blamed(error: unknown, records: number, last: Place): unknown {
    const isTheirs = error instanceof Unstorable || error instanceof RangeError || error instanceof TypeError;
    if (!isTheirs || records === 0) return error;
    if (records > 1) {
      this.#suspects = records;
      this.#goal = Math.floor(records / 2);
    } else {
      const { partition, offset } = last;
      const where = `offset ${offset} of partition ${partition} of ${this.#options.source.topic}`;
      if (!last.isStored || this.#culprits.some((known) => known.partition === partition && known.offset === offset)) {
        return new Error(`${where} can't be stored, and not be refused either: ${error.message}`, { cause: error });
      }
      this.#culprits = [...this.#culprits, { partition, offset, why: error.message }];
      this.#suspects = 0;
      this.#goal = 1;
    }
    return error instanceof Unstorable ? error : new Unstorable(error.message, { cause: error });
  }

  /** Refuses record `i` if it is known that it can't be stored. */
  #isRefused(records: Records, i: number): boolean {
    const { partition } = records;
    const offset = records.offsets[i]!;
    const culprit = this.#culprits.find((known) => known.partition === partition && known.offset === offset);
    if (culprit === undefined) return false;
    // Copied, for the bytes may be used again; `slice` would not copy a Buffer.
    const payload = new Uint8Array(records.bytes.subarray(records.starts[i]!, records.ends[i]!));
    const detail = `it cannot be stored: ${culprit.why}`;
    this.#pending.refuse({ reason: "bad_value", field: null, detail, partition, offset, payload });
    return true;
  }

  async #apply(commit: Commit, sinceMs: number, about: Pick<Timing, "times" | "unchecked">): Promise<void> {
    const { source, sink, now, observer } = this.#options;
    const sentMs = now();
    await sink.commit(commit);
    this.#suspects = Math.max(0, this.#suspects - commit.advances.reduce((sum, { consumed }) => sum + consumed, 0));
    observer?.committed?.(commit, { waitedMs: sentMs - sinceMs, tookMs: now() - sentMs, ...about });
    try {
      await source.committed(new Map(commit.advances.map((advance) => [advance.partition, advance.next])));
    } catch (error) {
      observer?.groupCommitFailed?.(error);
    }
  }

  #advances(): Advance[] {
    const advances: Advance[] = [];
    for (const [partition, reading] of this.#reading) {
      const { from, next, largestTime, stored, duplicated: duplicates, refused, skipped, gap } = reading;
      const first = from ?? reading.first ?? next;
      if (next === first) continue;
      const watermark = largestTime === null ? null : largestTime - ALLOWED_DELAY_MS;
      const consumed = stored + duplicates + refused;
      const replay = reading.duplicates.replayFrom(next);
      const counts = { consumed, stored, duplicates, refused, skipped };
      advances.push({ partition, topicId: this.#topicId, from, first, next, replay, watermark, gap, ...counts });
      reading.from = next;
      reading.stored =
        reading.duplicated =
        reading.refused =
        reading.skipped =
          0;
      reading.gap = null;
    }
    return advances.sort((a, b) => a.partition - b.partition);
  }

  #throwFailure(): void {
    const failure = this.#failure;
    this.#failure = null;
    if (failure !== null) throw failure.error;
  }
}

/** True if the event at place `batch.count` repeats the id of an earlier one. */
function repeated({ duplicates }: Reading, batch: Batch, kafkaTime: number): boolean {
  const at = batch.count * ID_WORDS;
  const { idHash } = batch;
  // An event without an id has no hash, and is nobody's repetition.
  const hasId = (idHash[at]! | idHash[at + 1]! | idHash[at + 2]!) !== 0;
  return hasId && duplicates.seen(idHash, at, kafkaTime);
}

function readingFrom(position: Position | null, pieces: PieceLengths): Reading {
  return {
    from: position?.next ?? null,
    next: position?.next ?? 0,
    stable: 0,
    at: position?.replay ?? null,
    first: position?.next ?? null,
    replayUntil: position?.next ?? 0,
    duplicates: new Duplicates(pieces),
    last: -1,
    largestTime: position?.watermark == null ? null : position.watermark + ALLOWED_DELAY_MS,
    stored: 0,
    duplicated: 0,
    refused: 0,
    skipped: 0,
    gap: null,
  };
}

/** Our own mistakes must not be committed: what was taken from the log has to be in the commit, once. */
function assertConserved(commit: Commit, pending: Pending): void {
  for (const { partition, first, next, consumed, skipped, gap } of commit.advances) {
    if (next - first === consumed + skipped + lengthOf(gap)) continue;
    throw new Error(
      `not conserved: partition ${partition} moves from offset ${first} to ${next} with ${consumed} records consumed, ` +
        `${skipped} offsets skipped and ${lengthOf(gap)} in a gap; nothing of them is committed`,
    );
  }
  const sum = (of: (advance: Advance) => number) => commit.advances.reduce((total, advance) => total + of(advance), 0);
  const consumed = sum((advance) => advance.consumed);
  const stored = commit.events?.reduce((total, batch) => total + batch.count, 0) ?? pending.stored;
  const refused = commit.refusals.length;
  if (
    consumed === pending.records && sum((a) => a.stored) === stored && stored === pending.stored &&
    sum((a) => a.refused) === refused && consumed === stored + sum((a) => a.duplicates) + refused
  ) return;
  throw new Error(
    `not conserved: ${pending.records} records were read, ${stored} stored, ${refused} refused, ` +
      `${sum((a) => a.duplicates)} duplicates; nothing of them is committed`,
  );
}
