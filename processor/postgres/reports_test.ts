import assert from "node:assert/strict";
import { migrated, onEachDatabase } from "../../testing/servers/databases.ts";
import { report, storeEvents } from "../testing/contracts/reports.ts";
import { at, clicks } from "../testing/scenario.ts";
import type { Database } from "./database.ts";

// A Monday. Ann views one page, with a query. Bob buys, and views a page hours later. Cat's session begins in the last
// millisecond before noon. Dan and Eve view no page, but Eve buys. Fay comes at midnight.
const CLICKS = `
  time                    userId eventType   page         device  price quantity
  10:00:00.000            ann    page_view   /home?utm=1  mobile  -     -
  10:05:00.000            bob    page_view   /home        desktop -     -
  10:06:00.000            bob    add_to_cart /shoes       desktop 10.00 2
  10:07:00.000            bob    page_view   /shoes#top   desktop -     -
  10:08:00.000            bob    purchase    /pay         desktop 10.00 2
  11:59:59.999            cat    page_view   /home        mobile  -     -
  12:00:00.000            cat    page_view   /shoes       mobile  -     -
  12:10:00.000            dan    search      /search      tablet  -     -
  12:20:00.000            eve    purchase    /pay         -       5.00  -
  13:00:00.000            bob    page_view   /shoes       desktop -     -
  2026-11-03T00:00:00.000 fay    page_view   /home        mobile  -     -
`;
const MONDAY = ["2026-11-02T00:00Z", "2026-11-03T00:00Z"] as const;
const NEVER = ["2026-01-01T00:00Z", "2026-02-01T00:00Z"] as const;

type Range = readonly [from: string, to: string];

/** Stores the clicks through a pipeline. */
async function filled(db: Database): Promise<Database> {
  await storeEvents(db, clicks(CLICKS), at("2026-11-03T00:00:00.000"));
  return db;
}

const FUNNEL = "step integer, name text, sessions bigint, step_rate double precision, overall_rate double precision";
const USERS =
  "user_id text, events bigint, sessions bigint, purchases bigint, revenue_cents bigint, last_seen timestamptz";
const PAGES = "page text, views bigint, entries bigint, bounces bigint, exits bigint";
const CAMPAIGNS = "channel text, source text, medium text, campaign text, sessions bigint, conversions bigint, " +
  "revenue_cents bigint, average_order_cents double precision";
const DISTRIBUTION = "bucket integer, name text, sessions bigint, share double precision";

/** The last parameter of every report. */
const BOTS = ", bots boolean DEFAULT false";

/** Parameters for certain devices and regions, of a report that has them by default. */
const SOME = ", devices text[] DEFAULT NULL::text[], regions text[] DEFAULT NULL::text[]";

function timed(name: string, columns: string, more = ""): string {
  return `${name}(from timestamptz, to timestamptz${more}${BOTS}) TABLE(${columns})`;
}

function daily(name: string, columns: string): string {
  return `${name}(from_day date, to_day date${BOTS}) TABLE(${columns})`;
}

/** Signatures of a report: for everything, and for certain devices and regions. */
function chosen(name: string, columns: string): string[] {
  return [timed(name, columns), timed(name, columns, ", devices text[], regions text[]")];
}

onEachDatabase("reports", {
  "have their documented columns": async (open) => {
    const db = await migrated(open);
    const { rows } = await db.query<{ report: string }>(
      `select proname || '(' || pg_get_function_arguments(oid) || ') ' || pg_get_function_result(oid) as report
         from pg_proc
        where pronamespace = 'clickstream'::regnamespace and proretset
          and has_function_privilege('clickstream_reader', oid, 'execute')
        order by proname, pronargs`,
    );
    const signatures = rows.map(({ report }) =>
      report.replaceAll("timestamp with time zone", "timestamptz").replaceAll('"', "")
    );
    const plain = signatures.filter((signature) => !/^\w+_compared\(/.test(signature));
    assert.deepEqual(plain, [
      ...chosen("activity_heatmap", "day_of_week integer, hour integer, events bigint"),
      "bot_shares(from timestamptz, to timestamptz, step interval) TABLE(time timestamptz, events bigint, " +
      "bot_events bigint, event_share double precision, sessions bigint, bot_sessions bigint, " +
      "session_share double precision)",
      timed(
        "bounces",
        "sessions bigint, bounces bigint, bounce_rate double precision",
        ", devices text[], regions text[]",
      ),
      timed("campaigns", CAMPAIGNS),
      timed("campaigns", CAMPAIGNS, ", touch text"),
      timed(
        "campaigns_between",
        "source text, medium text, campaign text, sessions bigint, conversions bigint, revenue_cents bigint",
        ", touch text",
      ),
      timed("carts", "carts bigint, bought bigint, abandoned bigint, open bigint, abandonment_rate double precision"),
      ...chosen(
        "conversion",
        "sessions bigint, conversions bigint, conversion_rate double precision, users bigint, buyers bigint, " +
          "revenue_cents bigint",
      ),
      timed(
        "conversions",
        "time timestamptz, sessions bigint, conversions bigint, conversion_rate double precision, revenue_cents bigint",
        ", step interval, devices text[], regions text[]",
      ),
      "declared_measures() TABLE(view text, description text, window text, keys text[], filter jsonb, place integer, " +
      "measure text, computes text, measure_filter jsonb)",
      "declared_series(view text, from timestamptz, to timestamptz, step interval, measure text" +
      `${BOTS}) TABLE(time timestamptz, series text, value bigint)`,
      ...chosen("devices", "device text, events bigint, sessions bigint"),
      timed(
        "entry_paths",
        "entry_page text, sessions bigint, carted bigint, purchased bigint, cart_rate double precision, " +
          "purchase_rate double precision, revenue_cents bigint",
      ),
      timed(
        "event_rates",
        "time timestamptz, event_type text, events bigint, per_second double precision",
        ", step interval, devices text[], regions text[]",
      ),
      timed("funnel", FUNNEL, ", steps text[] DEFAULT NULL::text[]"),
      timed("funnels", `funnel text, ${FUNNEL}`, SOME),
      timed(
        "goals",
        "goal text, sessions bigint, conversions bigint, conversion_rate double precision, times bigint",
        SOME,
      ),
      daily("new_users", "day date, users bigint, new_users bigint, returning_users bigint"),
      timed(
        "orders",
        "orders bigint, revenue_cents bigint, average_order_cents double precision, buyers bigint, " +
          "returning_buyers bigint",
      ),
      timed("page_views", "page text, views bigint"),
      timed("pages_between", PAGES),
      timed("pages_by_minute", PAGES),
      timed(
        "paths",
        "path text, sessions bigint, share double precision, conversions bigint, conversion_rate double precision, " +
          "revenue_cents bigint",
        ", steps integer, direction text, hash_routes boolean DEFAULT true",
      ),
      timed("products", "product_id text, views bigint, carts bigint, purchases bigint, revenue_cents bigint"),
      ...chosen("regions", "region text, events bigint, sessions bigint"),
      daily(
        "retention",
        "cohort_day date, cohort_size bigint, day_number integer, users bigint, rate double precision",
      ),
      daily(
        "retention_months",
        "cohort_month date, cohort_size bigint, month_number integer, users bigint, rate double precision",
      ),
      daily(
        "retention_weeks",
        "cohort_week date, cohort_size bigint, week_number integer, users bigint, rate double precision",
      ),
      timed("searches", "term text, searches bigint, users bigint"),
      timed("session_depths", DISTRIBUTION),
      timed("session_funnel", FUNNEL),
      timed("session_lengths", DISTRIBUTION),
      timed(
        "top_pages",
        "page text, views bigint, entries bigint, bounces bigint, bounce_rate double precision, exits bigint, " +
          "exit_rate double precision",
      ),
      timed("top_users", USERS, ", most integer DEFAULT NULL::integer"),
      timed(
        "traffic_between",
        "window_start timestamptz, event_type text, device text, region text, events bigint",
      ),
      "unconverted() TABLE(currency text, since timestamptz, until timestamptz, purchases bigint)",
      `unusual_hours(at timestamptz${BOTS}) TABLE(measure text, hour timestamptz, value double precision, ` +
      "lowest double precision, highest double precision, deviation double precision)",
    ]);
    const compared = signatures.filter((signature) => !plain.includes(signature));
    assert.equal(compared.length, 20);
    assert.ok(compared.includes(timed("page_views_compared", "page text, views bigint, previous_views bigint")));
  },

  "count events, sessions and pages, checked by hand": async (open) => {
    const db = await filled(await migrated(open));
    const is = async (name: string, range: Range, expected: unknown[][]) =>
      assert.deepEqual(await report(db, name, range), expected, `${name} ${range}`);

    await is("conversion", MONDAY, [[6, 2, 2 / 6, 5, 2, 2500]]);
    await is("conversion", NEVER, [[0, 0, null, 0, 0, 0]]);
    // Half open: Bob's session began at the start of the range, Cat's at its end.
    await is("conversion", ["2026-11-02T10:05Z", "2026-11-02T11:59:59.999Z"], [[1, 1, 1, 1, 1, 2000]]);
    await is("conversion", ["2026-11-02T10:05:00.001Z", "2026-11-02T12:00Z"], [[1, 0, 0, 1, 0, 0]]);

    await is("top_pages", MONDAY, [["/home", 3, 3, 1, 1 / 3, 1, 1 / 3], ["/shoes", 3, 1, 1, 1, 3, 1]]);
    // Cat's session counts in the minute in which it began, the view of its exit page in the next.
    await is("top_pages", ["2026-11-02T11:59Z", "2026-11-02T12:00Z"], [
      ["/home", 1, 1, 0, 0, 0, 0],
      ["/shoes", 0, 0, 0, null, 1, null],
    ]);
    await is("top_pages", ["2026-11-02T12:00Z", "2026-11-02T12:01Z"], [["/shoes", 1, 0, 0, null, 0, 0]]);
    await is("page_views", ["2026-11-02T12:00Z", "2026-11-02T12:01Z"], [["/shoes", 1]]);
    await is("page_views", ["2026-11-02T10:00Z", "2026-11-02T10:07Z"], [["/home", 2]]);
    await is("page_views", NEVER, []);
    await is("top_pages", NEVER, []);

    await is("devices", MONDAY, [["desktop", 5, 2], ["mobile", 3, 2], ["tablet", 1, 1], ["unknown", 1, 1]]);
    await is("devices", ["2026-11-02T12:00Z", "2026-11-02T12:10Z"], [["mobile", 1, 0]]);

    await is("activity_heatmap", ["2026-11-02T00:00Z", "2026-11-04T00:00Z"], [
      ...[[1, 10, 5], [1, 11, 1], [1, 12, 3], [1, 13, 1]],
      [2, 0, 1],
    ]);
    await is("activity_heatmap", ["2026-11-02T11:59Z", "2026-11-02T12:10Z"], [[1, 11, 1], [1, 12, 1]]);

    await is("funnel", MONDAY, [[1, "page_view", 4, null, 1], [2, "add_to_cart", 1, 0.25, 0.25], [
      ...[3, "purchase", 1, 1, 0.25],
    ]]);
    await is("funnel", NEVER, [[1, "page_view", 0, null, null], [2, "add_to_cart", 0, null, null], [
      ...[3, "purchase", 0, null, null],
    ]]);

    await is("top_users", MONDAY, [
      ["bob", 5, 2, 1, 2000, "2026-11-02T13:00:00+00:00"],
      ["eve", 1, 1, 1, 500, "2026-11-02T12:20:00+00:00"],
      ["cat", 2, 1, 0, 0, "2026-11-02T12:00:00+00:00"],
      ["ann", 1, 1, 0, 0, "2026-11-02T10:00:00+00:00"],
      ["dan", 1, 1, 0, 0, "2026-11-02T12:10:00+00:00"],
    ]);
  },

  "count session lengths, carts, entries and new users, checked by hand": async (open) => {
    const db = await filled(await migrated(open));
    const counted = async (name: string, range: Range) =>
      (await report(db, name, range)).map(([bucket, , sessions]) => [bucket, sessions]).filter(([, n]) => n !== 0);
    // Bob's first session lasts exactly three minutes.
    assert.deepEqual(await counted("session_lengths", MONDAY), [[0, 4], [1, 1], [4, 1]]);
    assert.deepEqual(await counted("session_depths", MONDAY), [[0, 2], [1, 2], [2, 2]]);
    assert.deepEqual(await report(db, "session_depths", NEVER).then(([first]) => first), [0, "none", 0, null]);
    assert.deepEqual(await report(db, "carts", MONDAY), [[1, 1, 0, 0, 0]]);
    assert.deepEqual(await report(db, "carts", NEVER), [[0, 0, 0, 0, null]]);
    assert.deepEqual(await report(db, "entry_paths", MONDAY), [
      ["/home", 3, 1, 1, 1 / 3, 1 / 3, 2000],
      ["/shoes", 1, 0, 0, 0, 0, 0],
    ]);
    assert.deepEqual(await report(db, "new_users", ["2026-11-02", "2026-11-04"]), [
      ["2026-11-02", 5, 5, 0],
      ["2026-11-03", 1, 1, 0],
    ]);
    assert.deepEqual(await report(db, "regions", MONDAY), [["unknown", 10, 6]]);
  },

  "count a cart as abandoned by the watermark": async (open) => {
    const db = await migrated(open);
    await db.exec(
      `insert into clickstream.sessions (user_id, started_at, ended_at, events, page_views, device, region, carts,
         purchases, revenue_cents, funnel_step, first_event_id)
       select 'u' || n, '2026-11-02T10:00Z', '2026-11-02T10:00Z'::timestamptz + n * interval '1 ms', 2, 1, 'mobile', 'eu', 1,
         0, 0, 2, 'e' from generate_series(1, 3) n;
       insert into clickstream.progress (topic, partition, first_offset, next_offset, replay_offset, watermark)
       values ('t', 0, 1, 1, 0, '2026-11-02T10:30:00.002Z'), ('t', 1, 1, 1, 0, '2026-11-02T11:00Z')`,
    );
    // Only one of the three ended more than half an hour before the watermark. Later events can still join the others.
    assert.deepEqual(await report(db, "carts", MONDAY), [[3, 0, 1, 2, 1]]);
  },

  "reject invalid funnel steps": async (open) => {
    const db = await filled(await migrated(open));
    const funnel = (steps: string) => db.query(`select * from clickstream.funnel('${MONDAY.join("', '")}', ${steps})`);
    for (const steps of ["array[]::text[]", "array['a', null]", "array['a', 'b', 'a']"]) {
      await assert.rejects(funnel(steps), /funnel: steps are .*Allowed are 1 to 20 event types, each once/s, steps);
    }
    await funnel(`array(select 'step_' || n from generate_series(1, 20) n)`);
    await assert.rejects(funnel(`array(select 'step_' || n from generate_series(1, 21) n)`), /1 to 20 event types/);
    const { rows } = await funnel("array['page_view', 'purchase', 'page_view_']");
    assert.deepEqual(rows.map((row) => (row as { sessions: string }).sessions), ["4", "1", "0"]);
    // Texts and parameters without a type are steps, and no steps are those of sessions.
    assert.deepEqual((await funnel("'{page_view, purchase, page_view_}'")).rows, rows);
    assert.deepEqual((await funnel("null")).rows, (await funnel("bots => false")).rows);
  },

  "track the first day of each user through inserts and deletes": async (open) => {
    const db = await migrated(open);
    const users = async () => {
      const { rows } = await db.query<{ row: string }>(
        "select user_id || ' ' || first_day as row from clickstream.users order by user_id",
      );
      return rows.map(({ row }) => row);
    };
    const add = (rows: string) =>
      db.exec(
        `insert into clickstream.user_days values ${rows}
         on conflict (user_id, day) do update set events = user_days.events + excluded.events`,
      );
    await add("('ann', '2026-11-03', 1, 0, 0), ('bob', '2026-11-04', 1, 0, 0)");
    assert.deepEqual(await users(), ["ann 2026-11-03", "bob 2026-11-04"]);
    await add("('ann', '2026-11-05', 1, 0, 0), ('ann', '2026-11-01', 1, 0, 0), ('bob', '2026-11-04', 1, 0, 0)");
    assert.deepEqual(await users(), ["ann 2026-11-01", "bob 2026-11-04"]);
    await db.exec("delete from clickstream.user_days where day = '2026-11-01'");
    assert.deepEqual(await users(), ["ann 2026-11-03", "bob 2026-11-04"]);
    await db.exec("delete from clickstream.user_days where user_id = 'ann'");
    assert.deepEqual(await users(), ["bob 2026-11-04"]);
    await db.exec("truncate clickstream.user_days");
    assert.deepEqual(await users(), []);
  },

  "keep rollups of hours and days equal to minutes and sessions after any write": async (open) => {
    const db = await migrated(open);
    const followed = async () => {
      const { rows } = await db.query<{ hours: boolean; days: boolean; zeros: boolean }>(
        `select (
           select coalesce(json_agg(h order by h)::text, '') = (
             select coalesce(json_agg(t order by t)::text, '') from (
               select date_bin('1 hour', window_start, 'epoch') as window_start, event_type, device, region,
                 sum(events)::bigint as events, is_bot from clickstream.traffic group by 1, 2, 3, 4, is_bot) t)
           from clickstream.traffic_hours h where h.events <> 0) as hours, (
           select coalesce(json_agg(d order by d)::text, '') = (
             select coalesce(json_agg(p order by p)::text, '') from (
               select date_bin('1 day', p.at, 'epoch') as window_start, p.page, sum(p.views)::bigint as views,
                 sum(p.entries)::bigint as entries, sum(p.bounces)::bigint as bounces, sum(p.exits)::bigint as exits,
                 sha256(convert_to(p.page, 'UTF8')) as page_key, p.is_bot
               from (
                 select window_start as at, page, is_bot, views, 0 as entries, 0 as bounces, 0 as exits
                 from clickstream.pages
                 union all
                 select started_at, entry_page, is_bot, 0, 1, bounced::integer, 0 from clickstream.sessions
                 union all
                 select started_at, exit_page, is_bot, 0, 0, 0, 1 from clickstream.sessions
               ) p where p.page is not null group by 1, 2, p.is_bot) p)
           from clickstream.page_days d where d.views <> 0 or d.entries <> 0 or d.exits <> 0) as days,
           exists (select from clickstream.traffic_hours where events = 0)
             or exists (select from clickstream.page_days where views = 0 and entries = 0 and exits = 0) as zeros`,
      );
      return rows[0]!;
    };
    const traffic = `insert into clickstream.traffic as t
      select '2026-11-02T00:00Z'::timestamptz + n * interval '7 min', (array['page_view', 'search'])[1 + n % 2], 'mobile',
        'eu', n, 1, 0, '' from generate_series(1, 400) n
      on conflict (window_start, event_type, device, region, is_bot) do update set events = t.events + excluded.events`;
    const pages = `insert into clickstream.pages as t (window_start, page, views, users, users_state)
      select '2026-11-02T00:00Z'::timestamptz + n * interval '7 min', '/' || n % 3, n, 1, '' from generate_series(1, 400) n
      on conflict (window_start, page_key, is_bot) do update set views = t.views + excluded.views`;
    // Every fourth has no page, every fifth has one event; the sessions of a day enter and leave on a few pages.
    const sessions = `insert into clickstream.sessions as t (user_id, started_at, ended_at, events, page_views, carts,
        purchases, revenue_cents, funnel_step, device, region, entry_page, exit_page, first_event_id)
      select 'u' || n, '2026-11-02T00:00Z'::timestamptz + n * interval '11 min', '2026-11-05T00:00Z', 1 + (n % 5),
        (n % 4 > 0)::integer, 0, 0, 0, 0, 'mobile', 'eu', case when n % 4 > 0 then '/' || n % 3 end,
        case when n % 4 > 0 then '/' || (n + 1) % 3 end, '' from generate_series(1, 300) n
      on conflict (user_id, (coalesce(session_id, '')), started_at)
        do update set events = t.events + 1, exit_page = '/' || length(t.user_id) % 3`;
    const steps = [
      traffic,
      pages,
      sessions,
      `${traffic}; ${pages}; ${sessions}`,
      "update clickstream.traffic set events = events - 1 where events > 500",
      "update clickstream.traffic set is_bot = true where events % 3 = 0",
      "update clickstream.pages set is_bot = not is_bot where views % 4 = 0",
      "update clickstream.sessions set is_bot = true where events > 3",
      "delete from clickstream.sessions where is_bot and user_id > 'u7'",
      "delete from clickstream.traffic where is_bot; delete from clickstream.pages where is_bot and page = '/1'",
      "update clickstream.pages set views = views + 1 where page = '/1'",
      "delete from clickstream.traffic where event_type = 'search'; delete from clickstream.pages where page = '/2'",
      "delete from clickstream.sessions where entry_page = '/2' or exit_page = '/2' or started_at > '2026-11-04T00:00Z'",
    ];
    for (const sql of steps) {
      await db.exec(sql);
      assert.deepEqual(await followed(), { hours: true, days: true, zeros: false }, sql);
    }
    const { rows: [left] } = await db.query<{ hours: number; days: number }>(
      `select (select count(*) from clickstream.traffic_hours)::integer as hours,
              (select count(*) from clickstream.page_days)::integer as days`,
    );
    assert.deepEqual(left, { hours: 47, days: 8 });
    // Rows that move to another key leave only zeros behind.
    await db.exec("update clickstream.traffic set region = 'us'; update clickstream.pages set page = '/3'");
    await db.exec(
      "update clickstream.sessions set started_at = started_at + interval '1 day', entry_page = '/3', exit_page = '/3'",
    );
    const { hours, days } = await followed();
    assert.deepEqual({ hours, days }, { hours: true, days: true });
    const november: Range = ["2026-11-01T00:00Z", "2026-12-01T00:00Z"];
    assert.equal((await report(db, "devices", november)).length, 1);
    assert.deepEqual((await report(db, "top_pages", november)).map(([page]) => page), ["/3"]);
    await db.exec("truncate clickstream.sessions");
    assert.deepEqual((await report(db, "top_pages", november)).map(([, , entries, , , exits]) => [entries, exits]), [[
      0,
      0,
    ]]);
    await db.exec("truncate clickstream.traffic, clickstream.pages");
    assert.deepEqual(await report(db, "top_pages", november), []);
    assert.deepEqual(await report(db, "devices", november), []);
  },

  "use UTC in any time zone of the connection": async (open) => {
    const db = await filled(await migrated(open));
    await db.exec("set timezone = 'Asia/Kolkata'");
    assert.deepEqual(await report(db, "activity_heatmap", ["2026-11-03T00:00Z", "2026-11-04T00:00Z"]), [[2, 0, 1]]);
  },

  "follow cohorts over complete days": async (open) => {
    const db = await migrated(open);
    // In one transaction, because now() does not change in it.
    await db.transaction(async (tx) => {
      const { rows: [days] } = await tx.query<Record<string, string>>(
        `with x as (select (now() at time zone 'UTC')::date as today)
         select today - 20 as d20, today - 19 as d19, today - 3 as d3, today - 2 as d2, today - 1 as d1, today as d0,
                today + 1 as tomorrow from x`,
      );
      const { d20, d19, d3, d2, d1, d0, tomorrow } = days as Record<string, string>;
      const came = { ann: [d3, d2, d0], bob: [d3, d1], cat: [d2, d1], dan: [d0], eve: [d20, d3] };
      for (const [user, on] of Object.entries(came)) {
        for (const day of on) await tx.query("insert into clickstream.user_days values ($1, $2, 1, 0, 0)", [user, day]);
      }
      const retention = (from: string, to: string) => report(tx, "retention", [from, to]);
      // Ann and Bob first came three days ago, Eve before that. Dan's day and Ann's last day are not over.
      assert.deepEqual(await retention(d3!, tomorrow!), [
        [d3, 2, 0, 2, 1],
        [d3, 2, 1, 1, 0.5],
        [d3, 2, 2, 1, 0.5],
        [d2, 1, 0, 1, 1],
        [d2, 1, 1, 1, 1],
      ]);
      assert.deepEqual(await retention(d20!, d19!), [[d20, 1, 0, 1, 1], [d20, 1, 17, 1, 1]]);
      assert.deepEqual(await retention(d19!, d3!), []);
      assert.deepEqual(await retention(d0!, tomorrow!), []);
    });
  },

  "return the time up to which windows are final": async (open) => {
    const db = await migrated(open);
    const watermark = async () => {
      const { rows } = await db.query<{ at: string | null }>("select clickstream.watermark() as at");
      return rows[0]!.at;
    };
    const seen = (partition: number, at: string | null, minutesAgo: number) =>
      db.query(
        `insert into clickstream.progress (topic, partition, first_offset, next_offset, replay_offset, watermark, committed_at)
         values ('t', $1, 1, 1, 0, $2, now() - $3 * interval '1 minute')`,
        [partition, at, minutesAgo],
      );
    assert.equal(await watermark(), null);
    await seen(0, "2026-11-02T10:00Z", 6);
    assert.equal(await watermark(), null);
    await seen(1, "2026-11-02T12:00Z", 0);
    await seen(2, "2026-11-02T11:00Z", 4);
    assert.equal(await watermark(), "2026-11-02 11:00:00+00");
    await seen(3, null, 1);
    assert.equal(await watermark(), null);
  },
});
