/**
 * Keeps forgotten users out of the tables while the log still has their events. Events that were in the log when a user
 * was forgotten are counted as usual, so that anonymous counts do not depend on when they are read. The transaction
 * that commits them erases the user's own rows again. Each partition is held at its high watermark of that time until
 * everything below is committed, so that new events of a user who comes back never share a commit with erased ones.
 * @module
 */
import type { Batch } from "../../columns/batch.ts";
import { cellAt } from "../../columns/cells.ts";
import { type Commit, type Committed, type Positions, PositionsMoved, type Sink } from "../../pipeline/commit.ts";
import { Rebalanced, type Source, SourceAround } from "../../pipeline/source.ts";
import type { Database } from "../database.ts";
import { ERASED, eraseRows, userHash, usersIn } from "../erase.ts";
import { SCHEMA } from "../schema.ts";
import { cutAt, type Records, type Seek } from "../../records.ts";

/** A user was forgotten since the pipeline started: it restarts and reads the list again. */
export class UserForgotten extends PositionsMoved {
  override readonly name = "UserForgotten";
  override readonly restartCause = "user_forgotten";
}

/** What a worker knows about forgotten users; shared by its source and its sink. */
export class Forgotten {
  /** Id of the last forgetting. */
  known = "0";
  /** Offset at which a partition is held until everything below is committed; omits partitions that are not held. */
  readonly limits = new Map<number, number>();
  /** Hashes of users with events below the limit to erase, by partition. */
  readonly users = new Map<number, Set<string>>();

  /** True if rows of a user from a partition must be erased. */
  erases(partition: number, user: string): boolean {
    return this.users.get(partition)?.has(userHash(user)) ?? false;
  }

  /** Notes that the log of a partition may still have events of a forgotten user, below an offset. */
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

/** A source that stops each partition at its limit, and continues once the sink has committed up to there. */
export class HeldSource extends SourceAround {
  readonly #forgotten: Forgotten;
  readonly #longestPollMs: number;
  #passed = false;

  /** @param longestPollMs longest wait of a poll, in milliseconds, so that its caller can check for changes as often */
  constructor(inner: Source, forgotten: Forgotten, longestPollMs = Infinity) {
    super(inner);
    this.#forgotten = forgotten;
    this.#longestPollMs = longestPollMs;
  }

  override seek(offsets: Seek, committed?: ReadonlyMap<number, Committed>): void {
    this.#passed = false;
    this.inner.seek(offsets, committed);
  }

  override async poll(maxWaitMs: number): Promise<readonly Records[]> {
    if (this.#passed) throw new Rebalanced("all records from before a user was forgotten are committed");
    const all = await this.inner.poll(Math.min(maxWaitMs, this.#longestPollMs));
    const { limits } = this.#forgotten;
    return limits.size === 0
      ? all
      : all.flatMap((records) => cutAt(records, limits.get(records.partition) ?? Infinity));
  }

  override async committed(offsets: ReadonlyMap<number, number>): Promise<void> {
    for (const [partition, limit] of this.#forgotten.limits) {
      if ((offsets.get(partition) ?? 0) >= limit) this.#passed = true;
    }
    await this.inner.committed(offsets);
  }
}

/** A sink that stores no rows of forgotten users. */
export class ForgettingSink implements Sink {
  readonly #db: Database;
  readonly #inner: Sink;
  readonly #forgotten: Forgotten;
  readonly #schema: string;
  #commit: Commit | null = null;

  /**
   * @param open opens the sink that writes, over a connection that runs our erasure at the end of each transaction
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

  async positions(topic: string, partitions: readonly number[]): Promise<Positions> {
    // Read first: the first commit detects users who are forgotten after this.
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
      if (!partitions.includes(partition) || (positions.byPartition.get(partition)?.next ?? 0) >= Number(below)) {
        continue;
      }
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

  /** Ends the transaction of a commit. It holds rows of `progress`, so a forgetting waits for it, or came before it. */
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

  /** Users with an event to erase in its partition; not those who have come back in another partition. */
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

  /** Users with rows to erase, if events are not stored. Rows do not name a partition, so every partition counts. */
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

/** The same connection, but each transaction ends with `last`. */
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
