import assert from "node:assert/strict";
import { Activity } from "../status/activity.ts";
import type { Address } from "../config/address.ts";
import { addressText } from "../config/address.ts";
import { type HttpServer, serveHttp } from "../http/http.ts";
import { openLog } from "../host/log.ts";
import { Metrics } from "../http/metrics.ts";
import { History } from "../status/history.ts";
import { statusReport } from "../status/report.ts";
import { clickstream } from "../../testing/servers/binary.ts";
import { freePort } from "../../testing/servers/child.ts";
import { reportText, status } from "./status.ts";

const NOON = Date.UTC(2026, 10, 25, 12);

/** A process that has committed 12,345 records of two partitions, and has lag in one of them. */
function serving(): { readonly activity: Activity; readonly server: HttpServer } {
  const activity = new Activity(() => NOON);
  const at = (next: number) => ({ next, leaderEpoch: null, replay: 0, watermark: NOON, topicId: null });
  const cause = { kind: "database_unavailable" as const, message: "gone\x1b[2J" };
  activity.take({ kind: "started", partitions: new Map([[0, at(12_000)], [3, at(345)]]), cause });
  activity.take({ kind: "read", partition: 0, end: 12_000 });
  activity.take({ kind: "read", partition: 3, end: 2_345 });
  activity.take({ kind: "notReady", why: null });
  const history = new History(activity);
  const about = { version: "1.2.3", instance: "here/1", topic: "clicks", startedAt: NOON, settings: {} };
  const shown = {
    notReady: () => activity.notReady,
    status: () => statusReport(about, activity, history, { now: NOON, stopping: false, database: null }),
    stream: () => null,
    metrics: new Metrics(activity),
  };
  const log = openLog({ level: "error", format: "json", write: () => {} });
  return { activity, server: serveHttp({ hostname: "127.0.0.1", port: 0 }, shown, log) };
}

/** Runs `status`; calls `shown` after each output with all outputs so far, and a function that ends the command. */
async function watching(
  address: Address,
  shown: (all: readonly string[], end: () => void) => void | Promise<void>,
  json = false,
): Promise<number> {
  const over = new AbortController();
  const all: string[] = [];
  let cleared = 0;
  let last: void | Promise<void> = undefined;
  const print = (text: string) => {
    all.push(text);
    last = shown(all, () => over.abort());
  };
  const options = { json, watch: true, clear: () => void cleared++, signal: over.signal };
  const code = await status(options, address, { print, writeError: () => {} });
  await last;
  assert.equal(cleared, json ? 0 : all.length, "JSON is never cleared, and every other report is");
  return code;
}

Deno.test("status shows a running service as a table and as JSON, and what to check if there is none", async () => {
  const { server } = serving();
  const env = { HTTP_LISTEN: addressText(server.address) };
  const { code, out, err } = await clickstream(["status", "--once"], env);
  assert.deepEqual([code, err], [0, ""]);
  assert.match(out, /^Behind by 2,000 records/);
  assert.match(
    out,
    /^clickstream 1\.2\.3 as here\/1, topic clicks, since 2026-11-25T12:00:00\.000Z, bots by isbot \d/m,
  );
  assert.match(out, /^lag: 2,000 records; recent restarts: 1$/m);
  assert.match(out, /^ +2026-11-25T12:00:00\.000Z database_unavailable: gone\\u\{1b\}\[2J$/m);
  assert.match(out, /^ *partition +next offset +high watermark +lag +event-time watermark *$/m);
  assert.match(out, /^ *3 +345 +2,345 +2,000 +2026-11-25T12:00:00\.000Z *$/m);
  // Without a terminal, it is printed once.
  assert.equal((await clickstream(["status"], env)).out, out);

  const json = await clickstream(["status", "--json"], env);
  assert.equal(json.code, 0);
  assert.match(json.out, /^\{.*\}\n$/);
  const report = JSON.parse(json.out);
  assert.deepEqual([report.lag.records, report.partitions[1].lag, report.restarts.length], [2000, 2000, 1]);
  await server.close();

  const nobody = await clickstream(["status", "--json"], env);
  assert.deepEqual([nobody.code, nobody.out], [1, ""]);
  assert.match(
    nobody.err,
    /^clickstream: Cannot get the status from http:\/\/127.*HTTP_LISTEN is the same for both.*doctor/,
  );
});

Deno.test("status refreshes in place until it is ended, also while the service does not answer", async () => {
  const { activity, server } = serving();
  const code = await watching(server.address, async (all, end) => {
    if (all.length === 1) {
      assert.match(all[0]!, /Behind by 2,000 records/);
      const reason = "could not connect to PostgreSQL at db:5432";
      activity.take({ kind: "notReady", why: { kind: "postgres_unreachable", reason } });
    } else if (all.length === 2) {
      assert.match(all[1]!, /PostgreSQL can't be reached\n.*db:5432\.\n.*Nothing is lost/);
      await server.close();
    } else {
      assert.match(all.at(-1)!, /no answer from http:.*$/);
      end();
    }
  });
  assert.equal(code, 0);
});

Deno.test("status with --json prints one report per line, null while the service does not answer", async () => {
  const { server } = serving();
  const code = await watching(server.address, async (all, end) => {
    if (all.length === 1) {
      assert.equal(JSON.parse(all[0]!).lag.records, 2000);
      await server.close();
    } else if (all.at(-1) === "null") end();
  }, true);
  assert.equal(code, 0);
});

Deno.test("status takes nothing for a report that is none, and prints no text that a terminal obeys", async () => {
  for (const text of ["", "null", "7", "[]", '{"state":"running"}', '{"state":7}', `{"state":${"[".repeat(20_000)}`]) {
    for (const json of [true, false]) assert.throws(() => reportText(text, json), /another program answers there/);
  }
  const { activity, server } = serving();
  const about = { version: "\u009b2J", instance: "a\u202e", topic: "\x1b]0;x\x07", startedAt: NOON, settings: {} };
  const moment = { now: NOON, stopping: false, database: null };
  const text = JSON.stringify(statusReport(about, activity, new History(activity), moment));
  for (const json of [true, false]) {
    const printed = reportText(text, json);
    assert.match(printed, json ? /^[^\p{Cc}\p{Cf}]+$/u : /^(?:\n|[^\p{Cc}\p{Cf}])+$/u);
    if (json) assert.deepEqual(JSON.parse(printed), JSON.parse(text));
  }
  await server.close();
});

Deno.test("status recognises that another program answers", async () => {
  const port = freePort();
  const server = Deno.serve({ hostname: "127.0.0.1", port, onListen: () => {} }, () => Response.json({ hello: "you" }));
  await assert.rejects(
    watching({ hostname: "0.0.0.0", port }, (_, end) => end()),
    /another program answers there/,
  );
  await server.shutdown();
});
