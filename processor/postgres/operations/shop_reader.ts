/**
 * Reads what the status page shows from PostgreSQL, only while the page is open: with few statements, over short times,
 * each by an index.
 * @module
 */
import { ALLOWED_DELAY_MS } from "../../pipeline/reading.ts";
import { priceDigits } from "../../currency.ts";
import { currencyUsed } from "../currency.ts";
import type { Database } from "../database.ts";
import { openGapRecords } from "./gaps.ts";
import {
  type ActiveUsers,
  type Conversion,
  type Front,
  type OpenWindow,
  PARTITIONS,
  type RefusalShown,
  type ShopReport,
  type ShopSource,
  type TablePartition,
  type TopPage,
  type Trend,
} from "../../status/shop.ts";

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

/** How far back from the latest event windows and sessions are read, in milliseconds. */
const ACTIVE_MS = 60 * MINUTE_MS;
const CONVERSION_MS = 60 * MINUTE_MS;
const PAGES_MS = 15 * MINUTE_MS;
const WINDOWS_MS = 6 * MINUTE_MS;

/** Length of the steps of revenue, in milliseconds. */
const REVENUE_STEP_MS = 5 * MINUTE_MS;

/** Bytes of a refused record that are shown. */
const PAYLOAD_BYTES = 2048;

const REFUSALS = 25;
const PAGES = 8;

/** The shop's data for the page, read over a connection; closing it closes the connection. */
export function shopSource(db: Database, topic: string): ShopSource {
  return {
    front: (nowMs) => readFront(db, topic, nowMs),
    report: (front) => readShop(db, front),
    close: () => db.close(),
  };
}

/** Reads the positions of the tables, which takes almost no time. */
export async function readFront(db: Database, topic: string, nowMs: number): Promise<Front> {
  const { rows } = await db.query<TablePartition & { readonly final: number | null }>(
    `select p.partition, p.next_offset::float8 as next, ${ms("p.watermark")} as watermark, p.committed_by as owner,
            ${ms("p.committed_at")} as "committedAt", ${ms("(select clickstream.watermark())")} as final
       from clickstream.progress p where p.topic = $1 order by p.partition limit ${PARTITIONS}`,
    [topic],
  );
  const largest = Math.max(...rows.map(({ watermark }) => watermark ?? -Infinity)) + ALLOWED_DELAY_MS;
  return {
    partitions: rows.map(({ final: _, ...partition }) => partition),
    gaps: await openGapRecords(db, topic),
    watermark: rows[0]?.final ?? null,
    latest: largest === -Infinity ? null : Math.min(largest, nowMs),
    forgotten: await readForgotten(db, topic),
  };
}

async function readForgotten(db: Database, topic: string): Promise<Front["forgotten"]> {
  const { rows } = await db.query<{ partition: number; below: number }>(
    `select v.partition, v.below::float8 as below from clickstream.forgotten f,
            unnest(f.partitions, f.below) as v(partition, below)
      where f.id = (select max(id) from clickstream.forgotten where topic = $1)`,
    [topic],
  );
  return rows.map(({ partition, below }) => [partition, below]);
}

/** Reads everything that the page shows about the shop. */
export async function readShop(db: Database, { watermark, latest }: Front): Promise<ShopReport> {
  const refusals = await readRefusals(db);
  const code = await currencyUsed(db);
  const currency = { code, digits: priceDigits(null, code) };
  if (latest === null) {
    const nothing = { activeUsers: null, conversion: null, revenue: null, topPages: [], windows: [] };
    return { asOf: null, watermark, currency, ...nothing, refusals };
  }
  const active = await readActiveUsers(db, latest);
  const minutes = await readMinutes(db, latest);
  const isOpen = ({ end }: OpenWindow) => watermark === null || end > watermark;
  return {
    asOf: latest,
    watermark,
    currency,
    activeUsers: active.users,
    conversion: await readConversion(db, latest),
    revenue: await readRevenue(db, latest),
    topPages: await readTopPages(db, latest),
    windows: [...minutes, ...active.windows].filter(isOpen),
    refusals,
  };
}

async function readActiveUsers(db: Database, latest: number): Promise<{ users: ActiveUsers; windows: OpenWindow[] }> {
  const { rows } = await db.query<{ start: number; end: number; users: number }>(
    `select ${ms("window_start")} as start, ${ms("window_end")} as end, users::float8 as users
       from clickstream.active_users
      where not is_bot and (window_start > ${time("$1")} and window_start <= ${time("$2")}
         or window_start > ${time("$3")} and window_start <= ${time("$4")}) order by window_start`,
    [latest - ACTIVE_MS, latest, latest - ACTIVE_MS - DAY_MS, latest - DAY_MS],
  );
  const usersAt = new Map(rows.map(({ end, users }) => [end, users]));
  const today = rows.filter(({ start }) => start > latest - ACTIVE_MS);
  // The earliest window that contains the latest event: most of its time has passed.
  const now = today.find(({ end }) => end > latest)?.users ?? 0;
  const over = Math.floor(latest / MINUTE_MS) * MINUTE_MS;
  const ends = Array.from({ length: ACTIVE_MS / MINUTE_MS }, (_, i) => over + MINUTE_MS + MINUTE_MS * i - ACTIVE_MS);
  // A window without an event has no row.
  const series = [...ends, over + MINUTE_MS].map((end) => [end, usersAt.get(end) ?? 0] as const);
  const before = series.map(([end]) => usersAt.get(end - DAY_MS) ?? 0);
  const windows = today.map(({ start, end, users }) => ({
    view: "active users",
    start,
    end,
    count: users,
    unit: "users",
  }));
  const change = changeOf(usersAt.get(over) ?? 0, usersAt.get(over - DAY_MS) ?? 0);
  return { users: { now, ...trend(series, before, change) }, windows };
}

function trend(series: Trend["series"], before: readonly number[], change: number | null): Trend {
  return { series, dayBefore: before.some((figure) => figure > 0) ? before : null, change };
}

/** The change as a share of the day before; null if either is 0. */
function changeOf(today: number, before: number): number | null {
  return today === 0 || before === 0 ? null : today / before - 1;
}

async function readMinutes(db: Database, latest: number): Promise<OpenWindow[]> {
  const { rows } = await db.query<{ start: number; events: number }>(
    `select ${ms("window_start")} as start, sum(events)::float8 as events from clickstream.traffic
      where window_start > ${time("$1")} and window_start <= ${time("$2")} group by window_start order by window_start`,
    [latest - WINDOWS_MS, latest],
  );
  return rows.map(({ start, events }) => ({
    view: "traffic",
    start,
    end: start + MINUTE_MS,
    count: events,
    unit: "events",
  }));
}

async function readConversion(db: Database, latest: number): Promise<Conversion> {
  const { rows: [sessions] } = await db.query<Pick<Conversion, "sessions" | "conversions" | "rate" | "revenueCents">>(
    `select sessions::float8 as sessions, conversions::float8 as conversions, conversion_rate as rate,
            revenue_cents::float8 as "revenueCents"
       from clickstream.conversion(${upTo(latest, CONVERSION_MS)})`,
  );
  const { rows: steps } = await db.query<{ sessions: number }>(
    `select sessions::float8 as sessions from clickstream.funnel(${upTo(latest, CONVERSION_MS)}) order by step`,
  );
  const [views, carts, purchases] = steps.map((step) => step.sessions);
  return { ...sessions!, views: views!, carts: carts!, purchases: purchases! };
}

/** Asks the report for each step of the last hour, and of the hour a day before. */
async function readRevenue(db: Database, latest: number): Promise<Trend> {
  const steps = CONVERSION_MS / REVENUE_STEP_MS;
  const { rows } = await db.query<{ end: number; cents: number }>(
    `select ${ms("s.to")} as end, c.revenue_cents::float8 as cents
       from (values (0), (1)) as d(days), generate_series(1, ${steps}) as g(step),
            lateral (select ${
      time("$1")
    } + g.step * interval '${REVENUE_STEP_MS} ms' - d.days * interval '24 h') as s("to"),
            lateral clickstream.conversion(s."to" - interval '${REVENUE_STEP_MS} ms', s."to") as c
      order by d.days, g.step`,
    [latest + 1 - CONVERSION_MS],
  );
  const series = rows.slice(0, steps).map(({ end, cents }) => [end, cents] as const);
  const before = rows.slice(steps).map(({ cents }) => cents);
  const total = (all: readonly number[]) => all.reduce((sum, cents) => sum + cents, 0);
  return trend(series, before, changeOf(total(series.map(([, cents]) => cents)), total(before)));
}

async function readTopPages(db: Database, latest: number): Promise<TopPage[]> {
  const { rows } = await db.query<TopPage>(
    `select left(page, 200) as page, views::float8 as views from clickstream.page_views(${upTo(latest, PAGES_MS)})
      order by page_views.views desc, page_views.page limit ${PAGES}`,
  );
  return rows;
}

/** SQL for the range of a report: later than `lengthMs` before `latest`, up to and including `latest`. */
function upTo(latest: number, lengthMs: number): string {
  // Reports use from <= time < to, and times are whole milliseconds.
  return [latest - lengthMs + 1, latest + 1].map((ms) => `'${new Date(ms).toISOString()}'::timestamptz`).join(", ");
}

async function readRefusals(db: Database): Promise<RefusalShown[]> {
  const { rows } = await db.query<Omit<RefusalShown, "payload"> & { readonly payload: Uint8Array | null }>(
    `select id::text as id, reason, field, detail, partition, "offset"::float8 as "offset",
            substring(payload from 1 for ${PAYLOAD_BYTES}) as payload, coalesce(octet_length(payload), 0) as bytes,
            ${ms("refused_at")} as "refusedAt", ${ms("replayed_at")} as "replayedAt"
       from clickstream.refusals order by refusals.id desc limit ${REFUSALS}`,
  );
  return rows.map((row) => ({ ...row, payload: textOf(row.payload ?? new Uint8Array(), row.bytes > PAYLOAD_BYTES) }));
}

/**
 * Bytes as text: UTF-8 if they are valid UTF-8, otherwise with bytes beyond ASCII as `\xNN`.
 *
 * @param isCut true if there were more bytes, so that the last character may be incomplete
 */
export function textOf(bytes: Uint8Array, isCut: boolean): string {
  for (const less of isCut ? [0, 1, 2, 3] : [0]) {
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes.subarray(0, bytes.length - less));
    } catch {
      // Not valid up to here.
    }
  }
  const hex = (byte: number) => `\\x${byte.toString(16).padStart(2, "0")}`;
  return [...bytes].map((byte) => byte < 0x80 ? String.fromCharCode(byte) : hex(byte)).join("");
}

function ms(expression: string): string {
  return `(extract(epoch from ${expression}) * 1000)::float8`;
}

function time(parameter: string): string {
  return `to_timestamp(${parameter}::float8 / 1000)`;
}
