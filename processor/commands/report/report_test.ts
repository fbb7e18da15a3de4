import assert from "node:assert/strict";
import { clickstream } from "../../../testing/servers/binary.ts";
import { migrated, onEachDatabase, onServer } from "../../../testing/servers/databases.ts";
import { storeEvents } from "../../testing/contracts/reports.ts";
import { at, type Message } from "../../testing/scenario.ts";
import { FORMS, render } from "./render.ts";
import { lastPeriod, periodAt, type Summary, summaryOf } from "./summary.ts";

onServer("report", async (t, server) => {
  await t.step("prints the last day, or one that is named", async () => {
    const settings = { DATABASE_URL: await server.createDatabase() };
    const schemaless = await clickstream(["report", "daily"], settings);
    assert.equal(schemaless.code, 3, schemaless.err);
    assert.equal((await clickstream(["migrate"], settings)).code, 0);
    const named = await clickstream(["report", "daily", "--at", "2026-11-03T12:00:00Z"], settings);
    assert.equal(named.code, 0, named.err);
    assert.match(named.out, /^The shop on 2026-11-03\n/);
    const last = await clickstream(["report", "weekly", "--format", "json"], settings);
    assert.deepEqual(JSON.parse(last.out).period, lastPeriod("weekly", new Date().toISOString().slice(0, 10)));
    const wrong = await clickstream(["report", "monthly"], settings);
    assert.equal(wrong.code, 2);
    assert.match(wrong.err, /daily, weekly/);
  });
});

let events = 0;

function event(time: string, userId: string, eventType: string, page: string, more: Message = {}): Message {
  return { eventId: `e${events++}`, userId, eventType, page, timestamp: at(time), device: "mobile", ...more };
}

/** On Monday Ann buys; on Tuesday she comes back, Bob searches and buys, and Cat leaves her cart. */
function shop(): Message[] {
  return [
    event("2026-11-02T10:00:00.000", "ann", "page_view", "/a", { region: "DE" }),
    event("2026-11-02T10:01:00.000", "ann", "purchase", "/pay", { price: 1000, productId: "P1", region: "DE" }),
    event("2026-11-03T09:00:00.000", "ann", "page_view", "/a", { region: "DE" }),
    event("2026-11-03T10:00:00.000", "bob", "search", "/s?q=%3Cb%3E+%26+shoes", { region: "FR" }),
    event("2026-11-03T10:01:00.000", "bob", "page_view", "/b", { region: "FR" }),
    event("2026-11-03T10:01:30.000", "bob", "page_view", "/b", { region: "FR" }),
    event("2026-11-03T10:02:00.000", "bob", "purchase", "/pay", { price: 1234.5, productId: "P1", region: "FR" }),
    event("2026-11-03T11:00:00.000", "cat", "add_to_cart", `/${"c".repeat(80)}`, { region: "FR" }),
  ];
}

Deno.test("a day begins at midnight, a week on Monday, and the last ones are over", () => {
  assert.deepEqual(periodAt("daily", "2026-11-03"), { name: "daily", from: "2026-11-03", to: "2026-11-04" });
  const week = { name: "weekly", from: "2026-11-02", to: "2026-11-09" };
  assert.deepEqual(periodAt("weekly", "2026-11-02"), week);
  assert.deepEqual(periodAt("weekly", "2026-11-08"), week);
  assert.equal(periodAt("weekly", "2026-11-09").from, "2026-11-09");
  assert.equal(lastPeriod("daily", "2026-11-03").from, "2026-11-02");
  assert.equal(lastPeriod("weekly", "2026-11-15").from, "2026-11-02");
  assert.equal(lastPeriod("weekly", "2026-11-16").from, "2026-11-09");
});

const SUMMARY: Summary = {
  period: { name: "daily", from: "2026-11-03", to: "2026-11-04" },
  currency: null,
  timeZone: "Europe/Berlin",
  figures: [
    { name: "Sessions", unit: "count", value: 1_003, previous: 1 },
    { name: "Conversion rate", unit: "share", value: 1 / 3, previous: 1 },
    { name: "Revenue", unit: "money", value: 1234.5, previous: 1000 },
    { name: "Carts abandoned", unit: "share", value: 1, previous: null },
    { name: "New users", unit: "count", value: 2, previous: 0 },
  ],
  rankings: [{
    title: "Searches",
    unit: "count",
    rows: [
      { name: '<b> & "\x1b[31m```shoes\u202e', unit: "count", value: 99, previous: 100 },
      { name: "c".repeat(80), unit: "count", value: 1, previous: 1 },
    ],
  }],
};

Deno.test("a report as text has aligned numbers, and nothing that a terminal obeys", () => {
  assert.equal(
    render(SUMMARY, "text"),
    `The shop on 2026-11-03

                              change  the day before
Sessions            1,003  +100200 %               1
Conversion rate    33.3 %   -66.7 pp         100.0 %
Revenue          1,234.50      +23 %        1,000.00
Carts abandoned   100.0 %          –               –
New users               2        new               0

Searches
  <b> & "\\u{1b}[31m\`\`\`shoes\\u{202e}                             99  -1 %  100
  ${"c".repeat(59)}…   1   0 %    1
`,
  );
});

Deno.test("a report in one currency names it, and has its digits", () => {
  assert.match(render({ ...SUMMARY, currency: "KWD" }, "text"), /^Revenue, KWD +1,234\.500 +\+23 % +1,000\.000$/m);
  assert.match(render({ ...SUMMARY, currency: "JPY" }, "html"), /<td[^>]*>Revenue, JPY<.*>1,235</);
  assert.match(render({ ...SUMMARY, currency: "JPY" }, "html"), /Revenue is in JPY\./);
});

Deno.test("a report in other forms escapes the texts of shoppers", () => {
  const html = render(SUMMARY, "html");
  assert.match(html, /&lt;b&gt; &amp; &quot;\\u\{1b\}\[31m```shoes/);
  for (const text of ["<b>", "\x1b", "\u202e"]) assert.ok(!html.includes(text));
  const json = JSON.parse(render(SUMMARY, "json"));
  assert.deepEqual(json, { title: "The shop on 2026-11-03", ...SUMMARY });
  const { text, blocks } = JSON.parse(render(SUMMARY, "slack"));
  assert.equal(text, "The shop on 2026-11-03");
  assert.deepEqual(blocks.map(({ type }: { type: string }) => type), ["header", "section", "section", "section"]);
  // No code block ends before its end.
  assert.match(blocks[3].text.text, /^```&lt;b&gt; &amp; [^`]*```$/);
});

Deno.test("a message for Slack has no block that is too long", () => {
  const rows = Array.from(
    { length: 60 },
    (_, n) => ({ ...SUMMARY.rankings[0]!.rows[1]!, name: `${n}${"é<".repeat(40)}` }),
  );
  const { blocks } = JSON.parse(render({ ...SUMMARY, rankings: [{ title: "Pages", unit: "count", rows }] }, "slack"));
  const { text } = blocks.at(-1).text;
  assert.ok(text.length <= 3_000 && text.length > 2_500, text.length);
  assert.match(text, /^```0.*```$/s);
});

onEachDatabase("reports of a day and a week", {
  "have the numbers of the reports, checked by hand": async (open) => {
    const db = await migrated(open);
    await storeEvents(db, shop(), at("2026-11-03T12:00:00.000"));
    await db.exec("update clickstream.progress set watermark = '2026-11-04T12:00Z'");
    const summary = await summaryOf(db, periodAt("daily", "2026-11-03"));
    assert.deepEqual(summary.figures.map(({ name, value, previous }) => [name, value, previous]), [
      ["Sessions", 3, 1],
      ["Users", 3, 1],
      ["New users", 2, 1],
      ["Conversions", 1, 1],
      ["Conversion rate", 1 / 3, 1],
      ["Revenue", 1234.5, 1000],
      ["Carts abandoned", 1, null],
    ]);
    const rankings = summary.rankings.map(({ title, rows }) => [title, ...rows.map((row) => [row.name, row.value])]);
    assert.deepEqual(rankings, [
      ["Pages by views", ["/b", 2], ["/a", 1]],
      ["Products by revenue", ["P1", 1234.5]],
      ["Searches", ["<b> & shoes", 1]],
      ["Regions by sessions", ["FR", 2], ["DE", 1]],
      ["Devices by sessions", ["mobile", 3]],
    ]);
    const week = await summaryOf(db, periodAt("weekly", "2026-11-03"));
    assert.deepEqual(week.figures.slice(0, 3).map(({ value, previous }) => [value, previous]), [[4, 0], [3, 0], [
      3,
      0,
    ]]);
    await db.exec("insert into clickstream.settings (name, value) values ('CURRENCY', 'KWD')");
    const dinars = await summaryOf(db, periodAt("daily", "2026-11-03"));
    assert.deepEqual([dinars.currency, dinars.figures[5]!.value], ["KWD", 123.45]);
    const empty = await summaryOf(db, periodAt("weekly", "2026-01-01"));
    assert.deepEqual(empty.rankings, []);
    assert.equal(empty.figures[4]!.value, null);
    for (const form of FORMS) assert.ok(render(empty, form).includes("The shop from 2025-12-29 to 2026-01-04"), form);
  },
});
