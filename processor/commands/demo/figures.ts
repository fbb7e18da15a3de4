/**
 * Output of the demo: figures while it runs, and at the end a comparison of the generated records with the tables.
 * @module
 */
import type { Counts } from "../../../generator/records.ts";
import type { Database } from "../../postgres/database.ts";
import { table, withCommas } from "../../status/text.ts";
import type { Recounted } from "./recount.ts";

/** A number as generated, and as stored in the tables. */
export interface Compared {
  readonly what: string;
  readonly made: number;
  readonly stored: number;
}

/** Arguments of a report of all time. */
export const EVER = "'-infinity'::timestamptz, 'infinity'::timestamptz";

/** Of people and bots, as the simulator counts. */
const ALL = `${EVER}, bots => true`;

/** One line of progress. */
export async function figures(db: Database, counts: Counts, seconds: number): Promise<string> {
  const { rows } = await db.query<Record<"consumed" | "active" | "sessions" | "rate" | "revenue", string | null>>(
    `select (select sum(consumed)::text from clickstream.progress) as consumed,
            (select users::text from clickstream.active_users
              where not is_bot and window_end > now() order by window_end limit 1) as active,
            sessions::text, round(100 * conversion_rate::numeric, 1)::text as rate, revenue_cents::text as revenue
       from clickstream.conversion(${EVER})`,
  );
  const { consumed, active, sessions, rate, revenue } = rows[0]!;
  return [
    `${seconds.toFixed(0).padStart(4)} s`,
    `sent ${withCommas(counts.records)}`,
    `consumed ${withCommas(Number(consumed ?? 0))}`,
    `active users ${withCommas(Number(active ?? 0))}`,
    `sessions ${withCommas(Number(sessions))}`,
    `conversion ${rate ?? "–"} %`,
    `revenue ${withCommas(Number(revenue) / 100)}`,
  ].join("  ");
}

/** A number as generated, and the query for the same number in the tables. */
type Question = readonly [what: string, made: number, sql: string];

/**
 * Compares the simulator's own counts with the tables and reports.
 *
 * @param all arguments of a report of all time, and of people and bots
 */
export function compared(db: Database, counts: Counts, all = ALL): Promise<Compared[]> {
  const { events, eventTypes, refusals } = counts;
  return answers(db, [
    ["records", counts.records, "select sum(consumed) from clickstream.progress"],
    ["events", events, "select count(*) from clickstream.events"],
    ["events, by minute", events, "select sum(events) from clickstream.traffic"],
    ["events, by session", events, "select sum(events) from clickstream.sessions"],
    ["events, by user and day", events, "select sum(events) from clickstream.user_days"],
    ["events, by weekday and hour", events, `select sum(events) from clickstream.activity_heatmap(${all})`],
    ["duplicates", counts.duplicates, "select sum(duplicates) from clickstream.progress"],
    ...Object.entries(refusals).map(([reason, made]): Question => [
      `refused: ${reason}`,
      made,
      `select count(*) from clickstream.refusals where reason = '${reason}'`,
    ]),
    ...Object.entries(eventTypes).map(([type, made]): Question => [
      type,
      made,
      `select sum(events) from clickstream.traffic where event_type = '${type}'`,
    ]),
    ["page views, by page", eventTypes["page_view"] ?? 0, `select sum(views) from clickstream.top_pages(${all})`],
    ["purchases", counts.purchases, `select sum(purchases) from clickstream.top_users(${all})`],
    ["revenue, cents", counts.revenueCents, `select revenue_cents from clickstream.conversion(${all})`],
    ["users", counts.users, `select users from clickstream.conversion(${all})`],
  ]);
}

/** Compares the numbers counted from the log with the reports. */
export function comparedAgain(db: Database, counts: Recounted): Promise<Compared[]> {
  // Only days that are over have retention.
  const retained: Question[] = counts.retained === 0 ? [] : [[
    "users who came, by day",
    counts.retained,
    "select sum(users) from clickstream.retention('1970-01-01', '9999-12-31', bots => true)",
  ]];
  return answers(db, [
    ...Object.entries(counts.devices).map(([device, made]): Question => [
      `events, ${device}`,
      made,
      `select events from clickstream.devices(${ALL}) where device = '${device}'`,
    ]),
    ["sessions", counts.sessions, `select sessions from clickstream.conversion(${ALL})`],
    ["sessions, by device", counts.sessions, `select sum(sessions) from clickstream.devices(${ALL})`],
    ["sessions, of people", counts.sessions - counts.bots, `select sessions from clickstream.conversion(${EVER})`],
    ["sessions, of bots", counts.bots, "select count(*) from clickstream.sessions where is_bot"],
    ["conversions", counts.conversions, `select conversions from clickstream.conversion(${ALL})`],
    ...counts.funnel.map((made, k): Question => [
      `funnel, step ${k + 1}`,
      made,
      `select sessions from clickstream.funnel(${ALL}) where step = ${k + 1}`,
    ]),
    ...retained,
  ]);
}

async function answers(db: Database, questions: readonly Question[]): Promise<Compared[]> {
  const all: Compared[] = [];
  for (const [what, made, sql] of questions) {
    const { rows } = await db.query<{ n: string | null }>(`select (${sql})::text as n`);
    all.push({ what, made, stored: Number(rows[0]!.n ?? 0) });
  }
  return all;
}

/** The comparison as a table, with a verdict. */
export function comparison(rows: readonly Compared[]): string[] {
  const wrong = rows.filter(({ made, stored }) => made !== stored).length;
  return [
    ...table(
      ["", "generated", "in the tables", ""],
      rows.map(({ what, made, stored }) => [what, withCommas(made), withCommas(stored), made === stored ? "✓" : "✗"]),
    ),
    "",
    wrong === 0 ? `All ${rows.length} figures agree.` : `${wrong} of ${rows.length} figures do not agree.`,
  ];
}
