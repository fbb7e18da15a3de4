import assert from "node:assert/strict";
import { Activity } from "../activity.ts";
import { addressText } from "../address.ts";
import { statusReport } from "../status/report.ts";
import { type HttpServer, serveHttp, type Shown } from "./http.ts";
import { openLog } from "./log.ts";
import { Metrics } from "./metrics.ts";

const NOON = Date.UTC(2026, 10, 1, 12);
const ANY = { hostname: "127.0.0.1", port: 0 };
const ABOUT = { version: "1.2.3", instance: "here/1", topic: "<clicks>", startedAt: NOON, settings: { WORKERS: "1" } };

const silent = openLog({ level: "error", format: "json", write: () => {} });

async function serving(
  body: (
    get: (path: string, init?: RequestInit) => Promise<Response>,
    activity: Activity,
    server: HttpServer,
  ) => Promise<void>,
  change: Partial<Shown> = {},
): Promise<void> {
  const activity = new Activity(() => NOON);
  const server = serveHttp(ANY, {
    notReady: () => activity.notReady,
    status: () => statusReport(ABOUT, activity, false),
    metrics: new Metrics(activity),
    ...change,
  }, silent);
  try {
    await body((path, init) => fetch(`http://${addressText(server.address)}${path}`, init), activity, server);
  } finally {
    await server.close();
  }
}

Deno.test("is alive at once, and ready when everything is there", () =>
  serving(async (get, activity) => {
    const health = await get("/health");
    assert.deepEqual([health.status, await health.json()], [200, { status: "alive" }]);
    activity.take({ kind: "notReady", reason: "could not reach Kafka" });
    const waiting = await get("/ready");
    assert.deepEqual([waiting.status, await waiting.json()], [503, {
      status: "not ready",
      reason: "could not reach Kafka",
    }]);
    activity.take({ kind: "notReady", reason: null });
    const ready = await get("/ready");
    assert.deepEqual([ready.status, await ready.json()], [200, { status: "ready" }]);
  }));

Deno.test("says what it does, as JSON and for people", () =>
  serving(async (get, activity) => {
    const partitions = new Map([[3, { next: 7, replay: 0, watermark: NOON }]]);
    activity.take({ kind: "started", partitions, cause: { kind: "unavailable", message: "<gone>" } });
    activity.take({ kind: "read", partition: 3, end: 9 });
    const status = await (await get("/api/status")).json();
    assert.deepEqual(status, {
      state: "waiting",
      reason: "starting",
      version: "1.2.3",
      instance: "here/1",
      topic: "<clicks>",
      startedAt: "2026-11-01T12:00:00.000Z",
      partitions: [{ partition: 3, next: 7, end: 9, lag: 2, watermark: "2026-11-01T12:00:00.000Z" }],
      totals: { consumed: 0, stored: 0, duplicates: 0, refused: 0, late: 0, latenessMs: 0 },
      refusals: {},
      commits: 0,
      lastCommit: null,
      restarts: [{ at: "2026-11-01T12:00:00.000Z", cause: "unavailable", message: "<gone>" }],
      settings: { WORKERS: "1" },
    });
    const page = await get("/");
    const html = await page.text();
    assert.equal(page.headers.get("content-type"), "text/html; charset=utf-8");
    for (const said of ["waiting: starting", "&lt;clicks&gt;", 'href="/metrics"', "<td>2</td>"]) {
      assert.ok(html.includes(said), said);
    }
  }));

Deno.test("shows metrics to Prometheus", () =>
  serving(async (get) => {
    const response = await get("/metrics");
    assert.match(response.headers.get("content-type")!, /^text\/plain; version=0\.0\.4/);
    assert.match(await response.text(), /^clickstream_ready 0$/m);
  }));

Deno.test("is read only, knows its paths, and sends safe headers with everything", () =>
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

Deno.test("answers 500 without a word of what went wrong", () =>
  serving(async (get) => {
    const response = await get("/api/status");
    assert.equal(response.status, 500);
    assert.doesNotMatch(await response.text(), /hunter2/);
  }, {
    status: () => {
      throw new Error("hunter2");
    },
  }));

Deno.test("says which setting to change where another program listens", () =>
  serving((_get, activity, { address }) => {
    const shown = {
      notReady: () => null,
      status: () => statusReport(ABOUT, activity, false),
      metrics: new Metrics(activity),
    };
    assert.throws(
      () => serveHttp(address, shown, silent),
      new RegExp(`HTTP_LISTEN=127.0.0.1:${address.port}: another program`),
    );
    return Promise.resolve();
  }));
