/**
 * One worker of the service: a pipeline with its own connections, which runs until it is told to stop.
 * @module
 */
import { setImmediate, setTimeout } from "node:timers/promises";
import { reportTo, type Sampling, type WorkerEvent } from "../../status/worker_events.ts";
import { kernelMebibytes, memoryMbOf, type Settings, viewsOf, workersOf } from "../../config/config.ts";
import { workerLimits } from "../../config/memory.ts";
import { openPostgres } from "../../postgres/postgres.ts";
import { CurrencyMismatch } from "../../postgres/currency.ts";
import type { Database } from "../../postgres/database.ts";
import { ForgettingSink, Forgotten, HeldSource } from "../../postgres/sink/forgetting.ts";
import { workerClientId } from "../../kafka/member.ts";
import { KafkaSource } from "../../kafka/source.ts";
import type { Log } from "../../host/log.ts";
import { verifyDeclarations } from "../../postgres/operations/declarations.ts";
import { verifySchema } from "../../postgres/operations/migrations.ts";
import { SchemaMismatch } from "../../postgres/schema.ts";
import { timeZoneOf, WrongTimeZone } from "../../postgres/time_zone.ts";
import { ReopeningSink } from "../../postgres/sink/reopening_sink.ts";
import { SqlSink } from "../../postgres/sink/sql_sink.ts";
import { MIGRATIONS } from "../../../migrations/mod.ts";
import type { RetryableError } from "../../pipeline/causes.ts";
import type { Observer } from "../../pipeline/observer.ts";
import { Pipeline } from "../../pipeline/pipeline.ts";
import type { Sink } from "../../pipeline/commit.ts";
import { type Source, TopicChanged } from "../../pipeline/source.ts";
import { Sampler, type Watching } from "../../status/sampler.ts";
import type { Conversion } from "../../currency.ts";
import { Kernel } from "../../kernel/kernel.ts";
import { CommitTracer } from "../../telemetry/commit_tracer.ts";
import { tracedRatio } from "../../telemetry/switched.ts";
import { inWords } from "../../config/secret.ts";
import { type Clock, type Listener, supervise } from "../../pipeline/supervise.ts";
import { WINDOW_MS } from "../../pipeline/duplicates.ts";
import { forShop } from "../../views/mod.ts";
import { LoadedZone, type TimeZone } from "../../views/time_zone.ts";
import { DAY_MS } from "../../views/view.ts";
import { clusterOf } from "../cli/cluster.ts";
import { loginTo } from "../cli/connection.ts";
import { EXIT } from "../cli/exit.ts";
import type { READS } from "../cli/reads.ts";
import { Money } from "./money.ts";
import { Readiness } from "./readiness.ts";

/** Settings that the service reads. */
export type RunSettings = Settings<typeof READS.run[number]>;

/** Takes events of a worker. Must not throw. */
export type Tell = (event: WorkerEvent) => void;

/** How long a commit waits for more records once the lag is 0, in milliseconds. */
const COMMIT_SOON_MS = 40;

/** Longest time to close a worker, and then the service, in milliseconds: with `STOP_WITHIN_MS`, less than 10 s. */
const CLOSE_WITHIN_MS = 900;

/** Shortest time between two signs of life, in milliseconds. */
const TURNED_EVERY_MS = 1000;

/** Interval between reports of the partitions, in milliseconds. */
const STATES_EVERY_MS = 1000;

/** Longest poll, in milliseconds: the service notices within this time that it should stop. */
const POLL_MS = 250;

/**
 * Limits on our own session: an instance that freezes in a commit loses its connection before the others give up
 * waiting for its row locks.
 */
const SESSION = {
  statement_timeout: "30s",
  lock_timeout: "20s",
  idle_in_transaction_session_timeout: "10s",
};

/** Longest time to wait for an answer from PostgreSQL, in milliseconds: longer than its own limits. */
const ANSWER_TIMEOUT_MS = 45_000;

/**
 * Runs until `signal` is aborted, then commits what it has read; returns the exit code: 0, or 3 if the schema does not
 * fit.
 *
 * @param instance name of the worker in `progress.committed_by`
 * @param watching whether to report many samples of decoded records
 */
export async function work(
  settings: RunSettings,
  instance: string,
  signal: AbortSignal,
  log: Log,
  tell: Tell,
  watching: Watching,
): Promise<number> {
  const forgotten = new Forgotten();
  const readiness = new Readiness(tell, signal);
  const tracer = tracerOf(settings, tell);
  const zone = new LoadedZone();
  const [, , worker] = instance.split("/");
  const money = new Money(settings.CURRENCY, log, tell, worker === undefined);
  const sink = new ReopeningSink(() => openSink(settings, { instance, forgotten, tracer, zone, money }));
  const kafka = new KafkaSource({
    ...clusterOf(settings),
    groupId: settings.KAFKA_GROUP_ID,
    ...clientOf(settings, instance),
    warn: (message) => log.warn(message),
    joining: () => readiness.joining(),
    fetched: (bytes) => tell({ kind: "fetched", bytes }),
    counted: (partitions) => tell({ kind: "counted", partitions }),
    noShare: (reason) => {
      if (reason !== null) log.warn(reason);
      tell({ kind: "noShare", reason });
    },
  });
  const source = new HeldSource(kafka, forgotten, POLL_MS);
  const sampler = new Sampler(settings.KAFKA_TOPIC, settings.EVENTS_KEEP_DAYS * DAY_MS, () => performance.now());
  // Held records may belong to a user who was forgotten, so they are not shown.
  const isShown = () => forgotten.limits.size === 0;
  const sample: Sampling = (records, from) => isShown() ? sampler.take(records, from, watching.on) : [];
  const reports = observer(log, tell, sample, readiness, tracer);
  const pipeline = pipelineOf(settings, { zone, source, sink, observer: reports, conversion: money.conversion });
  // Of buffers outside the heap, V8 counts all the address space of the kernel as one.
  const reservedBytes = kernelMebibytes(settings) * 2 ** 20;
  const states = setInterval(() => {
    tell({ kind: "partitions", states: kafka.states });
    const { heapUsed, external } = Deno.memoryUsage();
    const buffers = Math.max(0, external - reservedBytes);
    tell({ kind: "memory", bytes: { heap: heapUsed, buffers, kernel: pipeline.decoderBytes } });
  }, STATES_EVERY_MS);
  const turned = signOfLife(tell);
  const pipelined = {
    // PostgreSQL first: a missing schema must be reported at once, even if Kafka is down.
    start: async (cause: RetryableError | null) => {
      turned();
      await sink.open();
      await pipeline.start(cause);
    },
    step: () => {
      turned();
      return pipeline.step();
    },
    flush: () => pipeline.flush(),
  };
  try {
    await supervise(pipelined, signal, listener(log, readiness, tracer), clock);
    return EXIT.done;
  } catch (error) {
    if (error instanceof TopicChanged) {
      tell({ kind: "notReady", why: { kind: error.kind, reason: error.message } });
      tell({ kind: "topicChanged", change: error.change });
    }
    const isOfTables = error instanceof SchemaMismatch || error instanceof CurrencyMismatch;
    if (!isOfTables && !(error instanceof WrongTimeZone)) throw error;
    log.error(error.message);
    return isOfTables ? EXIT.schema : EXIT.wrongUse;
  } finally {
    clearInterval(states);
    money.close();
    await withTimeout(source.close(), sink.close());
  }
}

/** How a worker names itself to Kafka: no other process on its machine can have its port. */
function clientOf({ HTTP_LISTEN: { port } }: RunSettings, instance: string): { clientId: string; isOnly: boolean } {
  const [machine, , worker] = instance.split("/");
  return { clientId: workerClientId(machine!, port, worker ?? "0"), isOnly: port !== 0 };
}

/** Waits until everything is closed or has failed to close, for at most `CLOSE_WITHIN_MS`. */
export async function withTimeout(...closing: readonly Promise<void>[]): Promise<void> {
  const over = new AbortController();
  await Promise.race([Promise.allSettled(closing), clock.pause(CLOSE_WITHIN_MS, over.signal)]);
  over.abort();
}

/** Reports a sign of life, at most once per `TURNED_EVERY_MS`. */
function signOfLife(tell: Tell): () => void {
  let toldMs = -Infinity;
  return () => {
    const nowMs = performance.now();
    if (nowMs - toldMs < TURNED_EVERY_MS) return;
    toldMs = nowMs;
    tell({ kind: "turned" });
  };
}

/** What a pipeline is made of. */
interface Parts {
  readonly zone: TimeZone;
  readonly source: Source;
  readonly sink: Sink;
  readonly observer: Observer;
  readonly conversion: Conversion | undefined;
}

function pipelineOf(
  settings: RunSettings,
  { zone, source, sink, observer, conversion }: Parts,
): Pipeline {
  const { STORE_EVENTS: storeEvents } = settings;
  const views = forShop(viewsOf(settings), { siteHosts: settings.SITE_HOSTS ?? [], zone });
  const limits = workerLimits({
    memoryMb: memoryMbOf(settings),
    workers: workersOf(settings),
    views,
    storeEvents,
  });
  return new Pipeline({
    source,
    sink,
    observer,
    views,
    decoder: new Kernel({
      keepMs: settings.EVENTS_KEEP_DAYS * DAY_MS,
      hashRoutes: settings.HASH_ROUTES,
      currency: settings.CURRENCY,
      mebibytes: kernelMebibytes(settings),
      idsBytes: limits.idsBytes,
    }),
    storeEvents,
    conversion,
    now: () => performance.now(),
    yieldToEventLoop: () => setImmediate(),
    commitEveryMs: settings.COMMIT_EVERY_MS,
    commitSoonMs: COMMIT_SOON_MS,
    commitRecords: limits.records,
    commitTextBytes: limits.textBytes,
  });
}

/** Traces commits, if the settings say so; null otherwise, which costs nothing. */
function tracerOf(settings: RunSettings, tell: Tell): CommitTracer | null {
  const ratio = tracedRatio(settings);
  if (ratio === 0) return null;
  return new CommitTracer({
    ratio,
    mostLinks: settings.OTEL_SPAN_LINK_COUNT_LIMIT,
    tell: (commit) => tell({ kind: "traced", commit }),
    clock: {
      ...clock,
      epoch: () => Date.now(),
      bytes: (count) => crypto.getRandomValues(new Uint8Array(count)),
    },
  });
}

/** What each sink of a worker is opened with. */
interface SinkOptions {
  readonly instance: string;
  readonly forgotten: Forgotten;
  readonly tracer: CommitTracer | null;
  /** Gets the time zone of the tables. A pipeline that starts again has counted nothing yet, so it may be another one. */
  readonly zone: LoadedZone;
  readonly money: Money;
}

async function openSink(
  settings: RunSettings,
  { instance, forgotten, tracer, zone, money }: SinkOptions,
): Promise<Sink> {
  const db = await openPostgres(settings.DATABASE_URL.reveal(), {
    ...loginTo(settings),
    settings: SESSION,
    answerTimeoutMs: ANSWER_TIMEOUT_MS,
  });
  try {
    await verifySchema(db, MIGRATIONS);
    await verifyDeclarations(db, settings.VIEWS_FILE);
    await money.read(db);
    zone.load(await timeZoneOf(db, settings.TIME_ZONE));
    const { CURRENCY: currency, VIEWS_FILE: file } = settings;
    const sinkTo = (guarded: Database) =>
      new SqlSink(guarded, instance, { currency, declared: file?.hash ?? "", zone });
    return new ForgettingSink(tracer?.measured(db) ?? db, forgotten, sinkTo);
  } catch (error) {
    await db.close();
    throw error;
  }
}

function listener(log: Log, readiness: Readiness, tracer: CommitTracer | null): Listener {
  return {
    ready(failures) {
      readiness.ready();
      log.info("ready", { failures });
    },
    failed({ error, count, again, pauseMs }) {
      const reason = inWords(error);
      readiness.failed({ kind: error.kind, reason });
      log[again ? "debug" : "warn"]("failed; will retry", {
        ...{ reason, count, pauseMs: Math.round(pauseMs) },
        ...tracer?.fieldsOf(error),
      });
      if (!again && error.stack !== undefined) log.debug(inWords(error, true));
    },
    unfinished(error) {
      log.warn("stopping with uncommitted records; the next start reads them again", {
        reason: inWords(error),
        ...tracer?.fieldsOf(error),
      });
    },
  };
}

/** Reports events, and logs them: starts with their causes always, commits at level debug. */
function observer(
  log: Log,
  tell: Tell,
  sample: Sampling,
  readiness: Readiness,
  tracer: CommitTracer | null,
): Observer {
  const told = reportTo(tell, () => Date.now(), sample);
  return {
    ...told,
    started(partitions, cause) {
      told.started(partitions, cause);
      tracer?.started();
      readiness.started();
      const why = cause === null ? {} : { cause: inWords(cause), ...tracer?.fieldsOf(cause) };
      log.info("reading", { partitions: [...partitions.keys()], ...why });
    },
    decoded(records, from) {
      told.decoded(records, from);
      tracer?.decoded(records, from);
    },
    onBatchReady(timings) {
      told.onBatchReady(timings);
      tracer?.onBatchReady(timings);
    },
    commitFailed: (commit, error) => tracer?.commitFailed(commit, error),
    committed(commit, timing) {
      told.committed(commit, timing);
      tracer?.committed(commit, timing);
      const records = commit.advances.reduce((sum, { consumed }) => sum + consumed, 0);
      for (const { partition, gap } of commit.advances) {
        if (gap === null) continue;
        const { from, to } = gap;
        const what = `Kafka deleted ${to - from} records before they were read: offsets ${from} to ${to - 1} of ` +
          `partition ${partition} are lost`;
        const advice = "Run `clickstream gaps list`, and keep records for longer (retention.ms)";
        log.warn(`${what}. ${advice}`, { ...tracer?.fields });
      }
      log.debug("committed", {
        ...{ records, refused: commit.refusals.length, tookMs: Math.round(timing.tookMs) },
        ...tracer?.fields,
      });
    },
    forgot(partition, { from, to }) {
      log.warn(
        `Kafka deleted committed offsets ${from} to ${to - 1} of partition ${partition}. No event is lost, but ` +
          `duplicates of these events within ${WINDOW_MS / 60_000} minutes cannot be recognised and would be counted ` +
          "again",
      );
    },
    groupCommitFailed(error) {
      told.groupCommitFailed(error);
      log.warn("cannot commit offsets to the consumer group; PostgreSQL has them, so nothing is lost", {
        reason: inWords(error),
        ...tracer?.fields,
      });
    },
  };
}

const clock: Clock = {
  now: () => performance.now(),
  random: () => Math.random(),
  pause: (ms, signal) => setTimeout(ms, undefined, { signal }).catch(() => {}),
};
