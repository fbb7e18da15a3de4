/**
 * What Prometheus reads. Counting is done in plain fields (see `Activity`): a scrape copies them, and only what needs a
 * distribution is told of each commit.
 * @module
 */
import process from "node:process";
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { Activity, Happening } from "../activity.ts";
import { VERSION } from "../version.ts";

/** A value of the one label, or none, and a number. */
type Reading = readonly [label: string | null, value: number | null];

/** The metrics of one process. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #seconds: Histogram;
  readonly #rows: Histogram;

  /** @param activity where the numbers are counted */
  constructor(activity: Activity) {
    this.#addCounters(activity);
    this.#addGauges(activity);
    this.#addProcess();
    this.#seconds = new Histogram({
      name: "clickstream_commit_duration_seconds",
      help: "Time that PostgreSQL took for a commit.",
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
      registers: [this.#registry],
    });
    this.#rows = new Histogram({
      name: "clickstream_commit_rows",
      help: "Rows written by a commit: of views, events and refusals.",
      buckets: [1, 10, 100, 1000, 10_000, 100_000, 1_000_000],
      registers: [this.#registry],
    });
  }

  /** Takes note of a commit; what only needs to be counted is `Activity`'s. */
  take(happening: Happening): void {
    if (happening.kind !== "committed") return;
    this.#seconds.observe(happening.tookMs / 1000);
    this.#rows.observe(happening.rows);
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
    this.#counter("clickstream_events_total", "Messages taken in, by what became of them.", "outcome", () => {
      const { stored, duplicates, refused } = activity.totals;
      return [["stored", stored], ["duplicate", duplicates], ["refused", refused]];
    });
    this.#counter(
      "clickstream_refusals_total",
      "Messages that can't be events, by reason.",
      "reason",
      () => [...activity.refusedByReason],
    );
    this.#counter("clickstream_commits_total", "Commits applied.", null, () => [[null, activity.commits]]);
    this.#counter(
      "clickstream_late_events_total",
      "Events stored that came after the watermark of their partition.",
      null,
      () => [[null, activity.totals.late]],
    );
    this.#counter(
      "clickstream_lateness_seconds_total",
      "How far late events came after the watermark, added up.",
      null,
      () => [[null, activity.totals.latenessMs / 1000]],
    );
    this.#counter(
      "clickstream_restarts_total",
      "Times that uncommitted work was forgotten and read again, by cause.",
      "cause",
      () => [...activity.restartsByCause],
    );
    this.#counter(
      "clickstream_group_commit_failures_total",
      "Times that the consumer group could not be told how far the commits have got.",
      null,
      () => [[null, activity.groupCommitFailures]],
    );
  }

  #addGauges(activity: Activity): void {
    this.#gauge("clickstream_up", "1 while the process runs.", null, () => [[null, 1]]);
    this.#gauge(
      "clickstream_ready",
      "1 while Kafka, PostgreSQL and the schema are there, 0 otherwise.",
      null,
      () => [[null, activity.notReady === null ? 1 : 0]],
    );
    this.#gauge(
      "clickstream_build_info",
      "Version of the program.",
      "version",
      () => [[VERSION, 1]],
    );
    this.#gauge(
      "clickstream_last_commit_timestamp_seconds",
      "When the last commit was applied.",
      null,
      () => [[null, activity.lastCommit === null ? null : activity.lastCommit.at / 1000]],
    );
    this.#gauge(
      "clickstream_lag_records",
      "Records of a partition that are still to be committed.",
      "partition",
      () => activity.partitions.map(({ partition, lag }) => [String(partition), lag]),
    );
    this.#gauge(
      "clickstream_watermark_timestamp_seconds",
      "Largest event time committed from a partition, less the allowed delay.",
      "partition",
      () =>
        activity.partitions.map(({ partition, watermark: ms }) => [String(partition), ms === null ? null : ms / 1000]),
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
    this.#gauge("clickstream_heap_bytes", "JavaScript heap in use.", null, () => [[null, Deno.memoryUsage().heapUsed]]);
  }

  #counter(name: string, help: string, label: string | null, read: () => readonly Reading[]): void {
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

  /** A gauge; what is not known has no sample. */
  #gauge(name: string, help: string, label: string | null, read: () => readonly Reading[]): void {
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

function labelled(label: string | null, value: string | null): Record<string, string> {
  return label === null || value === null ? {} : { [label]: value };
}
