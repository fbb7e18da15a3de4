/**
 * Every metric of a process, defined once: Prometheus and OpenTelemetry get the same names and numbers. `Activity` counts
 * in plain fields, and they are read when somebody asks.
 * @module
 */
import type { Distribution } from "../pipeline/distribution.ts";
import { VERSION } from "../version.ts";
import type { Activity, PartitionActivity } from "./activity.ts";
import { SIGNALS, SPAN_OUTCOMES } from "./exported.ts";
import { STALLS } from "./stall.ts";

/** A label value, if the metric has a label, and a number; null if it is not known. */
export type Reading = readonly [label: string | null, value: number | null];

/** Description of a metric. */
export interface MetricAbout {
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly label: string | null;
  readonly help: string;
}

/** A counter or gauge: a number for each value of its label. */
export interface NumberMetric extends MetricAbout {
  readonly type: "counter" | "gauge";
  read(): readonly Reading[];
}

/** A histogram: one distribution, without a label. */
export interface HistogramMetric extends MetricAbout {
  readonly type: "histogram";
  readonly label: null;
  read(): Distribution;
}

/** A metric, and how its value is read. */
export type Metric = NumberMetric | HistogramMetric;

/** What a process uses of its machine. */
export interface ProcessUse {
  /** When it started, epoch milliseconds. */
  readonly startedAt: number;
  /** Processor time used, user and system, in seconds. */
  cpuSeconds(): number;
  /** Memory in use, in bytes. */
  residentBytes(): number;
}

/** The metrics of a process, in the order in which they are shown. */
export function metricsOf(activity: Activity, use: ProcessUse): readonly Metric[] {
  return [
    ...counters(activity),
    ...histograms(activity),
    ...gauges(activity),
    ...partitions(activity),
    ...telemetry(activity),
    ...ofProcess(use),
  ];
}

function counters(activity: Activity): Metric[] {
  return [
    counter("clickstream_events_total", "Records consumed, by outcome.", "outcome", () => {
      const { stored, duplicates, refused } = activity.totals;
      return [["stored", stored], ["duplicate", duplicates], ["refused", refused]];
    }),
    counter(
      "clickstream_skipped_offsets_total",
      "Offsets without a record to decode: control records, aborted transactions, compacted offsets.",
      null,
      () => [[null, activity.totals.skipped]],
    ),
    counter(
      "clickstream_gap_records_total",
      "Records that Kafka deleted before this process read them; they are in no table.",
      null,
      () => [[null, activity.totals.gaps]],
    ),
    counter(
      "clickstream_refusals_total",
      "Records refused, by reason.",
      "reason",
      () => [...activity.refusedByReason],
    ),
    counter("clickstream_commits_total", "Commits applied.", null, () => [[null, activity.commits]]),
    counter(
      "clickstream_commit_rows_total",
      "Rows written by commits, by table.",
      "table",
      () => [...activity.rowsByTable],
    ),
    counter(
      "clickstream_late_events_total",
      "Events stored that came after the event-time watermark of their partition.",
      null,
      () => [[null, activity.totals.late]],
    ),
    counter(
      "clickstream_unchecked_events_total",
      "Events whose Kafka timestamp is so old that not all ids of the 10 minutes before it are remembered; a duplicate of them counts as an event.",
      null,
      () => [[null, activity.totals.unchecked]],
    ),
    counter(
      "clickstream_restarts_total",
      "Restarts of the pipeline, which reads uncommitted records again, by cause.",
      "cause",
      () => [...activity.restartsByCause],
    ),
    counter(
      "clickstream_group_commit_failures_total",
      "Failed commits of offsets to the consumer group.",
      null,
      () => [[null, activity.groupCommitFailures]],
    ),
    counter(
      "clickstream_retries_total",
      "Retries after Kafka or PostgreSQL failed.",
      null,
      () => [[null, activity.retries]],
    ),
    counter(
      "clickstream_fetch_bytes_total",
      "Bytes of record batches fetched from Kafka, as compressed by the producer.",
      null,
      () => [[null, activity.fetchedBytes]],
    ),
  ];
}

function partitions(activity: Activity): Metric[] {
  const ofEach = (of: (partition: PartitionActivity) => number | null): Reading[] =>
    activity.partitions.map((partition) => [String(partition.partition), of(partition)]);
  return [
    counter(
      "clickstream_partition_changes_total",
      "Changes of the number of partitions of the topic; duplicates across a change are not recognised.",
      null,
      () => [[null, activity.partitionChanges]],
    ),
    gauge(
      "clickstream_topic_partitions",
      "Partitions of the topic.",
      null,
      () => [[null, activity.topicPartitions]],
    ),
    gauge(
      "clickstream_lag_records",
      "Lag of a partition in records: high watermark - next offset.",
      "partition",
      () => ofEach(({ lag }) => lag),
    ),
    gauge(
      "clickstream_high_watermark_offset",
      "High watermark of a partition.",
      "partition",
      () => ofEach(({ end }) => end),
    ),
    gauge(
      "clickstream_last_stable_offset",
      "Last stable offset of a partition; records from here to the high watermark wait for a transaction to end.",
      "partition",
      () => ofEach(({ stable }) => stable),
    ),
    gauge(
      "clickstream_watermark_timestamp_seconds",
      "Largest event time committed from a partition, less the allowed delay.",
      "partition",
      () => ofEach(({ watermark: ms }) => ms === null ? null : ms / 1000),
    ),
    gauge(
      "clickstream_stalls",
      "Stalled partitions, commits and workers, by reason.",
      "reason",
      () => STALLS.map((kind) => [kind, activity.stalls.filter((stall) => stall.kind === kind).length]),
    ),
  ];
}

function histograms({ seconds }: Activity): Metric[] {
  return [
    histogram("clickstream_commit_duration_seconds", "Duration of commits in PostgreSQL.", seconds.commit),
    histogram(
      "clickstream_commit_wait_seconds",
      "Time from reading the first record of a commit to sending the commit to PostgreSQL.",
      seconds.wait,
    ),
    histogram(
      "clickstream_event_time_latency_seconds",
      "Time from an event in the shop to its commit; sampled in large commits.",
      seconds.eventLatency,
    ),
    histogram(
      "clickstream_produce_time_latency_seconds",
      "Time from an event's Kafka timestamp to its commit; sampled in large commits.",
      seconds.produceLatency,
    ),
    histogram(
      "clickstream_lateness_seconds",
      "How late the late events came after the event-time watermark of their partition.",
      seconds.lateness,
    ),
  ];
}

function gauges(activity: Activity): Metric[] {
  return [
    gauge("clickstream_up", "1 while the process runs.", null, () => [[null, 1]]),
    gauge(
      "clickstream_ready",
      "1 while Kafka, PostgreSQL and the schema are available and nothing is stalled, otherwise 0.",
      null,
      () => [[null, activity.notReady === null ? 1 : 0]],
    ),
    gauge(
      "clickstream_topic_changed",
      "1 if the topic was recreated or truncated, and the process is about to exit; otherwise 0.",
      "kind",
      () => (["recreated", "truncated"] as const).map((kind) => [kind, activity.topicChange?.kind === kind ? 1 : 0]),
    ),
    gauge(
      "clickstream_build_info",
      "Version of the program.",
      "version",
      () => [[VERSION, 1]],
    ),
    gauge(
      "clickstream_memory_bytes",
      "Memory of all workers: JavaScript heap in use, buffers outside it, and what the kernel has taken.",
      "kind",
      () => activity.memory,
    ),
    gauge(
      "clickstream_unconverted_purchases",
      "Purchases in the tables without a rate to the shop's currency, which add nothing to revenue.",
      null,
      () => [[null, activity.money?.unconverted.reduce((sum, { purchases }) => sum + purchases, 0) ?? null]],
    ),
    gauge(
      "clickstream_last_commit_timestamp_seconds",
      "When the last commit was applied.",
      null,
      () => [[null, activity.lastCommit === null ? null : activity.lastCommit.at / 1000]],
    ),
  ];
}

function telemetry({ exported }: Activity): Metric[] {
  return [
    counter(
      "clickstream_telemetry_spans_total",
      "Spans for OpenTelemetry, by what became of them; 0 unless OTEL_EXPORTER_OTLP_ENDPOINT is set.",
      "outcome",
      () => SPAN_OUTCOMES.map((outcome) => [outcome, exported.spans[outcome]]),
    ),
    counter(
      "clickstream_telemetry_failures_total",
      "Requests with telemetry that the OpenTelemetry collector did not accept, by signal.",
      "signal",
      () => SIGNALS.map((signal) => [signal, exported.failures[signal]]),
    ),
  ];
}

function ofProcess(use: ProcessUse): Metric[] {
  return [
    gauge("process_start_time_seconds", "When the process started.", null, () => [[null, use.startedAt / 1000]]),
    counter(
      "process_cpu_seconds_total",
      "Processor time used, user and system.",
      null,
      () => [[null, use.cpuSeconds()]],
    ),
    gauge("process_resident_memory_bytes", "Memory in use.", null, () => [[null, use.residentBytes()]]),
  ];
}

function counter(name: string, help: string, label: string | null, read: () => readonly Reading[]): NumberMetric {
  return { name, type: "counter", label, help, read };
}

/** A gauge; without a known value it has no sample. */
function gauge(name: string, help: string, label: string | null, read: () => readonly Reading[]): NumberMetric {
  return { name, type: "gauge", label, help, read };
}

function histogram(name: string, help: string, of: Distribution): HistogramMetric {
  return { name, type: "histogram", label: null, help, read: () => of };
}
