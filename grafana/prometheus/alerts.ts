/**
 * The alerts: few, each on a symptom that affects those who use the numbers, not on a possible cause. Prometheus' and
 * Grafana's rules are both written from here.
 * @module
 */

/** An alert. It fires for each series of `value` that has been beyond the threshold for the duration `for`. */
export interface Alert {
  readonly name: string;
  readonly severity: "critical" | "warning";
  /** PromQL of the watched value. */
  readonly value: string;
  readonly threshold: readonly ["<" | ">", number];
  /** A Prometheus duration, such as `5m`. */
  readonly for: string;
  readonly summary: string;
  /** What is wrong: `{value}` and every `{name of a label}` are replaced. */
  readonly description: string;
  readonly unit: "number" | "seconds" | "ratio";
  /** Heading of its section in `docs/debugging.md`, as the anchor of a link. */
  readonly runbook: string;
}

/** Narrows a broker's series to the topic that the service reads. Without the PostgreSQL exporter they count for nothing. */
const OF_OUR_TOPIC = "and on (topic) clickstream_gaps_open_records";
const REFUSED = 'clickstream_events_total{outcome="refused"}';
/** File systems that can fill up. */
const DISKS = 'fstype!~"tmpfs|ramfs|squashfs|iso9660|erofs"';

/** All alerts. */
export const ALERTS: readonly Alert[] = [
  {
    name: "ClickstreamDown",
    severity: "critical",
    // A missing target counts as a dead one.
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
    // Also fires while the service restarts again and again: its counters start at 0 and stay there.
    value: "sum(increase(clickstream_commits_total[1m])) and on () " +
      `(clickstream:lag_records:sum > 0 or min(clickstream_ready) == 0 or ` +
      `sum(rate(kafka_server_brokertopicmetrics_messagesin_total[1m]) ${OF_OUR_TOPIC}) > 0)`,
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
    // Only this alert sees a single stalled partition while all others go on.
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
    // At least ten: of a few records, a single one is a large share. The simulator's own share is 1 %.
    value: `clickstream:refused_events:ratio_rate10m and on () sum(increase(${REFUSED}[10m])) >= 10`,
    threshold: [">", 0.03],
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
      "(clickstream:lag_records:min > 0 or " +
      `sum by (partition) (increase(kafka_log_log_logendoffset[10m]) ${OF_OUR_TOPIC}) > 0)`,
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
    // The process that reports this ends soon after, even if it is restarted again and again.
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
    // If the exporter is down too, use its own `up`.
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
  {
    name: "ClickstreamShopUnusual",
    severity: "warning",
    value: "max by (measure) (clickstream_hour_deviation_ratio)",
    threshold: [">", 2],
    for: "5m",
    summary: "The shop sells unusually much or little",
    description: "{measure} of an hour is {value} times above or below the same hour in each of the last four weeks.",
    unit: "number",
    runbook: "the-shop-sells-unusually-much-or-little",
  },
  {
    name: "ClickstreamUnconverted",
    severity: "warning",
    value: "max(clickstream_unconverted_purchases)",
    threshold: [">", 0],
    for: "15m",
    summary: "Purchases have no rate",
    description: "{value} purchases have no rate, and add nothing to revenue.",
    unit: "number",
    runbook: "purchases-have-no-rate",
  },
];
/** Formats a value of each unit; Prometheus and Grafana share these functions. */
const IN_WORDS: { readonly [unit in Alert["unit"]]: string } = {
  number: "humanize",
  seconds: "humanizeDuration",
  ratio: "humanizePercentage",
};

/** The description as a template; `value` is the name of the value in it. */
export function descriptionTemplate({ description, unit }: Alert, value: string): string {
  return description.replaceAll(
    /\{(\w+)\}/g,
    (_, name) => name === "value" ? `{{ ${IN_WORDS[unit]} ${value} }}` : `{{ $labels.${name} }}`,
  );
}

/** Path of the runbook section in the repository. */
export function runbookOf({ runbook }: Alert): string {
  return `docs/debugging.md#${runbook}`;
}

/** The dashboard that shows the runbook. */
export const RUNBOOK_UID = "clickstream-runbook";

/** Id of the panel that shows the alert's section. */
export function runbookPanelOf(alert: Alert): number {
  return ALERTS.indexOf(alert) + 1;
}

/** URL of the alert's section in Grafana, whose own URL is `grafana`, without a slash at its end. */
export function runbookUrlOf(alert: Alert, grafana: string): string {
  return `${grafana}/d/${RUNBOOK_UID}?viewPanel=${runbookPanelOf(alert)}`;
}
