/**
 * Metrics for Prometheus. `Activity` counts in plain fields, and a scrape copies them.
 * @module
 */
import process from "node:process";
import { Counter, Gauge, type Histogram, Registry } from "prom-client";
import type { Activity, PartitionActivity } from "../status/activity.ts";
import { countOf, type Distribution } from "../pipeline/distribution.ts";
import { STALLS } from "../status/stall.ts";
import { VERSION } from "../version.ts";

/** A label value, if the metric has a label, and a number. */
type Reading = readonly [label: string | null, value: number | null];

/** Description of a metric. */
export interface MetricAbout {
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly label: string | null;
  readonly help: string;
}

/** The metrics of one process. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #abouts: MetricAbout[] = [];

  /** @param activity where the numbers are counted */
  constructor(activity: Activity) {
    this.#addCounters(activity);
    this.#addHistograms(activity);
    this.#addGauges(activity);
    this.#addPartitions(activity);
    this.#addProcess();
  }

  /** All metrics in the order of the text. */
  get abouts(): readonly MetricAbout[] {
    return this.#abouts;
  }

  /** Media type of `text`. */
  get contentType(): string {
    return this.#registry.contentType;
  }

  /** All metrics in Prometheus' text format. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  #addCounters(activity: Activity): void {
    this.#counter("clickstream_events_total", "Records consumed, by outcome.", "outcome", () => {
      const { stored, duplicates, refused } = activity.totals;
      return [["stored", stored], ["duplicate", duplicates], ["refused", refused]];
    });
    this.#counter(
      "clickstream_skipped_offsets_total",
      "Offsets without a record to decode: control records, aborted transactions, compacted offsets.",
      null,
      () => [[null, activity.totals.skipped]],
    );
    this.#counter(
      "clickstream_gap_records_total",
      "Records that Kafka deleted before this process read them; they are in no table.",
      null,
      () => [[null, activity.totals.gaps]],
    );
    this.#counter(
      "clickstream_refusals_total",
      "Records refused, by reason.",
      "reason",
      () => [...activity.refusedByReason],
    );
    this.#counter("clickstream_commits_total", "Commits applied.", null, () => [[null, activity.commits]]);
    this.#counter(
      "clickstream_commit_rows_total",
      "Rows written by commits, by table.",
      "table",
      () => [...activity.rowsByTable],
    );
    this.#counter(
      "clickstream_late_events_total",
      "Events stored that came after the event-time watermark of their partition.",
      null,
      () => [[null, activity.totals.late]],
    );
    this.#counter(
      "clickstream_unchecked_events_total",
      "Events whose Kafka timestamp is so old that not all ids of the 10 minutes before it are remembered; a duplicate of them counts as an event.",
      null,
      () => [[null, activity.totals.unchecked]],
    );
    this.#counter(
      "clickstream_restarts_total",
      "Restarts of the pipeline, which reads uncommitted records again, by cause.",
      "cause",
      () => [...activity.restartsByCause],
    );
    this.#counter(
      "clickstream_group_commit_failures_total",
      "Failed commits of offsets to the consumer group.",
      null,
      () => [[null, activity.groupCommitFailures]],
    );
    this.#counter(
      "clickstream_retries_total",
      "Retries after Kafka or PostgreSQL failed.",
      null,
      () => [[null, activity.retries]],
    );
    this.#counter(
      "clickstream_fetch_bytes_total",
      "Bytes of record batches fetched from Kafka, as compressed by the producer.",
      null,
      () => [[null, activity.fetchedBytes]],
    );
  }

  #addPartitions(activity: Activity): void {
    const ofEach = (of: (partition: PartitionActivity) => number | null): Reading[] =>
      activity.partitions.map((partition) => [String(partition.partition), of(partition)]);
    this.#counter(
      "clickstream_partition_changes_total",
      "Changes of the number of partitions of the topic; duplicates across a change are not recognised.",
      null,
      () => [[null, activity.partitionChanges]],
    );
    this.#gauge(
      "clickstream_topic_partitions",
      "Partitions of the topic.",
      null,
      () => [[null, activity.topicPartitions]],
    );
    this.#gauge(
      "clickstream_lag_records",
      "Lag of a partition in records: high watermark - next offset.",
      "partition",
      () => ofEach(({ lag }) => lag),
    );
    this.#gauge(
      "clickstream_high_watermark_offset",
      "High watermark of a partition.",
      "partition",
      () => ofEach(({ end }) => end),
    );
    this.#gauge(
      "clickstream_last_stable_offset",
      "Last stable offset of a partition; records from here to the high watermark wait for a transaction to end.",
      "partition",
      () => ofEach(({ stable }) => stable),
    );
    this.#gauge(
      "clickstream_watermark_timestamp_seconds",
      "Largest event time committed from a partition, less the allowed delay.",
      "partition",
      () => ofEach(({ watermark: ms }) => ms === null ? null : ms / 1000),
    );
    this.#gauge(
      "clickstream_stalls",
      "Stalled partitions, commits and workers, by reason.",
      "reason",
      () => STALLS.map((kind) => [kind, activity.stalls.filter((stall) => stall.kind === kind).length]),
    );
  }

  #addHistograms({ seconds }: Activity): void {
    this.#histogram("clickstream_commit_duration_seconds", "Duration of commits in PostgreSQL.", seconds.commit);
    this.#histogram(
      "clickstream_commit_wait_seconds",
      "Time from reading the first record of a commit to sending the commit to PostgreSQL.",
      seconds.wait,
    );
    this.#histogram(
      "clickstream_event_time_latency_seconds",
      "Time from an event in the shop to its commit; sampled in large commits.",
      seconds.eventLatency,
    );
    this.#histogram(
      "clickstream_produce_time_latency_seconds",
      "Time from an event's Kafka timestamp to its commit; sampled in large commits.",
      seconds.produceLatency,
    );
    this.#histogram(
      "clickstream_lateness_seconds",
      "How late the late events came after the event-time watermark of their partition.",
      seconds.lateness,
    );
  }

  #addGauges(activity: Activity): void {
    this.#gauge("clickstream_up", "1 while the process runs.", null, () => [[null, 1]]);
    this.#gauge(
      "clickstream_ready",
      "1 while Kafka, PostgreSQL and the schema are available and nothing is stalled, otherwise 0.",
      null,
      () => [[null, activity.notReady === null ? 1 : 0]],
    );
    this.#gauge(
      "clickstream_topic_changed",
      "1 if the topic was recreated or truncated, and the process is about to exit; otherwise 0.",
      "kind",
      () => (["recreated", "truncated"] as const).map((kind) => [kind, activity.topicChange?.kind === kind ? 1 : 0]),
    );
    this.#gauge(
      "clickstream_build_info",
      "Version of the program.",
      "version",
      () => [[VERSION, 1]],
    );
    this.#gauge(
      "clickstream_memory_bytes",
      "Memory of all workers: JavaScript heap in use, buffers outside it, and what the kernel has taken.",
      "kind",
      () => activity.memory,
    );
    this.#gauge(
      "clickstream_last_commit_timestamp_seconds",
      "When the last commit was applied.",
      null,
      () => [[null, activity.lastCommit === null ? null : activity.lastCommit.at / 1000]],
    );
  }

  #addProcess(): void {
    const startedAt = (Date.now() - performance.now()) / 1000;
    this.#gauge("process_start_time_seconds", "When the process started.", null, () => [[null, startedAt]]);
    this.#counter("process_cpu_seconds_total", "Processor time used, user and system.", null, () => {
      const { user, system } = process.cpuUsage();
      return [[null, (user + system) / 1e6]];
    });
    this.#gauge(
      "process_resident_memory_bytes",
      "Memory in use.",
      null,
      () => [[null, Deno.memoryUsage().rss]],
    );
  }

  #counter(name: string, help: string, label: string | null, read: () => readonly Reading[]): void {
    this.#abouts.push({ name, type: "counter", label, help });
    new Counter({
      name,
      help,
      labelNames: label === null ? [] : [label],
      registers: [this.#registry],
      collect() {
        this.reset();
        for (const [value, count] of read()) this.inc(labelled(label, value), count ?? 0);
      },
    });
  }

  /** A histogram of a distribution that is counted elsewhere; the library's own would need every single value. */
  #histogram(name: string, help: string, of: Distribution): void {
    this.#abouts.push({ name, type: "histogram", label: null, help });
    const type = "histogram";
    const get = () => Promise.resolve({ name, help, type, aggregator: "sum", values: samplesOf(name, of) });
    this.#registry.registerMetric({ name, help, type, get } as unknown as Histogram);
  }

  /** A gauge; without a known value it has no sample. */
  #gauge(name: string, help: string, label: string | null, read: () => readonly Reading[]): void {
    this.#abouts.push({ name, type: "gauge", label, help });
    new Gauge({
      name,
      help,
      labelNames: label === null ? [] : [label],
      registers: [this.#registry],
      collect() {
        this.reset();
        for (const [value, number] of read()) {
          if (number === null) this.remove(labelled(label, value));
          else this.set(labelled(label, value), number);
        }
      },
    });
  }
}

/** The samples of a distribution as Prometheus wants them: each bucket counts all values up to its bound. */
function samplesOf(
  name: string,
  of: Distribution,
): { metricName: string; labels: Record<string, string>; value: number }[] {
  let below = 0;
  const buckets = [...of.bounds.map(String), "+Inf"].map((le, n) => {
    below += of.counts[n]!;
    return { metricName: `${name}_bucket`, labels: { le }, value: below };
  });
  return [
    ...buckets,
    { metricName: `${name}_sum`, labels: {}, value: of.sum },
    { metricName: `${name}_count`, labels: {}, value: countOf(of) },
  ];
}

function labelled(label: string | null, value: string | null): Record<string, string> {
  return label === null || value === null ? {} : { [label]: value };
}
