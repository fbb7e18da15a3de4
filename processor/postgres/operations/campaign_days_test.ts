/** Totals of campaigns by day: reports say the same with them and without, and only changed days are dropped. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { until } from "../../../testing/servers/child.ts";
import { migrated, onEachDatabase, onServer } from "../../../testing/servers/databases.ts";
import { using } from "../../../testing/servers/postgres.ts";
import { runs } from "../../../testing/effort.ts";
import { MIGRATIONS } from "../../../migrations/mod.ts";
import { BOT, PERSON } from "../../testing/clicks.ts";
import { report, storeEvents } from "../../testing/contracts/reports.ts";
import { at, type Message } from "../../testing/scenario.ts";
import { DAY_MS, minutes } from "../../views/view.ts";
import { lockToTheEnd } from "../advisory_locks.ts";
import type { Database } from "../database.ts";
import { eraseRows } from "../erase.ts";
import { openPostgres } from "../postgres.ts";
import { countCampaigns } from "./campaign_days.ts";
import { maintain } from "./maintenance.ts";
import { migrate } from "./migrations.ts";

const FIRST_MS = at("2026-09-01T00:00:00.000");
const LINKS = { direct: "/", email: "/?utm_source=list&utm_medium=email&utm_campaign=Weekly", ads: "/?gclid=1" };

const day = (n: number) => new Date(FIRST_MS + n * DAY_MS).toISOString().slice(0, 10);

/** Counts all days before `days` days after the first one. */
async function count(db: Database, days: number): Promise<number> {
  const asOwner = <T>(body: (tx: Database) => Promise<T>) => db.transaction(body);
  return await countCampaigns(asOwner, FIRST_MS + (days + 1) * DAY_MS, () => {});
}

/** The days that are counted, as days after the first one. */
async function counted(db: Database): Promise<number[]> {
  const { rows } = await db.query<{ n: number }>(
    "select day - $1::date as n from clickstream.campaign_days where is_counted order by day",
    [day(0)],
  );
  return rows.map(({ n }) => n);
}

let topics = 0;

/** Stores events, those of ten days in one commit, as a topic of its own, at the time of the last of them. */
async function store(db: Database, events: readonly Message[]): Promise<void> {
  const timeOf = ({ timestamp }: Message) => timestamp as number;
  for (const some of Map.groupBy(events, (event) => Math.floor(timeOf(event) / (10 * DAY_MS))).values()) {
    const topic = `t${++topics}`;
    const named = some.map((event, n) => ({ eventId: `${topic}-${n}`, ...event }));
    await storeEvents(db, named, Math.max(...some.map(timeOf)), topic);
  }
}

/** An event of a user, some minutes after the first midnight of a day. */
function came(userId: string, days: number, minute: number, page: string, more: Message = {}): Message {
  return { userId, eventType: "page_view", page, timestamp: FIRST_MS + days * DAY_MS + minutes(minute), ...more };
}

const buys = (price: number) => ({ eventType: "purchase", price });

/** Compares the report with what the sessions themselves say, for each touch, with bots and without. */
async function agrees(db: Database, ranges: readonly (readonly [string, string])[]): Promise<void> {
  for (const touch of ["last", "last_non_direct"]) {
    for (const bots of [false, true]) {
      for (const range of ranges) {
        const sorted = "order by source, medium, campaign";
        const columns = "source, medium, campaign, sessions, conversions, revenue_cents";
        const [said, wanted] = await Promise.all(
          ["campaigns", "campaigns_between"].map(async (name) =>
            (await db.query(
              `select ${columns} from clickstream.${name}($1::timestamptz, $2::timestamptz, '${touch}', ${bots}) ${sorted}`,
              range,
            )).rows
          ),
        );
        assert.deepEqual(said, wanted, `${touch}, bots ${bots}, ${range}`);
      }
    }
  }
}

const SPAN = 40;

const click = fc.record({
  user: fc.nat(3),
  days: fc.nat(SPAN),
  minute: fc.constantFrom(0, 1, 700, 1439),
  page: fc.constantFrom(...Object.values(LINKS), LINKS.direct),
  price: fc.option(fc.nat(9)),
  userAgent: fc.constantFrom(BOT, PERSON, PERSON),
}).map(({ user, days, minute, page, price, userAgent }) =>
  came(`u${user}`, days, minute, page, { userAgent, ...price === null ? {} : buys(price) })
);

/** A change of sessions or totals. */
const change = fc.oneof(
  { weight: 4, arbitrary: fc.array(click, { minLength: 1, maxLength: 4 }).map((clicks) => ({ clicks })) },
  { weight: 3, arbitrary: fc.integer({ min: 1, max: SPAN + 2 }).map((until) => ({ until })) },
  { weight: 1, arbitrary: fc.nat(3).map((user) => ({ erased: `u${user}` })) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      "update clickstream.sessions set revenue_cents = revenue_cents + 1 where user_id = 'u1'",
      "update clickstream.sessions set source = null, medium = null where user_id = 'u2' and source = 'list'",
      "update clickstream.sessions set is_bot = not is_bot where user_id = 'u3'",
      "delete from clickstream.sessions where user_id = 'u0' and source = 'google'",
    ).map((sql) => ({ sql })),
  },
);

onEachDatabase("campaigns by day", {
  "are what the sessions themselves say, after any changes in any order": async (open) => {
    const db = await migrated(open);
    const ranges = fc.array(fc.tuple(fc.nat(SPAN), fc.nat(SPAN), fc.constantFrom("00:00", "00:01", "11:40")), {
      minLength: 2,
      maxLength: 2,
    });
    let used = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 8, maxLength: 16 }), ranges, async (all, ranges) => {
        await db.exec("truncate clickstream.progress, clickstream.sessions, clickstream.events, clickstream.user_days");
        const asked = ranges.map(([from, to, time]) => [`${day(from)}T${time}Z`, `${day(to)}T${time}Z`] as const);
        for (const one of all) {
          if ("clicks" in one) await store(db, one.clicks);
          else if ("until" in one) await count(db, one.until);
          else if ("erased" in one) await eraseRows(db, "clickstream", [one.erased]);
          else await db.exec(one.sql);
          const isCounted = await counted(db);
          if (!("until" in one) && isCounted.length > 0) used++;
          await agrees(db, [[day(0), day(SPAN + 1)], ...asked]);
        }
      }),
      // A log without its first steps is another one: there is little to shrink.
      { numRuns: runs(12), seed: 1, endOnFailure: true },
    );
    assert.ok(used > runs(12), `${used} times a change left days that were counted`);
  },

  "are dropped on the days on which a changed session or a later one of its user counts": async (open) => {
    const db = await migrated(open);
    await store(db, [
      came("ann", 0, 60, LINKS.ads),
      came("ann", 5, 60, LINKS.direct),
      came("ann", 35, 60, LINKS.direct),
      came("ann", 36, 60, LINKS.direct),
      came("bob", 20, 60, LINKS.email),
    ]);
    assert.equal(await count(db, 38), 38);
    const all = Array.from({ length: 38 }, (_, n) => n);
    assert.deepEqual(await counted(db), all);
    const drops = async (days: readonly number[], change: () => Promise<unknown>) => {
      await change();
      assert.deepEqual(await counted(db), all.filter((n) => !days.includes(n)));
      assert.equal(await count(db, 38), days.length);
    };
    // Ann's sessions in the 30 days after day 5 are on days 5 and 35, each at 1:00.
    await drops([5, 35], () => store(db, [came("ann", 5, 61, LINKS.direct, buys(7))]));
    await drops([20], () => store(db, [came("bob", 20, 61, LINKS.direct, buys(7))]));
    await drops([1, 5], () => store(db, [came("ann", 1, 59, LINKS.email)]));
    await drops([10], () => store(db, [came("new", 10, 0, LINKS.email)]));
    // A session that goes on without a purchase counts as it did.
    await drops([], () => store(db, [came("bob", 20, 62, LINKS.ads)]));
    // One that begins earlier comes from elsewhere.
    await drops(
      [19, 20],
      () =>
        store(db, [
          came("bob", 19, 24 * 60 - 1, LINKS.ads),
          came("bob", 20, 29, LINKS.ads),
          came("bob", 20, 59, LINKS.ads),
        ]),
    );
    // Today is not counted, and changes nothing before.
    await drops([], () => store(db, [came("ann", 39, 0, LINKS.email), came("bob", 38, 0, LINKS.email)]));
    await drops([10], () => db.exec("delete from clickstream.sessions where user_id = 'new'"));
    await drops(
      [0, 1, 5, 19, 35, 36],
      () => db.exec("update clickstream.sessions set revenue_cents = revenue_cents + 1"),
    );
  },

  "are dropped for 30 days of a user with many sessions, without a look at them": async (open) => {
    const db = await migrated(open);
    await store(db, [came("ann", 0, 0, LINKS.ads)]);
    await db.exec(
      `insert into clickstream.sessions (user_id, session_id, started_at, ended_at, events, page_views, device, region,
         carts, purchases, revenue_cents, funnel_step, first_event_id, source, medium)
       select 'everybody', n, t, t, 1, 1, 'mobile', 'eu', 0, 0, 0, 1, n, '(direct)', '(none)'
         from generate_series(1, 1000) n, (values ('${day(7)}T12:00Z'::timestamptz)) v(t)`,
    );
    assert.equal(await count(db, 38), 38);
    await store(db, [came("everybody", 5, 0, LINKS.ads, { sessionId: "late" })]);
    assert.deepEqual(await counted(db), [0, 1, 2, 3, 4, 36, 37]);
    assert.equal(await count(db, 38), 31);
    await agrees(db, [[day(0), day(38)]]);
  },

  "are what reports add up, and are dropped with all sessions": async (open) => {
    const db = await migrated(open);
    await store(db, [came("ann", 0, 60, LINKS.ads), came("ann", 1, 60, LINKS.direct, buys(7))]);
    assert.equal(await count(db, 2), 2);
    await db.exec("update clickstream.campaign_totals set sessions = 100 * sessions where touch = 'last_non_direct'");
    const google = ["Paid Search", "google", "cpc", "(not set)"];
    const campaigns = (from: string, to: string) => report(db, "campaigns($1, $2, 'last_non_direct')", [from, to]);
    assert.deepEqual(await campaigns(day(0), day(2)), [[...google, 200, 1, 700, 700]]);
    assert.deepEqual(await campaigns(`${day(0)}T00:00:01Z`, day(2)), [[...google, 101, 1, 700, 700]]);
    assert.deepEqual(await campaigns(day(2), day(0)), []);
    await db.exec("truncate clickstream.sessions");
    assert.deepEqual([await counted(db), await campaigns(day(0), day(2))], [[], []]);
    // Without sessions there are no days; the next run deletes totals of days that are gone.
    assert.equal(await count(db, 2), 0);
    assert.equal((await db.query("select from clickstream.campaign_totals")).rowCount, 0);
  },
});

onServer("campaigns by day, beside commits", async (t, server) => {
  const url = await server.createDatabase();
  await using(url, (db) => migrate(db, MIGRATIONS));
  const [one, other] = await Promise.all([1, 2].map(() => openPostgres(url)));
  const waits = (name: string) =>
    until(`${name} waits`, () =>
      using(url, async (db) => {
        const { rowCount } = await db.query(
          "select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()",
        );
        return rowCount > 0;
      }));
  const late =
    "insert into clickstream.sessions (user_id, started_at, ended_at, events, page_views, device, region, carts, " +
    "purchases, revenue_cents, funnel_step, first_event_id, source, medium) select 'ann', t, t, 1, 1, 'mobile', 'eu', 0, 0, 0, 1, " +
    "1, 'google', 'cpc' from (values ($1::timestamptz)) v(t)";
  const at = (hour: number) => [`${day(0)}T${String(hour).padStart(2, "0")}:00Z`];

  await t.step("wait for a commit that has not seen that they are counted", async () => {
    let counting: Promise<number> = Promise.resolve(0);
    await one!.query(late, at(1));
    await one!.transaction(async (tx) => {
      await lockToTheEnd(tx, "sharedRows");
      await tx.query(late, at(2));
      counting = count(other!, 1);
      await waits("the count");
    });
    assert.equal(await counting, 1);
    await agrees(one!, [[day(0), day(1)]]);
    assert.deepEqual(await counted(one!), [0]);
  });

  await t.step("are dropped by a commit that waits until a day is counted", async () => {
    await one!.query(late, at(3));
    let committing: Promise<unknown> = Promise.resolve();
    await countCampaigns(
      (body) =>
        other!.transaction(async (tx) => {
          const done = await body(tx);
          if (done === true) {
            committing = one!.query(late, at(4));
            await waits("the commit");
          }
          return done;
        }),
      FIRST_MS + 2 * DAY_MS,
      () => {},
    );
    await committing;
    assert.deepEqual(await counted(one!), []);
    await agrees(one!, [[day(0), day(1)]]);
  });

  await t.step("are counted once by two at a time", async () => {
    const counts = await Promise.all([count(one!, 1), count(other!, 1)]);
    assert.equal(counts.reduce((sum, n) => sum + n), 1);
    await agrees(one!, [[day(0), day(1)]]);
    assert.deepEqual(await counted(one!), [0]);
  });

  await t.step("are counted by maintenance", async () => {
    await one!.query(late, at(5));
    const keep = { eventDays: 1, rollupDays: 36_000, aheadDays: 0 };
    assert.ok((await maintain(other!, keep, () => {})).counted >= 1);
    assert.ok((await counted(one!)).includes(0));
    await agrees(one!, [[day(0), day(1)]]);
  });

  for (const db of [one!, other!]) await db.close();
});
