/** Channels and campaigns: the rules as rows, and what sessions are attributed to. */
import assert from "node:assert/strict";
import { migrated, onEachDatabase } from "../../testing/servers/databases.ts";
import { SOURCES } from "../measures/sources.ts";
import { report, storeEvents } from "../testing/contracts/reports.ts";
import { at, type Message } from "../testing/scenario.ts";
import type { Database } from "./database.ts";

const CASES = JSON.parse(
  await Deno.readTextFile(new URL("../measures/testdata/acquisitions.json", import.meta.url)),
) as readonly (readonly [string, string | null, string, string, string | null, string])[];

const NOVEMBER = ["2026-11-01T00:00Z", "2026-12-01T00:00Z"] as const;

const LINKS = {
  direct: "/",
  email: "/?utm_source=list&utm_medium=email&utm_campaign=Weekly",
  ads: "/?gclid=1",
};

/** An event of a user; a number makes it a purchase at this price. */
function came(id: string, userId: string, time: string, page: string, price?: number, sessionId?: string): Message {
  const eventType = price === undefined ? "page_view" : "purchase";
  return { eventId: id, userId, sessionId, eventType, page, price, timestamp: at(time) };
}

async function filled(db: Database, messages: readonly Message[]): Promise<Database> {
  await storeEvents(db, messages, at("2026-11-28T00:00:00.000"));
  return db;
}

const campaigns = (db: Database, touch: string, range: readonly [string, string] = NOVEMBER) =>
  report(db, `campaigns($1, $2, '${touch}')`, range);

onEachDatabase("campaigns", {
  "have the sources that the service knows": async (open) => {
    const db = await migrated(open);
    const { rows } = await db.query<{ category: string; source: string }>(
      "select category, source from clickstream.sources",
    );
    const known = Object.entries(SOURCES).flatMap(([category, all]) => all.map((source) => `${category} ${source}`));
    assert.deepEqual(rows.map(({ category, source }) => `${category} ${source}`).sort(), known.sort());
  },

  "have the channels that GA4's documentation gives": async (open) => {
    const db = await migrated(open);
    const columns = [2, 3, 4].map((part) => JSON.stringify(CASES.map((row) => row[part])));
    const text = (n: number) => `jsonb_array_elements_text($${n}::text::jsonb) with ordinality`;
    const { rows } = await db.query<{ channel: string }>(
      `select clickstream.channel(s.t, m.t, c.t) as channel
         from ${text(1)} s(t, n) join ${text(2)} m(t, n) on m.n = s.n join ${text(3)} c(t, n) on c.n = s.n
        order by s.n`,
      columns,
    );
    for (const [n, row] of CASES.entries()) assert.equal(rows[n]!.channel, row[5], JSON.stringify(row));
    const { rows: [none] } = await db.query("select clickstream.channel(null, null, null) as channel");
    assert.deepEqual(none, { channel: "Unassigned" });
  },

  "are the last, the last non-direct or the first touch, checked by hand": async (open) => {
    const db = await filled(await migrated(open), [
      // Ann comes by mail, by an ad and directly, and buys three times.
      came("a1", "ann", "2026-11-02T12:00:00.000", LINKS.email),
      came("a2", "ann", "2026-11-03T12:00:00.000", LINKS.ads, 10),
      came("a3", "ann", "2026-11-04T12:00:00.000", LINKS.direct, 20),
      came("a4", "ann", "2026-11-04T12:01:00.000", LINKS.email, 5),
      // Bob is always direct.
      came("b1", "bob", "2026-11-02T12:00:00.000", LINKS.direct),
    ]);
    const [email, ads, direct] = [
      ["Email", "list", "email", "Weekly"],
      ["Paid Search", "google", "cpc", "(not set)"],
      ["Direct", "(direct)", "(none)", "(not set)"],
    ] as const;
    assert.deepEqual(await campaigns(db, "last"), [
      [...direct, 2, 1, 2500, 2500],
      [...ads, 1, 1, 1000, 1000],
      [...email, 1, 0, 0, null],
    ]);
    assert.deepEqual(await report(db, "campaigns", NOVEMBER), await campaigns(db, "last"));
    assert.deepEqual(await campaigns(db, "last_non_direct"), [
      [...ads, 2, 2, 3500, 1750],
      [...direct, 1, 0, 0, null],
      [...email, 1, 0, 0, null],
    ]);
    assert.deepEqual(await campaigns(db, "first"), [[...email, 3, 2, 3500, 1750], [...direct, 1, 0, 0, null]]);
    // The sessions before are not of this time, and count all the same.
    const fourth = ["2026-11-04T00:00Z", "2026-11-05T00:00Z"] as const;
    assert.deepEqual(await campaigns(db, "last_non_direct", fourth), [[...ads, 1, 1, 2500, 2500]]);
    assert.deepEqual(await campaigns(db, "first", fourth), [[...email, 1, 1, 2500, 2500]]);
    assert.deepEqual(await report(db, "campaigns_compared", fourth), [
      [...direct, 1, 0, 1, 0, 2500, 0, 2500, null],
      [...ads, 0, 1, 0, 1, 0, 1000, null, 1000],
    ]);
    assert.deepEqual(await report(db, "campaigns_compared($1, $2, 'last_non_direct')", fourth), [
      [...ads, 1, 1, 1, 1, 2500, 1000, 2500, 1000],
    ]);
  },

  "look back 30 days and no millisecond longer, also in a zone where the clocks change": async (open) => {
    const db = await filled(await migrated(open), [
      came("a1", "ann", "2026-11-01T12:00:00.000", LINKS.ads),
      came("b1", "bob", "2026-11-01T11:59:59.999", LINKS.ads),
      came("c1", "cat", "2026-11-20T12:00:00.000", LINKS.email, undefined, "one"),
      came("c0", "cat", "2026-11-20T12:00:00.000", LINKS.ads, undefined, "two"),
    ]);
    await storeEvents(
      db,
      ["ann", "bob", "cat"].map((user) => came(`${user}2`, user, "2026-12-01T12:00:00.000", LINKS.direct)),
      at("2026-12-01T12:00:00.000"),
      "other",
    );
    await db.exec("set timezone = 'America/New_York'");
    const december = ["2026-12-01T00:00Z", "2027-01-01T00:00Z"] as const;
    const sources = async (touch: string) => (await campaigns(db, touch, december)).map((row) => [row[1], row[4]]);
    // Of two sessions that start at the same time, the one with the smaller source is the earlier one.
    assert.deepEqual(await sources("last_non_direct"), [["(direct)", 1], ["google", 1], ["list", 1]]);
    assert.deepEqual(await sources("first"), [["google", 3]]);
  },

  "count sessions of versions without sources as not set": async (open) => {
    const db = await filled(await migrated(open), [
      came("a1", "ann", "2026-11-02T12:00:00.000", LINKS.ads),
      came("a2", "ann", "2026-11-03T12:00:00.000", LINKS.direct, 1),
    ]);
    await db.exec("update clickstream.sessions set source = null, medium = null where source = 'google'");
    const unknown = ["Unassigned", "(not set)", "(not set)", "(not set)"];
    const direct = ["Direct", "(direct)", "(none)", "(not set)"];
    assert.deepEqual(await campaigns(db, "last_non_direct"), [[...direct, 1, 1, 100, 100], [
      ...unknown,
      1,
      0,
      0,
      null,
    ]]);
    assert.deepEqual(await campaigns(db, "last"), [[...direct, 1, 1, 100, 100], [...unknown, 1, 0, 0, null]]);
    // The first session whose source is known.
    assert.deepEqual(await campaigns(db, "first"), [[...direct, 2, 1, 100, 100]]);
    // A later event changes nothing, an earlier one tells the source.
    const late = (id: string, time: string) => came(id, "ann", time, LINKS.email);
    await storeEvents(db, [late("a3", "2026-11-02T12:01:00.000")], at("2026-11-28T00:00:00.000"), "t2");
    assert.deepEqual(await campaigns(db, "first"), [[...direct, 2, 1, 100, 100]]);
    await storeEvents(db, [late("a4", "2026-11-02T11:59:00.000")], at("2026-11-28T00:00:00.000"), "t3");
    assert.deepEqual(await campaigns(db, "first"), [["Email", "list", "email", "Weekly", 2, 1, 100, 100]]);
  },

  "say which touches there are": async (open) => {
    const db = await migrated(open);
    for (const touch of ["'Last'", "null", "''"]) {
      const asked = db.query(`select * from clickstream.campaigns(now(), now(), ${touch})`);
      await assert.rejects(asked, /campaigns: touch is .*Allowed are 'last', 'last_non_direct' and 'first'/s);
    }
  },
});
