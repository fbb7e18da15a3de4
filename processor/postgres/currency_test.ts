import assert from "node:assert/strict";
import { migrated, onEachDatabase } from "../../testing/servers/databases.ts";
import type { ShopMoney } from "../oracle/money.ts";
import { clicks } from "../oracle/logs.ts";
import { ingest } from "../testing/ingest_schedules.ts";
import { moneyFault } from "../currency.ts";
import { VIEWS } from "../views/mod.ts";
import {
  CurrencyMismatch,
  currencyUsed,
  hasRevenueBefore,
  readMoney,
  readRates,
  useCurrency,
  verifyCurrency,
  whyNotIn,
} from "./currency.ts";
import type { Database } from "./database.ts";
import { SqlSink } from "./sink/sql_sink.ts";

const ALL_AT_ONCE = { inAPoll: 100, inACommit: 100, turnsOfALife: 100 };

const EURO: ShopMoney = {
  currency: "EUR",
  rates: [["USD", "2026-03-01", "0.925"], ["USD", "2026-03-02", "0.5"], ["JPY", "2026-03-01", "0.005"]],
};

/** Purchases on 1 March 2026; from 24:00 on, on 2 March. */
const SOLD = clicks([
  ["ann", "10:00", "purchase", "/", { price: 10, currency: "EUR" }],
  ["ann", "10:01", "purchase", "/", { price: 5, quantity: 2 }],
  ["bob", "23:59:59.999", "purchase", "/", { price: "10.20", currency: "USD" }],
  ["bob", "24:00", "purchase", "/", { price: "10.20", currency: "USD" }],
  ["cyd", "10:00", "purchase", "/", { price: 101, currency: "JPY" }],
  ["cyd", "10:00", "purchase", "/", { price: 7, currency: "KWD" }],
  ["dan", "24:10", "purchase", "/", { price: 7, currency: "KWD" }],
]);

async function use(db: Database, currency: string | null): Promise<void> {
  await db.transaction(async (tx) => {
    await tx.exec("set local role clickstream_owner");
    await useCurrency(tx, currency);
  });
}

async function all(db: Database, sql: string): Promise<unknown[][]> {
  const { rows } = await db.query<Record<string, unknown>>(sql);
  return rows.map((row) => Object.values(row));
}

async function comment(db: Database, column: string): Promise<string> {
  const { rows } = await db.query<{ text: string }>(
    `select col_description(a.attrelid, a.attnum) as text from pg_attribute a
      where a.attrelid = ($1::text)::regclass and a.attname = $2::text`,
    [`clickstream.${column.split(".")[0]}`, column.split(".")[1]],
  );
  return rows[0]!.text;
}

onEachDatabase("revenue in one currency", {
  "is converted by the rate of the event's UTC day, checked by hand": async (open) => {
    const db = await migrated(open);
    await ingest(SOLD, new SqlSink(db, "test"), ALL_AT_ONCE, VIEWS, EURO);
    assert.deepEqual(
      await all(
        db,
        `select user_id, price_cents::text, currency, revenue_cents::text from clickstream.events order by kafka_offset`,
      ),
      [
        ["ann", "1000", "EUR", "1000"],
        ["ann", "500", null, "1000"],
        // 10.20 × 0.925 = 9.435, half up; and by the rate from midnight on.
        ["bob", "1020", "USD", "944"],
        ["bob", "1020", "USD", "510"],
        // 101 yen × 0.005 = 0.505 euros.
        ["cyd", "101", "JPY", "51"],
        ["cyd", "7000", "KWD", "0"],
        ["dan", "7000", "KWD", "0"],
      ],
    );
    assert.deepEqual(
      await all(
        db,
        "select sum(revenue_cents)::text as revenue, sum(purchases)::text as purchases from clickstream.user_days",
      ),
      [
        [`${1000 + 1000 + 944 + 510 + 51}`, "7"],
      ],
    );
    assert.deepEqual(
      await all(
        db,
        "select currency, since = '2026-03-01Z' as first, until = '2026-03-03Z' as last, purchases::text from clickstream.unconverted()",
      ),
      [["KWD", true, true, "2"]],
    );
    await use(db, "EUR");
    assert.deepEqual(await readMoney(db), {
      currency: "EUR",
      currencies: ["EUR", "JPY", "KWD", "USD"],
      unconverted: [{ currency: "KWD", since: "2026-03-01", purchases: 2 }],
    });
  },

  "without a currency adds up what was sent, and says so": async (open) => {
    const db = await migrated(open);
    await ingest(SOLD, new SqlSink(db, "test"), ALL_AT_ONCE);
    assert.deepEqual(await all(db, "select sum(revenue_cents)::text from clickstream.user_days"), [["15540"]]);
    const state = await readMoney(db);
    assert.deepEqual(state, { currency: null, currencies: ["EUR", "JPY", "KWD", "USD"], unconverted: [] });
    assert.match(moneyFault(state)!.title, /adds up 4 currencies/);
  },

  "is named in the comments of its columns": async (open) => {
    const db = await migrated(open);
    await use(db, "KWD");
    const columns = ["events", "traffic", "sessions", "user_days", "currencies"].map((table) =>
      `${table}.revenue_cents`
    );
    for (const column of columns) {
      assert.match(await comment(db, column), /minor units of KWD, which has 3 digits after the point\.$/, column);
    }
    assert.match(await comment(db, "events.price_cents"), /minor units of its own currency/);
    await use(db, null);
    for (const column of columns) assert.doesNotMatch(await comment(db, column), /KWD/);
  },

  "is adopted if all purchases are in it, and otherwise needs a rebuild": async (open) => {
    const db = await migrated(open);
    assert.equal(await whyNotIn(db, "JPY"), null, "there is no revenue");
    await ingest(
      clicks([["ann", "10:00", "purchase", "/", { price: 10, currency: "EUR" }]]),
      new SqlSink(db, "test"),
      ALL_AT_ONCE,
    );
    assert.equal(await whyNotIn(db, "EUR"), null);
    assert.match((await whyNotIn(db, "JPY"))!, /adds up purchases in EUR without conversion/);
    await db.exec("delete from clickstream.events; delete from clickstream.currencies");
    assert.equal(await whyNotIn(db, "USD"), null);
    assert.match((await whyNotIn(db, "JPY"))!, /in hundredths, which JPY does not have/);
    await use(db, "EUR");
    assert.match((await whyNotIn(db, "USD"))!, /it is in EUR/);
    assert.match((await whyNotIn(db, null))!, /it is in EUR/);
    assert.deepEqual([await hasRevenueBefore(db, "2026-03-01"), await hasRevenueBefore(db, "2026-03-02")], [
      false,
      true,
    ]);
  },

  "is never mixed with another: the sink refuses": async (open) => {
    const db = await migrated(open);
    const euro = new SqlSink(db, "test", { currency: "EUR" });
    await assert.rejects(() => euro.positions("t", [0]), (error) => {
      assert.ok(error instanceof CurrencyMismatch);
      assert.match(error.message, /CURRENCY is EUR, and the tables have no currency yet\. Type: clickstream migrate/);
      return true;
    });
    await use(db, "EUR");
    await euro.positions("t", [0]);
    const none = new SqlSink(db, "test", { currency: null });
    await assert.rejects(() => none.positions("t", [0]), /CURRENCY is not set, and revenue in the tables is in EUR/);
    const commit = {
      ...{ topic: "t", topicId: null, adoptions: 0, deltas: [], events: null, refusals: [] },
      advances: [{
        ...{
          partition: 0,
          from: null,
          first: 0,
          next: 1,
          replay: 1,
          leaderEpoch: null,
          watermark: null,
          topicId: null,
        },
        ...{ consumed: 1, stored: 0, duplicates: 1, refused: 0, skipped: 0, gap: null },
      }],
    };
    await assert.rejects(() => none.commit(commit), { name: "PositionsMoved" });
    await euro.commit(commit);
    // A rebuild changes the currency while this instance runs.
    await use(db, "USD");
    const [advance] = commit.advances;
    const next = { ...commit, advances: [{ ...advance!, from: 1, next: 2 }] };
    await assert.rejects(() => euro.commit(next), { name: "PositionsMoved" });
    await use(db, "EUR");
    await euro.commit(next);
    assert.equal(await currencyUsed(db), "EUR");
    await assert.rejects(() => verifyCurrency(db, "USD"), /Set CURRENCY=EUR, or type: clickstream rebuild/);
  },

  "has rates that the database checks": async (open) => {
    const db = await migrated(open);
    const insert = (values: string) => db.exec(`insert into clickstream.rates values ${values}`);
    await insert("('USD', '2026-03-01', 0.9250), ('JPY', '1970-01-01', 0.000000000000001)");
    assert.deepEqual(await readRates(db), [
      { currency: "JPY", fromDay: "1970-01-01", rate: "0.000000000000001" },
      { currency: "USD", fromDay: "2026-03-01", rate: "0.9250" },
    ]);
    for (const rate of ["0", "-1", "'NaN'", "'Infinity'", "1e15", "1e-16"]) {
      await assert.rejects(() => insert(`('EUR', '2026-03-01', ${rate})`), /check constraint/, rate);
    }
    await assert.rejects(() => insert("('eur', '2026-03-01', 1)"), /check constraint/);
    await assert.rejects(() => insert("('EUR', 'infinity', 1)"), /check constraint/);
  },
});
