/**
 * Computes any view from its declaration, with loops and maps. The contract's own tables are written separately
 * (`windows.ts`, `sessions.ts`), and both must agree.
 * @module
 */
import { acquisitionOf } from "./acquisition.ts";
import { isBotSession } from "./bots.ts";
import type { StoredEvent } from "./rows.ts";
import { inTime } from "./sessions.ts";
import type { Cell, Columns, Kind, Row, TableShape } from "./table_shapes.ts";
import { cutPage, isoTime, localDay } from "./values.ts";
import { groupBy } from "./windows.ts";

type Dimension = "type" | "user" | "session" | "pagePath" | "device" | "region" | OfEvents | "bot";
type OfEvents = "product" | "campaign" | "currency";
type Matcher = string | { readonly around: readonly string[] };
type Filter = { readonly [dimension in Dimension]?: readonly Matcher[] };

/** A measure's declaration. */
export interface Asked {
  readonly kind: "count" | "sum" | "min" | "max" | "distinct" | "first" | "last" | "funnel" | "acquisition" | "bot";
  readonly where: Filter;
  readonly of?: Dimension | "revenue" | "price" | "unconverted";
  readonly steps?: readonly Filter[];
  readonly siteHosts?: readonly string[];
}

/** A view's declaration, without the code that computes it. */
export interface Question {
  readonly name: string;
  readonly where?: Filter;
  readonly window:
    | { readonly kind: "tumbling"; readonly widthMs: number }
    | { readonly kind: "hopping"; readonly widthMs: number; readonly everyMs: number }
    | { readonly kind: "session"; readonly gapMs: number }
    | { readonly kind: "day"; readonly zone: { readonly name: string } };
  readonly by: readonly Dimension[];
  readonly measures: Readonly<Record<string, Asked>>;
  readonly derived?: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** For days of users: columns for whether and how many sessions of bots have an event on the day. */
  readonly ofBots?: { readonly mark: string; readonly sessions: string };
}

const COLUMNS: { readonly [dimension in Dimension]: string } = {
  ...{
    type: "event_type",
    user: "user_id",
    session: "session_id",
    pagePath: "page",
    device: "device",
    region: "region",
    product: "product_id",
    campaign: "campaign",
    currency: "currency",
    bot: "is_bot",
  },
};

const VALUES: { readonly [dimension in Dimension]: (event: StoredEvent) => string | boolean | null } = {
  type: (event) => event.eventType,
  user: (event) => event.userId,
  session: (event) => event.sessionId,
  pagePath: (event) => cutPage(event.page),
  device: (event) => event.device,
  region: (event) => event.region,
  product: (event) => event.productId,
  campaign: (event) => event.campaign,
  currency: (event) => event.currency,
  bot: (event) => event.isListed,
};

/** The compared columns of a view's table: its window, its key, its measures, and the columns derived from them. */
export function shapeOf({ window, by, measures, derived = {}, ofBots }: Question): TableShape {
  const times: Columns = window.kind === "session"
    ? { started_at: "time", ended_at: "time" }
    : window.kind === "day"
    ? { day: "day" }
    : window.kind === "hopping"
    ? { window_start: "time", window_end: "time" }
    : { window_start: "time" };
  const key = by.map((dimension) => COLUMNS[dimension]);
  const start = Object.keys(times)[0]!;
  return {
    key: [...key, start],
    cutBy: by.includes("user") ? COLUMNS.user : start,
    columns: {
      ...times,
      ...Object.fromEntries(key.map((column) => [column, column === COLUMNS.bot ? "flag" as const : "text" as const])),
      ...Object.fromEntries(Object.entries(measures).map(([name, measure]) => [name, kindOf(measure)])),
      ...Object.values(measures).some(isAcquisition) ? OF_ACQUISITION : {},
      ...Object.values(measures).some(({ kind }) => kind === "bot") ? OF_BOTS : {},
      ...Object.fromEntries(Object.keys(derived).map((name) => [name, "flag" as const])),
      ...ofBots === undefined ? {} : { [ofBots.sessions]: "count", [ofBots.mark]: "flag" },
    },
    sketched: Object.entries(measures).filter(([, { kind }]) => kind === "distinct").map(([name]) => name),
  };
}

function kindOf({ kind }: Asked): Kind {
  if (kind === "sum" || kind === "min" || kind === "max") return "cents";
  if (kind === "bot") return "flag";
  return kind === "first" || kind === "last" || kind === "acquisition" ? "text" : "count";
}

/** The columns of an acquisition besides its own, which has the source. */
const OF_ACQUISITION: Columns = { medium: "text", campaign: "text", first_event_id: "text" };

/** The column of a mark of bots besides its own. */
const OF_BOTS: Columns = { bot_events: "count" };

function isAcquisition({ kind }: Asked): boolean {
  return kind === "acquisition";
}

/** The rows of a view's table, unordered. */
export function rowsOf(question: Question, events: readonly StoredEvent[]): Row[] {
  const { where = {}, by } = question;
  const counted = events.filter((event) => passes(event, where));
  const groups = groupBy(counted, (event) => JSON.stringify(by.map((dimension) => VALUES[dimension](event))));
  return [...groups.values()].flatMap((ofKey) =>
    windowsOf(question.window, ofKey).map(({ times, inside }) => {
      const key = by.map((dimension) => [COLUMNS[dimension], VALUES[dimension](inside[0]!)] as const);
      const measured = Object.entries(question.measures).flatMap(([name, measure]) => {
        if (measure.kind === "bot") {
          const listed = inside.filter(({ isListed }) => isListed).length;
          return [[name, isBotSession(inside)], ["bot_events", listed]] as const;
        }
        if (!isAcquisition(measure)) return [[name, valueOf(measure, inside)] as const];
        const first = inside.toSorted(inTime)[0]!;
        const { source, ...others } = acquisitionOf(first, measure.siteHosts ?? []);
        return [[name, source], ...Object.entries(others), ["first_event_id", first.eventId]] as const;
      });
      const row: Row = { ...times, ...Object.fromEntries(key), ...Object.fromEntries(measured) };
      const derived = Object.entries(question.derived ?? {}).map(([name, values]) =>
        [name, Object.entries(values).every(([column, value]) => row[column] === value)] as const
      );
      const { ofBots } = question;
      const bots = ofBots === undefined ? 0 : sessionsOfBots(events, inside);
      const marks = ofBots === undefined ? {} : { [ofBots.sessions]: bots, [ofBots.mark]: bots > 0 };
      return { ...row, ...Object.fromEntries(derived), ...marks };
    })
  );
}

/** The number of sessions of bots that have one of a user's events. */
function sessionsOfBots(all: readonly StoredEvent[], events: readonly StoredEvent[]): number {
  const ofUser = all.filter(({ userId }) => userId === events[0]!.userId);
  const sessions = [...groupBy(ofUser, ({ sessionId }) => sessionId).values()].flatMap((ofVisitor) =>
    windowsOf({ kind: "session", gapMs: 30 * 60_000 }, ofVisitor)
  );
  return sessions.filter(({ inside }) => isBotSession(inside) && inside.some((event) => events.includes(event))).length;
}

function passes(event: StoredEvent, where: Filter): boolean {
  return Object.entries(where).every(([dimension, values]) => {
    const value = VALUES[dimension as Dimension](event);
    return value !== null && values.some((matcher) => expressionOf(matcher).test(String(value)));
  });
}

function expressionOf(matcher: Matcher): RegExp {
  const parts = typeof matcher === "string" ? [matcher] : matcher.around;
  return new RegExp(`^${parts.map((part) => RegExp.escape(part)).join(".*")}$`, "su");
}

/** What an event adds to a quantity; null if it has none. */
function amountOf(event: StoredEvent, of: Asked["of"]): bigint | null {
  if (of === "unconverted") return event.isUnconverted ? 1n : 0n;
  return of === "price" ? event.priceCents : event.revenueCents;
}

interface Windowed {
  readonly times: Row;
  /** At least one event. */
  readonly inside: readonly StoredEvent[];
}

function windowsOf(window: Question["window"], events: readonly StoredEvent[]): Windowed[] {
  switch (window.kind) {
    case "tumbling":
      return [...groupBy(events, ({ timeMs }) => timeMs - timeMs % window.widthMs)].map(([start, inside]) => ({
        times: { window_start: isoTime(start) },
        inside,
      }));
    case "hopping": {
      const { widthMs, everyMs } = window;
      const starts = new Set(events.flatMap(({ timeMs }) => {
        const last = timeMs - timeMs % everyMs;
        return Array.from({ length: widthMs / everyMs }, (_, back) => last - back * everyMs);
      }));
      return [...starts].map((start) => ({
        times: { window_start: isoTime(start), window_end: isoTime(start + widthMs) },
        inside: events.filter(({ timeMs }) => timeMs >= start && timeMs < start + widthMs),
      }));
    }
    case "session": {
      const sessions: StoredEvent[][] = [];
      for (const event of events.toSorted(inTime)) {
        const before = sessions.at(-1)?.at(-1);
        if (before === undefined || event.timeMs - before.timeMs > window.gapMs) sessions.push([]);
        sessions.at(-1)!.push(event);
      }
      return sessions.map((inside) => ({
        times: { started_at: isoTime(inside[0]!.timeMs), ended_at: isoTime(inside.at(-1)!.timeMs) },
        inside,
      }));
    }
    case "day":
      return [...groupBy(events, ({ timeMs }) => localDay(timeMs, window.zone.name))].map(([day, inside]) => {
        return { times: { day }, inside };
      });
  }
}

function valueOf({ kind, where, of, steps }: Asked, inside: readonly StoredEvent[]): Cell {
  const events = inside.filter((event) => passes(event, where)).sort(inTime);
  switch (kind) {
    case "count":
      return events.length;
    case "sum":
      return events.reduce((sum, event) => sum + (amountOf(event, of) ?? 0n), 0n).toString();
    case "min":
    case "max": {
      const cents = events.map((event) => amountOf(event, of)).filter((amount) => amount !== null);
      if (cents.length === 0) return null;
      return cents.reduce((a, b) => (a < b) === (kind === "min") ? a : b).toString();
    }
    case "acquisition":
    case "bot":
      return null;
    case "distinct":
      return new Set(events.map(({ userId }) => userId)).size;
    case "first":
    case "last": {
      const event = events.at(kind === "first" ? 0 : -1);
      return event === undefined ? null : VALUES[of as Dimension](event);
    }
    case "funnel": {
      let [step, fromMs] = [0, -Infinity];
      for (const filter of steps ?? []) {
        const next = events.find((event) => passes(event, filter) && event.timeMs >= fromMs);
        if (next === undefined) break;
        step += 1;
        fromMs = next.timeMs;
      }
      return step;
    }
  }
}
