/**
 * Opens telemetry by its settings.
 * @module
 */
import type { Settings } from "../config/config.ts";
import { parseDatabaseUrl } from "../config/database_url.ts";
import type { TELEMETRY } from "../config/telemetry.ts";
import type { Log } from "../host/log.ts";
import type { Exported } from "../status/exported.ts";
import type { Metric } from "../status/metrics.ts";
import { type About, resourceOf } from "./otel.ts";
import { senderTo } from "./sender.ts";
import { signalsOf } from "./switched.ts";
import { Telemetry } from "./telemetry.ts";

/** Settings that telemetry needs. */
export type OpenSettings = Settings<keyof typeof TELEMETRY | "DATABASE_URL" | "KAFKA_TOPIC" | "KAFKA_GROUP_ID">;

/** What is sent of a process. */
export interface Process extends About {
  readonly metrics: readonly Metric[];
  readonly exported: Exported;
  readonly startedAt: number;
}

/** Starts to send the telemetry of a process to an endpoint. */
export function openTelemetry(endpoint: string, settings: OpenSettings, process: Process, log: Log): Telemetry {
  const { hosts: [server], database } = parseDatabaseUrl(settings.DATABASE_URL.reveal());
  return new Telemetry({
    encoding: settings.OTEL_EXPORTER_OTLP_PROTOCOL,
    sender: senderTo(endpoint, settings),
    spans: {
      resource: resourceOf(settings, process),
      topic: settings.KAFKA_TOPIC,
      group: settings.KAFKA_GROUP_ID,
      database: { host: server?.host ?? "", port: server?.port ?? 0, name: database },
      spanId: () => crypto.getRandomValues(new Uint8Array(8)).toHex(),
    },
    metrics: process.metrics,
    metricsEveryMs: signalsOf(settings).includes("metrics") ? settings.OTEL_METRIC_EXPORT_INTERVAL : null,
    startedAt: process.startedAt,
    exported: process.exported,
    log,
  });
}
