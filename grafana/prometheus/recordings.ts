/**
 * Recorded series: expressions that alerts and panels use often.
 * @module
 */

/** A recorded series. */
export interface Recording {
  /** `level:metric:operation`, by Prometheus' naming convention. */
  readonly record: string;
  readonly expr: string;
  readonly about: string;
}

/** A quantile of a histogram over the last five minutes. */
function quantile(share: number, histogram: string): string {
  return `histogram_quantile(${share}, sum by (le) (rate(${histogram}_bucket[5m])))`;
}

/** All recordings. After a rebalance, two instances report a partition for a while: the one that is ahead counts. */
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
