import assert from "node:assert/strict";
import { type LogRecord, MemorySource } from "../testing/fakes/memory.ts";
import { bad, click, clicksFrom } from "../testing/pipeline_harness.ts";
import type { Records } from "../records.ts";
import { RECENT, RecentSamples, type Sample, Sampler, SAMPLES_PER_SECOND, Watching } from "./sampler.ts";
import { DAY_MS } from "../views/view.ts";

async function recordsOf(log: LogRecord[]): Promise<Records> {
  const source = new MemorySource([log], log.length);
  source.seek(new Map([[0, null]]));
  return (await source.poll(0))[0]!;
}

function sampler() {
  const clock = { ms: 0 };
  return { clock, sampler: new Sampler("clicks", 30 * DAY_MS, () => clock.ms) };
}

Deno.test("samples events and refusals as they were decoded", async () => {
  const records = await recordsOf([click("a", 0, { page: `/${"x".repeat(500)}?q=<b>`, device: "mobile" }), bad(1)]);
  const [event, refusal] = sampler().sampler.take(records, 0, true);
  const { type, user, device, region, reason, revenueCents } = event!;
  assert.deepEqual({ type, user, device, region, reason, revenueCents }, {
    type: "page_view",
    user: "ann",
    device: "mobile",
    region: "unknown",
    reason: null,
    revenueCents: 0,
  });
  assert.equal(event!.page!.length, 120);
  assert.deepEqual([refusal!.reason, refusal!.type, refusal!.offset], ["not_json", null, 1]);
  assert.ok(refusal!.detail!.length > 0);
});

Deno.test("takes a bounded number of samples per second, spread evenly over the new records", async () => {
  const records = await recordsOf(clicksFrom("a", 1000));
  const { sampler: all, clock } = sampler();
  const first = all.take(records, 500, true);
  assert.deepEqual(first.map(({ offset }) => offset), [500, 550, 600, 650, 700, 750, 800, 850, 900, 950]);
  let count = first.length;
  for (; clock.ms < 1000; clock.ms += 10) count += all.take(records, 0, true).length;
  assert.equal(count, SAMPLES_PER_SECOND);
});

Deno.test("takes ten samples per second while no client is connected", async () => {
  const records = await recordsOf(clicksFrom("a", 1000));
  const { sampler: all, clock } = sampler();
  let count = 0;
  for (; clock.ms < 2000; clock.ms += 10) count += all.take(records, 0, false).length;
  assert.equal(count, 20);
});

/** A sample of an event at this offset. */
function sampleAt(offset: number, partition = 0): Sample {
  const event = { type: "search", user: "ann", page: "/", device: "mobile", region: "DE" };
  return { partition, offset, time: offset, ...event, revenueCents: 0, reason: null, detail: null };
}

Deno.test("keeps the latest samples, each record once, and none below an offset that was forgotten", () => {
  const recent = new RecentSamples();
  const offsets = () => recent.all.map(({ partition, offset }) => `${partition}/${offset}`);
  recent.add([sampleAt(1), sampleAt(2)]);
  recent.add([sampleAt(2), sampleAt(1, 1)]);
  assert.deepEqual(offsets(), ["0/1", "0/2", "1/1"]);
  assert.equal(recent.dropBelow([[0, 1], [2, 9]]), false);
  assert.equal(recent.dropBelow([[0, 2]]), true);
  assert.deepEqual(offsets(), ["0/2", "1/1"]);
  recent.add(Array.from({ length: 100 }, (_, i) => sampleAt(100 + i)));
  assert.equal(recent.all.length, RECENT);
  assert.deepEqual([offsets()[0], offsets().at(-1)], ["0/150", "0/199"]);
  recent.clear();
  assert.deepEqual(recent.all, []);
});

Deno.test("listeners hear when the first client connects and the last one leaves", () => {
  const watching = new Watching();
  const told: boolean[] = [];
  const over = new AbortController();
  watching.tell((on) => told.push(on), over.signal);
  watching.on = true;
  watching.on = true;
  watching.on = false;
  over.abort();
  watching.on = true;
  assert.deepEqual(told, [true, false]);
});
