/**
 * The status page in a browser, in states that a real service is rarely in: fresh and empty, or with known figures.
 */
import assert from "node:assert/strict";
import type { BrowserContextOptions, Page } from "playwright-core";
import { Activity } from "../status/activity.ts";
import { addressText } from "../config/address.ts";
import { distribution } from "../pipeline/distribution.ts";
import type { Sample } from "../status/sampler.ts";
import type { Front, RefusalShown, ShopReport } from "../status/shop.ts";
import { openLog } from "../host/log.ts";
import { layoutShift, type Looking, SIZES, startBrowser, type Window } from "../../testing/servers/browser.ts";
import { serveHttp } from "./http.ts";
import { Live } from "./live.ts";
import { Metrics } from "./metrics.ts";

// The browser's client leaves timers behind.
const leaky = { sanitizeOps: false, sanitizeResources: false };

const MINUTE_MS = 60_000;
const EMPTY: ShopReport = {
  ...{ asOf: null, watermark: null, activeUsers: null, conversion: null, revenue: null },
  ...{ currency: { code: null, digits: 2 }, topPages: [], windows: [], refusals: [] },
};

let browser: Looking;

Deno.test.beforeAll(async () => {
  browser = await startBrowser();
});

Deno.test.afterAll(async () => {
  await browser[Symbol.asyncDispose]();
});

/** A service without Kafka and PostgreSQL, whose tables hold `shop`. */
class Served implements AsyncDisposable {
  readonly activity = new Activity(() => Date.now());
  readonly live: Live;
  readonly #http;

  constructor(shop: ShopReport) {
    const { activity } = this;
    activity.take({ kind: "notReady", why: null });
    const front: Front = { partitions: [], gaps: 0, watermark: null, latest: shop.asOf, forgotten: [] };
    const source = {
      front: () => Promise.resolve(front),
      report: () => Promise.resolve(shop),
      close: () => Promise.resolve(),
    };
    this.live = new Live({
      about: { version: "1.2.3", instance: "here/1", topic: "clicks", startedAt: Date.now(), settings: {} },
      activity,
      open: () => Promise.resolve(source),
      watched: () => {},
    });
    const shown = {
      notReady: () => activity.notReady,
      status: () => this.live.status(),
      stream: () => this.live.stream(),
      metrics: new Metrics(activity),
    };
    const log = openLog({ level: "error", format: "json", write: () => {} });
    this.#http = serveHttp({ hostname: "127.0.0.1", port: 0 }, shown, log);
  }

  open(options: BrowserContextOptions = {}): Promise<Window> {
    return browser.open(`http://${addressText(this.#http.address)}/`, options);
  }

  sample(...samples: readonly Partial<Sample>[]): void {
    const event = { type: "search", user: "ann", page: "/", device: "mobile", region: "DE", revenueCents: 0 };
    const whole = { partition: 0, offset: 0, time: Date.now(), ...event, reason: null, detail: null };
    this.live.take({ kind: "sampled", samples: samples.map((sample) => ({ ...whole, ...sample })) });
  }

  /** Takes a commit with these refusals. */
  refuse(...refused: readonly ("not_json" | "missing_field")[]): void {
    const { length } = refused;
    this.activity.take({
      kind: "committed",
      advances: [{
        ...{ partition: 0, topicId: null, from: 0, first: 0, next: length, leaderEpoch: null, replay: 0, watermark: 0 },
        ...{ consumed: length, stored: 0, duplicates: 0, refused: length, skipped: 0, gap: null },
      }],
      refused,
      ...{ rows: [], lateness: distribution([1]), eventLatency: distribution([1]), produceLatency: distribution([1]) },
      ...{ waitedMs: 0, unchecked: 0, tookMs: 1 },
      spent: { readMs: 0, decodeMs: 0, foldMs: 0, encodeMs: 0, oldest: null },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.live.close();
    await this.#http.close();
  }
}

/** A shop with figures in every part of the page. */
function busyShop(): ShopReport {
  const asOf = Date.now();
  const steps = (count: number, lengthMs: number) =>
    Array.from({ length: count }, (_, i) => [asOf - (count - 1 - i) * lengthMs, 100 + i] as const);
  const [users, cents] = [steps(61, MINUTE_MS), steps(12, 5 * MINUTE_MS)];
  const refusals = Array.from({ length: 25 }, (_, i): RefusalShown => ({
    ...{ id: `${i}`, reason: "missing_field", field: "userId", detail: "userId is missing", partition: 0, offset: i },
    ...{ payload: "{}", bytes: 2, refusedAt: asOf, replayedAt: null },
  }));
  return {
    asOf,
    watermark: asOf - 10_000,
    currency: { code: "KWD", digits: 3 },
    activeUsers: { now: 160, series: users, dayBefore: users.map(() => 80), change: 1 },
    revenue: { series: cents, dayBefore: null, change: null },
    conversion: {
      ...{ sessions: 1000, conversions: 34, rate: 0.034, revenueCents: 123_400 },
      ...{ views: 950, carts: 120, purchases: 31 },
    },
    topPages: Array.from({ length: 8 }, (_, i) => ({ page: `/p/${i}`, views: 100 - i })),
    windows: [1, 2, 3, 4, 5].map((i) => ({
      ...{
        view: "active users",
        start: asOf - i * MINUTE_MS,
        end: asOf + (5 - i) * MINUTE_MS,
        count: i,
        unit: "users",
      },
    })),
    refusals,
  };
}

/** Runs in the page: the texts that are drawn in the three charts with axes when they are next drawn. */
const LABELS = `new Promise((resolve) => {
  const { fillText } = CanvasRenderingContext2D.prototype;
  const drawn = [];
  CanvasRenderingContext2D.prototype.fillText = function (text, ...rest) {
    drawn.push(text);
    if (drawn.length === 1) setTimeout(() => resolve(drawn), 500);
    return fillText.call(this, text, ...rest);
  };
})`;

async function text(page: Page, id: string): Promise<string> {
  return (await page.locator(`#${id}`).innerText()).replaceAll(/\s+/g, " ").trim();
}

Deno.test("a service without any event says what to do, and its charts show no invented values", leaky, async () => {
  await using served = new Served(EMPTY);
  const { page, wrong, close } = await served.open();
  await page.locator("#events-empty").waitFor();
  assert.match(
    await text(page, "events-empty"),
    /^No event has arrived since the service started\. .*clickstream generate/,
  );
  assert.equal(await page.locator("#events-all").isVisible(), false);
  await page.locator("#outcome-chart .idle", { hasText: /^No records since \d\d:\d\d:\d\d\.$/ }).waitFor();
  await page.locator("#commit-chart .idle", { hasText: /^No commit since/ }).waitFor();
  assert.equal(await text(page, "as-of"), "No event has been committed yet.");
  assert.equal(await text(page, "pages-empty"), "No page was viewed in this time.");
  assert.match(await text(page, "windows-empty"), /^No window is open; the next event opens one\.$/);
  assert.match(await text(page, "partitions-empty"), /^Other instances of the consumer group read all partitions/);
  assert.match(await text(page, "refusals-empty"), /^Nothing has been refused\./);
  assert.match(await text(page, "refusals-since"), /^none since the service started/);
  // The labels of the axes in the next second: hours and minutes, and 0 for each chart.
  const labels = await page.evaluate(LABELS) as string[];
  assert.deepEqual(labels.filter((label) => !/^(\d\d:\d\d)?$/.test(label)), ["0", "0", "0"]);
  assert.ok(labels.length > 6, labels.join());
  assert.deepEqual(wrong, []);
  await close();
});

Deno.test(
  "shows figures against yesterday, purchases beside the funnel in order, and refusals by reason",
  leaky,
  async () => {
    await using served = new Served(busyShop());
    served.refuse("not_json", "missing_field", "not_json");
    const { page, wrong, close } = await served.open();
    await page.locator("#active-change", { hasText: "on yesterday" }).waitFor();
    assert.equal(await text(page, "active-change"), "+100 % on yesterday");
    assert.equal(await text(page, "revenue"), "123 KWD");
    assert.equal(await text(page, "revenue-change"), "no data from yesterday");
    assert.equal(await text(page, "conversion-rate"), "3.4 %");
    assert.equal(await text(page, "sessions"), "34 of 1,000 with a purchase");
    assert.equal(await text(page, "order"), "page → cart → bought, in order");
    assert.equal(await text(page, "funnel"), "page 950 → cart 120 → bought 31");
    assert.equal(await text(page, "reasons"), "not json 2 missing field 1");
    assert.match(await text(page, "refusals-since"), /^3 since the service started, \d\d:\d\d:\d\d$/);
    assert.equal(await page.locator("#refusals .what").first().innerText(), "userId is missing");
    // The crosshair of a sparkline compares both days.
    await page.locator("#active-chart").hover();
    const tip = page.locator("#active-chart .tip");
    assert.match((await tip.innerText()).replaceAll(/\s+/g, " "), /^\d\d:\d\d users \d+ yesterday 80$/);
    await page.mouse.move(1, 1);
    await tip.waitFor({ state: "hidden" });
    assert.deepEqual(wrong, []);
    await close();
  },
);

Deno.test("charts have a crosshair and a tooltip, by mouse and by keyboard", leaky, async () => {
  await using served = new Served(busyShop());
  const { page, wrong, close } = await served.open();
  await page.locator("#commit-chart canvas").waitFor();
  const tipOf = (chart: string) => page.locator(`#${chart}-chart .tip`);
  const box = (await page.locator("#outcome-chart").boundingBox())!;
  await page.locator("#outcome-chart").hover({ position: { x: box.width - 12, y: box.height / 3 } });
  await tipOf("outcome").waitFor();
  const shown = (await tipOf("outcome").innerText()).replaceAll(/\s+/g, " ");
  assert.match(shown, /^\d\d:\d\d:\d\d stored 0 duplicates 0 refused 0$/);
  // The crosshair stands in the other charts too, without their tooltips.
  const cross = page.locator("#commit-chart .u-cursor-x");
  assert.ok((await cross.boundingBox())!.x > (await page.locator("#commit-chart").boundingBox())!.x);
  assert.equal(await tipOf("commit").isVisible(), false);
  await page.mouse.move(1, 1);
  await tipOf("outcome").waitFor({ state: "hidden" });
  await page.locator("#latency-chart").focus();
  await page.keyboard.press("Home");
  await tipOf("latency").waitFor();
  const told = () => page.locator("#latency-chart").getAttribute("aria-valuetext");
  assert.match(await told() ?? "", /^\d\d:\d\d:\d\d: oldest event none$/);
  assert.equal(await page.locator("#latency-chart").getAttribute("aria-valuenow"), "0");
  await page.keyboard.press("Escape");
  await tipOf("latency").waitFor({ state: "hidden" });
  assert.notEqual(await page.locator("#latency-chart").getAttribute("aria-valuenow"), "0");
  assert.deepEqual(wrong, []);
  await close();
});

for (const [size, viewport] of Object.entries(SIZES)) {
  Deno.test(`nothing that is visible moves while the page loads on a ${size}`, leaky, async () => {
    for (const shop of [EMPTY, busyShop()]) {
      await using served = new Served(shop);
      served.refuse("not_json");
      served.sample({});
      // Once as seen without scrolling, and once the whole page.
      for (const height of shop === EMPTY ? [viewport.height] : [viewport.height, 6000]) {
        const { page, close } = await served.open({ viewport: { ...viewport, height } });
        await page.locator("body[data-known=all]").waitFor();
        await page.locator("#events tr").first().waitFor();
        const { score, moved } = await layoutShift(page);
        assert.ok(score < 0.1, `${score}, of: ${moved.join("; ")}`);
        await close();
      }
    }
  });
}

Deno.test("the pipeline is one row on a phone", leaky, async () => {
  await using served = new Served(busyShop());
  const { page, close } = await served.open({ viewport: SIZES.phone });
  await page.locator(".stage").nth(4).waitFor();
  const boxes = await page.locator(".stage").evaluateAll((stages) =>
    stages.map((stage) => {
      const { top, left, right, height } = stage.getBoundingClientRect();
      return { top, left, right, height, isCut: stage.scrollWidth > stage.clientWidth };
    })
  );
  assert.deepEqual(new Set(boxes.map(({ top }) => top)).size, 1, JSON.stringify(boxes));
  assert.deepEqual(boxes.map(({ isCut }) => isCut), [false, false, false, false, false]);
  assert.ok(boxes.at(-1)!.right <= SIZES.phone.width && boxes[0]!.height < 130, JSON.stringify(boxes));
  await close();
});

Deno.test(
  "columns keep their places, kept events are filtered, and a filter that hides all has a way out",
  leaky,
  async () => {
    await using served = new Served(busyShop());
    served.sample({ offset: 1, user: "bob" }, { offset: 2, user: "cat", page: "/cats" });
    const { page, close } = await served.open();
    const rows = page.locator("#events tr");
    await rows.nth(1).waitFor();
    assert.match(await rows.first().innerText(), /\/cats\s+cat/);
    const columns = async () =>
      await page.locator("table.events th").evaluateAll((all) => all.map((th) => th.getBoundingClientRect().left));
    const before = await columns();
    const long = "x".repeat(120);
    served.sample({ offset: 3, user: long, page: long, type: long.slice(0, 64), region: long, revenueCents: 1e13 });
    await rows.nth(2).waitFor();
    assert.deepEqual(await columns(), before);
    await page.locator("#events-filter").fill("cat");
    assert.equal(await rows.count(), 1);
    await page.locator("#events-filter").fill("dog");
    assert.equal(await text(page, "events-why"), "None of the latest 3 events matches.");
    await page.locator("#events-all").click();
    assert.equal(await rows.count(), 3);
    assert.equal(await page.locator("#events-filter").inputValue(), "");
    // The same record again is shown once.
    served.sample({ offset: 3 }, { offset: 4, page: "/four" });
    await page.locator("#events td", { hasText: "/four" }).waitFor();
    assert.equal(await rows.count(), 4);
    await close();
  },
);
