/**
 * Fills the new tables of a rebuild from the log.
 * @module
 */
import { MIGRATIONS } from "../../../migrations/mod.ts";
import { kernelMebibytes } from "../../config/config.ts";
import { Conversion } from "../../currency.ts";
import type { Decoder } from "../../decode/decoder.ts";
import type { Database } from "../../postgres/database.ts";
import { openPostgres } from "../../postgres/postgres.ts";
import { ForgettingSink, Forgotten, HeldSource } from "../../postgres/sink/forgetting.ts";
import { KafkaSource } from "../../kafka/source.ts";
import { verifySchema } from "../../postgres/operations/migrations.ts";
import { positionsOf } from "../../postgres/operations/progress.ts";
import type { Plan } from "../../postgres/operations/rebuild_plan.ts";
import { StagedDays } from "../../postgres/operations/rebuild_tables.ts";
import { UpToSource } from "../../postgres/operations/up_to_source.ts";
import { STAGING } from "../../postgres/schema.ts";
import { SqlSink } from "../../postgres/sink/sql_sink.ts";
import { Pipeline } from "../../pipeline/pipeline.ts";
import type { Sink } from "../../pipeline/commit.ts";
import { Kernel } from "../../kernel/kernel.ts";
import type { Records } from "../../records.ts";
import { forShop } from "../../views/mod.ts";
import type { TimeZone } from "../../views/time_zone.ts";
import { DAY_MS } from "../../views/view.ts";
import { clusterOf } from "../cli/cluster.ts";
import { loginTo } from "../cli/connection.ts";
import { type Output, Progress } from "../cli/progress.ts";
import type { RebuildSettings, Rebuilt } from "./plan.ts";

/** Records in one commit of the new tables, for which nothing waits. */
const COMMIT_RECORDS = 32_768;

/** Bytes of distinct texts in one of these commits. */
const COMMIT_TEXT_BYTES = 32e6;

/** The pipeline that fills the new tables. */
export class Filling {
  readonly #db: Database;
  readonly #source: UpToSource;
  readonly #pipeline: Pipeline;
  readonly #topic: string;

  private constructor(db: Database, source: UpToSource, pipeline: Pipeline, topic: string) {
    this.#db = db;
    this.#source = source;
    this.#pipeline = pipeline;
    this.#topic = topic;
  }

  static async open(
    settings: RebuildSettings,
    plan: Plan,
    { views, rates, zone }: Rebuilt & { readonly zone: TimeZone },
    output: Output,
  ): Promise<Filling> {
    const db = await openPostgres(settings.DATABASE_URL.reveal(), {
      ...loginTo(settings),
      applicationName: "clickstream rebuild",
      settings: { role: "clickstream_owner" },
    });
    await verifySchema(db, MIGRATIONS);
    const kafka = new KafkaSource({
      ...clusterOf(settings),
      groupId: null,
      clientId: "clickstream-rebuild",
    });
    const forgotten = new Forgotten();
    const sinkOf = (guarded: Database) =>
      new SqlSink(guarded, "rebuild", { schema: STAGING, declared: plan.declared, zone });
    const source = new UpToSource(kafka);
    const progress = new Progress(output);
    let done = 0;
    const pipeline = new Pipeline({
      source: new HeldSource(source, forgotten),
      sink: withDays(
        new ForgettingSink(db, forgotten, sinkOf, STAGING),
        new StagedDays(db, plan),
      ),
      views: forShop(views, { siteHosts: plan.siteHosts, zone }),
      decoder: refusedAsBefore(
        new Kernel({
          keepMs: plan.keepDays * DAY_MS,
          hashRoutes: settings.HASH_ROUTES,
          currency: settings.CURRENCY,
          mebibytes: kernelMebibytes({ WORKERS: 1 }),
        }),
        new Set(plan.replayed),
      ),
      storeEvents: plan.storeEvents,
      conversion: settings.CURRENCY === null ? undefined : new Conversion(settings.CURRENCY, rates),
      now: () => performance.now(),
      commitEveryMs: 1000,
      commitSoonMs: 0,
      commitRecords: COMMIT_RECORDS,
      commitTextBytes: COMMIT_TEXT_BYTES,
      observer: {
        committed(commit) {
          done += commit.advances.reduce((sum, { consumed }) => sum + consumed, 0);
          progress.at(done);
        },
      },
    });
    return new Filling(db, source, pipeline, plan.topic);
  }

  /** Reads until every partition has reached its offset. */
  async readTo(offsets: ReadonlyMap<number, number>): Promise<void> {
    this.#source.readTo(offsets);
    await this.#pipeline.start();
    while (!await this.#isAt(offsets)) {
      await this.#pipeline.step();
      await this.#pipeline.flush();
    }
  }

  async close(): Promise<void> {
    await this.#source.close();
    await this.#db.close();
  }

  async #isAt(offsets: ReadonlyMap<number, number>): Promise<boolean> {
    const positions = await positionsOf(this.#db, this.#topic, STAGING);
    return [...offsets].every(([partition, next]) => (positions.get(partition)?.next ?? 0) >= next);
  }
}

/** A sink that creates the daily partitions that a commit needs. */
function withDays(sink: Sink, days: StagedDays): Sink {
  return {
    hashKey: () => sink.hashKey(),
    positions: (topic, partitions) => sink.positions(topic, partitions),
    commit: async (commit) => {
      await days.makeFor(commit);
      await sink.commit(commit);
    },
    close: () => sink.close(),
  };
}

/** A decoder that refuses records that were refused and replayed: only the replayed copy counts. */
function refusedAsBefore(decoder: Kernel, places: ReadonlySet<string>): Decoder {
  if (places.size === 0) return decoder;
  const isPlace = ({ partition, offsets }: Records, i: number) => places.has(`${partition}/${offsets[i]!}`);
  /** The first of these places from record `i` on, before `until`. */
  const placeFrom = (records: Records, i: number, until: number) => {
    let at = i;
    while (at < until && !isPlace(records, at)) at++;
    return at;
  };
  return {
    decode(records, i, batch) {
      const refusal = decoder.decode(records, i, batch);
      if (refusal !== null || !isPlace(records, i)) return refusal;
      const { partition } = records;
      const payload = records.bytes.slice(records.starts[i], Math.max(records.starts[i]!, records.ends[i]!));
      const place = { partition, offset: records.offsets[i]! };
      return { reason: "bad_value", field: null, detail: "sent back into the topic", ...place, payload };
    },
    begin() {
      const runs = decoder.begin();
      return {
        dictionaries: (topic, keyed, wanted) => runs.dictionaries(topic, keyed, wanted),
        batch: (words, capacity) => runs.batch(words, capacity),
        duplicates: (lengths, partitions) => runs.duplicates(lengths, partitions),
        free: (words, batches) => runs.free(words, batches),
        take(records, i, until, batch, duplicates) {
          return runs.take(records, i, placeFrom(records, i, until), batch, duplicates);
        },
        get stored() {
          return runs.stored;
        },
        get duplicated() {
          return runs.duplicated;
        },
        get takenBytes() {
          return runs.takenBytes;
        },
        textBytes: (words) => runs.textBytes(words),
        check: () => runs.check(),
        remember(records, i, until, duplicates, keyed) {
          return runs.remember(records, i, placeFrom(records, i, until), duplicates, keyed);
        },
      };
    },
  };
}
