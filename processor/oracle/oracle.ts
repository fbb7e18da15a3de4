import { isListed } from "./bots.ts";
import { declaredColumns, NONE_DECLARED } from "./goals.ts";
import { decodeRecord, type OracleEvent, type OracleRecord, Refused } from "./reference_decoder.ts";
import { type Question, rowsOf, shapeOf } from "./questions.ts";
import type { Declarations, EventRow, ProgressRow, RefusalRow, StoredEvent } from "./rows.ts";
import { sessionsOf } from "./sessions.ts";
import { type Columns, type ExpectedAll, SHAPES } from "./table_shapes.ts";
import { isoTime } from "./values.ts";
import { type ShopMoney, worth } from "./money.ts";
import { activeUsersOf, currenciesOf, pagesOf, trafficOf, userDaysOf } from "./windows.ts";

export type { OracleRecord } from "./reference_decoder.ts";
export type { Expected } from "./rows.ts";
export type { ExpectedAll } from "./table_shapes.ts";

/** A whole topic: for each partition, its records in offset order. */
export interface OracleLog {
  readonly topic: string;
  readonly partitions: readonly (readonly OracleRecord[])[];
}

/** Settings that affect the tables. */
export interface OracleSettings {
  /** `EVENTS_KEEP_DAYS`: events older than this at their Kafka timestamp are refused. */
  readonly keepDays: number;
  /** `SITE_HOSTS`: none by default. */
  readonly siteHosts?: readonly string[];
  /** `CURRENCY`, with the rows of `rates`: none by default. */
  readonly money?: ShopMoney;
  /** `TIME_ZONE`: UTC by default. */
  readonly timeZone?: string;
  /** Views with tables to expect besides the contract's; they may include the contract's. */
  readonly views?: readonly Question[];
  /** Goals and funnels that sessions count: none by default. */
  readonly declared?: Declarations;
}

const DUPLICATE_WITHIN_MS = 10 * 60_000;
const WATERMARK_LAG_MS = 10_000;
const PAYLOAD_BYTES = 64 * 1024;

/** The expected content of every table once the whole log is consumed: the contract as loops and maps. */
export function expectedOf(log: OracleLog, settings: OracleSettings): ExpectedAll {
  const { progress, stored, refusals } = readLog(log, settings);
  const { timeZone = "UTC", declared = NONE_DECLARED } = settings;
  const sessions = sessionsOf(stored, settings.siteHosts, declared);
  const others = (settings.views ?? []).filter(({ name }) => !(name in SHAPES));
  for (const { name, window } of others) {
    if (window.kind === "day" && window.zone.name !== timeZone) {
      throw new RangeError(`the view ${name} has days of ${window.zone.name}, and the oracle of ${timeZone}`);
    }
  }
  return {
    timeZone,
    declared,
    progress,
    events: stored.map(eventRow),
    traffic: trafficOf(stored),
    pages: pagesOf(stored),
    active_users: activeUsersOf(stored),
    sessions,
    user_days: userDaysOf(stored, sessions, timeZone),
    currencies: currenciesOf(stored),
    refusals,
    others: {
      ...Object.fromEntries(
        others.map((view) => [view.name, { shape: shapeOf(view), rows: rowsOf(view, stored) }]),
      ),
      // Without declarations, there is nothing more to compare.
      ...declared === NONE_DECLARED ? {} : {
        sessions: { shape: { ...SHAPES.sessions, columns: columnsWith(declared) }, rows: sessions },
      },
    },
  };
}

/** The events that count once the whole log is consumed: those that are neither refused nor duplicates. */
export function storedIn(log: OracleLog, settings: OracleSettings): readonly StoredEvent[] {
  return readLog(log, settings).stored;
}

/** What identifies a session, and the columns of goals and funnels. */
function columnsWith(declared: Declarations): Columns {
  const key = SHAPES.sessions.key.map((column) => [column, SHAPES.sessions.columns[column]!]);
  return { ...Object.fromEntries(key), ...declaredColumns(declared) };
}

interface Reading {
  readonly progress: ProgressRow[];
  readonly stored: StoredEvent[];
  readonly refusals: RefusalRow[];
}

function readLog(log: OracleLog, settings: OracleSettings): Reading {
  const reading: Reading = { progress: [], stored: [], refusals: [] };
  const known = new Map<string, string>();
  log.partitions.forEach((records, partition) => {
    const counts = { stored: 0, duplicates: 0, refused: 0 };
    const seenMs = new Map<string, number[]>();
    let latestMs = -Infinity;
    for (const record of records) {
      const event = judged(record, settings);
      if (event instanceof Refused) {
        counts.refused += 1;
        reading.refusals.push(refusalRow(log.topic, partition, record, event));
      } else if (isDuplicate(event, record, seenMs)) {
        counts.duplicates += 1;
      } else {
        counts.stored += 1;
        latestMs = Math.max(latestMs, event.timeMs);
        reading.stored.push(sharing(known, storedEvent(log.topic, partition, record, event, settings.money)));
      }
    }
    const watermark = counts.stored === 0 ? null : isoTime(latestMs - WATERMARK_LAG_MS);
    const next_offset = (records.at(-1)?.offset ?? -1) + 1;
    reading.progress.push({
      ...{ topic: log.topic, partition, next_offset, watermark },
      ...{ consumed: records.length, ...counts },
    });
  });
  return reading;
}

function judged(record: OracleRecord, { keepDays, money }: OracleSettings): OracleEvent | Refused {
  try {
    return decodeRecord(record, keepDays, money?.currency);
  } catch (error) {
    if (error instanceof Refused) return error;
    throw error;
  }
}

// A duplicate also counts as an earlier event of its id. Generated ids are never sent twice.
function isDuplicate(event: OracleEvent, record: OracleRecord, seenMs: Map<string, number[]>): boolean {
  if (event.eventId === null) return false;
  const earlier = seenMs.get(event.eventId) ?? [];
  seenMs.set(event.eventId, [...earlier, record.time]);
  return earlier.some((timeMs) => Math.abs(record.time - timeMs) <= DUPLICATE_WITHIN_MS);
}

function storedEvent(
  topic: string,
  partition: number,
  record: OracleRecord,
  event: OracleEvent,
  money: ShopMoney | undefined,
): StoredEvent {
  const eventId = event.eventId ?? `${topic}/${partition}/${record.offset}`;
  const isPurchase = event.eventType === "purchase";
  const revenue = money === undefined || !isPurchase ? event.revenueCents : worth(event, money);
  return {
    ...{ ...event, eventId, partition, offset: record.offset, kafkaTimeMs: record.time },
    ...{ revenueCents: revenue ?? 0n, isUnconverted: revenue === null, isListed: isListed(event.userAgent) },
  };
}

// Shares equal texts, so that a log of millions of events fits in memory.
function sharing(known: Map<string, string>, event: StoredEvent): StoredEvent {
  const shared = <T extends string | null>(text: T): T => {
    if (text === null) return text;
    if (!known.has(text)) known.set(text, text);
    return known.get(text) as T;
  };
  return {
    ...event,
    userId: shared(event.userId),
    sessionId: shared(event.sessionId),
    eventType: shared(event.eventType),
    page: shared(event.page),
    device: shared(event.device),
    region: shared(event.region),
    referrer: shared(event.referrer),
    productId: shared(event.productId),
    campaign: shared(event.campaign),
    currency: shared(event.currency),
    userAgent: shared(event.userAgent),
  };
}

function eventRow(event: StoredEvent): EventRow {
  return {
    event_id: event.eventId,
    event_time: isoTime(event.timeMs),
    user_id: event.userId,
    session_id: event.sessionId,
    event_type: event.eventType,
    page: event.page,
    device: event.device,
    region: event.region,
    referrer: event.referrer,
    product_id: event.productId,
    campaign: event.campaign,
    price_cents: event.priceCents === null ? null : event.priceCents.toString(),
    quantity: event.quantity,
    currency: event.currency,
    revenue_cents: event.revenueCents.toString(),
    kafka_partition: event.partition,
    kafka_offset: event.offset,
    kafka_time: isoTime(event.kafkaTimeMs),
    user_agent: event.userAgent,
    order_id: event.orderId,
    is_bot: event.isListed,
  };
}

function refusalRow(topic: string, partition: number, record: OracleRecord, refused: Refused): RefusalRow {
  const payload = (record.value ?? new Uint8Array()).subarray(0, PAYLOAD_BYTES);
  const { reason, field } = refused;
  return { topic, partition, offset: record.offset, reason, field, payload: hexOf(payload) };
}

function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
