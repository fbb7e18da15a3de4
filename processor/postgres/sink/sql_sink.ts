/**
 * The PostgreSQL sink: commits rows and the offsets that they came from in one transaction.
 * @module
 */
import type { Batch } from "../../columns/batch.ts";
import { type Cell, rowsBelow } from "../../columns/cells.ts";
import type { Column } from "../../measures/measure.ts";
import {
  type Commit,
  type Positions,
  PositionsMoved,
  type Sink,
  Unavailable,
  Unstorable,
} from "../../pipeline/commit.ts";
import { columnsOf } from "../../translate/table.ts";
import { lengthOf } from "../../records.ts";
import type { Refusal } from "../../refusal.ts";
import { type TimeZone, UTC } from "../../views/time_zone.ts";
import type { Delta } from "../../views/view.ts";
import { lockToTheEnd } from "../advisory_locks.ts";
import { CURRENCY_USED, verifyCurrency } from "../currency.ts";
import type { Database } from "../database.ts";
import { DatabaseError, isOfData } from "../database_errors.ts";
import { mergesInSql } from "../dialect.ts";
import { arrayOf, columnsSent, copyRows, rowsOfArrays, type TypedColumn } from "../binary.ts";
import { otherDeclarations, SCHEMA } from "../schema.ts";
import { timeZoneIn } from "../time_zone.ts";
import { writeByUser } from "./sql_by_user.ts";
import { readByRollups, RollupChanges } from "./sql_rollups.ts";
import { writeSessions } from "./sql_sessions.ts";
import { upsert } from "./sql_upsert.ts";
import { writeWindows } from "./sql_windows.ts";

/**
 * Makes a commit look up its rows by key, some thousands at a time. Otherwise the planner may scan and hash a whole
 * table, which is cheap while the table is small and costs more every day.
 */
const BY_KEY = "set local enable_hashjoin = off; set local enable_mergejoin = off";

/** Tells the triggers that keep rollups and first days after other writes that the sink keeps them itself. */
const KEEPS_ALL = "set local clickstream.firsts = 'kept'; set local clickstream.rollups = 'kept'";

/**
 * SQL for how many positions of topic `$1` `adopt-topic` has replaced. Its lock on `progress` ends before a statement that
 * writes there takes its snapshot, so such a statement sees the last adoption.
 */
const ADOPTIONS = `(select count(*) from ${SCHEMA}.former_progress f where f.topic = $1::text)`;

/** SQLSTATE of `verify_declarations`. */
const OTHER_DECLARATIONS = "CSD01";

/** Where a sink writes. */
export interface SinkOptions {
  /** Schema of the tables (default: `clickstream`). */
  readonly schema?: string;
  /** Hash of the declared views that the program knows. Without it, the database may have any. */
  readonly declared?: string;
  /** Currency of revenue, null for none: nothing is committed to tables with another. Without it, they may have any. */
  readonly currency?: string | null;
  /** Time zone by whose days the deltas count (default: UTC): nothing is committed to tables with days of another. */
  readonly zone?: TimeZone;
}

/** Stores views in the tables of a schema. The secret key always comes from the schema `clickstream`. */
export class SqlSink implements Sink {
  readonly #db: Database;
  readonly #instance: string;
  readonly #schema: string;
  readonly #begin: string;
  readonly #currency: string | null | undefined;
  readonly #zone: TimeZone;

  /** @param instance name of the instance, stored in `progress.committed_by` */
  constructor(db: Database, instance: string, { schema = SCHEMA, declared, currency, zone = UTC }: SinkOptions = {}) {
    this.#db = db;
    this.#instance = instance;
    this.#schema = schema;
    this.#currency = currency;
    this.#zone = zone;
    const verify = declared === undefined ? "" : `; select clickstream.verify_declarations('${declared}')`;
    this.#begin = `${BY_KEY}; ${KEEPS_ALL}${verify}`;
  }

  async hashKey(): Promise<Uint8Array> {
    const { rows } = await this.#db.query<{ key: string }>(
      `select encode(key, 'hex') as key from clickstream.hash_key`,
    );
    if (rows.length !== 1) {
      throw new Error(
        "clickstream.hash_key has lost its row, which stored sets of users need: restore it from a backup",
      );
    }
    return Uint8Array.fromHex(rows[0]!.key);
  }

  async positions(topic: string, partitions: readonly number[]): Promise<Positions> {
    if (this.#currency !== undefined) await verifyCurrency(this.#db, this.#currency);
    // A partition without a topic id was last committed before ids were stored: it takes the id of the others.
    const { rows } = await this.#db.query<
      Record<"adoptions" | "zone" | "partition" | "next" | "epoch" | "replay" | "watermark" | "topic_id", string | null>
    >(
      `select a.n::text as adoptions, a.zone, p.partition::text, p.next_offset::text as next, p.leader_epoch::text as epoch,
              p.replay_offset::text as replay, (extract(epoch from p.watermark) * 1000)::bigint::text as watermark,
              coalesce(p.topic_id, (select max(o.topic_id) from ${this.#schema}.progress o where o.topic = $1::text)) as topic_id
         from (select ${ADOPTIONS} as n, ${timeZoneIn(this.#schema)} as zone) a
         left join ${this.#schema}.progress p on p.topic = $1::text and p.partition = any($2::text::int[])`,
      [topic, `{${partitions.join(",")}}`],
    );
    const { zone } = rows[0]!;
    if (zone !== this.#zone.name) {
      const reason = `a rebuild has changed the days of the tables from ${this.#zone.name} to ${zone}`;
      throw new Unavailable(reason, { kind: "conflict" });
    }
    return {
      adoptions: Number(rows[0]!.adoptions),
      byPartition: new Map(
        rows.filter(({ partition }) => partition !== null).map((
          { partition, next, epoch, replay, watermark, topic_id },
        ) => [
          Number(partition),
          {
            next: Number(next),
            leaderEpoch: epoch === null ? null : Number(epoch),
            replay: Number(replay),
            watermark: watermark === null ? null : Number(watermark),
            topicId: topic_id,
          },
        ]),
      ),
    };
  }

  async commit(commit: Commit): Promise<void> {
    try {
      await this.#commit(commit);
    } catch (error) {
      if (error instanceof DatabaseError && error.code === OTHER_DECLARATIONS) throw otherDeclarations();
      throw isOfData(error) ? new Unstorable(error.message, { cause: error }) : error;
    }
  }

  async #commit(commit: Commit): Promise<void> {
    await this.#db.transaction(async (tx) => {
      await tx.exec(this.#begin);
      await this.#advance(tx, commit);
      const shared = commit.deltas.filter(({ view }) => !view.by.includes("user") || view.window.kind === "session");
      await allSettledOrThrow([
        store(tx, this.#schema, commit.events ?? []),
        refuse(tx, this.#schema, commit.topic, commit.refusals),
        ...commit.deltas.filter((delta) => !shared.includes(delta)).map((delta) =>
          writeByUser(tx, this.#schema, delta)
        ),
      ]);
      if (shared.length === 0) return;
      await lockToTheEnd(tx, "sharedRows");
      const changes = new RollupChanges(commit.deltas.find(({ view }) => view.ofBots !== undefined)?.view);
      await allSettledOrThrow(shared.map((delta) => write(tx, this.#schema, delta, changes)));
      // The tables of a rebuild have no rollups: triggers add its rows to those in use, and the exchange marks days of bots.
      if (this.#schema === SCHEMA) await changes.write(tx, this.#schema);
    });
  }

  async close(): Promise<void> {
    await this.#db.close();
  }

  /** Compare-and-swap: moves every partition from its expected offset of the same log, or throws. */
  async #advance(tx: Database, { topic, topicId, adoptions, advances }: Commit): Promise<void> {
    const columns: readonly (readonly [string, Column["type"], (advance: Commit["advances"][number]) => Cell])[] = [
      ["partition", "bigint", (a) => a.partition],
      ["next", "bigint", (a) => a.next],
      ["epoch", "bigint", (a) => a.leaderEpoch],
      ["replay", "bigint", (a) => a.replay],
      ["watermark", "timestamptz", (a) => a.watermark],
      ["consumed", "bigint", (a) => a.consumed],
      ["stored", "bigint", (a) => a.stored],
      ["duplicates", "bigint", (a) => a.duplicates],
      ["refused", "bigint", (a) => a.refused],
      ["skipped", "bigint", (a) => a.skipped],
      ["gaps", "bigint", (a) => lengthOf(a.gap)],
      ["first", "bigint", (a) => a.first],
      ["was", "bigint", (a) => a.from],
    ];
    const moves = rowsOfArrays(columns.map(([name, type]) => ({ name, type })), 6);
    const currency = this.#currency;
    // Like an adoption, a rebuild that changes the zone or the currency is seen by the statement that waited for it.
    const isCurrent = `${ADOPTIONS} = $4::bigint and ${timeZoneIn(this.#schema)} = $5::text` +
      (currency === undefined ? "" : ` and ${CURRENCY_USED} is not distinct from $${columns.length + 6}::text`);
    const run = async (sql: string, of: Commit["advances"]) => {
      if (of.length === 0) return;
      const literals = columns.map(([, type, cell]) => arrayOf(of.map(cell), type));
      const { rowCount } = await tx.query(sql, [
        ...[topic, this.#instance, topicId, adoptions, this.#zone.name],
        ...literals,
        ...currency === undefined ? [] : [currency],
      ]);
      if (rowCount === of.length) return;
      const expected = of.map(({ partition, from }) => `${partition} at ${from ?? "its beginning"}`).join(", ");
      throw new PositionsMoved(
        `another instance, adopt-topic or a rebuild with another time zone has moved some of ${topic}: partition ${expected}`,
      );
    };
    await run(
      `update ${this.#schema}.progress p
          set next_offset = v.next, leader_epoch = v.epoch, replay_offset = v.replay, watermark = greatest(p.watermark, v.watermark),
              consumed = p.consumed + v.consumed, stored = p.stored + v.stored,
              duplicates = p.duplicates + v.duplicates, refused = p.refused + v.refused,
              skipped = p.skipped + v.skipped, gaps = p.gaps + v.gaps, topic_id = coalesce($3::text, p.topic_id),
              committed_at = clock_timestamp(), committed_by = $2::text
         from ${moves}
        where p.topic = $1::text and p.partition = v.partition and p.next_offset = v.was
          and coalesce(p.topic_id = $3::text, true) and ${isCurrent}`,
      advances.filter(({ from }) => from !== null),
    );
    await run(
      `insert into ${this.#schema}.progress (topic, topic_id, partition, first_offset, next_offset, leader_epoch, replay_offset, watermark,
              consumed, stored, duplicates, refused, skipped, gaps, committed_at, committed_by)
       select $1::text, $3::text, v.partition, v.first, v.next, v.epoch, v.replay, v.watermark,
              v.consumed, v.stored, v.duplicates, v.refused, v.skipped, v.gaps, clock_timestamp(), $2::text
         from ${moves} where v.was is null and ${isCurrent} order by v.partition
           on conflict (topic, partition) do nothing`,
      advances.filter(({ from }) => from === null),
    );
    await noteGaps(tx, this.#schema, topic, advances);
  }
}

async function noteGaps(tx: Database, schema: string, topic: string, advances: Commit["advances"]): Promise<void> {
  for (const { partition, gap } of advances) {
    if (gap === null) continue;
    await tx.query(
      `insert into ${schema}.gaps (topic, partition, from_offset, to_offset)
       values ($1::text, $2::integer, $3::bigint, $4::bigint)`,
      [topic, partition, gap.from, gap.to],
    );
  }
}

/**
 * Waits for all promises, even after one has failed: a statement that ran after the end of the transaction would not be
 * part of it. While PostgreSQL runs one statement, the next is encoded.
 */
async function allSettledOrThrow(works: readonly Promise<void>[]): Promise<void> {
  const failures: unknown[] = [];
  // The first failure is the cause of the later ones.
  await Promise.all(works.map((work) => work.catch((error) => void failures.push(error))));
  if (failures.length > 0) throw failures[0];
}

async function store(tx: Database, schema: string, events: readonly Batch[]): Promise<void> {
  if (events.length === 0) return;
  const columns = columnsSent(events);
  await tx.copyIn(
    `copy ${schema}.events (${columns.map(({ name }) => name).join(", ")}) from stdin (format binary)`,
    copyRows(events, columns),
  );
}

async function refuse(tx: Database, schema: string, topic: string, refusals: readonly Refusal[]): Promise<void> {
  if (refusals.length === 0) return;
  const columns: readonly (readonly [string, TypedColumn["type"], (refusal: Refusal) => Cell])[] = [
    ["reason", "text", (r) => r.reason],
    ["field", "text", (r) => r.field],
    ["detail", "text", (r) => r.detail],
    ["partition", "integer", (r) => r.partition],
    ['"offset"', "bigint", (r) => r.offset],
    ["payload", "bytea", (r) => r.payload],
  ];
  await tx.query(
    `insert into ${schema}.refusals (topic, reason, field, detail, partition, "offset", payload)
     select $1::text, v.reason, v.field, v.detail, v.partition, v."offset", v.payload
       from ${rowsOfArrays(columns.map(([name, type]) => ({ name, type })), 2)}`,
    [topic, ...columns.map(([, type, cell]) => arrayOf(refusals.map(cell), type))],
  );
}

/** Merges a delta of rows that all instances share into its table, and notes what that changes in its rollups. */
async function write(tx: Database, schema: string, delta: Delta, changes: RollupChanges): Promise<void> {
  const { measures, window } = delta.view;
  if (window.kind === "session") return await writeSessions(tx, schema, delta, changes);
  // What it adds to a window it adds to the rollup, whether the window is stored or not.
  changes.addRows(delta.view, columnsOf(delta, readByRollups(delta.view)), rowsBelow(delta.count));
  if (Object.values(measures).every(mergesInSql)) await upsert(tx, schema, delta, "add");
  else await writeWindows(tx, schema, delta);
}
