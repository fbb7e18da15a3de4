/**
 * A log and a database in memory, with the same promises as Kafka's and PostgreSQL's.
 * @module
 */
import type { Batch } from "../../columns/batch.ts";
import type { PieceLengths } from "../../decode/decoder.ts";
import { mergeSessions, mergeValues, rowOf } from "../../pipeline/fold.ts";
import {
  type Commit,
  type Committed,
  type Position,
  type Positions,
  PositionsMoved,
  type Sink,
  Unstorable,
} from "../../pipeline/commit.ts";
import { type Gap, lengthOf, type Records, type Seek } from "../../records.ts";
import type { Refusal } from "../../refusal.ts";
import { type Source, TopicChanged } from "../../pipeline/source.ts";
import type { Row, View } from "../../views/view.ts";
import { TEST_KEY } from "./keyed.ts";

/** Pieces end with every minute, so that a log of a hundred records has many. */
export const SHORT_PIECES: PieceLengths = { shortest: 1, wrong: Infinity, longest: Infinity };

/** A record in a log. */
export interface LogRecord {
  readonly value: Uint8Array | null;
  /** Kafka timestamp, epoch milliseconds. */
  readonly time: number;
}

/** A topic in memory: an array of records for each partition. */
export class MemorySource implements Source {
  readonly topic: string;
  readonly partitions: LogRecord[][];
  /** The topic's id, read at the next start. */
  id: string | null = "memory";
  #at = new Map<number, number>();
  #committed: ReadonlyMap<number, Committed> = new Map();
  #id: string | null = null;
  readonly #limit: number;

  /** @param limit most records of one partition in a poll */
  constructor(partitions: LogRecord[][], limit = 3, topic = "clickstream-events") {
    this.partitions = partitions;
    this.#limit = limit;
    this.topic = topic;
  }

  assigned(): Promise<readonly number[]> {
    this.#id = this.id;
    return Promise.resolve([...this.partitions.keys()]);
  }

  topicId(): string | null {
    return this.#id;
  }

  seek(offsets: Seek, committed: ReadonlyMap<number, Committed> = new Map()): void {
    this.#at = new Map([...offsets].map(([partition, offset]) => [partition, offset ?? 0]));
    this.#committed = committed;
  }

  poll(_maxWaitMs: number): Promise<readonly Records[]> {
    const all: Records[] = [];
    for (const [partition, at] of this.#at) {
      const log = this.partitions[partition]!;
      const committed = this.#committed.get(partition)?.next ?? 0;
      if (log.length < committed) {
        const where = { topic: this.topic, partition, next: committed, end: log.length };
        return Promise.reject(new TopicChanged({ kind: "truncated", ...where, isOverwritten: false }));
      }
      const next = Math.min(log.length, at + this.#limit);
      if (next === at) continue;
      all.push(recordsOf(partition, at, log.slice(at, next), log.length));
      this.#at.set(partition, next);
    }
    return Promise.resolve(all);
  }

  committed(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** Records as a source delivers them, from offset `first`. */
export function recordsOf(
  partition: number,
  first: number,
  log: readonly LogRecord[],
  end = first + log.length,
): Records {
  const bytes = new Uint8Array(log.reduce((sum, { value }) => sum + (value?.length ?? 0), 0));
  const starts = new Int32Array(log.length);
  const ends = new Int32Array(log.length);
  let at = 0;
  log.forEach(({ value }, i) => {
    starts[i] = at;
    if (value !== null) bytes.set(value, at);
    at += value?.length ?? 0;
    ends[i] = value === null ? -1 : at;
  });
  return {
    partition,
    count: log.length,
    bytes,
    offsets: Float64Array.from(log, (_, i) => first + i),
    times: Float64Array.from(log, ({ time }) => time),
    starts,
    ends,
    next: first + log.length,
    end,
    skipped: 0,
    gap: null,
    stable: end,
    leaderEpoch: null,
  };
}

/** A partition's row in `progress`. */
export interface Progress extends Position {
  readonly first: number;
  readonly skipped: number;
  /** Number of offsets that were deleted before they were read. */
  readonly gaps: number;
  readonly consumed: number;
  readonly stored: number;
  readonly duplicates: number;
  readonly refused: number;
}

/** A partition of which nothing was read yet, from an offset on. */
export function emptyAt(offset: number, topicId: string | null): Progress {
  const counts = { consumed: 0, stored: 0, duplicates: 0, refused: 0, skipped: 0, gaps: 0 };
  return { topicId, first: offset, next: offset, leaderEpoch: null, ...counts, replay: offset, watermark: null };
}

/** A database in memory with one promise: a commit is applied as a whole or not at all. */
export class MemorySink implements Sink {
  readonly tables = new Map<string, Map<string, Row>>();
  readonly progress = new Map<number, Progress>();
  /** How many positions `adopt` has replaced. */
  adoptions = 0;
  /** Ids of the stored events, in commit order. */
  readonly events: string[] = [];
  readonly refusals: Refusal[] = [];
  readonly gaps: (Gap & { readonly partition: number })[] = [];
  commits = 0;
  /** Events with an id that begins like this cannot be stored; null if all can. */
  poison: string | null = null;
  /** Sessions by key, so that merging need not search all of them. */
  readonly #sessions = new Map<string, Row[]>();

  hashKey(): Promise<Uint8Array> {
    return Promise.resolve(TEST_KEY);
  }

  positions(_topic: string, partitions: readonly number[]): Promise<Positions> {
    const byPartition = new Map([...this.progress].filter(([partition]) => partitions.includes(partition)));
    return Promise.resolve({ adoptions: this.adoptions, byPartition });
  }

  /** Does what `adopt-topic` does: continues partitions at another offset, or removes them where that is null. */
  adopt(
    adoptions: readonly { readonly partition: number; readonly from: number | null }[],
    topicId: string | null,
  ): void {
    for (const { partition, from } of adoptions) {
      if (this.progress.delete(partition)) this.adoptions++;
      if (from !== null) this.progress.set(partition, emptyAt(from, topicId));
    }
  }

  commit(commit: Commit): Promise<void> {
    return Promise.try(() => this.apply(commit));
  }

  /** Applies a commit at once, or throws what `commit` is rejected with. */
  apply(commit: Commit): void {
    this.mustFollow(commit);
    this.#mustBeStorable(commit);
    for (const advance of commit.advances) this.#advance(advance);
    for (const delta of commit.deltas) {
      for (let r = 0; r < delta.count; r++) this.#merge(delta.view, rowOf(delta, r));
    }
    commit.events?.forEach((batch) => this.#store(batch));
    this.refusals.push(...commit.refusals);
    this.commits++;
  }

  /** @throws {PositionsMoved} unless the commit begins at the current offsets of the same log */
  mustFollow(commit: Commit): void {
    if (commit.advances.length > 0 && commit.adoptions !== this.adoptions) {
      throw new PositionsMoved(`positions were replaced: ${this.adoptions} so far, and not ${commit.adoptions}`);
    }
    for (const { partition, from } of commit.advances) {
      const before = this.progress.get(partition);
      const [mine, theirs] = [commit.topicId, before?.topicId ?? null];
      if ((before?.next ?? null) !== from || (mine !== null && theirs !== null && mine !== theirs)) {
        throw new PositionsMoved(`partition ${partition} is not at ${from}`);
      }
    }
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** Rows of a view, sorted by key and window, with values as in table cells. */
  rows(view: View): Row[] {
    const rows = [...this.tables.get(view.name)?.values() ?? []];
    const places = new Map(rows.map((row) => [row, JSON.stringify([row.key, row.start])]));
    return rows.sort((a, b) => places.get(a)! < places.get(b)! ? -1 : 1);
  }

  #mustBeStorable({ events }: Commit): void {
    const { poison } = this;
    if (poison === null) return;
    for (const batch of events ?? []) {
      for (let i = 0; i < batch.count; i++) {
        if (batch.id(i).startsWith(poison)) throw new Unstorable(`${poison} cannot be stored`);
      }
    }
  }

  #advance(advance: Commit["advances"][number]): void {
    const { partition, first, next, leaderEpoch, replay, watermark, gap, topicId } = advance;
    const before = this.progress.get(partition);
    const plus = (of: "consumed" | "stored" | "duplicates" | "refused" | "skipped") =>
      (before?.[of] ?? 0) + advance[of];
    if (gap !== null) this.gaps.push({ partition, ...gap });
    const marks = [watermark, before?.watermark ?? null].filter((mark) => mark !== null);
    this.progress.set(partition, {
      topicId: topicId ?? before?.topicId ?? null,
      first: before?.first ?? first,
      next,
      leaderEpoch,
      replay,
      watermark: marks.length === 0 ? null : Math.max(...marks),
      consumed: plus("consumed"),
      stored: plus("stored"),
      duplicates: plus("duplicates"),
      refused: plus("refused"),
      skipped: plus("skipped"),
      gaps: (before?.gaps ?? 0) + lengthOf(gap),
    });
  }

  #merge(view: View, row: Row): void {
    const table = this.tables.get(view.name) ?? new Map<string, Row>();
    this.tables.set(view.name, table);
    if (view.window.kind === "session") return this.#mergeSession(view, table, row);
    const place = placeOf(row);
    const mine = table.get(place);
    table.set(place, mine === undefined ? row : { ...row, values: mergeValues(view, mine.values, row.values) });
  }

  #mergeSession(view: View, table: Map<string, Row>, row: Row): void {
    const key = JSON.stringify([view.name, ...row.key]);
    const before = this.#sessions.get(key) ?? [];
    const after = mergeSessions(view, [...before, row]);
    for (const session of before) table.delete(placeOf(session));
    for (const session of after) table.set(placeOf(session), session);
    this.#sessions.set(key, after);
  }

  #store(batch: Batch): void {
    for (let i = 0; i < batch.count; i++) this.events.push(batch.id(i));
  }
}

function placeOf({ start, key }: Row): string {
  return JSON.stringify([start, ...key]);
}
