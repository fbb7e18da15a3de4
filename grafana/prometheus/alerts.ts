/**
 * When somebody must look: few alerts, each on what is wrong for those who use the numbers, not on what might cause it.
 * The one source of Prometheus' rules and of Grafana's.
 * @module
 */

/** An alert: it fires for each series of `value` that has been beyond the threshold for as long as `for`. */
export interface Alert {
  readonly name: string;
  readonly severity: "critical" | "warning";
  /** PromQL of what is watched. */
  readonly value: string;
  readonly threshold: readonly ["<" | ">", number];
  /** A duration of Prometheus', such as `5m`. */
  readonly for: string;
  readonly summary: string;
  /** What is the case: `{value}` and `{a label's name}` are replaced. */
  readonly description: string;
  readonly unit: "number" | "seconds" | "ratio";
  /** Heading of its section in `docs/debugging.md`, as a link has it. */
  readonly runbook: string;
}

const TOPIC = 'topic="clickstream-events"';
const REFUSED = 'clickstream_events_total{outcome="refused"}';
/** File systems that can be filled. */
const DISKS = 'fstype!~"tmpfs|ramfs|squashfs|iso9660|erofs"';

/** All of them. */
export const ALERTS: readonly Alert[] = [
  {
    name: "ClickstreamDown",
    severity: "critical",
    // No target at all is no better than one that is dead.
    value: 'up{job="clickstream"} or absent(up{job="clickstream"}) - 1',
    threshold: ["<", 1],
    for: "1m",
    summary: "The service is down",
    description:
      "Prometheus has had no answer from {job}, instance '{instance}', for a minute. Its events wait in Kafka.",
    unit: "number",
    runbook: "the-service-is-down",
  },
  {
    name: "ClickstreamNothingCommitted",
    severity: "critical",
    // Also where the service starts again and again: its counters begin at 0, and stay there.
    value: "sum(increase(clickstream_commits_total[1m])) and on () " +
      `(clickstream:lag_records:sum > 0 or min(clickstream_ready) == 0 or ` +
      `sum(rate(kafka_server_brokertopicmetrics_messagesin_total{${TOPIC}}[1m])) > 0)`,
    threshold: ["<", 1],
    for: "1m",
    summary: "Nothing is committed",
    description: "{value} commits in the last minute and none in the minute before, although records wait, come in, " +
      "or the service is not ready.",
    unit: "number",
    runbook: "nothing-is-committed",
  },
  {
    name: "ClickstreamStalled",
    severity: "critical",
    // All else may go on: a single partition that stands still is seen here alone.
    value: "sum by (instance, reason) (clickstream_stalls)",
    threshold: [">", 0],
    for: "1m",
    summary: "Part of the work is stalled",
    description: "{instance}: {value} partitions, commits or workers have been stalled for a minute: {reason}.",
    unit: "number",
    runbook: "part-of-the-work-is-stalled",
  },
  {
    name: "ClickstreamLagGrowing",
    severity: "warning",
    value: "clickstream:lag_records:sum and deriv(clickstream:lag_records:sum[10m]) > 0",
    threshold: [">", 10_000],
    for: "10m",
    summary: "The lag grows",
    description: "The lag is {value} records and has grown for 10 minutes.",
    unit: "number",
    runbook: "the-lag-grows",
  },
  {
    name: "ClickstreamRefusals",
    severity: "warning",
    // Ten at least: of a handful of records a single one is more than 1 %.
    value: `clickstream:refused_events:ratio_rate10m and on () sum(increase(${REFUSED}[10m])) >= 10`,
    threshold: [">", 0.01],
    for: "5m",
    summary: "Many records are refused",
    description: "{value} of the records of the last 10 minutes were refused.",
    unit: "ratio",
    runbook: "many-records-are-refused",
  },
  {
    name: "ClickstreamWatermarkStuck",
    severity: "warning",
    value: "clickstream:watermark_delay_seconds:min and on (partition) " +
      "max by (partition) (changes(clickstream_watermark_timestamp_seconds[10m])) == 0 and on (partition) " +
      `(clickstream:lag_records:min > 0 or sum by (partition) (increase(kafka_log_log_logendoffset{${TOPIC}}[10m])) > 0)`,
    threshold: [">", 600],
    for: "5m",
    summary: "An event-time watermark is stuck",
    description:
      "The event-time watermark of partition {partition} is {value} behind and does not move, although records " +
      "come in. No window becomes final.",
    unit: "seconds",
    runbook: "an-event-time-watermark-is-stuck",
  },
  {
    name: "ClickstreamTopicChanged",
    severity: "critical",
    // The process that says so ends soon after, be it started again and again.
    value: "max by (kind) (max_over_time(clickstream_topic_changed[10m]))",
    threshold: [">", 0],
    for: "0m",
    summary: "The topic is not the one that was read",
    description: "The topic was {kind}. Nothing is read until you run: clickstream adopt-topic",
    unit: "number",
    runbook: "the-topic-is-not-the-one-that-was-read",
  },
  {
    name: "ClickstreamGaps",
    severity: "critical",
    value: "max by (topic, partition) (clickstream_gaps_open_records)",
    threshold: [">", 0],
    for: "0m",
    summary: "Records were deleted before they were read",
    description:
      "Kafka deleted {value} records of partition {partition} of {topic} before they were read. This alert fires " +
      "until you run: clickstream gaps acknowledge",
    unit: "number",
    runbook: "records-were-deleted-before-they-were-read",
  },
  {
    name: "ClickstreamConservationBroken",
    severity: "critical",
    value: "max by (law) (clickstream_conservation_difference_events)",
    threshold: [">", 0],
    for: "2m",
    summary: "Numbers that must agree don't",
    description: "{law}: the tables differ by {value} events. Do not trust the reports until you know why.",
    unit: "number",
    runbook: "numbers-that-must-agree-dont",
  },
  {
    name: "ClickstreamDatabaseNearlyFull",
    severity: "critical",
    value: `min by (instance, device) (node_filesystem_avail_bytes{${DISKS}} / node_filesystem_size_bytes{${DISKS}})`,
    threshold: ["<", 0.1],
    for: "10m",
    summary: "A disk is nearly full",
    description: "{value} of {device} on {instance} is free. A database or broker without space stops.",
    unit: "ratio",
    runbook: "a-disk-is-nearly-full",
  },
  {
    name: "ClickstreamDatabaseDown",
    severity: "critical",
    // What is not known of a database whose exporter is dead too, is known of the exporter.
    value: 'pg_up{job="postgresql"} or up{job="postgresql"}',
    threshold: ["<", 1],
    for: "1m",
    summary: "PostgreSQL is down",
    description: "PostgreSQL, or its exporter at {instance}, has not answered for a minute. Events wait in Kafka.",
    unit: "number",
    runbook: "postgresql-is-down",
  },
  {
    name: "ClickstreamBrokerDown",
    severity: "critical",
    value: 'up{job="kafka"}',
    threshold: ["<", 1],
    for: "1m",
    summary: "A Kafka broker is down",
    description: "The broker at {instance} has not answered for a minute.",
    unit: "number",
    runbook: "a-kafka-broker-is-down",
  },
];

/** How a value of each unit is put into words; Prometheus and Grafana share these functions. */
const IN_WORDS: { readonly [unit in Alert["unit"]]: string } = {
  number: "humanize",
  seconds: "humanizeDuration",
  ratio: "humanizePercentage",
};

/** The description as a template, where `value` is what the number is called. */
export function descriptionTemplate({ description, unit }: Alert, value: string): string {
  return description.replaceAll(
    /\{(\w+)\}/g,
    (_, name) => name === "value" ? `{{ ${IN_WORDS[unit]} ${value} }}` : `{{ $labels.${name} }}`,
  );
}

/** Where it is written what to do. */
export function runbookOf({ runbook }: Alert): string {
  return `docs/debugging.md#${runbook}`;
}
