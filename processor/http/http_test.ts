import assert from "node:assert/strict";
import { BOT_LIST_VERSION } from "../measures/bot_list.ts";
import { Activity } from "../status/activity.ts";
import { addressText } from "../config/address.ts";
import { ASSETS } from "../status/assets.ts";
import { History } from "../status/history.ts";
import { statusReport } from "../status/report.ts";
import { type HttpServer, serveHttp, type Shown } from "./http.ts";
import { openLog } from "../host/log.ts";
import { Metrics } from "./metrics.ts";

const NOON = Date.UTC(2026, 10, 1, 12);
const ANY = { hostname: "127.0.0.1", port: 0 };
const ABOUT = { version: "1.2.3", instance: "here/1", topic: "<clicks>", startedAt: NOON, settings: { WORKERS: "1" } };

const silent = openLog({ level: "error", format: "json", write: () => {} });

function shownOf(activity: Activity): Shown {
  const history = new History(activity);
  const moment = { now: NOON + 1000, stopping: false, database: null };
  return {
    notReady: () => activity.notReady,
    status: () => statusReport(ABOUT, activity, history, moment),
    stream: () => null,
    metrics: new Metrics(activity),
  };
}

async function serving(
  body: (
    get: (path: string, init?: RequestInit) => Promise<Response>,
    activity: Activity,
    server: HttpServer,
  ) => Promise<void>,
  change: Partial<Shown> = {},
): Promise<void> {
  const activity = new Activity(() => NOON);
  const server = serveHttp(ANY, { ...shownOf(activity), ...change }, silent);
  try {
    await body((path, init) => fetch(`http://${addressText(server.address)}${path}`, init), activity, server);
  } finally {
    await server.close();
  }
}

Deno.test("is alive at once, and ready once every worker is", () =>
  serving(async (get, activity) => {
    const health = await get("/health");
    assert.deepEqual([health.status, await health.json()], [200, { status: "alive" }]);
    activity.take({ kind: "notReady", why: { kind: "kafka_unreachable", reason: "could not reach Kafka" } });
    const waiting = await get("/ready");
    assert.deepEqual([waiting.status, await waiting.json()], [503, {
      status: "not ready",
      reason: "could not reach Kafka",
    }]);
    activity.take({ kind: "notReady", why: null });
    const ready = await get("/ready");
    assert.deepEqual([ready.status, await ready.json()], [200, { status: "ready" }]);
  }));

Deno.test("serves the status report as JSON", () =>
  serving(async (get, activity) => {
    const partitions = new Map([[3, { next: 7, leaderEpoch: null, replay: 0, watermark: NOON, topicId: null }]]);
    activity.take({ kind: "started", partitions, cause: { kind: "unavailable", message: "<gone>" } });
    activity.take({ kind: "read", partition: 3, end: 9 });
    const status = await (await get("/api/status")).json();
    assert.deepEqual(status, {
      state: "waiting",
      reason: "starting",
      verdict: {
        level: "starting",
        title: "Starting",
        detail: "The service connects to PostgreSQL and Kafka.",
        advice: null,
      },
      at: "2026-11-01T12:00:01.000Z",
      version: "1.2.3",
      isbot: BOT_LIST_VERSION,
      instance: "here/1",
      topic: "<clicks>",
      startedAt: "2026-11-01T12:00:00.000Z",
      workers: 1,
      lag: { records: 2, behindMs: 0, caughtUpInMs: null },
      rates: { arrived: 0, consumed: 0, stored: 0, duplicates: 0, refused: 0, commits: 0, rows: 0 },
      stages: [
        {
          name: "Kafka",
          unit: "records",
          rate: 0,
          busy: 0,
          eachUs: null,
          fault: { level: "starting", text: "connecting" },
        },
        { name: "decode", unit: "records", rate: 0, busy: 0, eachUs: null, fault: null },
        { name: "fold", unit: "events", rate: 0, busy: 0, eachUs: null, fault: null },
        { name: "commit", unit: "commits", rate: 0, busy: 0, eachUs: null, fault: null },
        {
          name: "PostgreSQL",
          unit: "rows",
          rate: 0,
          busy: 0,
          eachUs: null,
          fault: { level: "starting", text: "connecting" },
        },
      ],
      partitions: [{
        partition: 3,
        next: 7,
        end: 9,
        stable: null,
        lag: 2,
        watermark: "2026-11-01T12:00:00.000Z",
        owner: "here/1",
        committedAt: null,
      }],
      totals: {
        ...{
          consumed: 0,
          stored: 0,
          duplicates: 0,
          refused: 0,
          skipped: 0,
          gaps: 0,
          late: 0,
          latenessMs: 0,
          unchecked: 0,
        },
      },
      topicPartitions: null,
      refusals: {},
      commits: 0,
      lastCommit: null,
      money: null,
      restarts: [{ at: "2026-11-01T12:00:00.000Z", cause: "unavailable", message: "<gone>" }],
      settings: { WORKERS: "1" },
    });
  }));

Deno.test("serves the page with all its files, and lets it load nothing from elsewhere", () =>
  serving(async (get) => {
    const page = await get("/");
    const html = await page.text();
    assert.equal(page.headers.get("content-type"), "text/html; charset=utf-8");
    const policy = page.headers.get("content-security-policy")!;
    assert.match(policy, /^default-src 'none'; script-src 'self'; style-src 'self';/);
    assert.doesNotMatch(policy, /unsafe|https?:|\*|data:/);
    const parts = [...html.matchAll(/(?:src|href)="(\/page\/[^"]+)"/g)].map(([, path]) => path!);
    assert.ok(parts.length >= 5, html);
    for (const path of parts) {
      const part = await get(path);
      assert.equal(part.status, 200, path);
      assert.match(part.headers.get("content-type")!, /^(text\/(css|javascript)|image\/svg)/);
      for (const [, imported] of (await part.text()).matchAll(/^import .*"\.(\/[a-z]+\.js)";$/gm)) {
        const module = await get(`/page${imported}`);
        assert.equal(module.status, 200, `${imported}`);
        await module.body?.cancel();
      }
    }
    for (const { type, body } of Object.values(ASSETS)) {
      if (type.startsWith("text/html")) assert.doesNotMatch(body, /<style|<script>| style=| on[a-z]+=|https?:/);
    }
  }));

Deno.test("answers 503 to a stream beyond the limit, and HEAD without a stream", () =>
  serving(async (get) => {
    const full = await get("/api/stream");
    assert.deepEqual([full.status, full.headers.get("retry-after")], [503, "10"]);
    assert.match((await full.json()).error, /too many/);
    const head = await get("/api/stream", { method: "HEAD" });
    assert.deepEqual([head.status, head.headers.get("content-type")], [200, "text/event-stream"]);
  }));

Deno.test("serves metrics for Prometheus", () =>
  serving(async (get) => {
    const response = await get("/metrics");
    assert.match(response.headers.get("content-type")!, /^text\/plain; version=0\.0\.4/);
    assert.match(await response.text(), /^clickstream_ready 0$/m);
  }));

Deno.test("allows GET and HEAD of known paths only, always with safe headers", () =>
  serving(async (get) => {
    for (const path of ["/", "/health", "/ready", "/metrics", "/api/status"]) {
      for (const method of ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"]) {
        const response = await get(path, { method });
        assert.deepEqual([response.status, response.headers.get("allow")], [405, "GET, HEAD"], `${method} ${path}`);
        await response.body?.cancel();
      }
      const head = await get(path, { method: "HEAD" });
      assert.equal(await head.text(), "");
    }
    for (const path of ["/nowhere", "/health/", "/__proto__", "/constructor", "//health", "/%2e%2e/etc/passwd"]) {
      const response = await get(path);
      assert.equal(response.status, 404, path);
      assert.equal((await response.json()).error, "not found");
      assert.match(response.headers.get("content-security-policy")!, /default-src 'none'/);
      assert.equal(response.headers.get("x-content-type-options"), "nosniff");
      assert.equal(response.headers.get("access-control-allow-origin"), null);
    }
  }));

Deno.test("answers 500 without the message of the error", () =>
  serving(async (get) => {
    const response = await get("/api/status");
    assert.equal(response.status, 500);
    assert.doesNotMatch(await response.text(), /hunter2/);
  }, {
    status: () => {
      throw new Error("hunter2");
    },
  }));

Deno.test("names the setting to change if another program uses the port", () =>
  serving((_get, activity, { address }) => {
    assert.throws(
      () => serveHttp(address, shownOf(activity), silent),
      new RegExp(`HTTP_LISTEN=127.0.0.1:${address.port}: another program`),
    );
    return Promise.resolve();
  }));
