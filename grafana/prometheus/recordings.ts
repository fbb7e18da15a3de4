/**
 * Series that Prometheus works out as it goes: what alerts and panels ask for again and again.
 * @module
 */

/** A series that Prometheus records. */
export interface Recording {
  /** `level:metric:operation`, as Prometheus' own guide has it. */
  readonly record: string;
  readonly expr: string;
  readonly about: string;
}

/** The share of values up to which so much of a histogram lies, in the last five minutes. */
function quantile(share: number, histogram: string): string {
  return `histogram_quantile(${share}, sum by (le) (rate(${histogram}_bucket[5m])))`;
}

/** All of them. A partition that changes hands is for a while told of by two instances: the one that is ahead counts. */
export const RECORDINGS: readonly Recording[] = [
  {
    record: "clickstream:events:rate5m",
    expr: "sum by (outcome) (rate(clickstream_events_total[5m]))",
    about: "Records consumed per second, by outcome.",
  },
  {
    record: "clickstream:refused_events:ratio_rate10m",
    expr:
      'sum(rate(clickstream_events_total{outcome="refused"}[10m])) / (sum(rate(clickstream_events_total[10m])) > 0)',
    about: "Share of records that were refused; absent without records.",
  },
  {
    record: "clickstream:lag_records:min",
    expr: "min by (partition) (clickstream_lag_records)",
    about: "Lag of a partition in records, the least that an instance reports.",
  },
  {
    record: "clickstream:lag_records:sum",
    expr: "sum(min by (partition) (clickstream_lag_records))",
    about: "Lag of all partitions in records.",
  },
  {
    record: "clickstream:watermark_delay_seconds:min",
    expr: "time() - max by (partition) (clickstream_watermark_timestamp_seconds)",
    about: "Delay of the event-time watermark of a partition behind the clock.",
  },
  {
    record: "clickstream:commit_duration_seconds:p99_rate5m",
    expr: quantile(0.99, "clickstream_commit_duration_seconds"),
    about: "p99 of the duration of commits in PostgreSQL.",
  },
  {
    record: "clickstream:event_time_latency_seconds:p50_rate5m",
    expr: quantile(0.5, "clickstream_event_time_latency_seconds"),
    about: "p50 of the time from an event to its commit.",
  },
  {
    record: "clickstream:event_time_latency_seconds:p99_rate5m",
    expr: quantile(0.99, "clickstream_event_time_latency_seconds"),
    about: "p99 of the time from an event to its commit.",
  },
  {
    record: "clickstream:produce_time_latency_seconds:p50_rate5m",
    expr: quantile(0.5, "clickstream_produce_time_latency_seconds"),
    about: "p50 of the time from an event's Kafka timestamp to its commit.",
  },
  {
    record: "clickstream:produce_time_latency_seconds:p99_rate5m",
    expr: quantile(0.99, "clickstream_produce_time_latency_seconds"),
    about: "p99 of the time from an event's Kafka timestamp to its commit.",
  },
];
