import assert from "node:assert/strict";
import { type Expected, expectedOf } from "../processor/oracle/oracle.ts";
import { activityHeatmap, conversion, funnel, rangeOf, retention } from "../processor/oracle/reports.ts";
import { Simulator } from "./simulator.ts";
import { onlyInWholeRun } from "../testing/effort.ts";

const FROM_MS = Date.UTC(2026, 10, 2);
const DAY_MS = 86_400_000;

interface Life {
  readonly expected: Expected;
  readonly events: readonly Readonly<Record<string, unknown>>[];
  readonly bytes: number;
}

/** Events of a simulated span, without refused records. */
function life(seconds: number, rate: number, users?: number): Life {
  const simulator = new Simulator({ seed: 7, fromMs: FROM_MS, toMs: FROM_MS + seconds * 1000, rate, users });
  const records = [...simulator].map(({ value, timestampMs }, offset) => ({ offset, value, time: timestampMs }));
  const text = new TextDecoder();
  return {
    expected: expectedOf({ topic: "t", partitions: [records] }, { keepDays: 30 }),
    events: records.map(({ value }) => JSON.parse(text.decode(value!)) as Record<string, unknown>),
    bytes: records.reduce((sum, { value }) => sum + value!.length, 0),
  };
}

/** Twenty seconds of a busy shop, generated once. */
const busy = () => busyLife ??= life(20, 2000);
let busyLife: Life | undefined;

const EVER = rangeOf(0, Date.UTC(2100));

function within(what: string, value: number, least: number, most: number): void {
  assert.ok(value >= least && value <= most, `${what} is ${value}, not from ${least} to ${most}`);
}

/** Checks that its sessions look realistic. */
function looksAlive({ expected }: Life): void {
  const viewed = expected.sessions.filter((session) => session.page_views > 0);
  const bounced = viewed.filter((session) => session.bounced);
  within("the share that bounces", bounced.length / viewed.length, 0.2, 0.7);
  within("the conversion rate", Number(conversion(expected, EVER)[0]!["conversion_rate"]), 0.01, 0.08);
  const [first, second, third] = funnel(expected, EVER).map(({ sessions }) => Number(sessions));
  within("the share that puts something into the cart", second! / first!, 0.05, 0.3);
  within("the share of these that buys", third! / second!, 0.08, 0.5);
  const ordered = expected.sessions.filter((session) => session.carts > 0 && session.purchases === 0);
  within("the share of carts that are left behind", ordered.length / second!, 0.5, 0.92);
}

Deno.test("ten seconds contain whole journeys, from the first view to the purchase", () => {
  const short = life(10, 2000);
  looksAlive(short);
  const types = new Set(short.events.map(({ eventType }) => eventType));
  for (
    const type of ["page_view", "search", "add_to_cart", "remove_from_cart", "checkout", "purchase", "wishlist_add"]
  ) {
    assert.ok(types.has(type), `there is no ${type}`);
  }
  const [, , bought] = funnel(short.expected, EVER);
  within("sessions that went all the way", Number(bought!["sessions"]), 20, 400);
});

Deno.test("hours at human pace have pauses of just under and just over half an hour", onlyInWholeRun, () => {
  const long = life(6 * 3600, 3);
  looksAlive(long);
  const gaps = gapsOf(long.expected).sort((a, b) => a - b);
  within("the median think time in seconds", gaps[Math.floor(gaps.length / 2)]! / 1000, 5, 30);
  const near = (least: number, most: number) => gaps.filter((gap) => gap >= least && gap <= most).length;
  within("pauses just under", near(29 * 60_000, 30 * 60_000), 20, 2000);
  within("pauses just over", near(30 * 60_000 + 1, 31 * 60_000), 20, 2000);
  within("pauses to the millisecond", near(30 * 60_000, 30 * 60_000), 1, 200);
});

/** Times between the events of each session id, in milliseconds. */
function gapsOf({ events }: Expected): number[] {
  const times = new Map<string, number[]>();
  for (const { session_id, event_time } of events) {
    if (session_id === null) continue;
    if (!times.has(session_id)) times.set(session_id, []);
    times.get(session_id)!.push(Date.parse(event_time));
  }
  return [...times.values()].flatMap((all) => {
    all.sort((a, b) => a - b);
    return all.slice(1).map((time, i) => time - all[i]!);
  });
}

Deno.test("over days, ever fewer shoppers return, new ones keep coming, and nights are quiet", onlyInWholeRun, () => {
  const { expected } = life(9 * 86_400, 0.15, 6000);
  const rows = retention(expected, { from: "2026-11-02", to: "2026-11-11" }, FROM_MS + 9 * DAY_MS);
  const mean = (day: number) => {
    const rates = rows.filter(({ day_number }) => day_number === day).map(({ rate }) => Number(rate));
    return rates.reduce((sum, rate) => sum + rate, 0) / rates.length;
  };
  within("retention of day 1", mean(1), 0.08, 0.45);
  within("retention of day 6", mean(6), 0.03, mean(1) * 0.8);
  const cohorts = new Set(
    rows.filter(({ cohort_size }) => Number(cohort_size) > 50).map(({ cohort_day }) => cohort_day),
  );
  assert.equal(cohorts.size, 9);
  const hours = new Array<number>(24).fill(0);
  for (const { hour, events } of activityHeatmap(expected, EVER)) hours[Number(hour)]! += Number(events);
  within("evening to night", hours[20]! / hours[3]!, 5, 20);
});

Deno.test("product sales follow Zipf's law", () => {
  const views = new Map<unknown, number>();
  for (const { productId } of busy().events) {
    if (productId !== undefined) views.set(productId, (views.get(productId) ?? 0) + 1);
  }
  const ranked = [...views.values()].sort((a, b) => b - a);
  within("products that are looked at", ranked.length, 1000, 2000);
  // From the third on: the first two are so few that chance dominates.
  const slope = Math.log(ranked[2]! / ranked[99]!) / Math.log(100 / 3);
  within("how steeply the sales fall", slope, 0.7, 1.1);
});

Deno.test("events have about 240 bytes and use every allowed notation", () => {
  const { events, bytes } = busy();
  within("bytes each", bytes / events.length, 220, 270);
  const share = (has: (event: Readonly<Record<string, unknown>>) => boolean) =>
    events.filter(has).length / events.length;
  within("epoch timestamps", share(({ timestamp }) => typeof timestamp === "number"), 0.1, 0.4);
  within("timestamps in another zone", share(({ timestamp }) => String(timestamp).endsWith("+02:00")), 0.02, 0.1);
  within("prices as text", share(({ price }) => typeof price === "string"), 0.02, 0.3);
  within("prices as numbers", share(({ price }) => typeof price === "number"), 0.2, 0.8);
  within("queries", share(({ page }) => String(page).includes("?")), 0.1, 0.5);
  within("fragments", share(({ page }) => String(page).includes("#")), 0.005, 0.1);
  within("no session", share(({ sessionId }) => sessionId === undefined), 0.05, 0.25);
  within("no identity", share(({ eventId }) => eventId === undefined), 0.0005, 0.02);
  within("no device", share(({ device }) => device === undefined), 0.003, 0.05);
  within("no region", share(({ region }) => region === undefined), 0.003, 0.05);
  within("referrers", share(({ referrer }) => referrer !== undefined), 0.05, 0.3);
  within("tagged links", share(({ page }) => String(page).includes("utm_source=")), 0.01, 0.1);
  within("user agents", share(({ userAgent }) => userAgent !== undefined), 0.03, 0.15);
  within("robots", share(({ userAgent }) => /bot/i.test(String(userAgent))), 0.002, 0.03);
  within("robots' purchases", share(({ userAgent, orderId }) => /bot/i.test(String(userAgent)) && !!orderId), 0, 0);
  within("orders", share(({ orderId }) => orderId !== undefined), 0.005, 0.1);
  within("campaigns", share(({ campaign }) => campaign !== undefined), 0.05, 0.3);
  within("regions beyond ASCII", share(({ region }) => region === "Île-de-France"), 0.002, 0.05);
});
