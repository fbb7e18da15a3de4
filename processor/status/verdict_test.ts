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
    when: "events come and are taken in",
    change: {},
    level: "good",
    title: "Up to date",
    detail: /^300 events a second, in the tables 0\.1 s after they were sent\.$/,
    advice: null,
  },
  {
    when: "nothing comes",
    change: { rates: { ...RATES, consumed: 0 }, lag: { records: 0, behindMs: null, caughtUpInMs: null } },
    level: "good",
    title: "Up to date",
    detail: /^No events are coming in\.$/,
  },
  ...([
    ["a busy shop falls silent", 125_000, 200, "No events for 2 min; usual is 200/s"],
    ["a shop of an event a second falls silent", 60_000, 1, "No events for 60 s; usual is 1.0/s"],
    ["a quiet shop has been silent for long", 600_000, 0.2, "No events for 10 min; usual is 0.2/s"],
    ["a busy shop pauses", 59_000, 200, null],
    ["a shop is quiet by night", 290_000, 0.2, null],
    ["a shop has just begun", 3_600_000, 0, null],
  ] as const).map(([when, silentMs, usual, title]): Case => ({
    when,
    change: { ...NOTHING_COMES, silence: { silentMs, usual } },
    level: title === null ? "good" : "attention",
    title: title ?? "Up to date",
    detail: title === null ? /^No events are coming in\.$/ : /^The topic is read to its end/,
    advice: title === null ? null : /producers/,
  })),
  {
    when: "others have all partitions, and nothing comes",
    change: { ...NOTHING_COMES, partitions: 0, silence: { silentMs: 600_000, usual: 200 } },
    level: "good",
    title: "Up to date",
    detail: /stands by/,
  },
  {
    when: "the last of a backlog has just been taken in",
    change: { latencyMs: 6 * 3_600_000 },
    level: "good",
    title: "Up to date",
    detail: /^300 events a second\. The last commit took in the rest of a backlog of 6 h\.$/,
  },
  {
    when: "others have all partitions",
    change: { partitions: 0 },
    level: "good",
    title: "Up to date",
    detail: /stands by/,
  },
  {
    when: "the lag shrinks",
    change: {
      lag: { records: 12_400, behindMs: 9_000, caughtUpInMs: 40_000 },
      rates: { ...RATES, consumed: 610 },
    },
    level: "behind",
    title: "Behind by 12,400 events, 9 s, catching up in about 40 s",
    detail: /^300 a second come in, 610 are taken in\.$/,
    advice: null,
  },
  {
    when: "the lag grows",
    change: { lag: { records: 12_400, behindMs: 900_000, caughtUpInMs: null } },
    level: "behind",
    title: "Behind by 12,400 events, 15 min, and not catching up",
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
    when: "an open transaction holds records up",
    change: { stall: { kind: "open_transaction", partition: 3, forMs: 12_000, records: 200 } },
    level: "broken",
    title: "An open transaction has held up records for 12 s",
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
    when: "many messages are refused",
    change: { lastMinute: { consumed: 1000, refused: 31 } },
    level: "attention",
    title: "Up to date, but 3.1 % of the last minute's messages were refused",
    detail: /^31 of 1,000 can't be events\./,
    advice: /refusals below/,
  },
  {
    when: "few messages are refused",
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
    when: "the topic was recreated, whatever else",
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
    change: { topicChange: { kind: "truncated", topic: "clicks", partition: 3, next: 20, end: 12 } },
    level: "broken",
    title: "The log was truncated",
    detail: /Partition 3 of clicks ends at offset 12, before 20/,
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
  { when: "only the page knows", change: { database: GONE }, level: "broken", title: "PostgreSQL can't be reached" },
  {
    when: "PostgreSQL refuses",
    change: { notReady: { kind: "postgres_refuses", reason: "No space left on device" } },
    level: "broken",
    title: "PostgreSQL does not take the work",
    advice: /^See PostgreSQL's log/,
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
    title: "Waiting for its partitions",
    detail: /waits for it first/,
    advice: null,
  },
  {
    when: "another instance joins",
    change: { notReady: { kind: "rebalancing", reason: "the consumer group is rebalancing" } },
    level: "starting",
    title: "Waiting for its partitions",
  },
  {
    when: "Kafka is back and PostgreSQL gone",
    change: { notReady: JOINING, database: GONE },
    level: "broken",
    title: "PostgreSQL can't be reached",
  },
  {
    when: "who knows",
    change: { notReady: { kind: "internal", reason: "planets are aligned" } },
    level: "broken",
    title: "The work has stopped",
  },
  { when: "it has just started", change: { notReady: STARTING }, level: "starting", title: "Starting" },
  { when: "it stops, whatever else", change: { stopping: true, notReady: GONE }, level: "stopping", title: "Stopping" },
];

for (const { when, change, level, title, detail, advice } of CASES) {
  Deno.test(`says how it is when ${when}`, () => {
    const said = verdictOn({ ...WELL, ...change });
    assert.deepEqual([said.level, said.title], [level, title]);
    if (detail !== undefined) assert.match(said.detail, detail);
    if (advice === null) assert.equal(said.advice, null);
    else if (advice !== undefined) assert.match(said.advice ?? "", advice);
  });
}

const TITLES: { readonly [kind in NotReadyKind]: string } = {
  starting: "Starting",
  rebalancing: "Waiting for its partitions",
  conflict: "The work has stopped",
  postgres_unreachable: "PostgreSQL can't be reached",
  postgres_refuses: "PostgreSQL does not take the work",
  kafka_unreachable: "Kafka can't be reached",
  no_topic: "Kafka has no such topic",
  foreign_group_member: "A stranger is in the consumer group",
  topic_changed: "The work has stopped",
  internal: "The work has stopped",
};

Deno.test("what an error says changes nothing but the detail", () => {
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

Deno.test("a lag is caught up at the pace that is left over", () => {
  assert.equal(caughtUpInMs(12_400, { ...RATES, arrived: 300, consumed: 610 }), 40_000);
  assert.equal(caughtUpInMs(12_400, { ...RATES, arrived: 300, consumed: 300 }), null);
  assert.equal(caughtUpInMs(0, { ...RATES, consumed: 610 }), null);
});
