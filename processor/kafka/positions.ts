/**
 * Where reading stands in the partitions of a topic: the next offsets, the records before them, and what the leaders of
 * the partitions said last.
 * @module
 */
import { type Committed, Unavailable } from "../pipeline/commit.ts";
import { type PartitionState, type TopicChange, TopicChanged } from "../pipeline/source.ts";
import { beginOf, type Records, type Seek } from "../records.ts";
import { UNREACHABLE } from "./errors.ts";
import type { PartitionResponse } from "./fetch.ts";

/** The offsets and epochs of the partitions that are read. */
export class Positions {
  readonly #topic: string;
  /** Next offset of each partition, the most recently read partition last; null for the earliest offset in the log. */
  #next = new Map<number, number | null>();
  /** Epoch of the leader that wrote the record before the next offset, where it is known. */
  readonly #epochs = new Map<number, number>();
  /** What was committed last of each partition at the last seek. */
  #committed: ReadonlyMap<number, Committed> = new Map();
  #states = new Map<number, PartitionState>();

  constructor(topic: string) {
    this.#topic = topic;
  }

  /** Next offset of each partition, the most recently read partition last; null for the earliest offset in the log. */
  get next(): ReadonlyMap<number, number | null> {
    return this.#next;
  }

  /** Epoch of the leader that wrote the record before the next offset, where it is known. */
  get epochs(): ReadonlyMap<number, number> {
    return this.#epochs;
  }

  /** The current state of each partition. */
  get states(): readonly PartitionState[] {
    return [...this.#states.values()].map((state) => ({ ...state, next: this.#next.get(state.partition) ?? null }));
  }

  /** Partitions with records that are not fetched yet, as far as their leaders have said. */
  get behind(): readonly number[] {
    return [...this.#states].flatMap(([partition, { stable }]) =>
      (this.#next.get(partition) ?? 0) < (stable ?? 0) ? [partition] : []
    );
  }

  /** Forgets all partitions but these, which are read from these offsets. */
  seek(offsets: Seek, committed: ReadonlyMap<number, Committed>): void {
    this.#next = new Map(offsets);
    this.#committed = committed;
    this.#epochs.clear();
    for (const [partition, { next, leaderEpoch }] of committed) {
      if (leaderEpoch !== null && offsets.get(partition) === next) this.#epochs.set(partition, leaderEpoch);
    }
    const before = this.#states;
    const unknown = { first: null, next: null, end: null, stable: null, answers: 0, isAsked: false };
    this.#states = new Map(
      [...offsets].map(([partition, first]) => [partition, { ...before.get(partition) ?? unknown, partition, first }]),
    );
  }

  /** Forgets all partitions. */
  clear(): void {
    this.#next.clear();
  }

  /** Reading begins at the earliest offset of a partition, which is this one. */
  begin(partition: number, first: number): void {
    this.#next.set(partition, first);
    this.note(partition, { first });
  }

  /** Reading continues at this offset, after a record of the leader with this epoch. */
  reach(partition: number, next: number, leaderEpoch: number | null): void {
    this.#next.delete(partition);
    this.#next.set(partition, next);
    if (leaderEpoch === null) this.forgetEpoch(partition);
    else this.#epochs.set(partition, leaderEpoch);
  }

  /** Nothing is known any more of the record before the next offset. */
  forgetEpoch(partition: number): void {
    this.#epochs.delete(partition);
  }

  /**
   * The leader of a partition has answered a fetch from this offset.
   *
   * @throws {Error} as `replaced`, if its log no longer has the records before it
   */
  answered(
    from: number,
    { partition, highWatermark: end, lastStableOffset: stable, divergedAt }: PartitionResponse,
  ): void {
    const answers = (this.#states.get(partition)?.answers ?? 0) + 1;
    this.note(partition, { end, stable, answers, isAsked: false });
    if (divergedAt !== null) throw this.replaced(partition, from, divergedAt, end);
  }

  /** Updates the state of a partition. */
  note(partition: number, news: Partial<PartitionState>): void {
    const state = this.#states.get(partition);
    if (state !== undefined) this.#states.set(partition, { ...state, ...news });
  }

  /** Next offset that was not committed of a partition at the last seek; 0 if nothing was. */
  committedUpTo(partition: number): number {
    return this.#committed.get(partition)?.next ?? 0;
  }

  /** @throws {TopicChanged} if a partition ends before an offset that was read */
  mustReach(partition: number, end: number): void {
    const next = Math.max(this.committedUpTo(partition), this.#next.get(partition) ?? 0);
    if (end < next) throw this.#truncated({ partition, next, end, isOverwritten: false });
  }

  /**
   * What was committed last of a partition, if reading passes it with these records and they may have another one in its
   * place; otherwise null.
   */
  doubtedBy(partition: number, records: readonly Records[]): { next: number; leaderEpoch: number } | null {
    const { next, leaderEpoch } = this.#committed.get(partition) ?? { next: 0, leaderEpoch: null };
    if (leaderEpoch === null || beginOf(records[0]!) >= next || records.at(-1)!.next < next) return null;
    const run = records.find((run) => beginOf(run) < next && next <= run.next)!;
    return run.leaderEpoch === leaderEpoch ? null : { next, leaderEpoch };
  }

  /**
   * What to fail with, because the log no longer has all records before `next`.
   *
   * @param from the first of those that it does not have; null if it is unknown
   * @param end where the log ends
   */
  replaced(partition: number, next: number, from: number | null, end: number): Error {
    if (this.#committed.get(partition)?.next === next) {
      return this.#truncated({ partition, next, end: from, isOverwritten: from === null || from < end });
    }
    // The next start shows whether records that were committed are among them.
    const where = `partition ${partition} of ${this.#topic}`;
    return new Unavailable(
      `${where} has lost records up to offset ${
        next - 1
      } that were just read: another broker, which did not have them, ` +
        "became its leader",
      UNREACHABLE,
    );
  }

  #truncated(where: Omit<TopicChange & { kind: "truncated" }, "kind" | "topic">): Error {
    return new TopicChanged({ kind: "truncated", topic: this.#topic, ...where });
  }
}
