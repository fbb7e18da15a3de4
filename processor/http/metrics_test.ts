import assert from "node:assert/strict";
import { Activity } from "../status/activity.ts";
import { reportTo } from "../status/worker_events.ts";
import { Times } from "../pipeline/distribution.ts";
import { REASONS } from "../event.ts";
import { type Commit, PositionsMoved, Unavailable } from "../pipeline/commit.ts";
import type { Timing } from "../pipeline/observer.ts";
import { Metrics } from "./metrics.ts";

const NOON = Date.UTC(2026, 10, 1, 12);

const COMMIT: Commit = {
  topic: "clickstream-events",
  topicId: null,
  adoptions: 0,
  advances: [{
    partition: 1,
    topicId: null,
    first: 10,
    skipped: 0,
    gap: null,
    from: 10,
    next: 20,
    leaderEpoch: null,
    replay: 0,
    watermark: NOON,
    consumed: 10,
    stored: 6,
    duplicates: 3,
    refused: 1,
  }],
  deltas: [],
  events: null,
  refusals: [
    { reason: "not_json", field: null, detail: "", partition: 1, offset: 19, payload: new Uint8Array() },
  ],
};

/** Timing of a commit with events of these event times and Kafka timestamps. */
function timing(tookMs: number, event: readonly number[] = [], kafka = event): Timing {
  const times = (of: readonly number[]) => {
    const held = new Times();
    held.take(Float64Array.from(of), of.length);
    return held;
  };
  return { waitedMs: 200, tookMs, times: { event: times(event), kafka: times(kafka) }, unchecked: 2 };
}

function watched(workers = 1) {
  const activity = new Activity(() => NOON, workers);
  const metrics = new Metrics(activity);
  const worker = (n: number) =>
    reportTo((event) => {
      // Cloned, as between threads.
      activity.take(structuredClone(event), n);
    }, () => NOON);
  return { activity, metrics, worker, all: worker(0) };
}

/** Samples of the text format, by name and labels. */
async function samples(metrics: Metrics): Promise<Map<string, number>> {
  const lines = (await metrics.text()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ")))]),
  );
}

Deno.test("counts what a pipeline reports", async () => {
  const { activity, metrics, all } = watched();
  activity.take({ kind: "fetched", bytes: 1234 });
  activity.take({ kind: "retrying" });
  all.started(
    new Map([[0, null], [1, { next: 10, leaderEpoch: null, replay: 0, watermark: null, topicId: null }]]),
    null,
  );
  all.read(1, 20, 25);
  all.late(1500);
  all.late(500);
  all.committed(COMMIT, timing(30, [NOON - 400, NOON - 400, NOON - 90_000, NOON + 60_000], [NOON - 400]));
  all.late(9000);
  all.groupCommitFailed(new Unavailable("gone", { kind: "kafka_unreachable" }));
  const unconverted = [{ currency: "USD", since: "2026-11-02", purchases: 3 }, {
    currency: "JPY",
    since: "2026-11-03",
    purchases: 2,
  }];
  activity.take({ kind: "money", state: { currency: "EUR", currencies: ["JPY", "USD"], unconverted } });
  const said = await samples(metrics);
  const expected: Record<string, number> = {
    'clickstream_events_total{outcome="stored"}': 6,
    'clickstream_events_total{outcome="duplicate"}': 3,
    'clickstream_events_total{outcome="refused"}': 1,
    'clickstream_refusals_total{reason="not_json"}': 1,
    'clickstream_refusals_total{reason="expired"}': 0,
    "clickstream_commits_total": 1,
    "clickstream_late_events_total": 2,
    "clickstream_unchecked_events_total": 2,
    "clickstream_lateness_seconds_sum": 2,
    'clickstream_lateness_seconds_bucket{le="1"}': 1,
    'clickstream_lateness_seconds_bucket{le="+Inf"}': 2,
    "clickstream_group_commit_failures_total": 1,
    'clickstream_lag_records{partition="1"}': 5,
    'clickstream_watermark_timestamp_seconds{partition="1"}': NOON / 1000,
    "clickstream_last_commit_timestamp_seconds": NOON / 1000,
    'clickstream_commit_duration_seconds_bucket{le="0.025"}': 0,
    'clickstream_commit_duration_seconds_bucket{le="0.05"}': 1,
    "clickstream_commit_duration_seconds_count": 1,
    'clickstream_commit_wait_seconds_bucket{le="0.25"}': 1,
    // The latency of an event with a time in the future counts as 0.
    'clickstream_event_time_latency_seconds_bucket{le="0.05"}': 1,
    'clickstream_event_time_latency_seconds_bucket{le="0.5"}': 3,
    "clickstream_event_time_latency_seconds_sum": 90.8,
    "clickstream_event_time_latency_seconds_count": 4,
    "clickstream_produce_time_latency_seconds_count": 1,
    'clickstream_commit_rows_total{table="refusals"}': 1,
    'clickstream_commit_rows_total{table="traffic"}': 0,
    "clickstream_fetch_bytes_total": 1234,
    "clickstream_unconverted_purchases": 5,
    "clickstream_retries_total": 1,
    "clickstream_ready": 0,
  };
  for (const [name, value] of Object.entries(expected)) assert.equal(said.get(name), value, name);
  assert.equal(said.has('clickstream_lag_records{partition="0"}'), false);
});

Deno.test("counts restarts by cause, and drops lost partitions and late events that will be read again", async () => {
  const { activity, metrics, all } = watched();
  all.started(new Map([[0, { next: 1, leaderEpoch: null, replay: 0, watermark: 0, topicId: null }]]), null);
  all.late(1000);
  all.started(
    new Map([[1, { next: 1, leaderEpoch: null, replay: 0, watermark: 0, topicId: null }]]),
    new PositionsMoved("moved"),
  );
  all.committed(COMMIT, timing(1));
  activity.take({ kind: "notReady", why: null });
  const said = await samples(metrics);
  assert.equal(said.get('clickstream_restarts_total{cause="positions_moved"}'), 1);
  assert.equal(said.get('clickstream_restarts_total{cause="unavailable"}'), 0);
  assert.equal(said.has('clickstream_watermark_timestamp_seconds{partition="0"}'), false);
  assert.equal(said.get("clickstream_late_events_total"), 0);
  assert.equal(said.get("clickstream_ready"), 1);
  assert.deepEqual(activity.restarts, [{ at: NOON, cause: "positions_moved", message: "moved" }]);
});

Deno.test("sums up the reports of all workers, and is ready when all are", async () => {
  const { activity, metrics, worker } = watched(2);
  const [one, two] = [worker(0), worker(1)];
  const at = (next: number) => ({ next, leaderEpoch: null, replay: 0, watermark: null, topicId: null });
  one.started(new Map([[0, at(1)], [1, at(10)]]), null);
  one.read(1, 10, 30);
  two.started(new Map([[1, at(10)]]), new Unavailable("gone", { kind: "kafka_unreachable" }));
  two.committed(COMMIT, timing(30, [NOON]));
  one.groupCommitFailed(new Unavailable("gone", { kind: "kafka_unreachable" }));
  activity.take({ kind: "notReady", why: null }, 0);
  assert.equal(activity.notReady, "starting");
  // The process ends for the second worker, whatever the first waits for.
  activity.take({ kind: "notReady", why: { kind: "kafka_unreachable", reason: "could not reach Kafka" } }, 0);
  activity.take({ kind: "notReady", why: { kind: "topic_changed", reason: "another topic" } }, 1);
  assert.equal(activity.notReady, "another topic");
  activity.take({ kind: "notReady", why: null }, 0);
  activity.take({ kind: "notReady", why: null }, 1);
  assert.equal(activity.notReady, null);
  assert.deepEqual(activity.partitions.map(({ partition, next, lag }) => [partition, next, lag]), [
    [0, 1, null],
    [1, 20, 10],
  ]);
  const said = await samples(metrics);
  assert.equal(said.get('clickstream_events_total{outcome="stored"}'), 6);
  assert.equal(said.get("clickstream_event_time_latency_seconds_count"), 1);
  assert.equal(said.get('clickstream_lag_records{partition="1"}'), 10);
  assert.equal(said.get('clickstream_restarts_total{cause="unavailable"}'), 1);
  assert.equal(said.get("clickstream_group_commit_failures_total"), 1);
});

Deno.test("starts every counter at 0", async () => {
  const said = await samples(watched().metrics);
  const begun = [...said].filter(([name]) => /^clickstream_.*_total\b/.test(name));
  assert.ok(begun.length >= 3 + REASONS.length + 5);
  for (const [name, value] of begun) assert.equal(value, 0, name);
  assert.equal(said.get("clickstream_commit_duration_seconds_count"), 0);
});

Deno.test("lists a bounded number of restarts", () => {
  const { activity, all } = watched();
  for (let i = 0; i < 100; i++) all.started(new Map(), new Unavailable(`no. ${i}`, { kind: "kafka_unreachable" }));
  assert.equal(activity.restarts.length, 20);
  assert.equal(activity.restarts[0]!.message, "no. 99");
  assert.equal(activity.restartsByCause.get("unavailable"), 100);
});

/** Faults of a metric's name by the conventions of Prometheus. */
function lint(name: string, type: string, help: string): string[] {
  const wrong: string[] = [];
  const refuse = (holds: boolean, what: string) => void (holds && wrong.push(`${name}: ${what}`));
  refuse(!/^(clickstream|process)_[a-z0-9_]+$/.test(name), "lower case with a prefix");
  refuse((type === "counter") !== name.endsWith("_total"), "counters, and only they, end in _total");
  refuse(
    /_(milliseconds|ms|minutes|hours|days|s|kb|mb|kilobytes|megabytes|percent|cents)(_|$)/.test(name),
    "base units",
  );
  refuse(/_(count|sum|bucket)$/.test(name), "reserved for histograms");
  refuse(/_(gauge|counter|histogram|summary)(_|$)/.test(name), "the type is not part of the name");
  refuse(help === "", "needs help");
  return wrong;
}

Deno.test("names metrics by the conventions of Prometheus", async () => {
  assert.equal(lint("clickstream_Commit_ms", "counter", "").length, 4);
  const { metrics, all } = watched();
  all.started(new Map([[0, { next: 1, leaderEpoch: null, replay: 0, watermark: 0, topicId: null }]]), null);
  const text = await metrics.text();
  const helps = new Map([...text.matchAll(/^# HELP (\S+) (.*)$/gm)].map(([, name, help]) => [name!, help!]));
  const types = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)];
  assert.ok(types.length >= 15);
  assert.deepEqual(types.flatMap(([, name, type]) => lint(name!, type!, helps.get(name!) ?? "")), []);
  assert.match(text, /\n$/);
  assert.match(metrics.contentType, /^text\/plain; version=0\.0\.4/);
});

Deno.test("reports memory, CPU and start time of the process", async () => {
  const said = await samples(watched().metrics);
  assert.ok(said.get("process_resident_memory_bytes")! > 1e6);
  assert.ok(said.get("process_cpu_seconds_total")! > 0);
  assert.ok(Math.abs(said.get("process_start_time_seconds")! - Date.now() / 1000) < 3600);
});
