/**
 * The status page of a demo: the same page, metrics and status as those of the service.
 * @module
 */
import { Activity } from "../../status/activity.ts";
import { reportTo, type Sampling, type WorkerEvent } from "../../status/worker_events.ts";
import { shopSource } from "../../postgres/operations/shop_reader.ts";
import type { Database } from "../../postgres/database.ts";
import { type HttpServer, serveHttp } from "../../http/http.ts";
import { Live } from "../../http/live.ts";
import { openLog } from "../../host/log.ts";
import { Metrics } from "../../http/metrics.ts";
import type { Observer } from "../../pipeline/observer.ts";
import { Sampler, Watching } from "../../status/sampler.ts";
import { VERSION } from "../../version.ts";
import { DAY_MS } from "../../views/view.ts";

const DEFAULT_PORT = 8080;

/** Options of the page. */
export interface PageOptions {
  /** 0 picks a free port, null the default, or a free one if the default is taken. */
  readonly port: number | null;
  readonly topic: string;
  /** Retention of events, in days. */
  readonly keepDays: number;
  /** Settings as they are shown. */
  readonly settings: Readonly<Record<string, string>>;
}

/** The page of a demo. */
export interface Page {
  readonly observer: Observer;
  readonly http: HttpServer;
  close(): Promise<void>;
}

/** Serves the page on this machine; its observer must be passed to the pipeline. */
export function openPage({ port, topic, keepDays, settings }: PageOptions, db: Database): Page {
  const activity = new Activity(() => Date.now());
  activity.take({ kind: "notReady", why: null });
  const metrics = new Metrics(activity);
  const watching = new Watching();
  const live = new Live({
    about: { version: VERSION, instance: "demo", topic, startedAt: Date.now(), settings },
    activity,
    // The page shares the pipeline's only connection, so it must not close it.
    open: () => Promise.resolve({ ...shopSource(db, topic), close: () => Promise.resolve() }),
    watched: (isWatched) => watching.on = isWatched,
  });
  const sampler = new Sampler(topic, keepDays * DAY_MS, () => performance.now());
  const tell = (event: WorkerEvent) => {
    activity.take(event);
    live.take(event);
  };
  const sample: Sampling = (records, from) => sampler.take(records, from, watching.on);
  const observer = reportTo(tell, () => Date.now(), sample);
  const shown = {
    notReady: () => activity.notReady,
    status: () => live.status(),
    stream: () => live.stream(),
    metrics,
  };
  const serve = (at: number) =>
    serveHttp({ hostname: "127.0.0.1", port: at }, shown, openLog({ level: "warn", format: "text" }), {
      named: `--port ${at}`,
    });
  const http = serveWhereFree(port, serve);
  return {
    observer,
    http,
    async close() {
      await live.close();
      await http.close();
    },
  };
}

function serveWhereFree(port: number | null, serve: (port: number) => HttpServer): HttpServer {
  try {
    return serve(port ?? DEFAULT_PORT);
  } catch (error) {
    if (port !== null) throw error;
    return serve(0);
  }
}
