/**
 * The service: reads Kafka into PostgreSQL until it is told to stop. The first worker runs in this thread, each of the
 * others in a thread of its own. They share only the process; the consumer group assigns partitions to them.
 * @module
 */
import { setTimeout } from "node:timers/promises";
import { Activity } from "../../status/activity.ts";
import type { WorkerEvent } from "../../status/worker_events.ts";
import { addressText } from "../../config/address.ts";
import { supervisor, workersOf } from "../../config/config.ts";
import type { Database } from "../../postgres/database.ts";
import { openPostgres } from "../../postgres/postgres.ts";
import { shopSource } from "../../postgres/operations/shop_reader.ts";
import { serveHttp } from "../../http/http.ts";
import { Live } from "../../http/live.ts";
import { type Log, openLog } from "../../host/log.ts";
import { Metrics } from "../../http/metrics.ts";
import { openNotifier } from "../../host/notify.ts";
import { Watching } from "../../status/sampler.ts";
import { runningSettings } from "../../config/settings_shown.ts";
import type { Telemetry } from "../../telemetry/telemetry.ts";
import { collectorOf } from "../../telemetry/switched.ts";
import { VERSION } from "../../version.ts";
import { announce, type Announcements, NO_ANNOUNCEMENTS } from "./announce.ts";
import { loginTo } from "../cli/connection.ts";
import { EXIT } from "../cli/exit.ts";
import { workInThread } from "./threads.ts";
import { type RunSettings, withTimeout, work } from "./work.ts";

/** A service that must wait for its operator shows that on its page for this long before it ends, in milliseconds. */
const SHOWN_MS = 5_000;

/**
 * Runs until `signal` is aborted, then commits what it has read; returns the exit code: 0, or 3 if the schema does not
 * fit.
 */
export async function run(settings: RunSettings, signal: AbortSignal): Promise<number> {
  const log = openLog({ level: settings.LOG_LEVEL, format: settings.LOG_FORMAT });
  const workers = workersOf(settings);
  const activity = new Activity(() => Date.now(), workers);
  const metrics = new Metrics(activity);
  const instance = `${Deno.hostname()}/${Deno.pid}`;
  const about = {
    version: VERSION,
    instance,
    topic: settings.KAFKA_TOPIC,
    startedAt: Date.now(),
    settings: runningSettings(settings),
  };
  const watching = new Watching();
  const live = new Live({
    about,
    activity,
    open: async () => shopSource(await openToLook(settings), settings.KAFKA_TOPIC),
    watched: (isWatched) => watching.on = isWatched,
  });
  const http = serveHttp(
    settings.HTTP_LISTEN,
    {
      notReady: () => activity.notReady,
      status: () => live.status(),
      stream: () => live.stream(),
      metrics,
    },
    log,
    { hosts: settings.HTTP_HOSTS ?? [] },
  );
  const address = `http://${addressText(http.address)}/`;
  log.info("starting clickstream", { version: VERSION, instance, workers, http: address });
  const telemetry = await telemetryOf(settings, activity, metrics, about, log);
  const announcements = announcing(activity, workers, log);
  signal.addEventListener("abort", () => {
    activity.stopping = true;
    announcements.look();
    log.info("stopping: committing what was read");
  });
  // If one worker ends, all end: the supervisor of the service restarts all of them.
  const failed = new AbortController();
  const stop = AbortSignal.any([signal, failed.signal]);
  const started = Array.from({ length: workers }, async (_, n) => {
    const tell = (event: WorkerEvent) => {
      activity.take(event, n);
      live.take(event);
      announcements.hear(event, n);
      if (event.kind === "traced") telemetry?.take(event.commit);
    };
    try {
      const code = n === 0
        ? await work(settings, instance, stop, log, tell, watching)
        : await workInThread(`${instance}/${n}`, stop, tell, watching);
      if (code !== EXIT.done) failed.abort();
      return code;
    } catch (error) {
      failed.abort();
      throw error;
    }
  });
  try {
    const ended = await Promise.allSettled(started);
    if (activity.topicChange !== null) await setTimeout(SHOWN_MS, undefined, { signal }).catch(() => {});
    for (const end of ended) if (end.status === "rejected") throw end.reason;
    const { latenessMs: _, ...totals } = activity.totals;
    log.info("stopped", totals);
    return Math.max(...ended.map((end) => end.status === "fulfilled" ? end.value : EXIT.failed));
  } finally {
    await withTimeout(live.close(), http.close(), telemetry?.close() ?? Promise.resolve());
    announcements.close();
  }
}

/** Starts to send telemetry, if the settings name a collector; its code is loaded only then. */
async function telemetryOf(
  settings: RunSettings,
  activity: Activity,
  metrics: Metrics,
  { instance, startedAt }: { readonly instance: string; readonly startedAt: number },
  log: Log,
): Promise<Telemetry | null> {
  const collector = collectorOf(settings);
  if (collector === null) return null;
  const { openTelemetry } = await import("../../telemetry/open.ts");
  const process = { hostname: Deno.hostname(), pid: Deno.pid, metrics: metrics.all, exported: activity.exported };
  return openTelemetry(collector, settings, { instance, startedAt, ...process }, log);
}

/** Connects to PostgreSQL for the page: read only, with short limits, so that it never delays the workers. */
async function openToLook(settings: RunSettings): Promise<Database> {
  return await openPostgres(settings.DATABASE_URL.reveal(), {
    ...loginTo(settings),
    applicationName: "clickstream status page",
    settings: { statement_timeout: "1500ms", lock_timeout: "500ms", default_transaction_read_only: "on" },
    connectTimeoutMs: 1500,
    answerTimeoutMs: 2500,
  });
}

/** Announces the state to systemd, if it supervises the service; a reload then logs the state. */
function announcing(activity: Activity, workers: number, log: Log): Announcements {
  const systemd = supervisor();
  if (systemd === null) return NO_ANNOUNCEMENTS;
  const notifier = openNotifier(systemd, (reason) => log.warn(reason));
  const announcements = announce(notifier, systemd, { activity, workers, now: () => performance.now() });
  Deno.addSignalListener("SIGHUP", () => {
    const { notReady, partitions, totals } = activity;
    log.info("nothing to reload: settings are read at the start; restart to apply new ones", {
      notReady,
      partitions,
      totals,
    });
    announcements.reload();
  });
  return announcements;
}
