/**
 * Rebuilds the tables from the log beside a running service.
 * @module
 */
import { createHash } from "node:crypto";
import { MIGRATIONS } from "../../migrations/mod.ts";
import { kernelMebibytes, type Settings, viewsOf } from "../config/config.ts";
import { Conversion, type Rate } from "../currency.ts";
import type { Decoder } from "../decode/decoder.ts";
import { currencyInWords, currencyUsed, hasRevenueBefore, readRates, verifyCurrency } from "../postgres/currency.ts";
import type { Database } from "../postgres/database.ts";
import { openPostgres } from "../postgres/postgres.ts";
import { ForgettingSink, Forgotten, HeldSource } from "../postgres/sink/forgetting.ts";
import { KafkaSource } from "../kafka/source.ts";
import { holdOperationLock, retryOnLockTimeout, SHORT_LOCK_TIMEOUT } from "../postgres/locks.ts";
import { daysInUse, dayStart, nameInPostgres, nextDayStart, timeZoneNamed } from "../postgres/time_zone.ts";
import { verifySchema } from "../postgres/operations/migrations.ts";
import { adoptionsSoFar, latestFormer, positionsOf, topicIdOf } from "../postgres/operations/progress.ts";
import {
  type Plan,
  type PlannedDays,
  type Reach,
  type Start,
  timesToRead,
} from "../postgres/operations/rebuild_plan.ts";
import { swap, verifyRoomForSwap } from "../postgres/operations/rebuild_swap.ts";
import { begin, isUnderWay, reachOf, StagedDays } from "../postgres/operations/rebuild_tables.ts";
import { replayedPlaces } from "../postgres/operations/refusals.ts";
import { UpToSource } from "../postgres/operations/up_to_source.ts";
import { mergesInSql } from "../postgres/dialect.ts";
import { STAGING } from "../postgres/schema.ts";
import { SqlSink } from "../postgres/sink/sql_sink.ts";
import { Pipeline } from "../pipeline/pipeline.ts";
import type { Sink } from "../pipeline/commit.ts";
import { Kernel } from "../kernel/kernel.ts";
import type { Records } from "../records.ts";
import { VERSION } from "../version.ts";
import { forShop } from "../views/mod.ts";
import { userDays } from "../views/user_days.ts";
import { type TimeZone, ZoneSince } from "../views/time_zone.ts";
import { DAY_MS, type View } from "../views/view.ts";
import { clusterOf } from "./cli/cluster.ts";
import { connected, loginTo } from "./cli/connection.ts";
import { EXIT, WrongUse } from "./cli/exit.ts";
import { beginningOf, boundsOf, offsetsAt } from "../kafka/admin.ts";
import { type Output, Progress } from "./cli/progress.ts";
import { similarTo } from "./cli/similar.ts";
import { withCommas } from "../status/text.ts";
import type { READS } from "./cli/reads.ts";
import { ready } from "../postgres/operations/ready.ts";

type RebuildSettings = Settings<typeof READS.rebuild[number]>;

/** What is computed again, and the rates by which purchases are converted. */
interface Rebuilt {
  readonly views: readonly View[];
  readonly rates: readonly Rate[];
}

/** Records in one commit of the new tables, for which nothing waits. */
const COMMIT_RECORDS = 32_768;

/** Bytes of distinct texts in one of these commits. */
const COMMIT_TEXT_BYTES = 32e6;

/** Approximate speed, in records/s, for the estimate. */
const RECORDS_A_SECOND = 20_000;

/** What to rebuild. */
export interface RebuildOptions {
  readonly fromMs: number;
  /** Name of the one view to rebuild; without it, everything. */
  readonly view?: string;
  /** Starts without asking. */
  readonly yes: boolean;
  /** Asks on a terminal; returns null if there is none. */
  readonly ask: (question: string) => boolean | null;
}

/**
 * Recomputes all rows with windows that start on the UTC day of `fromMs` or later, as far as the log reaches back, and
 * replaces the old ones in one transaction; returns the exit code. Prints what it will do, and asks. After an
 * interruption the tables in use are unchanged, and the next run continues.
 */
export async function rebuild(
  { fromMs, view, yes, ask }: RebuildOptions,
  settings: RebuildSettings,
  output: Output,
): Promise<number> {
  const views = rebuiltViews(settings, view);
  return await connected(settings, "rebuild", async (db) => {
    if (!await ready(db, output.writeError, settings.VIEWS_FILE)) return EXIT.schema;
    await holdOperationLock(db);
    if (view !== undefined) await verifyCurrency(db, settings.CURRENCY);
    const rates = await readRates(db);
    const plan = await planOf(db, { timeMs: fromMs, views, rates, isWhole: view === undefined }, settings);
    const continues = await isUnderWay(db, plan);
    const reach = continues ? await reachOf(db) : await chosenReach(db, plan, views, settings);
    const day = dayText(Math.max(plan.fromMs, reach.logBeginsMs ?? 0));
    const lines = [
      ...await described(db, plan, reach),
      ...await currencyChange(db, settings.CURRENCY, dayText(plan.fromMs)),
    ];
    for (const line of lines) output.writeError(`${line}\n`);
    if (!yes && !consent(ask)) {
      output.print("nothing was changed");
      return EXIT.failed;
    }
    if (continues) output.writeError(`continuing the interrupted rebuild from ${dayText(plan.fromMs)}\n`);
    else await begin(db, plan, reach);
    const zone = new ZoneSince(plan.days.sinceMs, await timeZoneNamed(db, plan.days.zone));
    const filling = await Filling.open(settings, plan, { views, rates, zone }, output);
    try {
      await fillAndSwap(db, plan, reach, filling, views, output);
    } finally {
      await filling.close();
    }
    output.print(`rebuilt ${view ?? "all windows, sessions, user days and events"} from ${day}`);
    return EXIT.done;
  }, SHORT_LOCK_TIMEOUT);
}

/** The views to rebuild. */
function rebuiltViews(settings: RebuildSettings, name: string | undefined): readonly View[] {
  const views = viewsOf(settings);
  const chosen = views.filter((view) => name === undefined || view.name === name);
  if (chosen.length > 0) return chosen;
  const names = views.map((view) => view.name);
  const similar = similarTo(name!, names);
  throw new WrongUse(
    `--view is ${JSON.stringify(name)}, which is no view${
      similar === null ? "" : `; did you mean ${similar}?`
    }\nThere are ${names.join(", ")}`,
  );
}

function consent(ask: RebuildOptions["ask"]): boolean {
  const answer = ask("Rebuild these tables?");
  if (answer !== null) return answer;
  throw new WrongUse("rebuild asks before it starts, and there is no terminal: add --yes");
}

function dayText(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(0, 10);
}

/** What a rebuild will do, in lines. */
async function described(db: Database, plan: Plan, { starts, logBeginsMs }: Reach): Promise<string[]> {
  const positions = await positionsOf(db, plan.topic);
  const records = starts.reduce(
    (sum, { partition, from }) => sum + Math.max(0, (positions.get(partition)?.next ?? 0) - from),
    0,
  );
  const { rows: [row] } = await db.query<{ size: string }>(
    `select pg_size_pretty((sum(pg_total_relation_size(c.oid)) * $1::float8
         / greatest(1, (select sum(consumed) from clickstream.progress)))::bigint) as size
       from pg_class c where c.relnamespace = 'clickstream'::regnamespace and c.relkind = 'r'`,
    [records],
  );
  const firstMs = Math.max(plan.fromMs, logBeginsMs ?? 0);
  const days = Math.floor(Date.now() / DAY_MS) - Math.floor(firstMs / DAY_MS) + 1;
  const minutes = Math.ceil(records / RECORDS_A_SECOND / 60);
  const { zone, former, sinceMs, areAll } = plan.days;
  const counted = areAll
    ? "all events are counted by the new ones"
    : `events from ${new Date(sinceMs).toISOString()} on are counted by the new ones; older user days stay`;
  return [
    ...zone === former ? [] : [`changes days from ${former} to ${zone}: ${counted}`],
    `replaces rows${plan.isWhole ? "" : ` of ${plan.views[0]}`} from ${dayText(firstMs)} to now` +
    (logBeginsMs === null
      ? ""
      : `: the log starts on ${dayText(logBeginsMs)}, and its late events belong to earlier days`),
    `reads about ${withCommas(records)} records of topic ${plan.topic}, in about ${minutes} min`,
    ...plan.isWhole
      ? [
        `needs about ${row!.size} of disk space until it is done` +
        (plan.storeEvents ? `, and about ${days} daily partitions of events` : ""),
      ]
      : [],
  ];
}

/**
 * What changes for revenue if it gets another currency, in lines.
 *
 * @throws {WrongUse} if revenue before that day would stay in the other currency
 */
async function currencyChange(db: Database, currency: string | null, day: string): Promise<string[]> {
  const used = await currencyUsed(db);
  if (used === currency) return [];
  const isLeft = await hasRevenueBefore(db, day);
  if (used !== null && isLeft) {
    throw new WrongUse(
      `CURRENCY is ${currencyInWords(currency)}, and revenue before ${day} would stay in ${used}. ` +
        `Choose an earlier --from, if the log reaches back so far, or set CURRENCY=${used}; nothing was changed`,
    );
  }
  return [
    `revenue will be in ${currency ?? "the currencies of the purchases, without conversion"}` +
    (isLeft ? `; before ${day} it stays as it was, without conversion` : ""),
  ];
}

/** Tells rates from any others. */
function digestOf(rates: readonly Rate[]): string {
  return createHash("sha256").update(JSON.stringify(rates)).digest("hex");
}

/** Begins at the UTC midnight before the shop's day that contains `timeMs`, so that this day is rebuilt as a whole. */
async function planOf(
  db: Database,
  { timeMs, views, rates, isWhole }: Rebuilt & { readonly timeMs: number; readonly isWhole: boolean },
  settings: RebuildSettings,
): Promise<Plan> {
  const fromMs = Math.floor(await dayStart(db, timeMs) / DAY_MS) * DAY_MS;
  const adoptions = await adoptionsSoFar(db, settings.KAFKA_TOPIC);
  return {
    topic: settings.KAFKA_TOPIC,
    topicId: await topicIdOf(db, settings.KAFKA_TOPIC),
    adoptions,
    fromMs,
    version: VERSION,
    views: views.map(({ name }) => name),
    declared: settings.VIEWS_FILE?.hash ?? "",
    isWhole,
    keepDays: settings.EVENTS_KEEP_DAYS,
    storeEvents: settings.STORE_EVENTS && isWhole,
    hashRoutes: settings.HASH_ROUTES,
    siteHosts: settings.SITE_HOSTS ?? [],
    money: settings.CURRENCY === null ? null : { currency: settings.CURRENCY, rates: digestOf(rates) },
    days: await plannedDays(db, { fromMs, views, isWhole, isOneLog: adoptions === 0 }, settings.TIME_ZONE),
    layout: 4,
    replayed: await replayedPlaces(db, settings.KAFKA_TOPIC),
  };
}

/** What days are counted by. */
interface ForDays {
  readonly fromMs: number;
  readonly views: readonly View[];
  readonly isWhole: boolean;
  /** False if some rows may be of a log that is gone, and have to stay. */
  readonly isOneLog: boolean;
}

async function plannedDays(
  db: Database,
  { fromMs, views, isWhole, isOneLog }: ForDays,
  asked: string | null,
): Promise<PlannedDays> {
  const { zone: former, sinceMs: changedMs, first } = await daysInUse(db);
  const zone = asked === null ? former : await nameInPostgres(db, asked);
  const sinceMs = await nextDayStart(db, fromMs);
  const byDay = views.filter(({ window }) => window.kind === "day");
  const hasDays = isWhole && byDay.some(({ name }) => name === userDays.name);
  if (zone !== former && !hasDays) {
    throw new WrongUse(
      `TIME_ZONE is ${zone}, and the tables have days of ${former}: to change them, VIEWS must have user_days, and --view ` +
        "cannot be used",
    );
  }
  // A day begins up to 14 hours before its date begins in UTC.
  const areAll = hasDays && isOneLog && (first === null || Date.parse(first) - DAY_MS > sinceMs);
  const inMemory = byDay.find(({ measures }) => !Object.values(measures).every(mergesInSql));
  if (zone !== former && !areAll && inMemory !== undefined) {
    throw new WrongUse(
      `TIME_ZONE is ${zone}, and ${inMemory.name} has days of ${former} with distinct users, which cannot be added to ` +
        "those of another zone. Choose a --from before all events; nothing was changed",
    );
  }
  // The last day of an earlier zone and the first ones of this zone may have the same dates.
  if (!areAll && changedMs !== null && sinceMs < changedMs + 2 * DAY_MS) {
    throw new WrongUse(
      `a rebuild from ${dayText(fromMs)} would replace days of ${former} beside days of another time zone, which an ` +
        `earlier rebuild left before ${new Date(changedMs).toISOString()}. Choose a --from three days after that, or ` +
        "one before all events; nothing was changed",
    );
  }
  return { zone, former, sinceMs, areAll };
}

/** Where to start in each partition. */
async function chosenReach(
  db: Database,
  plan: Plan,
  views: readonly View[],
  settings: RebuildSettings,
): Promise<Reach> {
  const cluster = clusterOf(settings);
  const logBeginsMs = await beginningOf(cluster);
  const times = timesToRead(plan.fromMs, views);
  const froms = await offsetsAt(cluster, times.from);
  const replays = await offsetsAt(cluster, times.replay);
  const positions = await positionsOf(db, plan.topic);
  const former = await latestFormer(db, plan.topic);
  if (former !== null && former >= plan.fromMs) {
    throw new WrongUse(
      `the tables have events up to ${
        new Date(former).toISOString()
      } from a topic that adopt-topic replaced, and Kafka ` +
        `no longer has it. Choose a --from on the next UTC day or later; nothing was changed`,
    );
  }
  const starts = (await boundsOf(cluster)).map(({ partition, begin }): Start => {
    const { next, latestMs } = positions.get(partition) ?? { next: 0, latestMs: null };
    const [replay, from] = [replays.get(partition)!, froms.get(partition)!];
    // Deleted records were before the remaining ones: if those start before the time, nothing needed was deleted.
    const covered = begin === 0 || replay > begin || (latestMs !== null && latestMs < plan.fromMs);
    if (!covered) {
      throw new WrongUse(
        `a rebuild from ${new Date(plan.fromMs).toISOString()} needs the log since ` +
          `${new Date(times.replay).toISOString()}, but partition ${partition} of ${plan.topic} starts at offset ` +
          `${begin}, and Kafka deleted earlier records. Choose a later --from; nothing was changed`,
      );
    }
    return { partition, replay: Math.min(replay, next), from: Math.min(from, next) };
  });
  return { starts, logBeginsMs: logBeginsMs !== null && logBeginsMs > plan.fromMs ? logBeginsMs : null };
}

async function fillAndSwap(
  db: Database,
  plan: Plan,
  reach: Reach,
  filling: Filling,
  views: readonly View[],
  output: Output,
): Promise<void> {
  const say = (line: string) => output.writeError(`${line}\n`);
  // The first round reads nearly everything, the second the records since; only the last one blocks the service.
  for (let round = 0; round < 2; round++) await filling.readTo(await nextOffsets(db, plan.topic));
  await verifyRoomForSwap(db);
  await retryOnLockTimeout("put the new rows in place", say, () =>
    db.transaction(async (tx) => {
      await tx.exec("lock table clickstream.progress in exclusive mode");
      await filling.readTo(await nextOffsets(tx, plan.topic));
      await swap(tx, plan, views, reach);
    }));
}

async function nextOffsets(db: Database, topic: string): Promise<ReadonlyMap<number, number>> {
  return new Map([...await positionsOf(db, topic)].map(([partition, { next }]) => [partition, next]));
}

/** The pipeline that fills the new tables. */
class Filling {
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
