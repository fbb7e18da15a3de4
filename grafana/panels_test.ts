/**
 * Runs every panel's query to PostgreSQL as Grafana does, on simulated data, as a user who may only read.
 */
import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import { Simulator } from "../generator/simulator.ts";
import { migrated, onServer } from "../testing/servers/databases.ts";
import twentyViews from "../testing/servers/twenty_views.yaml" with { type: "text" };
import { readDeclared, withDeclared } from "../processor/declared/file.ts";
import type { Database } from "../processor/postgres/database.ts";
import { applyDeclarations } from "../processor/postgres/operations/declarations.ts";
import { openPostgres } from "../processor/postgres/postgres.ts";
import { SqlSink } from "../processor/postgres/sink/sql_sink.ts";
import { ingest } from "../processor/testing/ingest_schedules.ts";
import { logOfRecords } from "../processor/testing/fakes/log.ts";
import { VIEWS } from "../processor/views/mod.ts";
import type { Dashboard, Panel } from "@grafana/grafana-foundation-sdk/dashboard";
import { expand, type Look, panelsOf, rangeOf, type SqlTarget, sqlTargetsOf, withRepeats } from "./expand.ts";
import { DASHBOARDS as DESIGNED } from "./mod.ts";

type Row = Readonly<Record<string, string | number | null>>;

const DECLARED = readDeclared(
  `${twentyViews}
goals:
  - { name: cart, description: Something is put into the cart., filter: { event: add_to_cart } }
  - { name: order, description: Something is bought., filter: { event: purchase } }
funnels:
  - name: checkout
    description: From the cart to the order.
    steps: [{ name: added, filter: { event: add_to_cart } }, { name: ordered, filter: { event: purchase } }]
`,
  "declared.yaml",
);

/** The dashboards, with a panel for each declared view. */
const DASHBOARDS = Object.fromEntries(
  Object.entries(DESIGNED).map(([file, dashboard]) => [
    file,
    withRepeats(dashboard, { view: DECLARED.views.map(({ name }) => name) }),
  ]),
);

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

/** Ingests nine days of a small simulated shop up to now, so that there is a week before today. */
async function shop(db: Database, nowMs: number): Promise<void> {
  const simulator = new Simulator({
    ...{ seed: 3, fromMs: nowMs - 9 * DAY_MS, toMs: nowMs, rate: 0.05, users: 1500 },
    ...{ bad: 0.01, duplicates: 0.01, late: 0.01 },
  });
  const log = logOfRecords(simulator, "clickstream-events", 4);
  await applyDeclarations(db, DECLARED, false);
  const sink = new SqlSink(db, "panels", { declared: DECLARED.hash });
  const schedule = { inAPoll: 10_000, inACommit: 100_000, turnsOfALife: 1_000 };
  await ingest(log, sink, schedule, withDeclared(VIEWS, DECLARED));
  // All were refused just now: spread them over time.
  await db.exec(
    `update clickstream.refusals set refused_at = '${
      new Date(nowMs).toISOString()
    }'::timestamptz - id * interval '20 min'`,
  );
  await db.exec("analyze");
}

/** Runs a panel's query; returns rows by column as Grafana gets them. */
async function ask(
  db: Database,
  panel: Panel,
  { rawSql }: SqlTarget,
  dashboard: Dashboard,
  look: Look,
): Promise<Row[]> {
  const sql = expand(rawSql, dashboard, { ...look, ...rangeOf(panel, look.from, look.to) });
  assert.doesNotMatch(sql, /\$/, `something is not expanded: ${sql}`);
  const { rows } = await db.query<{ row: string }>(`select row_to_json(q)::text as row from (${sql}) as q`);
  return rows.map(({ row }) => JSON.parse(row) as Row);
}

/** Describes what makes a result unusable for its panel. */
function unfit({ type, options, fieldConfig }: Panel, { format }: SqlTarget, rows: readonly Row[]): string[] {
  const columns = Object.keys(rows[0] ?? {});
  const isNumber = (column: string) =>
    rows.every((row) => row[column] === null || typeof row[column] === "number") &&
    rows.some((row) => row[column] !== null);
  const has = (column: string) => columns.includes(column);
  const wrong: string[] = [];
  const refuse = (is: boolean, what: string) => void (is && wrong.push(what));
  refuse(rows.length === 0, "is empty");
  if (rows.length === 0) return wrong;
  if (format === "time_series") {
    refuse(!has("time") || rows.some((row) => row["time"] === null), "has no time");
    refuse(columns.some((column) => !["time", "metric"].includes(column) && !isNumber(column)), "has no number");
    refuse(has("metric") && columns.length !== 3, "has names for several numbers");
    const times = rows.map((row) => typeof row["time"] === "string" ? Date.parse(row["time"]) : Number(row["time"]));
    refuse(times.some((time, n) => n > 0 && time < times[n - 1]!), "is not in the order of time");
  } else if (type === "stat") {
    refuse(rows.length !== 1 || columns.length !== 1 || !isNumber(columns[0]!), "is not one number");
  } else if (type === "barchart") {
    refuse(!has(options.xField) || isNumber(options.xField), `has no ${options.xField}`);
    refuse(columns.some((column) => column !== options.xField && !isNumber(column)), "has no number");
  } else if (type === "bargauge") {
    const shown = new RegExp(options.reduceOptions.fields.slice(1, -1));
    refuse(!columns.some((column) => shown.test(column) && isNumber(column)), "has no number");
    refuse(columns.every(isNumber) || options.reduceOptions.values !== true, "has no names");
  }
  for (const { matcher } of fieldConfig?.overrides ?? []) {
    // The overrides of a graph are the colours of series, of which some may be absent.
    if (matcher.id === "byName" && type === "table") refuse(!has(matcher.options), `has no column ${matcher.options}`);
  }
  if (type === "table") {
    for (const column of columns.filter((column) => rows.some((row) => row[column] !== null))) {
      const isAmount = isNumber(column) && !ID.test(column);
      refuse(isAmount !== hasUnit(fieldConfig, column), `has a wrong ${column}`);
    }
  }
  return wrong;
}

/** Columns of digits that are no amounts. */
const ID = /(^| )(id|offset|partition)$/;

/** Whether Grafana writes the column as an amount. */
function hasUnit(config: Panel["fieldConfig"], column: string): boolean {
  const units = (config?.overrides ?? []).filter(({ matcher }) => matcher.options === column)
    .flatMap(({ properties }) => properties).filter(({ id }) => id === "unit").map(({ value }) => value);
  return !/^(string$|time:)/.test(String(units.at(-1) ?? config?.defaults.unit));
}

/** A busy time of the simulator, after midnight UTC. */
const EVENING_MS = 19.5 * 3_600_000;

/** Panels that may show only zeros. */
const MAY_BE_ZERO = ["Unaccounted records", "Latest events", "Declared views"];

async function everyPanel(db: Database, dashboard: Dashboard, look: Look): Promise<void> {
  for (const panel of panelsOf(dashboard)) {
    for (const target of sqlTargetsOf(panel)) {
      const rows = await ask(db, panel, target, dashboard, look);
      assert.deepEqual(unfit(panel, target, rows), [], `${dashboard.title}: ${panel.title}`);
      const isFlat = rows.every((row) =>
        Object.entries(row).every(([name, value]) => name === "time" || typeof value !== "number" || value === 0)
      );
      assert.ok(!isFlat || MAY_BE_ZERO.includes(panel.title!), `${panel.title} is nothing but zeros`);
    }
  }
}

/** Titles of panels that ignore the chosen devices and regions, or apply them although their descriptions deny it. */
async function disobedient(db: Database, dashboard: Dashboard, all: Look, some: Look): Promise<string[]> {
  const wrong: string[] = [];
  for (const panel of panelsOf(dashboard)) {
    for (const target of sqlTargetsOf(panel)) {
      const [whole, part] = [
        await ask(db, panel, target, dashboard, all),
        await ask(db, panel, target, dashboard, some),
      ];
      const isOfChosen = /Of people, on the devices and in the regions chosen above/.test(panel.description!);
      assert.ok(
        isOfChosen || /(?:Of|on) all devices and (?:in all )?regions/.test(panel.description!),
        `${panel.title} does not say`,
      );
      if (isDeepStrictEqual(whole, part) === isOfChosen) wrong.push(panel.title!);
    }
  }
  return wrong;
}

/** Copies the dashboard with a fault in the query of one panel. */
function faulty(dashboard: Dashboard, title: string, right: string | RegExp, wrong: string): Dashboard {
  const copy = structuredClone(JSON.parse(JSON.stringify(dashboard))) as Dashboard;
  const [target] = panelsOf(copy).filter((panel) => panel.title === title).flatMap(sqlTargetsOf) as {
    rawSql: string;
  }[];
  const sql = target!.rawSql.replaceAll(right, wrong);
  assert.notEqual(sql, target!.rawSql);
  target!.rawSql = sql;
  return copy;
}

/** Returns the result of a panel, by its title, or what its changed SQL gives. */
async function answer(
  db: Database,
  title: string,
  look: Look,
  changed: (sql: string) => string = (sql) => sql,
): Promise<Row[]> {
  for (const dashboard of Object.values(DASHBOARDS)) {
    const panel = panelsOf(dashboard).find((panel) => panel.title === title);
    if (panel === undefined) continue;
    const target = sqlTargetsOf(panel)[0]!;
    return await ask(db, panel, { ...target, rawSql: changed(target.rawSql) }, dashboard, look);
  }
  throw new RangeError(`no panel is called ${title}`);
}

function within(what: string, value: unknown, least: number, most: number): void {
  assert.ok(
    typeof value === "number" && value >= least && value <= most,
    `${what} is ${value}, not ${least} to ${most}`,
  );
}

onServer("the panels", async (t, server) => {
  // In the evening: at night, some hours have no events of some devices and regions.
  const nowMs = Math.floor((Date.now() - EVENING_MS) / DAY_MS) * DAY_MS + EVENING_MS;
  const owner = await migrated(async () => await openPostgres(await server.createDatabase("shop")));
  await shop(owner, nowMs);
  await owner.exec("create role viewer login in role clickstream_reader");
  const db = await openPostgres(server.urlFor("viewer", "", "shop"));
  const look = (days: number, intervalMs: number, chosen: Look["chosen"] = {}): Look => ({
    ...{ from: new Date(nowMs - days * DAY_MS), to: new Date(nowMs), intervalMs, chosen },
  });
  const week = look(8, 600_000);
  const never: Look = { from: new Date(0), to: new Date(DAY_MS), intervalMs: MINUTE_MS };

  await t.step("show data for a day and for a week", async () => {
    for (const dashboard of Object.values(DASHBOARDS)) {
      await everyPanel(db, dashboard, look(1, MINUTE_MS));
      await everyPanel(db, dashboard, week);
    }
  });

  await t.step("show data for some devices and regions, and none for a name with quotes", async () => {
    const { rows } = await db.query<{ region: string }>(
      "select region from clickstream.traffic group by 1 order by sum(events) desc limit 2",
    );
    const regions = rows.map(({ region }) => region);
    const some = look(8, 600_000, { device: ["mobile", "desktop"], region: regions });
    await everyPanel(db, DASHBOARDS["analytics.json"]!, some);
    const [all, chosen] = await Promise.all([answer(db, "Sessions", week), answer(db, "Sessions", some)]);
    within("sessions of some", chosen.at(-1)!["sessions"], 1, Number(all.at(-1)!["sessions"]) - 1);
    const odd = look(8, 600_000, {
      region: ["'; drop table clickstream.sessions; --"],
      steps: "'); --",
      reason: ["'"],
    });
    assert.equal((await answer(db, "Sessions", odd)).at(-1)!["sessions"], 0);
    assert.deepEqual((await answer(db, "Custom funnel (latest 50k sessions)", odd)).map((row) => row["sessions"]), [
      0,
    ]);
    assert.deepEqual(await answer(db, "Latest refusals", odd), []);
  });

  await t.step("apply the chosen devices and regions, or say that they don't", async () => {
    const analytics = DASHBOARDS["analytics.json"]!;
    const day = look(1, MINUTE_MS);
    const some = look(1, MINUTE_MS, { device: ["mobile"] });
    assert.deepEqual(await disobedient(db, analytics, day, some), []);
    const region = (await answer(db, "Regions", day))[0]!["region"] as string;
    assert.deepEqual(await disobedient(db, analytics, day, look(1, MINUTE_MS, { region: [region] })), []);
    for (const title of ["Conversion rate", "Event rate by type", "Latest events", "Events by weekday and hour"]) {
      const wrong = faulty(analytics, title, /array\[\$device\]::text\[\]/g, "array[null]::text[]");
      assert.deepEqual(await disobedient(db, wrong, day, some), [title]);
    }
  });

  await t.step("fail this test if they query what does not exist, or the wrong data", async () => {
    const faults:
      readonly (readonly [file: string, title: string, right: string | RegExp, wrong: string, seen: RegExp])[] = [
        ["analytics.json", "Top pages", '"bounce rate"', "rate", /has no column bounce rate/],
        ["analytics.json", "Top pages", "exit_rate", "exitrate", /column "exitrate" does not exist/],
        ["analytics.json", "Event rate by type", 's."time",', 's."time" as at,', /has no time/],
        ["analytics.json", "Devices", " events from", " events::text from", /has no number/],
        ["analytics.json", "Top pages", "views,", "views::text as views,", /has a wrong views/],
        [
          "analytics.json",
          "Revenue",
          "r.revenue_cents / clickstream.minor_units()",
          "null::double precision",
          /has no number/,
        ],
        ["behavior.json", "Cart abandonment", "abandonment_rate as", "null as", /is not one number/],
        [
          "analytics.json",
          "Regions",
          "clickstream.regions(",
          "clickstream.region(",
          /function clickstream.region.* does not exist/,
        ],
        ["behavior.json", "Top users", "$__timeTo()", "$__timeFrom()", /is empty/],
        ["behavior.json", "Session duration", "name as length", "name", /has no length/],
        ["behavior.json", "Funnel", " sessions from", " 0 * sessions as sessions from", /nothing but zeros/],
        [
          "system.json",
          "Progress by partition",
          "clickstream.progress",
          "clickstream.progress where false",
          /is empty/,
        ],
        [
          "views.json",
          "sales",
          "m.measure) s",
          "m.measure || '_') s",
          /'sales\.purchases_' is no number of a declared view/,
        ],
        ["views.json", "sales", "s.value end", "0 * s.value end", /nothing but zeros/],
        ["system.json", "Tables: size and dead rows", "pg_stat_user_tables", "pg_stat_sys_tables", /is empty/],
      ];
    for (const [file, title, right, wrong, seen] of faults) {
      await assert.rejects(everyPanel(db, faulty(DASHBOARDS[file]!, title, right, wrong), week), seen, title);
    }
  });

  await t.step("do not fail without data", async () => {
    for (const dashboard of Object.values(DASHBOARDS)) {
      for (const panel of panelsOf(dashboard)) {
        for (const target of sqlTargetsOf(panel)) await ask(db, panel, target, dashboard, never);
      }
    }
  });

  await t.step("show each declared view, by the measure chosen", async () => {
    const views = DASHBOARDS["views.json"]!;
    assert.deepEqual(panelsOf(views).map(({ title }) => title), [
      "Declared views",
      "Goals",
      "Funnels",
      ...DECLARED.views.map((v) => v.name),
    ]);
    const offered = async (name: string) => {
      const { query } = views.templating!.list!.find((variable) => variable.name === name)!;
      const { rows } = await db.query<Record<string, string>>(expand(String(query), views, week));
      return rows.map((row) => Object.values(row)[0]!);
    };
    assert.deepEqual((await offered("view")).sort(), DECLARED.views.map(({ name }) => name).sort());
    const [first, ...measures] = await offered("measure");
    assert.equal(first, views.templating!.list!.find(({ name }) => name === "measure")!.current!.value);
    assert.ok(measures.includes("revenue_cents") && !measures.includes("last_page") && !measures.includes(first!));
    const sumOf = (rows: readonly Row[]) => rows.reduce((sum, row) => sum + Number(row["value"]), 0);
    // Day views begin with the day.
    const day = { ...look(7.8125, 86_400_000), to: new Date(nowMs) };
    const { rows: [all] } = await db.query<{ purchases: number; revenue: number }>(
      `select sum(purchases)::float8 as purchases, sum(revenue_cents)::float8 / 100 as revenue from clickstream.sales_days
        where not is_bot and day >= '${day.from.toISOString().slice(0, 10)}'`,
    );
    assert.equal(sumOf(await answer(db, "sales_days", day)), all!.purchases);
    const revenue = await answer(db, "sales_days", { ...day, chosen: { measure: "revenue_cents" } });
    assert.ok(Math.abs(sumOf(revenue) - all!.revenue) < 0.01 && all!.revenue > 100);
    assert.ok(
      new Set(revenue.map((row) => row["metric"])).size === 11 && revenue.some((row) => row["metric"] === "(others)"),
    );
    assert.deepEqual(await answer(db, "all_minutes", { ...week, chosen: { measure: "last_page" } }), []);
    assert.deepEqual(await answer(db, "all_minutes", { ...week, chosen: { measure: "'; drop table" } }), []);
  });

  await t.step("show declared goals and funnels, and the time before", async () => {
    const day = look(1, MINUTE_MS);
    const { rows: [all] } = await db.query<{ sessions: number; carts: number; orders: number }>(
      `select count(*)::float8 as sessions, count(*) filter (where carts > 0)::float8 as carts,
         count(*) filter (where purchases > 0)::float8 as orders
       from clickstream.sessions where not is_bot and started_at >= $1 and started_at < $2`,
      [day.from.toISOString(), day.to.toISOString()],
    );
    const { sessions, carts, orders } = all!;
    const goals = await answer(db, "Goals", day);
    assert.deepEqual(goals.map((row) => [row["goal"], row["sessions"], row["share"]]), [
      ["cart", carts, carts / sessions],
      ["order", orders, orders / sessions],
    ]);
    const [added, ordered] = await answer(db, "Funnels", day);
    assert.deepEqual([added!["sessions"], added!["step rate"], added!["overall rate"]], [carts, 1, 1]);
    assert.equal(ordered!["step rate"], Number(ordered!["sessions"]) / carts);
    const [before] = await answer(db, "Goals", {
      ...day,
      from: new Date(2 * Number(day.from) - Number(day.to)),
      to: day.from,
    });
    assert.equal(goals[0]!["share before"], before!["share"]);
    assert.ok(orders > 0 && carts > orders && before!["share"] !== goals[0]!["share"]);
  });

  await t.step(
    "have a panel that says what to do without a declared view, and one for each that is added",
    async () => {
      const none = withRepeats(DESIGNED["views.json"]!, { view: [] });
      const [about, empty] = panelsOf(none);
      assert.match(about!.fieldConfig!.defaults.noValue!, /No view is declared.*clickstream views apply/);
      const bare = await migrated(async () => await openPostgres(await server.createDatabase()));
      const seen = async (dashboard: Dashboard) =>
        (await ask(bare, about!, sqlTargetsOf(about!)[0]!, dashboard, week)).length;
      assert.equal(await seen(none), 0);
      assert.deepEqual(await ask(bare, empty!, sqlTargetsOf(empty!)[0]!, none, week), []);
      await applyDeclarations(bare, DECLARED, false);
      assert.equal(await seen(none), DECLARED.views.length);
      await bare.close();
    },
  );

  await t.step("offer the regions to choose from", async () => {
    const analytics = DASHBOARDS["analytics.json"]!;
    const { query } = analytics.templating!.list!.find(({ name }) => name === "region")!;
    const { rows } = await db.query<{ region: string }>(expand(String(query), analytics, week));
    assert.ok(rows.length >= 3);
  });

  await t.step("show realistic data", async () => {
    const one = async (title: string) => Object.values((await answer(db, title, week)).at(-1)!).at(-1);
    within("the conversion rate", await one("Conversion rate"), 0.005, 0.1);
    within("the bounce rate", await one("Bounce rate"), 0.2, 0.7);
    within("the abandonment rate", await one("Cart abandonment"), 0.4, 0.95);
    assert.equal(await one("Unaccounted records"), 0);
    const funnel = (await answer(db, "Step and overall rates", week)).map((row) => Number(row["sessions"]));
    assert.deepEqual(funnel.toSorted((a, b) => b - a), funnel);
    const own = await answer(db, "Custom funnel (latest 50k sessions)", {
      ...week,
      chosen: { steps: "page_view,  add_to_cart,purchase " },
    });
    assert.deepEqual(own.map((row) => Number(row["sessions"])), funnel);
    // Here, the latest hundred instead of 50,000.
    const latest = await answer(db, "First pages (latest 50k sessions)", week, (sql) => {
      assert.match(sql, /offset 49999 /);
      return sql.replace("offset 49999 ", "offset 99 ");
    });
    const { rows: read } = await owner.query(
      `with latest as (
         select started_at from clickstream.sessions where started_at < $1::timestamptz and not is_bot
          order by started_at desc limit 100
       )
       select path, sessions::int, conversion_rate as "purchase rate"
         from clickstream.paths((select min(started_at) from latest), $1::timestamptz, 3, 'start') limit 50`,
      [week.to.toISOString()],
    );
    assert.deepEqual(latest, read);
    within("sessions of the latest hundred", read.reduce((sum, row) => sum + Number(row["sessions"]), 0), 20, 100);
    const cohorts = await answer(db, "Retention by cohort", week);
    for (const cohort of cohorts) {
      within("retention of day 1", cohort["day 1"] ?? 0, 0, 0.7);
    }
    assert.equal(cohorts[0]!["day 1"], null);
    const heatmap = await answer(db, "Events by weekday and hour", week);
    assert.deepEqual(heatmap.map((row) => row["day"]).slice(0, 2), ["Monday", "Tuesday"]);
    const [by] = [await answer(db, "Stored events by table", week)];
    assert.equal(by![0]!["events"], by![1]!["events"]);
    const events = (await answer(db, "Devices", week)).reduce((sum, row) => sum + Number(row["events"]), 0);
    const regions = (await answer(db, "Regions", week)).reduce((sum, row) => sum + Number(row["events"]), 0);
    assert.equal(events, regions);
    const rate = await answer(db, "Event rate by type", week);
    const summed = rate.reduce((sum, row) => sum + Number(row["events"]) * 600, 0);
    within("events by their rate", summed / events, 0.999, 1.001);
  });

  await t.step("reject unusable results", () => {
    const [panel] = panelsOf(DASHBOARDS["analytics.json"]!);
    const [target] = sqlTargetsOf(panel!);
    const wrongs = [[], [{ time: null, n: 1 }], [{ time: 1, n: "text" }], [{ time: 2, n: 1 }, { time: 1, n: 1 }], [{
      n: 1,
    }]];
    for (const rows of wrongs) assert.equal(unfit(panel!, target!, rows).length, 1, JSON.stringify(rows));
  });

  await db.close();
  await owner.close();
});
