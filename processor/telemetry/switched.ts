/**
 * Which telemetry the settings turn on.
 * @module
 */
import type { Settings } from "../config/config.ts";
import { type Signal, SIGNALS } from "../status/exported.ts";

/** Settings that decide. */
export type SwitchSettings = Settings<
  | "OTEL_SDK_DISABLED"
  | "OTEL_EXPORTER_OTLP_ENDPOINT"
  | "OTEL_TRACES_EXPORTER"
  | "OTEL_METRICS_EXPORTER"
  | "OTEL_TRACES_SAMPLER"
  | "OTEL_TRACES_SAMPLER_ARG"
>;

/** The collector to send to; null if nothing is sent. */
export function collectorOf(settings: SwitchSettings): string | null {
  const { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_TRACES_EXPORTER: traces, OTEL_METRICS_EXPORTER: metrics } =
    settings;
  return settings.OTEL_SDK_DISABLED || (traces === "none" && metrics === "none") ? null : endpoint;
}

/** The kinds of telemetry that are sent. */
export function signalsOf(settings: SwitchSettings): readonly Signal[] {
  const of = { traces: settings.OTEL_TRACES_EXPORTER, metrics: settings.OTEL_METRICS_EXPORTER };
  return collectorOf(settings) === null ? [] : SIGNALS.filter((signal) => of[signal] !== "none");
}

/** Fraction of commits that are traced, from 0 to 1. No commit has a parent that could decide for it. */
export function tracedRatio(settings: SwitchSettings): number {
  if (!signalsOf(settings).includes("traces")) return 0;
  const sampler = settings.OTEL_TRACES_SAMPLER.replace("parentbased_", "");
  if (sampler === "traceidratio") return settings.OTEL_TRACES_SAMPLER_ARG ?? 1;
  return sampler === "always_on" ? 1 : 0;
}
