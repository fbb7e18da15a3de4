import assert from "node:assert/strict";
import { NOT_READY_KINDS, type NotReady, type NotReadyKind } from "../pipeline/causes.ts";
import { JOINING, STARTING } from "./activity.ts";
import type { Stage } from "./history.ts";
import { caughtUpInMs, type Level, type Situation, type Verdict, verdictOn } from "./verdict.ts";

const RATES = { arrived: 300, consumed: 300, stored: 294, duplicates: 3, refused: 3, commits: 20, rows: 900 };
const STAGE: Stage = { name: "decode", unit: "records", rate: 300, busy: 0.02, eachUs: 2 };

const WELL: Situation = {
  stopping: false,
  topicChange: null,
  gaps: 0,
  notReady: null,
  database: null,
  partitions: 6,
  lag: { records: 40, behindMs: 200, caughtUpInMs: null },
  rates: RATES,
  stages: [STAGE, { ...STAGE, name: "PostgreSQL", busy: 0.93 }],
  lastMinute: { consumed: 18_000, refused: 180 },
  silence: { silentMs: 400, usual: 300 },
  latencyMs: 140,
  money: null,
  stall: null,
};

const NOTHING_COMES: Partial<Situation> = {
  rates: { ...RATES, arrived: 0, consumed: 0, stored: 0, duplicates: 0, refused: 0 },
  lag: { records: 0, behindMs: null, caughtUpInMs: null },
  lastMinute: { consumed: 0, refused: 0 },
};

interface Case {
  readonly when: string;
  readonly change: Partial<Situation>;
  readonly level: Level;
  readonly title: string | RegExp;
  readonly detail?: RegExp;
  readonly advice?: RegExp | null;
}

const GONE: NotReady = {
  kind: "postgres_unreachable",
  reason: "could not connect to PostgreSQL at 127.0.0.1:5432, database shop, as shop: connect ECONNREFUSED",
};

const CASES: readonly Case[] = [
  {
    when: "events arrive and are committed",
    change: {},
    level: "good",
    title: "Up to date",
    detail: /^300 records\/s, committed 0\.1 s after they were sent\.$/,
    advice: null,
  },
  {
    when: "nothing arrives",
    change: { rates: { ...RATES, consumed: 0 }, lag: { records: 0, behindMs: null, caughtUpInMs: null } },
    level: "good",
    title: "Up to date",
    detail: /^No events are arriving\.$/,
  },
  ...([
    ["a busy shop falls silent", 125_000, 200, "No events for 2 min; the usual rate is 200/s"],
    ["a shop with one event a second falls silent", 60_000, 1, "No events for 60 s; the usual rate is 1.0/s"],
    ["a quiet shop has been silent for a long time", 600_000, 0.2, "No events for 10 min; the usual rate is 0.2/s"],
    ["a busy shop pauses", 59_000, 200, null],
    ["a shop is quiet at night", 290_000, 0.2, null],
    ["a shop has just started", 3_600_000, 0, null],
  ] as const).map(([when, silentMs, usual, title]): Case => ({
    when,
    change: { ...NOTHING_COMES, silence: { silentMs, usual } },
    level: title === null ? "good" : "attention",
    title: title ?? "Up to date",
    detail: title === null ? /^No events are arriving\.$/ : /^The lag is 0/,
    advice: title === null ? null : /producers/,
  })),
  {
    when: "other instances have all partitions, and nothing arrives",
    change: { ...NOTHING_COMES, partitions: 0, silence: { silentMs: 600_000, usual: 200 } },
    level: "good",
    title: "Up to date",
    detail: /on standby/,
  },
  {
    when: "the rest of a backlog has just been committed",
    change: { latencyMs: 6 * 3_600_000 },
    level: "good",
    title: "Up to date",
    detail: /^300 records\/s\. The last commit finished a backlog of 6 h\.$/,
  },
  {
    when: "other instances have all partitions",
    change: { partitions: 0 },
    level: "good",
    title: "Up to date",
    detail: /on standby/,
  },
  {
    when: "the lag shrinks",
    change: {
      lag: { records: 12_400, behindMs: 9_000, caughtUpInMs: 40_000 },
      rates: { ...RATES, consumed: 610 },
    },
    level: "behind",
    title: "Behind by 12,400 records (9 s), caught up in about 40 s",
    detail: /^300 records\/s arrive, 610 records\/s are consumed\.$/,
    advice: null,
  },
  {
    when: "the lag grows",
    change: { lag: { records: 12_400, behindMs: 900_000, caughtUpInMs: null } },
    level: "behind",
    title: "Behind by 12,400 records (15 min), and not catching up",
    advice: /^PostgreSQL is the busiest stage \(93 %\)\. Raise WORKERS/,
  },
  {
    when: "nothing is committed",
    change: { stall: { kind: "not_committed", partition: null, forMs: 30_000, records: 1 } },
    level: "broken",
    title: "Nothing has been committed for 30 s",
    detail: /^PostgreSQL has not answered a commit for 30 s, and 1 record waits\.$/,
    advice: /pg_locks.*Nothing is lost/,
  },
  {
    when: "an open transaction blocks records",
    change: { stall: { kind: "open_transaction", partition: 3, forMs: 12_000, records: 200 } },
    level: "broken",
    title: "An open transaction has blocked records for 12 s",
    detail: /^Partition 3 has not moved for 12 s: 200 records wait for an open transaction to end\.$/,
    advice: /kafka-transactions\.sh --abort/,
  },
  {
    when: "a broker is frozen",
    change: { stall: { kind: "leader_silent", partition: 0, forMs: 11_000, records: 0 } },
    level: "broken",
    title: "Kafka has not answered for 11 s",
    detail: /partition 0/,
  },
  {
    when: "one event was sent days late",
    change: { lag: { records: 1, behindMs: 3 * 86_400_000, caughtUpInMs: null } },
    level: "good",
    title: "Up to date",
  },
  {
    when: "many records are refused",
    change: { lastMinute: { consumed: 1000, refused: 31 } },
    level: "attention",
    title: "Up to date, but 3.1 % of the last minute's records were refused",
    detail: /^31 of 1,000 records were refused\./,
    advice: /refusals below/,
  },
  {
    when: "few records are refused",
    change: { lastMinute: { consumed: 10, refused: 4 } },
    level: "good",
    title: "Up to date",
  },
  {
    when: "PostgreSQL is gone",
    change: { notReady: GONE },
    level: "broken",
    title: "PostgreSQL can't be reached",
    detail: /^Could not connect to PostgreSQL.*ECONNREFUSED\.$/,
    advice: /^Start PostgreSQL, or correct DATABASE_URL\. Nothing is lost/,
  },
  {
    when: "the topic was recreated, whatever else happened",
    change: {
      notReady: { kind: "internal", reason: "anything" },
      topicChange: { kind: "recreated", topic: "clicks", followed: "AAA", found: "BBB" },
    },
    level: "broken",
    title: "Topic clicks was recreated",
    detail: /BBB.*AAA/,
    advice: /clickstream adopt-topic/,
  },
  {
    when: "the log was truncated",
    change: {
      topicChange: { kind: "truncated", topic: "clicks", partition: 3, next: 20, end: 12, isOverwritten: false },
    },
    level: "broken",
    title: "The log was truncated",
    detail: /Partition 3 of clicks ends at offset 12, but it was already read up to offset 20/,
    advice: /clickstream adopt-topic/,
  },
  {
    when: "the log was truncated and written again",
    change: {
      topicChange: { kind: "truncated", topic: "clicks", partition: 3, next: 20, end: 12, isOverwritten: true },
    },
    level: "broken",
    title: "The log was truncated",
    detail: /Partition 3 of clicks was read up to offset 20, but the records from offset 12 on have been replaced/,
    advice: /clickstream adopt-topic/,
  },
  {
    when: "records were deleted unread",
    change: { gaps: 1200 },
    level: "attention",
    title: "Up to date, but 1,200 records were deleted unread",
    detail: /in no table/,
    advice: /clickstream gaps list.*clickstream gaps acknowledge/,
  },
  {
    when: "purchases have no rate",
    change: { money: { title: "2 purchases have no rate", detail: "Revenue lacks 2 in USD.", advice: "Fill it." } },
    level: "attention",
    title: "Up to date, but 2 purchases have no rate",
    detail: /^Revenue lacks 2 in USD\. 300 records/,
    advice: /^Fill it\.$/,
  },
  {
    when: "only the status page cannot reach PostgreSQL",
    change: { database: GONE },
    level: "broken",
    title: "PostgreSQL can't be reached",
  },
  {
    when: "PostgreSQL refuses",
    change: { notReady: { kind: "postgres_refuses", reason: "No space left on device" } },
    level: "broken",
    title: "PostgreSQL refuses the commits",
    advice: /^Check PostgreSQL's log/,
  },
  {
    when: "Kafka is gone",
    change: { notReady: { kind: "kafka_unreachable", reason: "connection refused" } },
    level: "broken",
    title: "Kafka can't be reached",
    advice: /KAFKA_BROKERS/,
  },
  {
    when: "there is no topic",
    change: { notReady: { kind: "no_topic", reason: "Kafka has no topic clicks: create it" } },
    level: "broken",
    title: "Kafka has no such topic",
    detail: /create it/,
  },
  {
    when: "Kafka is back",
    change: { notReady: JOINING },
    level: "starting",
    title: "Waiting for partitions",
    detail: /rebalancing/,
    advice: null,
  },
  {
    when: "another instance joins",
    change: { notReady: { kind: "rebalancing", reason: "the consumer group is rebalancing" } },
    level: "starting",
    title: "Waiting for partitions",
  },
  {
    when: "Kafka is back and PostgreSQL is gone",
    change: { notReady: JOINING, database: GONE },
    level: "broken",
    title: "PostgreSQL can't be reached",
  },
  {
    when: "the failure has an unknown cause",
    change: { notReady: { kind: "internal", reason: "planets are aligned" } },
    level: "broken",
    title: "Processing has stopped",
  },
  { when: "it has just started", change: { notReady: STARTING }, level: "starting", title: "Starting" },
  {
    when: "it stops, whatever else happened",
    change: { stopping: true, notReady: GONE },
    level: "stopping",
    title: "Stopping",
  },
];

for (const { when, change, level, title, detail, advice } of CASES) {
  Deno.test(`gives the verdict when ${when}`, () => {
    const said = verdictOn({ ...WELL, ...change });
    assert.deepEqual([said.level, said.title], [level, title]);
    if (detail !== undefined) assert.match(said.detail, detail);
    if (advice === null) assert.equal(said.advice, null);
    else if (advice !== undefined) assert.match(said.advice ?? "", advice);
  });
}

const TITLES: { readonly [kind in NotReadyKind]: string } = {
  starting: "Starting",
  rebalancing: "Waiting for partitions",
  conflict: "Processing has stopped",
  postgres_unreachable: "PostgreSQL can't be reached",
  postgres_refuses: "PostgreSQL refuses the commits",
  kafka_unreachable: "Kafka can't be reached",
  no_topic: "Kafka has no such topic",
  foreign_group_member: "Another program is in the consumer group",
  topic_changed: "Processing has stopped",
  internal: "Processing has stopped",
};

Deno.test("the text of an error changes only the detail", () => {
  const unnamed = ({ level, title, advice }: Verdict) => ({ level, title, advice });
  const others = [
    ...["starting", JOINING.reason, "the consumer group is rebalancing", "x", "can't connect to PostgreSQL"],
    ...["the consumer group c has a member that reads x", "Kafka has no topic", "partition 3 of the group"],
  ];
  for (const kind of NOT_READY_KINDS) {
    const said = others.map((reason) => verdictOn({ ...WELL, notReady: { kind, reason } }));
    for (const verdict of said) assert.deepEqual(unnamed(verdict), unnamed(said[0]!));
    assert.equal(said[0]!.title, TITLES[kind]);
  }
});

Deno.test("the time to catch up is lag ÷ (consumed − arrived)", () => {
  assert.equal(caughtUpInMs(12_400, { ...RATES, arrived: 300, consumed: 610 }), 40_000);
  assert.equal(caughtUpInMs(12_400, { ...RATES, arrived: 300, consumed: 300 }), null);
  assert.equal(caughtUpInMs(0, { ...RATES, consumed: 610 }), null);
});
