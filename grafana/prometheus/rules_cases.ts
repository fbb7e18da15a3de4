/**
 * Test cases for `promtool test rules`: for each alert, when it must fire and when it must not.
 * @module
 */

/** An alert that fires: the labels of its series, and its description. */
export type Firing = readonly [labels: Readonly<Record<string, string>>, description: string];

/** Series with one sample a minute, and the alert expected at a minute; empty if it must not fire. */
export interface Case {
  readonly alert: string;
  readonly about: string;
  readonly series: Readonly<Record<string, string>>;
  readonly minute: number;
  readonly fires: readonly Firing[];
}

const UP = 'up{job="clickstream",instance="a:8080"}';
const READY = "clickstream_ready";
const COMMITS = "clickstream_commits_total";
const LAG = 'clickstream_lag_records{partition="0"}';
const STORED = 'clickstream_events_total{outcome="stored"}';
const REFUSED = 'clickstream_events_total{outcome="refused"}';
const WATERMARK = 'clickstream_watermark_timestamp_seconds{partition="0",instance="a"}';
// The topic has any name, and there are others in the same brokers.
const END = 'kafka_log_log_logendoffset{topic="shop.clicks",partition="0"}';
const SENT = 'kafka_server_brokertopicmetrics_messagesin_total{topic="shop.clicks"}';
const OTHER_END = END.replace("shop.clicks", "orders");
const OTHER_SENT = SENT.replace("shop.clicks", "orders");
const OURS = 'clickstream_gaps_open_records{topic="shop.clicks",partition="0"}';
const CHANGED = 'clickstream_topic_changed{kind="recreated",instance="a:8080"}';
const GAPS = 'clickstream_gaps_open_records{topic="clickstream-events",partition="3"}';
const DIFFERENCE = 'clickstream_conservation_difference_events{law="this = that"}';
const [FREE, SIZE] = ["avail", "size"].map((of) =>
  `node_filesystem_${of}_bytes{instance="db",device="/dev/sda",mountpoint="/",fstype="ext4"}`
) as [string, string];
const PG_UP = 'pg_up{job="postgresql",instance="db:9187"}';
const EXPORTER_UP = 'up{job="postgresql",instance="db:9187"}';
const BROKER_UP = 'up{job="kafka",instance="k:9404"}';

const UNCONVERTED = 'clickstream_unconverted_purchases{job="clickstream",instance="a:8080"}';

const REVENUE = 'clickstream_hour_deviation_ratio{measure="revenue_cents"}';

const STALLS = 'clickstream_stalls{instance="a:8080",reason="open_transaction"}';

const DEAD = (instance: string) =>
  `Prometheus has had no answer from clickstream, instance '${instance}', for a minute. Its events wait in Kafka.`;
const NO_COMMITS = "0 commits in the last minute and none in the minute before, although records wait, come in, " +
  "or the service is not ready.";
const WAITS = "has not answered for a minute. Events wait in Kafka.";

/** By alert: cases in which it must fire, and cases in which it must not. */
export const CASES: readonly Case[] = [
  firing("ClickstreamDown", "an instance is gone", { [UP]: "1 1 0x5" }, 4, [
    { instance: "a:8080", job: "clickstream" },
    DEAD("a:8080"),
  ]),
  firing("ClickstreamDown", "there is nothing to scrape", { other: "1x5" }, 3, [{ job: "clickstream" }, DEAD("")]),
  silent("ClickstreamDown", "it was away for a moment", { [UP]: "1 0 1x5" }, 2),

  firing("ClickstreamStalled", "a transaction is open", { [STALLS]: "0 1x5" }, 4, [
    { instance: "a:8080", reason: "open_transaction" },
    "a:8080: 1 partitions, commits or workers have been stalled for a minute: open_transaction.",
  ]),
  silent("ClickstreamStalled", "it was stalled for a moment", { [STALLS]: "0 1 0x5" }, 4),

  firing(
    "ClickstreamNothingCommitted",
    "it hangs over records",
    {
      [COMMITS]: "0+60x3 180x9",
      [LAG]: "100x12",
      [READY]: "1x12",
    },
    7,
    [{}, NO_COMMITS],
  ),
  firing(
    "ClickstreamNothingCommitted",
    "it has never got ready, and knows of no records",
    {
      [COMMITS]: "0x9",
      [READY]: "0x9",
    },
    5,
    [{}, NO_COMMITS],
  ),
  firing(
    "ClickstreamNothingCommitted",
    "the broker alone knows that there is something to read",
    {
      [COMMITS]: "7x9",
      [LAG]: "0x9",
      [READY]: "1x9",
      [SENT]: "0+60x9",
      [OURS]: "0x9",
    },
    5,
    [{}, NO_COMMITS],
  ),
  silent("ClickstreamNothingCommitted", "no records arrive at night", {
    [COMMITS]: "7x9",
    [LAG]: "0x9",
    [READY]: "1x9",
    [SENT]: "60x9",
    [OURS]: "0x9",
  }, 8),
  silent("ClickstreamNothingCommitted", "records arrive in another topic", {
    [COMMITS]: "7x9",
    [LAG]: "0x9",
    [READY]: "1x9",
    [SENT]: "60x9",
    [OTHER_SENT]: "0+60x9",
    [OURS]: "0x9",
  }, 8),
  silent("ClickstreamNothingCommitted", "it commits", { [COMMITS]: "0+60x9", [LAG]: "100x9", [READY]: "1x9" }, 8),

  firing("ClickstreamLagGrowing", "more arrives than is committed", { [LAG]: "0+2000x30" }, 25, [
    {},
    "The lag is 50k records and has grown for 10 minutes.",
  ]),
  silent("ClickstreamLagGrowing", "a large backlog is being drained", { [LAG]: "900000-2000x30" }, 25),
  silent("ClickstreamLagGrowing", "the lag is slightly above normal", { [LAG]: "0+100x30" }, 25),

  firing(
    "ClickstreamRefusals",
    "a producer sends what it should not",
    {
      [STORED]: "0+950x20",
      [REFUSED]: "0+50x20",
    },
    17,
    [{}, "5% of the records of the last 10 minutes were refused."],
  ),
  silent("ClickstreamRefusals", "the simulator's own share is refused", {
    [STORED]: "0+985x20",
    [REFUSED]: "0+15x20",
  }, 17),
  silent("ClickstreamRefusals", "one of few is refused", { [STORED]: "0+1x20", [REFUSED]: "0 0 1x18" }, 8),

  firing(
    "ClickstreamWatermarkStuck",
    "records wait, and no time passes",
    {
      [WATERMARK]: "60x30",
      [LAG]: "5x30",
    },
    25,
    [
      { partition: "0" },
      "The event-time watermark of partition 0 is 24m 0s behind and does not move, although records come in. No " +
      "window becomes final.",
    ],
  ),
  firing(
    "ClickstreamWatermarkStuck",
    "the partition grows, says the broker",
    {
      [WATERMARK]: "60x30",
      [LAG]: "0x30",
      [END]: "0+10x30",
      [OURS]: "0x30",
    },
    25,
    [
      { partition: "0" },
      "The event-time watermark of partition 0 is 24m 0s behind and does not move, although records come in. No " +
      "window becomes final.",
    ],
  ),
  silent("ClickstreamWatermarkStuck", "no events come", {
    [WATERMARK]: "60x30",
    [LAG]: "0x30",
    [END]: "7x30",
    [OTHER_END]: "0+10x30",
    [OURS]: "0x30",
  }, 25),
  silent("ClickstreamWatermarkStuck", "an old month is read", { [WATERMARK]: "0+10x30", [LAG]: "5x30" }, 25),

  firing("ClickstreamTopicChanged", "a process reported it and ended", { [CHANGED]: "0 0 1 stale" }, 8, [
    { kind: "recreated" },
    "The topic was recreated. Nothing is read until you run: clickstream adopt-topic",
  ]),
  silent("ClickstreamTopicChanged", "the topic is the same", { [CHANGED]: "0x20" }, 15),
  silent("ClickstreamTopicChanged", "it has been adopted", { [CHANGED]: "1 0x20" }, 15),

  firing("ClickstreamGaps", "it is not acknowledged", { [GAPS]: "0 7x9" }, 5, [
    { topic: "clickstream-events", partition: "3" },
    "Kafka deleted 7 records of partition 3 of clickstream-events before they were read. This alert fires until you " +
    "run: clickstream gaps acknowledge",
  ]),
  silent("ClickstreamGaps", "it is acknowledged", { [GAPS]: "7 0x9" }, 5),

  firing("ClickstreamConservationBroken", "two sums differ", { [DIFFERENCE]: "0 0 3x9" }, 6, [
    { law: "this = that" },
    "this = that: the tables differ by 3 events. Do not trust the reports until you know why.",
  ]),
  silent("ClickstreamConservationBroken", "they agree", { [DIFFERENCE]: "0x9" }, 6),

  firing("ClickstreamDatabaseNearlyFull", "little is left", { [FREE]: "50x20", [SIZE]: "1000x20" }, 15, [
    { instance: "db", device: "/dev/sda" },
    "5% of /dev/sda on db is free. A database or broker without space stops.",
  ]),
  silent("ClickstreamDatabaseNearlyFull", "enough is left", { [FREE]: "200x20", [SIZE]: "1000x20" }, 15),
  silent("ClickstreamDatabaseNearlyFull", "the file system is in memory", {
    [FREE.replace("ext4", "tmpfs")]: "50x20",
    [SIZE.replace("ext4", "tmpfs")]: "1000x20",
  }, 15),

  firing("ClickstreamShopUnusual", "an hour sells a third of its least", { [REVENUE]: "1 1 3x20" }, 10, [
    { measure: "revenue_cents" },
    "revenue_cents of an hour is 3 times above or below the same hour in each of the last four weeks.",
  ]),
  silent("ClickstreamShopUnusual", "an hour sells somewhat more than ever", { [REVENUE]: "1 1.9x20" }, 10),
  silent("ClickstreamShopUnusual", "too little is sold to tell", { other: "1x20" }, 10),

  firing("ClickstreamUnconverted", "purchases in dollars have no rate", { [UNCONVERTED]: "0x5 3x30" }, 25, [
    {},
    "3 purchases have no rate, and add nothing to revenue.",
  ]),
  silent("ClickstreamUnconverted", "the rates were filled, and a rebuild ran", { [UNCONVERTED]: "3x10 0x30" }, 30),
  silent("ClickstreamUnconverted", "all purchases have a rate", { other: "1x20" }, 10),

  firing("ClickstreamDatabaseDown", "the exporter can't reach it", { [PG_UP]: "1 0x9", [EXPORTER_UP]: "1x10" }, 5, [
    { instance: "db:9187", job: "postgresql" },
    `PostgreSQL, or its exporter at db:9187, ${WAITS}`,
  ]),
  firing("ClickstreamDatabaseDown", "the exporter is gone", { [PG_UP]: "1 stale", [EXPORTER_UP]: "1 0x9" }, 5, [
    { instance: "db:9187", job: "postgresql" },
    `PostgreSQL, or its exporter at db:9187, ${WAITS}`,
  ]),
  silent("ClickstreamDatabaseDown", "it is up", { [PG_UP]: "1x9", [EXPORTER_UP]: "1x9" }, 5),

  firing("ClickstreamBrokerDown", "a broker is gone", { [BROKER_UP]: "1 0x9" }, 5, [
    { instance: "k:9404", job: "kafka" },
    "The broker at k:9404 has not answered for a minute.",
  ]),
  silent("ClickstreamBrokerDown", "it is up", { [BROKER_UP]: "1x9" }, 5),
];

function firing(alert: string, about: string, series: Case["series"], minute: number, ...fires: Firing[]): Case {
  return { alert, about, series, minute, fires };
}

function silent(alert: string, about: string, series: Case["series"], minute: number): Case {
  return { alert, about, series, minute, fires: [] };
}
