/**
 * Additional queries for the PostgreSQL exporter. It logs in as a member of `clickstream_reader`.
 * @module
 */

/** A query. Each of its columns becomes a metric `name_column`, or a label of these metrics. */
export interface ExporterQuery {
  readonly name: string;
  readonly sql: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly metrics: Readonly<Record<string, readonly ["GAUGE" | "COUNTER", string]>>;
  /** How long a result is cached, in seconds (default: not beyond a scrape). */
  readonly holdsSeconds?: number;
}

/** All queries. */
export const EXPORTER_QUERIES: readonly ExporterQuery[] = [
  {
    name: "clickstream_progress",
    sql: `select topic, partition, next_offset, consumed as consumed_total, stored as stored_total,
      duplicates as duplicates_total, refused as refused_total, skipped as skipped_total, gaps as gaps_total,
      extract(epoch from watermark) as watermark_timestamp_seconds,
      extract(epoch from committed_at) as committed_timestamp_seconds
      from clickstream.progress`,
    labels: { topic: "Kafka topic.", partition: "Partition of the topic." },
    metrics: {
      next_offset: ["GAUGE", "Next offset of a partition, from the database."],
      consumed_total: ["COUNTER", "Records consumed since the beginning."],
      stored_total: ["COUNTER", "Events stored since the beginning."],
      duplicates_total: ["COUNTER", "Duplicates since the beginning."],
      refused_total: ["COUNTER", "Records refused since the beginning."],
      skipped_total: ["COUNTER", "Offsets without a record to decode, since the beginning."],
      gaps_total: ["COUNTER", "Records that Kafka deleted before they were read, since the beginning."],
      watermark_timestamp_seconds: ["GAUGE", "Largest event time committed, less the allowed delay."],
      committed_timestamp_seconds: ["GAUGE", "When any instance last committed the partition."],
    },
  },
  {
    name: "clickstream_conservation",
    // Only the last day, and only tables from which users are never erased: one transaction adds the same to both, so
    // the sums agree at any time. A table that is disabled (VIEWS) has no rows, so nothing differs.
    sql: `with day as (select date_trunc('minute', now()) - interval '1 day' as began),
      viewed as (
        select window_start, sum(events) as views from clickstream.traffic, day
        where window_start >= began and event_type = 'page_view' group by window_start),
      listed as (
        select window_start, sum(views) as views from clickstream.pages, day
        where window_start >= began group by window_start)
      select 'consumed = stored + duplicates + refused' as law,
        coalesce(sum(abs(consumed - stored - duplicates - refused)), 0)::float8 as difference_events
      from clickstream.progress
      union all
      select 'next_offset - first_offset = consumed + skipped + gaps',
        coalesce(sum(abs(next_offset - first_offset - consumed - skipped - gaps)), 0)::float8
      from clickstream.progress
      union all
      select 'page views of traffic = views of pages',
        coalesce(sum(abs(coalesce(v.views, 0) - coalesce(l.views, 0))), 0)::float8
      from viewed v full join listed l using (window_start)
      where exists (select from viewed) and exists (select from listed)`,
    labels: { law: "The two sums that must agree." },
    metrics: { difference_events: ["GAUGE", "Difference of two sums that must agree, in events; 0 if all is well."] },
    // A day of a large shop's pages is too much work for every scrape.
    holdsSeconds: 300,
  },
  {
    name: "clickstream_gaps",
    sql: `select topic, partition::text as partition,
      coalesce(sum(to_offset - from_offset) filter (where acknowledged_at is null), 0)::float8 as open_records
      from clickstream.progress full join clickstream.gaps using (topic, partition) group by topic, partition`,
    labels: { topic: "Kafka topic.", partition: "Partition of the topic." },
    metrics: {
      open_records: [
        "GAUGE",
        "Records that Kafka deleted before they were read, not acknowledged yet.",
      ],
    },
  },
  {
    name: "clickstream_refusals",
    sql: `select count(*) filter (where replayed_at is null) as waiting from clickstream.refusals`,
    labels: {},
    metrics: { waiting: ["GAUGE", "Refused records that were not replayed."] },
    holdsSeconds: 60,
  },
  {
    name: "clickstream_hour",
    sql: `select measure, coalesce(u.deviation, 1) as deviation_ratio
      from (values ('conversion_rate'), ('revenue_cents')) as m (measure)
      left join clickstream.unusual_hours(now()) u using (measure)`,
    labels: { measure: "conversion_rate or revenue_cents." },
    metrics: {
      deviation_ratio: [
        "GAUGE",
        "How many times the last hour that ended an hour ago is above or below the same hour of the last four weeks; 1 if it " +
        "is between their lowest and highest value, or there are too few purchases to tell.",
      ],
    },
    // The hour changes once an hour.
    holdsSeconds: 300,
  },
];
