/**
 * The metrics of a process as OpenTelemetry's: with the names that Prometheus gets, so that dashboards and alerts work
 * with either.
 * @module
 */
import { type HrTime, ValueType } from "@opentelemetry/api";
import type { Resource } from "@opentelemetry/resources";
import {
  AggregationTemporality,
  DataPointType,
  type MetricData,
  type MetricDescriptor,
  type ResourceMetrics,
} from "@opentelemetry/sdk-metrics";
import { countOf, type Distribution } from "../pipeline/distribution.ts";
import type { HistogramMetric, Metric, NumberMetric } from "../status/metrics.ts";
import { hrTime, SCOPE } from "./otel.ts";

/**
 * All metrics as they are now. Counters and histograms count since the process started.
 *
 * @param times when the process started and what time it is now, epoch milliseconds
 */
export function metricsNow(
  metrics: readonly Metric[],
  resource: Resource,
  times: { readonly startedAt: number; readonly now: number },
): ResourceMetrics {
  const interval = { startTime: hrTime(times.startedAt), endTime: hrTime(times.now) };
  const data = metrics.map((metric) =>
    metric.type === "histogram" ? histogram(metric, interval) : numbers(metric, interval)
  );
  return { resource, scopeMetrics: [{ scope: SCOPE, metrics: data }] };
}

interface Interval {
  readonly startTime: HrTime;
  readonly endTime: HrTime;
}

function numbers(metric: NumberMetric, interval: Interval): MetricData {
  const dataPoints = metric.read().flatMap(([label, value]) =>
    value === null ? [] : [{ ...interval, attributes: attributesOf(metric, label), value }]
  );
  const common = {
    descriptor: descriptorOf(metric),
    aggregationTemporality: AggregationTemporality.CUMULATIVE,
    dataPoints,
  };
  return metric.type === "counter"
    ? { ...common, dataPointType: DataPointType.SUM, isMonotonic: true }
    : { ...common, dataPointType: DataPointType.GAUGE };
}

function histogram(metric: HistogramMetric, interval: Interval): MetricData {
  return {
    descriptor: descriptorOf(metric),
    aggregationTemporality: AggregationTemporality.CUMULATIVE,
    dataPointType: DataPointType.HISTOGRAM,
    dataPoints: [{ ...interval, attributes: {}, value: histogramValue(metric.read()) }],
  };
}

function histogramValue(of: Distribution) {
  return { buckets: { boundaries: [...of.bounds], counts: [...of.counts] }, sum: of.sum, count: countOf(of) };
}

function attributesOf({ label: name }: Metric, value: string | null): Record<string, string> {
  return name === null || value === null ? {} : { [name]: value };
}

function descriptorOf({ name, help }: Metric): MetricDescriptor {
  return { name, description: help, unit: unitOf(name), valueType: ValueType.DOUBLE };
}

/** The unit that a name states, by its code. */
function unitOf(name: string): string {
  const base = name.replace(/_total$/, "");
  return base.endsWith("_seconds") ? "s" : base.endsWith("_bytes") ? "By" : "";
}
