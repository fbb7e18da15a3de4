/**
 * What the demo shows: figures while it runs, and at the end what the shop made beside what the tables say.
 * @module
 */
import type { Counts } from "../../../generator/records.ts";
import type { Database } from "../../postgres/database.ts";
import type { Recounted } from "./recount.ts";

/** A number as the shop made it and as the tables say it. */
export interface Compared {
  readonly what: string;
  readonly made: number;
  readonly stored: number;
}

const EVER = "'-infinity'::timestamptz, 'infinity'::timestamptz";

/** One line of progress. */
export async function figures(db: Database, counts: Counts, seconds: number): Promise<string> {
  const { rows } = await db.query<Record<"consumed" | "active" | "sessions" | "rate" | "revenue", string | null>>(
    `select (select sum(consumed)::text from clickstream.progress) as consumed,
            (select users::text from clickstream.active_users where window_end > now() order by window_end limit 1) as active,
            sessions::text, round(100 * conversion_rate::numeric, 1)::text as rate, revenue_cents::text as revenue
       from clickstream.conversion(${EVER})`,
  );
  const { consumed, active, sessions, rate, revenue } = rows[0]!;
  return [
    `${seconds.toFixed(0).padStart(4)} s`,
    `sent ${show(counts.records)}`,
    `taken in ${show(Number(consumed ?? 0))}`,
    `active users ${show(Number(active ?? 0))}`,
    `sessions ${show(Number(sessions))}`,
    `conversion ${rate ?? "–"} %`,
    `revenue ${show(Number(revenue) / 100)}`,
  ].join("  ");
}

/** Every number that the shop knows of itself, beside the same number out of the tables and reports. */
export async function compared(db: Database, counts: Counts): Promise<Compared[]> {
  const { all, compare } = comparing(db);
  await compare("records", counts.records, "select sum(consumed) from clickstream.progress");
  await compare("events", counts.events, "select count(*) from clickstream.events");
  await compare("events, by minute", counts.events, "select sum(events) from clickstream.traffic");
  await compare("events, by session", counts.events, "select sum(events) from clickstream.sessions");
  await compare("events, by user and day", counts.events, "select sum(events) from clickstream.user_days");
  await compare(
    "events, by weekday and hour",
    counts.events,
    `select sum(events) from clickstream.activity_heatmap(${EVER})`,
  );
  await compare("duplicates", counts.duplicates, "select sum(duplicates) from clickstream.progress");
  for (const [reason, made] of Object.entries(counts.refusals)) {
    await compare(`refused: ${reason}`, made, `select count(*) from clickstream.refusals where reason = '${reason}'`);
  }
  for (const [type, made] of Object.entries(counts.eventTypes)) {
    await compare(type, made, `select sum(events) from clickstream.traffic where event_type = '${type}'`);
  }
  await compare(
    "page views, by page",
    counts.eventTypes["page_view"] ?? 0,
    `select sum(views) from clickstream.top_pages(${EVER})`,
  );
  await compare("purchases", counts.purchases, `select sum(purchases) from clickstream.top_users(${EVER})`);
  await compare("revenue, cents", counts.revenueCents, `select revenue_cents from clickstream.conversion(${EVER})`);
  await compare("users", counts.users, `select users from clickstream.conversion(${EVER})`);
  return all;
}

/** Every number that is told by the log alone, beside the same number out of the reports. */
export async function comparedAgain(db: Database, counts: Recounted): Promise<Compared[]> {
  const { all, compare } = comparing(db);
  for (const [device, made] of Object.entries(counts.devices)) {
    await compare(
      `events, ${device}`,
      made,
      `select events from clickstream.devices(${EVER}) where device = '${device}'`,
    );
  }
  await compare("sessions", counts.sessions, `select sessions from clickstream.conversion(${EVER})`);
  await compare("sessions, by device", counts.sessions, `select sum(sessions) from clickstream.devices(${EVER})`);
  await compare("conversions", counts.conversions, `select conversions from clickstream.conversion(${EVER})`);
  for (const [k, made] of counts.funnel.entries()) {
    const step = `from clickstream.funnel(${EVER}) where step = ${k + 1}`;
    await compare(`funnel, step ${k + 1}`, made, `select sessions ${step}`);
  }
  // Only days that are over have retention.
  if (counts.retained > 0) {
    const sql = "select sum(users) from clickstream.retention('1970-01-01', '9999-12-31')";
    await compare("users who came, by day", counts.retained, sql);
  }
  return all;
}

function comparing(db: Database) {
  const all: Compared[] = [];
  const compare = async (what: string, made: number, sql: string) => {
    const { rows } = await db.query<{ n: string | null }>(`select (${sql})::text as n`);
    all.push({ what, made, stored: Number(rows[0]!.n ?? 0) });
  };
  return { all, compare };
}

/** The comparison as a table, with a verdict. */
export function comparison(rows: readonly Compared[]): string[] {
  const line = (what: string, made: string, stored: string, mark: string) =>
    `${what.padEnd(30)}${made.padStart(16)}${stored.padStart(16)}  ${mark}`.trimEnd();
  const wrong = rows.filter(({ made, stored }) => made !== stored).length;
  return [
    line("", "the shop made", "the tables say", ""),
    ...rows.map(({ what, made, stored }) => line(what, show(made), show(stored), made === stored ? "✓" : "✗")),
    "",
    wrong === 0 ? `All ${rows.length} figures agree.` : `${wrong} of ${rows.length} figures do not agree.`,
  ];
}

function show(number: number): string {
  return Math.round(number).toLocaleString("en");
}
