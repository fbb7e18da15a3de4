/**
 * Users who were forgotten, and a log that still has their events. What lay in the log when a user was forgotten is taken
 * in as ever, so that the anonymous counts are the same whether it was read before or after; and in the transaction that
 * takes it in, the user's own rows are erased again. Until a partition has passed that place, nothing beyond it is read:
 * what a user does who comes back is never in one commit with what is to be erased.
 * @module
 */
import type { Batch } from "../../columns/batch.ts";
import { cellAt } from "../../columns/cells.ts";
import { type Commit, type Position, PositionsMoved, type Sink } from "../../pipeline/commit.ts";
import { Rebalanced, type Source } from "../../pipeline/source.ts";
import type { Database } from "../database.ts";
import { ERASED, eraseRows, userHash, usersIn } from "../erase.ts";
import { SCHEMA } from "../schema.ts";
import { cutAt, type Records, type Seek } from "../../records.ts";

/** Somebody was forgotten since the pipeline began: it begins again, and knows. */
export class UserForgotten extends PositionsMoved {
  override readonly name = "UserForgotten";
  override readonly restartCause = "user_forgotten";
}

/** What a worker knows of forgotten users: its source and its sink share it. */
export class Forgotten {
  /** Number of the last forgetting. */
  known = "0";
  /** Where each partition is held, until all below has been committed; partitions that are not held are left out. */
  readonly limits = new Map<number, number>();
  /** Hashes of the users whose events below the limit are erased. */
  readonly users = new Map<number, Set<string>>();

  /** Whether a user's rows of a partition are to be erased. */
  erases(partition: number, user: string): boolean {
    return this.users.get(partition)?.has(userHash(user)) ?? false;
  }

  /** Takes note of what is still to come of forgotten users. */
  note(partition: number, below: number, hash: string): void {
    this.limits.set(partition, Math.min(below, this.limits.get(partition) ?? Infinity));
    const users = this.users.get(partition);
    if (users === undefined) this.users.set(partition, new Set([hash]));
    else users.add(hash);
  }

  clear(): void {
    this.limits.clear();
    this.users.clear();
  }
}

/** A source that stops each partition where it is held, and goes on once the sink has got there. */
export class HeldSource implements Source {
  readonly #inner: Source;
  readonly #forgotten: Forgotten;
  readonly #longestPollMs: number;
  #passed = false;

  /** @param longestPollMs no poll waits for longer, in milliseconds, so that its caller looks up as often */
  constructor(inner: Source, forgotten: Forgotten, longestPollMs = Infinity) {
    this.#inner = inner;
    this.#forgotten = forgotten;
    this.#longestPollMs = longestPollMs;
  }

  get topic(): string {
    return this.#inner.topic;
  }

  assigned(): Promise<readonly number[]> {
    return this.#inner.assigned();
  }

  topicId(): string | null {
    return this.#inner.topicId();
  }

  seek(offsets: Seek, committed?: ReadonlyMap<number, number>): void {
    this.#passed = false;
    this.#inner.seek(offsets, committed);
  }

  async poll(maxWaitMs: number): Promise<readonly Records[]> {
    if (this.#passed) throw new Rebalanced("what had been read before a user was forgotten is committed");
    const all = await this.#inner.poll(Math.min(maxWaitMs, this.#longestPollMs));
    const { limits } = this.#forgotten;
    return limits.size === 0
      ? all
      : all.flatMap((records) => cutAt(records, limits.get(records.partition) ?? Infinity));
  }

  async committed(offsets: ReadonlyMap<number, number>): Promise<void> {
    for (const [partition, limit] of this.#forgotten.limits) {
      if ((offsets.get(partition) ?? 0) >= limit) this.#passed = true;
    }
    await this.#inner.committed(offsets);
  }

  close(): Promise<void> {
    return this.#inner.close();
  }
}

/** A sink that stores nothing of what is forgotten. */
export class ForgettingSink implements Sink {
  readonly #db: Database;
  readonly #inner: Sink;
  readonly #forgotten: Forgotten;
  readonly #schema: string;
  #commit: Commit | null = null;

  /**
   * @param open makes the sink that does the work, over a connection whose transactions end with our part
   * @param schema where that sink keeps its rows
   */
  constructor(db: Database, forgotten: Forgotten, open: (db: Database) => Sink, schema: string = SCHEMA) {
    this.#db = db;
    this.#forgotten = forgotten;
    this.#schema = schema;
    this.#inner = open(endedBy(db, (tx) => this.#finish(tx)));
  }

  hashKey(): Promise<Uint8Array> {
    return this.#inner.hashKey();
  }

  async positions(topic: string, partitions: readonly number[]): Promise<ReadonlyMap<number, Position>> {
    // First: who is forgotten after this is noticed by the first commit.
    this.#forgotten.known = await latest(this.#db);
    const positions = await this.#inner.positions(topic, partitions);
    this.#forgotten.clear();
    if (this.#forgotten.known === "0") return positions;
    const { rows } = await this.#db.query<{ hash: string; partition: number; below: string }>(
      `select encode(f.user_hash, 'hex') as hash, v.partition, v.below
         from clickstream.forgotten f, unnest(f.partitions, f.below) as v(partition, below)
        where f.topic = $1::text`,
      [topic],
    );
    for (const { hash, partition, below } of rows) {
      if (!partitions.includes(partition) || (positions.get(partition)?.next ?? 0) >= Number(below)) continue;
      this.#forgotten.note(partition, Number(below), hash);
    }
    return positions;
  }

  async commit(commit: Commit): Promise<void> {
    this.#commit = commit;
    await this.#inner.commit(commit);
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  /** The end of a commit's transaction, which holds rows of `progress`: whoever forgets waits for it, or was before it. */
  async #finish(tx: Database): Promise<void> {
    if (await latest(tx) !== this.#forgotten.known) throw new UserForgotten("a user was forgotten");
    if (this.#forgotten.limits.size > 0 && this.#commit !== null) await this.#erase(tx, this.#commit);
  }

  async #erase(tx: Database, { topic, deltas, events, refusals }: Commit): Promise<void> {
    const users = events === null ? this.#inRows(deltas) : this.#inEvents(events);
    await eraseRows(tx, this.#schema, [...users]);
    for (const batch of events ?? []) {
      for (let i = 0; i < batch.count; i++) {
        const partition = batch.partition[i]!;
        if (!this.#forgotten.erases(partition, batch.text("user", i)!)) continue;
        await tx.query(
          `delete from ${this.#schema}.events where event_time = to_timestamp($1::double precision / 1000)
              and kafka_partition = $2::integer and kafka_offset = $3::bigint`,
          [batch.time[i]!, partition, batch.offset[i]!],
        );
      }
    }
    for (const { partition, offset, payload } of refusals) {
      if (!usersIn(payload).some((user) => this.#forgotten.erases(partition, user))) continue;
      await tx.query(
        `update ${this.#schema}.refusals set ${ERASED}
          where topic = $1::text and partition = $2::integer and "offset" = $3::bigint and not former`,
        [topic, partition, offset],
      );
    }
  }

  /** Users with an event in a partition where it is to be erased: not those who have come back in another one. */
  #inEvents(events: readonly Batch[]): ReadonlySet<string> {
    const users = new Set<string>();
    for (const batch of events) {
      for (let i = 0; i < batch.count; i++) {
        const user = batch.text("user", i)!;
        if (this.#forgotten.erases(batch.partition[i]!, user)) users.add(user);
      }
    }
    return users;
  }

  /** Where events are not stored, rows are all there is, and they don't say from which partition they are. */
  #inRows(deltas: Commit["deltas"]): ReadonlySet<string> {
    const everywhere = [...this.#forgotten.users.keys()];
    const users = new Set<string>();
    for (const { view, keys, count } of deltas) {
      const column = keys[view.by.indexOf("user")];
      for (let row = 0; column !== undefined && row < count; row++) {
        const user = String(cellAt(column, row));
        if (everywhere.some((partition) => this.#forgotten.erases(partition, user))) users.add(user);
      }
    }
    return users;
  }
}

async function latest(db: Database): Promise<string> {
  const { rows } = await db.query<{ id: string }>("select coalesce(max(id), 0) as id from clickstream.forgotten");
  return rows[0]!.id;
}

/** The same connection, whose transactions end with `last`. */
function endedBy(db: Database, last: (tx: Database) => Promise<void>): Database {
  return {
    pooled: db.pooled,
    query: (sql, params) => db.query(sql, params),
    exec: (sql) => db.exec(sql),
    copyIn: (sql, chunks) => db.copyIn(sql, chunks),
    close: () => db.close(),
    transaction: (body) =>
      db.transaction(async (tx) => {
        const value = await body(tx);
        await last(tx);
        return value;
      }),
  };
}
