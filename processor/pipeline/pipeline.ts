/**
 * Poll, fold, commit. A pipeline turns records into deltas and commits them together with the offsets that they came
 * from; between commits it remembers nothing that a crash would lose.
 * @module
 */
import { Batch, clear, dictionaries } from "../columns/batch.ts";
import { KeyedHash } from "../columns/keyed_hash.ts";
import type { Conversion } from "../currency.ts";
import type { Decoder, PieceLengths, RunDecoder } from "../decode/decoder.ts";
import { MAX_EVENT_BYTES } from "../event.ts";
import type { RetryableError } from "./causes.ts";
import { type Advance, type Commit, PositionsMoved, type Sink, Unstorable } from "./commit.ts";
import { CommitSize, type Taken } from "./commit_size.ts";
import { assertConserved } from "./conservation.ts";
import { Duplicates, PIECE_LENGTHS } from "./duplicates.ts";
import { type Observer, SpentTime, type Timing } from "./observer.ts";
import { Pending } from "./pending.ts";
import { Intake } from "./intake.ts";
import { Reading } from "./reading.ts";
import { Rebalanced, type Source, TopicChanged } from "./source.ts";
import type { Records, Unreadable } from "../records.ts";
import type { View } from "../views/view.ts";

/** Records between two yields to the event loop while a commit is in flight, which continues with every answer. */
const STRETCH_RECORDS = 1024;

/** What a pipeline is made of. */
export interface PipelineOptions {
  readonly source: Source;
  readonly sink: Sink;
  readonly views: readonly View[];
  readonly decoder: Decoder;
  /** Whether raw events are stored, besides being counted. */
  readonly storeEvents: boolean;
  /** Converts purchases to the shop's currency; without it, each counts as it was sent. */
  readonly conversion?: Conversion | undefined;
  /** Monotonic clock, in milliseconds. */
  readonly now: () => number;
  /** Longest time that an event waits for its commit, in milliseconds. */
  readonly commitEveryMs: number;
  /** The same once the log is read to its end (default: `commitEveryMs`). */
  readonly commitSoonMs?: number;
  /** Most records in one commit. The first commits are smaller, so that rows show up soon. */
  readonly commitRecords: number;
  /** Bytes of texts and refused payloads after which a commit is full, however few records it has (default: none). */
  readonly commitTextBytes?: number;
  /** Lets pending I/O of this thread proceed (default: not before the next poll). */
  readonly yieldToEventLoop?: () => Promise<void>;
  readonly observer?: Observer;
  /** Lengths of the pieces of the log whose ids are remembered (default: `PIECE_LENGTHS`). */
  readonly pieces?: PieceLengths;
}

/** Poll, fold, commit. Holds no state that a crash would lose. */
export class Pipeline {
  readonly #options: PipelineOptions;
  #reading = new Map<number, Reading>();
  #pending: Pending;
  /** Memory of the last commit, to be reused. */
  #spare: Pending | null = null;
  /** When the first pending record was read; Infinity while there is none. */
  #sinceMs = Infinity;
  #size: CommitSize;
  #intake: Intake;
  #runs: RunDecoder | undefined;
  /** The commit in flight; the next one is read and folded meanwhile. Never rejects. */
  #underWay: Promise<void> | null = null;
  #failure: { readonly error: unknown } | null = null;
  #started = false;
  /** Hashes under the sink's key. */
  readonly #keyed = new KeyedHash();
  /** Id of the topic that is read. */
  #topicId: string | null = null;
  /** How many positions had been replaced by `adopt-topic` when reading began. */
  #adoptions = 0;
  readonly #spent = new SpentTime();
  /** For replayed events; null while there are none. */
  #scratch: Batch | null = null;

  constructor(options: PipelineOptions) {
    this.#options = options;
    this.#pending = this.#nothing();
    this.#size = new CommitSize(options.commitRecords);
    this.#intake = new Intake(options.decoder);
  }

  /**
   * Drops everything uncommitted and reads on from the positions of the sink.
   *
   * @throws {TopicChanged} if they belong to another topic
   */
  async start(cause: RetryableError | null = null): Promise<void> {
    const { source, sink, observer, decoder, pieces = PIECE_LENGTHS } = this.#options;
    this.#started = false;
    await this.#underWay;
    this.#failure = null;
    this.#runs = decoder.begin?.();
    this.#intake = new Intake(decoder, this.#runs, observer);
    this.#spare = null;
    this.#pending = this.#nothing();
    this.#sinceMs = Infinity;
    this.#spent.clear();
    this.#keyed.use(await sink.hashKey());
    const partitions = await source.assigned();
    const { adoptions, byPartition: positions } = await sink.positions(source.topic, partitions);
    this.#adoptions = adoptions;
    const topicId = source.topicId();
    // What is known of a record of another topic says nothing about this one.
    if (topicId !== this.#topicId) this.#size = new CommitSize(this.#options.commitRecords);
    this.#topicId = topicId;
    for (const { topicId } of positions.values()) this.#mustFollow(topicId);
    const runs = this.#runs;
    this.#reading = new Map(partitions.map((p) => {
      const duplicates = runs?.duplicates(pieces, partitions.length) ?? new Duplicates(pieces);
      return [p, new Reading(p, positions.get(p) ?? null, duplicates, runs)];
    }));
    this.#size.restart(cause, (partition) => positions.get(partition)?.next ?? 0);
    source.seek(new Map(partitions.map((p) => [p, positions.get(p)?.replay ?? null])), positions);
    this.#started = true;
    observer?.started?.(new Map(partitions.map((p) => [p, positions.get(p) ?? null])), cause);
  }

  /** Bytes of memory outside the heap that the decoder has taken. */
  get decoderBytes(): number {
    return this.#runs?.takenBytes ?? 0;
  }

  /** One turn of the loop: poll, fold, and commit if it is due. */
  async step(): Promise<void> {
    try {
      if (!this.#started) await this.start();
      const dueInMs = Math.min(this.#options.commitEveryMs, this.#dueMs() - this.#options.now());
      // The next commit has to wait for the one in flight: do not spin meanwhile.
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

  /** Commits what has been read and waits for it; if that fails, the next step starts again. */
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
    const { source, views, storeEvents, conversion, now } = this.#options;
    const { commitTextBytes: mostTextBytes = Infinity } = this.#options;
    return new Pending({
      ...{ topic: source.topic, keyed: this.#keyed, views, storeEvents, conversion, now },
      ...{ runs: this.#runs, mostTextBytes },
    });
  }

  async #poll(waitMs: number): Promise<readonly Records[]> {
    const { source, now } = this.#options;
    // Idle time is not counted as read time.
    if (this.#caughtUp()) return await source.poll(waitMs);
    const sinceMs = now();
    const all = await source.poll(waitMs);
    this.#spent.readMs += now() - sinceMs;
    return all;
  }

  #due(): boolean {
    return this.#pending.records >= this.#size.goal || this.#pending.full || this.#options.now() >= this.#dueMs();
  }

  /** When pending records are due for a commit, however few they are. */
  #dueMs(): number {
    const { commitEveryMs, commitSoonMs = commitEveryMs } = this.#options;
    return this.#sinceMs + (this.#caughtUp() ? Math.min(commitSoonMs, commitEveryMs) : commitEveryMs);
  }

  #caughtUp(): boolean {
    for (const { next, stable } of this.#reading.values()) if (next < stable) return false;
    return true;
  }

  /** Reads a run of records, and commits whenever there are enough. */
  async #take(records: Records): Promise<void> {
    const reading = this.#reading.get(records.partition);
    if (reading === undefined) throw new Error(`partition ${records.partition} was read but not assigned`);
    // Reported first: reading may have to wait for a commit, and the lag should be known meanwhile.
    this.#options.observer?.read?.(records.partition, reading.next, records.end);
    reading.stable = records.stable;
    await this.#pass(reading, records);
    if (records.unreadable !== undefined) await this.#refuseBatch(reading, records.unreadable, records);
    let at = 0;
    while (reading.isReplayed(records, at)) {
      const scratch = this.#scratch ??= new Batch(dictionaries(this.#options.source.topic, this.#keyed), 1);
      at = reading.replay(this.#options.decoder, records, at, scratch);
      clear(scratch.words);
    }
    // Its texts are not kept when there is nothing more to replay.
    if (at < records.count) this.#scratch = null;
    const first = at;
    while (at < records.count) {
      try {
        at = this.#read(reading, records, at);
      } catch (error) {
        // One of the pending records cannot be folded; if there is none, it is this one.
        const { topic } = this.#options.source;
        const { partition, leaderEpoch } = records;
        const last = { topic, partition, offset: records.offsets[at]!, leaderEpoch, isStored: true };
        throw this.#size.blame(error, this.#pending.records + 1, last);
      }
      if (at < records.count || this.#pending.records >= this.#size.goal) await this.#commitNow();
    }
    if (records.next > reading.next) {
      // The last offsets of the run have no records; `reach` has checked their number.
      reading.skipped += records.next - reading.next;
      reading.moveTo(records.next, records);
      this.#sinceMs = Math.min(this.#sinceMs, this.#options.now());
    }
    if (first < records.count) this.#options.observer?.decoded?.(records, first);
  }

  /** Accounts for the gap at the start of a run. */
  async #pass(reading: Reading, records: Records): Promise<void> {
    reading.reach(records);
    const { partition, gap } = records;
    if (gap === null) return;
    if (gap.from < reading.replayUntil) {
      this.#options.observer?.forgot?.(partition, { from: gap.from, to: Math.min(gap.to, reading.replayUntil) });
    }
    if (gap.to <= reading.next) return;
    if (reading.gap !== null) {
      // A commit has at most one gap per partition.
      await this.#commitNow();
    }
    reading.gap = { from: reading.next, to: gap.to };
    // Nothing is known of the record before it.
    reading.moveTo(gap.to, { leaderEpoch: null });
    this.#sinceMs = Math.min(this.#sinceMs, this.#options.now());
  }

  /** Refuses an unreadable batch as one record, unless it was committed before. */
  async #refuseBatch(reading: Reading, { offset, to, detail, bytes }: Unreadable, run: Records): Promise<void> {
    const { partition } = run;
    const first = Math.max(offset, reading.next, reading.replayUntil);
    if (first >= to) return;
    if (this.#pending.records >= this.#size.goal || this.#pending.full) await this.#commitNow();
    this.#pending.refuse({
      reason: "unreadable_batch",
      field: null,
      detail,
      partition,
      offset: first,
      // Copied, because the bytes are reused; `slice` would not copy a Buffer.
      payload: new Uint8Array(bytes.subarray(0, MAX_EVENT_BYTES)),
    });
    this.#pending.records++;
    // Its other offsets with it: a restart in the middle of the batch would refuse it again.
    reading.skipped += to - reading.next - 1;
    reading.refused++;
    reading.took(first, run);
    reading.moveTo(to, run);
    this.#sinceMs = Math.min(this.#sinceMs, this.#options.now());
    if (this.#pending.records >= this.#size.goal) await this.#commitNow();
  }

  /** Commits the pending records as soon as the commit in flight is done. */
  async #commitNow(): Promise<void> {
    await this.#underWay;
    this.#throwFailure();
    this.#commit();
  }

  /** Takes records until the commit is full. Returns the index where it stopped. */
  #read(reading: Reading, records: Records, from: number): number {
    const { now } = this.#options;
    const pending = this.#pending;
    const sinceMs = now() - pending.foldMs;
    const to = this.#intake.take(records, from, reading, pending, this.#size);
    this.#spent.decode(now() - pending.foldMs - sinceMs, records.times[from]!);
    if (to > from) this.#sinceMs = Math.min(this.#sinceMs, now());
    return to;
  }

  /** Commits the pending records. No other commit may be in flight: commits follow the order of the log. */
  #commit(): void {
    const { source, storeEvents, now, observer } = this.#options;
    const pending = this.#pending;
    const sinceMs = now() - pending.foldMs;
    const last = this.#last();
    const { deltas, batches } = this.#finished(pending, last);
    observer?.onBatchReady?.(this.#spent.timings(pending.foldMs, now() - pending.foldMs - sinceMs));
    this.#spent.clear();
    const commit: Commit = {
      topic: source.topic,
      topicId: this.#topicId,
      adoptions: this.#adoptions,
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
    this.#size.sent(this.#caughtUp());
    this.#underWay = this.#apply(commit, waitedSinceMs, { times, unchecked }).then(() => {
      if (pending.isOversized) {
        pending.free();
        return;
      }
      // Not after a failure: the sink may still be reading it.
      pending.clear();
      this.#spare = pending;
    }, (error) => {
      this.#failure = { error: this.#size.blame(error, pending.records, last) };
      observer?.commitFailed?.(commit, this.#failure.error);
    }).finally(() => {
      this.#underWay = null;
    });
  }

  #finished(pending: Pending, last: Taken | null): ReturnType<Pending["finish"]> {
    try {
      return pending.finish();
    } catch (error) {
      throw this.#size.blame(error, pending.records, last);
    }
  }

  /** The last record of those that are pending. */
  #last(): Taken | null {
    const { topic } = this.#options.source;
    for (const [partition, { last, stored, duplicated, refused }] of this.#reading) {
      if (stored + duplicated + refused > 0) return { topic, partition, ...last, isStored: stored > 0 };
    }
    return null;
  }

  async #apply(commit: Commit, sinceMs: number, about: Pick<Timing, "times" | "unchecked">): Promise<void> {
    const { source, sink, now, observer } = this.#options;
    const sentMs = now();
    await sink.commit(commit);
    this.#size.applied(commit.advances.reduce((sum, { consumed }) => sum + consumed, 0));
    observer?.committed?.(commit, { waitedMs: sentMs - sinceMs, tookMs: now() - sentMs, ...about });
    try {
      await source.committed(new Map(commit.advances.map((advance) => [advance.partition, advance.next])));
    } catch (error) {
      observer?.groupCommitFailed?.(error);
    }
  }

  #advances(): Advance[] {
    const advances = this.#reading.values().map((reading) => reading.advance(this.#topicId)).filter((one) =>
      one !== null
    );
    return [...advances].sort((a, b) => a.partition - b.partition);
  }

  #throwFailure(): void {
    const failure = this.#failure;
    this.#failure = null;
    if (failure !== null) throw failure.error;
  }
}
