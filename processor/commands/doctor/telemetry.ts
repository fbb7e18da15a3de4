/**
 * Checks the OpenTelemetry collector, if the settings name one.
 * @module
 */
import type { Settings } from "../../config/config.ts";
import type { TELEMETRY } from "../../config/telemetry.ts";
import { senderTo } from "../../telemetry/sender.ts";
import { collectorOf, signalsOf } from "../../telemetry/switched.ts";
import { advice, type Finding, good } from "./finding.ts";

/** Sends an empty request of each kind that the service would send. The service runs without a collector, too. */
export async function checkTelemetry(settings: Settings<keyof typeof TELEMETRY>): Promise<Finding[]> {
  const collector = collectorOf(settings);
  if (collector === null) return [];
  const sender = senderTo(collector, settings);
  const empty = new TextEncoder().encode(settings.OTEL_EXPORTER_OTLP_PROTOCOL === "http/json" ? "{}" : "");
  const findings = await Promise.all(
    signalsOf(settings).map(async (signal) => {
      const sent = await sender.send(signal, empty, new AbortController().signal);
      if (sent.kind === "accepted") return good("telemetry", `${collector} takes ${signal}`);
      const todo =
        "check that the collector runs and has a receiver for OTLP over HTTP, and the settings that begin with " +
        "OTEL_EXPORTER_OTLP; the service runs without it";
      return advice("telemetry", `${collector} does not take ${signal}: ${sent.reason}`, todo);
    }),
  );
  sender.close();
  return findings;
}
