import assert from "node:assert/strict";
import { setTimeout } from "node:timers/promises";
import { Metrics } from "../http/metrics.ts";
import type { Fields, Log } from "../host/log.ts";
import { Activity } from "../status/activity.ts";
import type { TracedCommit } from "../status/traced_commit.ts";
import { type Answer, type OtlpReceiver, startOtlp } from "../../testing/servers/otlp.ts";
import { freePort, until } from "../../testing/servers/child.ts";
import { resourceOf } from "./otel.ts";
import { Sender, type SenderOptions } from "./sender.ts";
import { Telemetry } from "./telemetry.ts";

const DATABASE = { host: "db", port: 5432, name: "shop" };
const LINK = { traceId: "a".repeat(32), spanId: "b".repeat(16), state: "shop=1", partition: 1, offset: 1234 };
const ENDED_AT = Date.UTC(2026, 10, 1, 12, 0, 0, 250);

const COMMIT: TracedCommit = {
  traceId: "4bf92f3577b34da6a3ce929d0e0e4736",
  spanId: "00f067aa0ba902b7",
  endedAt: ENDED_AT,
  waitedMs: 100,
  tookMs: 50.25,
  spent: { readMs: 10, decodeMs: 20, foldMs: 30, encodeMs: 5, oldest: null },
  partitions: [1, 2],
  ...{ consumed: 13, stored: 10, duplicates: 2, refused: 1 },
  links: [LINK, { ...LINK, state: null }],
  linksLeftOut: 7,
  statements: [
    { operation: "COPY", table: "clickstream.events", startMs: 1, endMs: 30 },
    { operation: "COMMIT", table: null, startMs: 40, endMs: 50 },
  ],
  statementsLeftOut: 0,
  failure: null,
};

/** Spans of such a commit: itself, poll, decode, fold, encode, write, COPY and COMMIT. */
const SPANS = 8;

/** Everything that is logged. */
class Lines implements Log {
  readonly lines: string[] = [];
  readonly #add = (message: string, fields: Fields = {}) =>
    void this.lines.push(`${message} ${JSON.stringify(fields)}`);
  readonly debug = this.#add;
  readonly info = this.#add;
  readonly warn = this.#add;
  readonly error = this.#add;
}

interface Opened {
  readonly telemetry: Telemetry;
  readonly activity: Activity;
  readonly metrics: Metrics;
  readonly log: Lines;
}

function open(endpoint: string, more: Partial<SenderOptions> = {}, metricsEveryMs: number | null = null): Opened {
  const activity = new Activity(() => ENDED_AT);
  const metrics = new Metrics(activity);
  const log = new Lines();
  const encoding = more.encoding ?? "http/protobuf";
  const telemetry = new Telemetry({
    encoding,
    sender: new Sender({
      ...{ endpoint, headers: [], encoding, isCompressed: false, timeoutMs: 300, authorities: null },
      ...more,
    }),
    spans: {
      resource: resourceOf(
        { OTEL_SERVICE_NAME: "clicks", OTEL_RESOURCE_ATTRIBUTES: "service.name=no,deployment.environment.name=a%2Cb" },
        { instance: "host/1", hostname: "host", pid: 1 },
      ),
      ...{ topic: "clicks", group: "shop", database: DATABASE },
      spanId: () => crypto.getRandomValues(new Uint8Array(8)).toHex(),
    },
    metrics: metrics.all,
    metricsEveryMs,
    startedAt: ENDED_AT - 1000,
    exported: activity.exported,
    log,
    firstPauseMs: 5,
  });
  return { telemetry, activity, metrics, log };
}

/** Takes a commit and closes. */
async function sent(receiver: OtlpReceiver, more: Partial<SenderOptions> = {}): Promise<Opened> {
  const opened = open(receiver.url, more);
  opened.telemetry.take(COMMIT);
  await opened.telemetry.close();
  return opened;
}

for (const encoding of ["http/protobuf", "http/json"] as const) {
  for (const isCompressed of [false, true]) {
    const how = `${encoding}${isCompressed ? ", compressed" : ""}`;
    Deno.test(`a commit arrives as one span with its parts (${how})`, async () => {
      await using receiver = startOtlp();
      const { activity } = await sent(receiver, { encoding, isCompressed, headers: [["x-token", "secret"]] });
      const [request] = receiver.received;
      assert.equal(request!.headers.get("x-token"), "secret");
      assert.equal(request!.headers.get("content-encoding"), isCompressed ? "gzip" : null);
      assert.match(request!.headers.get("user-agent")!, /^clickstream\/\d/);
      assert.equal(request!.resource["service.name"], "clicks");
      assert.equal(request!.resource["deployment.environment.name"], "a,b");
      assert.equal(request!.resource["service.instance.id"], "host/1");
      const [commit, ...parts] = receiver.spans;
      assert.deepEqual([commit!.traceId, commit!.spanId, commit!.parentId], [COMMIT.traceId, COMMIT.spanId, ""]);
      assert.deepEqual([commit!.name, commit!.kind, commit!.status.code], ["process clicks", 5, 0]);
      assert.deepEqual([commit!.to, commit!.to - commit!.from], [ENDED_AT, 150.25]);
      assert.deepEqual(commit!.attributes, {
        "messaging.system": "kafka",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "clicks",
        "messaging.consumer.group.name": "shop",
        "messaging.batch.message_count": 13,
        "clickstream.partitions": [1, 2],
        "clickstream.events.stored": 10,
        "clickstream.events.duplicates": 2,
        "clickstream.records.refused": 1,
      });
      const attributes = { "messaging.destination.partition.id": "1", "messaging.kafka.offset": 1234 };
      const link = { traceId: LINK.traceId, spanId: LINK.spanId, attributes };
      assert.deepEqual(commit!.links, [{ ...link, state: "shop=1" }, { ...link, state: "" }]);
      assert.equal(commit!.linksLeftOut, 7);
      const began = commit!.from;
      assert.deepEqual(parts.map(({ name, from, to }) => [name, from - began, to - began]), [
        ["poll clicks", 0, 10],
        ["decode", 10, 30],
        ["fold", 30, 60],
        ["encode", 95, 100],
        ["write", 100, 140],
        ["COPY clickstream.events", 101, 130],
        ["COMMIT", 140, 150],
      ]);
      assert.ok(parts.every(({ traceId }) => traceId === COMMIT.traceId));
      const write = parts.find(({ name }) => name === "write")!;
      const copy = parts.find(({ name }) => name.startsWith("COPY"))!;
      assert.equal(copy.parentId, write.spanId);
      assert.ok(parts.filter((part) => part !== copy).every(({ parentId }) => parentId === COMMIT.spanId));
      assert.equal(new Set(receiver.spans.map(({ spanId }) => spanId)).size, SPANS);
      assert.deepEqual([copy.kind, copy.attributes], [3, {
        "db.system.name": "postgresql",
        "db.namespace": "shop",
        "db.operation.name": "COPY",
        "db.collection.name": "clickstream.events",
        "server.address": "db",
        "server.port": 5432,
      }]);
      assert.deepEqual(activity.exported.spans, { delivered: SPANS, dropped: 0, rejected: 0 });
    });
  }
}

Deno.test("a commit that failed is a span with its error, and ends where it failed", async () => {
  await using receiver = startOtlp();
  const { telemetry } = open(receiver.url);
  const failure = { kind: "conflict", message: "another instance has moved it" };
  telemetry.take({ ...COMMIT, partitions: [3], statements: COMMIT.statements.slice(0, 1), failure });
  await telemetry.close();
  const [commit] = receiver.spans;
  assert.deepEqual(commit!.status, { code: 2, message: failure.message });
  assert.equal(commit!.attributes["error.type"], "conflict");
  assert.equal(commit!.attributes["messaging.destination.partition.id"], "3");
  assert.equal(receiver.spans.find(({ name }) => name === "COMMIT"), undefined);
  assert.equal(receiver.spans.find(({ name }) => name === "write")!.to, ENDED_AT);
});

/** Metrics of Prometheus' text: names with types, and samples by name and labels. */
function parsed(text: string): { readonly types: Map<string, string>; readonly samples: Map<string, number> } {
  return {
    types: new Map([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => [name!, type!])),
    samples: new Map([...text.matchAll(/^([a-z]\S*) (\S+)$/gm)].map(([, name, value]) => [name!, Number(value)])),
  };
}

for (const encoding of ["http/protobuf", "http/json"] as const) {
  Deno.test(`OpenTelemetry gets the metrics that Prometheus gets, with the same values (${encoding})`, async () => {
    await using receiver = startOtlp();
    const { telemetry, activity, metrics } = open(receiver.url, { encoding }, 3_600_000);
    activity.take({ kind: "fetched", bytes: 1234 });
    activity.take({ kind: "memory", bytes: { heap: 1.5, buffers: 2, kernel: 3 } });
    activity.seconds.commit.counts[2] = 4;
    activity.seconds.commit.sum = 0.1;
    const { types, samples } = parsed(await metrics.text());
    await telemetry.close();
    const all = receiver.received.flatMap(({ metrics }) => metrics);
    assert.deepEqual(new Map(all.map(({ name, type }) => [name, type])), types);
    let compared = 0;
    for (const { name, points } of all.filter(({ name }) => !name.startsWith("process_"))) {
      for (const { attributes, value } of points) {
        const labels = Object.entries(attributes).map(([label, text]) => `{${label}="${text}"}`).join("");
        if (typeof value === "number") assert.equal(value, samples.get(`${name}${labels}`), `${name}${labels}`);
        else {
          assert.deepEqual([value.count, value.sum], [samples.get(`${name}_count`), samples.get(`${name}_sum`)], name);
          const below = value.counts.reduce((sum, count) => sum + count, 0);
          assert.equal(below, samples.get(`${name}_bucket{le="+Inf"}`), name);
        }
        compared++;
      }
    }
    assert.ok(compared > 50);
    const unit = (name: string) => all.find((metric) => metric.name === name)!.unit;
    assert.deepEqual(
      ["clickstream_commit_wait_seconds", "clickstream_fetch_bytes_total", "clickstream_commits_total"].map(unit),
      ["s", "By", ""],
    );
  });
}

Deno.test("metrics are reported at their interval", async () => {
  await using receiver = startOtlp();
  const { telemetry } = open(receiver.url, {}, 20);
  await until("three reports", () => receiver.received.length >= 3, 5000, 5);
  await telemetry.close();
  assert.ok(receiver.received.every(({ path }) => path === "/v1/metrics"));
});

Deno.test("a collector that is down costs a bounded queue, counts what is lost, and is said once", async () => {
  const { telemetry, activity, log } = open(`http://127.0.0.1:${freePort()}`);
  const taken = 2000;
  for (let n = 0; n < taken; n++) telemetry.take(COMMIT);
  await until("all tries are over", () => activity.exported.failures.traces >= 5, 10_000, 5);
  await telemetry.close();
  const { spans, failures } = activity.exported;
  assert.deepEqual(spans, { delivered: 0, dropped: taken * SPANS, rejected: 0 });
  assert.ok(failures.traces >= 5);
  assert.equal(log.lines.length, 1, log.lines.join("\n"));
  assert.match(log.lines[0]!, /^cannot send traces to the OpenTelemetry collector; the service runs on without/);
});

Deno.test("a collector that is back gets what waits, and what was lost is not counted twice", async () => {
  let isDown = true;
  await using receiver = startOtlp(() => isDown ? new Response("later", { status: 503 }) : null);
  const { telemetry, activity, log } = open(receiver.url);
  for (let n = 0; n < REQUEST_COMMITS; n++) telemetry.take(COMMIT);
  await until("the first try failed", () => activity.exported.failures.traces >= 1, 5000, 1);
  isDown = false;
  await until("delivered", () => activity.exported.spans.delivered > 0, 5000, 5);
  await telemetry.close();
  assert.deepEqual(activity.exported.spans, { delivered: REQUEST_COMMITS * SPANS, dropped: 0, rejected: 0 });
  assert.equal(receiver.spans.length, REQUEST_COMMITS * SPANS);
  assert.match(log.lines.at(-1)!, /takes traces again/);
});

/** Commits whose spans fill a request, so that it is sent at once. */
const REQUEST_COMMITS = 512 / SPANS;

/** A body that never ends: a byte at a time, or as fast as it is read. */
function endless(everyMs: number, size: number): ReadableStream<Uint8Array> {
  let open = true;
  return new ReadableStream({
    async pull(controller) {
      if (everyMs > 0) await setTimeout(everyMs, undefined, { ref: false });
      if (open) controller.enqueue(new Uint8Array(size));
    },
    cancel() {
      open = false;
    },
  });
}

// Answers that never end leave timers of the collector behind.
const leaky = { sanitizeOps: false, sanitizeResources: false };

/** Collectors that want to harm: how they answer, what becomes of the spans, and how many requests they get. */
const HOSTILE: readonly (readonly [string, Answer, "delivered" | "dropped" | "rejected", number | null])[] = [
  ["never answers", async () => (await setTimeout(1500, undefined, { ref: false }), new Response()), "dropped", null],
  ["drips an answer without an end", () => new Response(endless(20, 1)), "dropped", null],
  ["floods with an answer without an end", () => new Response(endless(0, 65_536)), "delivered", 1],
  ["answers garbage", () => new Response(new Uint8Array([0xff, 0xff, 0xff, 1, 2, 3])), "delivered", 1],
  ["refuses", () => new Response("no", { status: 400 }), "dropped", 1],
  ["refuses the login, at length", () => new Response("x".repeat(1e6), { status: 401 }), "dropped", 1],
  [
    "sends elsewhere",
    () => new Response(null, { status: 307, headers: { location: "http://127.0.0.1:1/" } }),
    "dropped",
    1,
  ],
  [
    "asks to wait for ever",
    () => new Response("", { status: 429, headers: { "retry-after": "999999999" } }),
    "dropped",
    1,
  ],
  ["claims to have refused more than it got", partial(1e9), "rejected", 1],
  ["claims to have refused less than nothing", partial(-5), "delivered", 1],
];

function partial(rejectedSpans: number): Answer {
  return () => Response.json({ partialSuccess: { rejectedSpans, errorMessage: "\u001b[2J" } });
}

for (const [what, answer, outcome, requests] of HOSTILE) {
  Deno.test(`a collector that ${what} holds up nothing`, leaky, async () => {
    let asked = 0;
    await using receiver = startOtlp((request, n) => {
      asked++;
      return answer(request, n);
    });
    const { telemetry, activity } = open(receiver.url, { encoding: "http/json", timeoutMs: 150 });
    const beganMs = performance.now();
    for (let n = 0; n < REQUEST_COMMITS; n++) telemetry.take(COMMIT);
    const tookMs = performance.now() - beganMs;
    // A request that is not answered is over after its time, and tried again.
    if (requests === null) await until("it is tried again", () => asked >= 2, 5000, 5);
    else await setTimeout(50);
    const closingMs = performance.now();
    await telemetry.close();
    const closedMs = performance.now() - closingMs;
    assert.ok(tookMs < 500, `taking took ${tookMs} ms`);
    assert.ok(closedMs < 1500, `closing took ${closedMs} ms`);
    const { delivered, dropped, rejected } = activity.exported.spans;
    assert.equal(delivered + dropped + rejected, REQUEST_COMMITS * SPANS);
    assert.equal(activity.exported.spans[outcome], REQUEST_COMMITS * SPANS);
    if (requests !== null) assert.equal(asked, requests);
  });
}

Deno.test("a queue that is full drops whole commits, and the newest", leaky, async () => {
  let release = () => {};
  const held = new Promise<void>((resolve) => release = resolve);
  await using receiver = startOtlp(async () => (await held, null));
  const { telemetry, activity } = open(receiver.url, { timeoutMs: 5000 });
  // One request is on its way, and the queue holds 2048 spans more.
  const fits = REQUEST_COMMITS + 2048 / SPANS;
  for (let n = 0; n < fits + 10; n++) telemetry.take(COMMIT);
  assert.equal(activity.exported.spans.dropped, 10 * SPANS);
  release();
  await telemetry.close();
});
