import assert from "node:assert/strict";
import { type LogRecord, MemorySource } from "../testing/fakes/memory.ts";
import { bad, click, clicksFrom } from "../testing/pipeline_harness.ts";
import type { Records } from "../records.ts";
import { Sampler, SAMPLES_PER_SECOND, Watching } from "./sampler.ts";
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
  const [event, refusal] = sampler().sampler.take(records, 0);
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
  const first = all.take(records, 500);
  assert.deepEqual(first.map(({ offset }) => offset), [500, 550, 600, 650, 700, 750, 800, 850, 900, 950]);
  let count = first.length;
  for (; clock.ms < 1000; clock.ms += 10) count += all.take(records, 0).length;
  assert.equal(count, SAMPLES_PER_SECOND);
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
