/**
 * The page of a demo: the same page, metrics and status as the service has.
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

const USUAL_PORT = 8080;

/** What there is to show. */
export interface PageOptions {
  /** 0 for any that is free, null for the usual one, or any where that is taken. */
  readonly port: number | null;
  readonly topic: string;
  /** Days that events are kept. */
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

/** Opens it on this machine. What the pipeline does is told to its observer. */
export function openPage({ port, topic, keepDays, settings }: PageOptions, db: Database): Page {
  const activity = new Activity(() => Date.now());
  activity.take({ kind: "notReady", why: null });
  const metrics = new Metrics(activity);
  const watching = new Watching();
  const live = new Live({
    about: { version: VERSION, instance: "demo", topic, startedAt: Date.now(), settings },
    activity,
    // The one connection there is, which is the pipeline's too, stays open.
    open: () => Promise.resolve({ ...shopSource(db, topic), close: () => Promise.resolve() }),
    watched: (isWatched) => watching.on = isWatched,
  });
  const sampler = new Sampler(topic, keepDays * DAY_MS, () => performance.now());
  const tell = (event: WorkerEvent) => {
    activity.take(event);
    live.take(event);
  };
  const sample: Sampling = (records, from) => watching.on ? sampler.take(records, from) : [];
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
    return serve(port ?? USUAL_PORT);
  } catch (error) {
    if (port !== null) throw error;
    return serve(0);
  }
}
