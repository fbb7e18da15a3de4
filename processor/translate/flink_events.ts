/**
 * The topic and its events in Flink SQL: which messages are events, and how their fields are stored.
 * @module
 */
import type { Dimension, Quantity } from "../columns/batch.ts";
import { HUNDREDTHS, priceDigits } from "../currency.ts";
import { BOT_PATTERN } from "../measures/bot_list.ts";
import { ANY, type Filter } from "../measures/measure.ts";
import { FIELDS, MAX_AHEAD_MS, MAX_CENTS } from "../event.ts";
import { COLUMN_OF, quoted } from "./table.ts";

/** Options of a connector, in order. */
export type Connector = Readonly<Record<string, string>>;

/** Limits and rules for accepting a message and cutting its page. */
export interface Bounds {
  /** How far the event-time watermark stays behind the latest event, in milliseconds. */
  readonly delayMs: number;
  /** Maximum age of an event at its Kafka timestamp, in milliseconds. */
  readonly keepMs: number;
  /** Whether a fragment that is a route belongs to the page. */
  readonly hashRoutes: boolean;
  /** The shop's currency; null: all purchases count as they were sent. */
  readonly currency: string | null;
}

/** Column of the view `events` that holds a quantity. */
export const QUANTITY_COLUMN: { readonly [quantity in Quantity]: string } = {
  revenue: "revenue_cents",
  price: "price_cents",
  unconverted: "unconverted",
};

/** Event time as text that sorts by time. */
export const HAPPENED = "DATE_FORMAT(event_time, 'yyyy-MM-dd HH:mm:ss.SSS')";

/**
 * Separates the parts of a text: no field of an event may hold it, and it sorts before all characters that they may
 * hold.
 */
export const BETWEEN = "CHR(0)";

/** A length of time in the largest unit that divides it. */
export function interval(ms: number): string {
  const units = [["DAY", 86_400_000], ["HOUR", 3_600_000], ["MINUTE", 60_000], ["SECOND", 1000]] as const;
  const [unit, length] = units.find(([, length]) => ms % length === 0) ?? ["SECOND(6, 3)", 1000];
  const count = ms / length;
  return `INTERVAL '${count}' ${unit}${count > 99 && !unit.includes("(") ? `(${String(count).length})` : ""}`;
}

/** Creates a table with these columns in a connector. */
export function table(name: string, columns: readonly string[], connector: Connector): string {
  const options = Object.entries(connector).map(([key, value]) => `  ${quoted(key)} = ${quoted(value)}`);
  return `CREATE TABLE ${name} (\n${columns.map((c) => `  ${c}`).join(",\n")}\n) WITH (\n${options.join(",\n")}\n);`;
}

/** The topic: messages with their fields as text, their times, and the event-time watermark. */
export function clicksTable(kafka: Connector, { delayMs }: Bounds): string {
  const fields = ["eventId", "userId", "sessionId", "eventType", "timestamp", "page", "device", "region"];
  return table("clicks", [
    ...[...fields, "productId", "campaign", "price", "quantity", "currency", "userAgent"].map((field) =>
      `\`${field}\` STRING`
    ),
    "kafka_topic STRING METADATA FROM 'topic' VIRTUAL",
    "kafka_partition INT METADATA FROM 'partition' VIRTUAL",
    "kafka_offset BIGINT METADATA FROM 'offset' VIRTUAL",
    "kafka_time TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL",
    `-- A time can't be absent; 1970 stands for none, and is too old to count.\n  event_time AS COALESCE(\n    ` +
    `${EPOCH_TIME},\n    ${isoTime()},\n    TO_TIMESTAMP_LTZ(0, 3))`,
    `-- What is refused for lying in the future must not take the watermark there.\n  WATERMARK FOR event_time AS CASE\n` +
    `    WHEN event_time <= kafka_time + ${interval(MAX_AHEAD_MS)} THEN event_time - ${interval(delayMs)} END`,
  ], kafka);
}

const EPOCH_TIME = "TO_TIMESTAMP_LTZ(TRY_CAST(REGEXP_EXTRACT(`timestamp`, '^(\\d{1,15})(\\.\\d+)?$', 1) AS BIGINT), 3)";

/** A regular expression for an ISO 8601 time of day with this separator; it accepts leap seconds. */
function timeOfDay(sign: string): string {
  const [minute, second] = ["[0-5]\\d", "([0-5]\\d|60)"];
  return `(([01]\\d|2[0-3])${sign}${minute}(${sign}${second}([.,]\\d+)?)?|24${sign}00(${sign}00([.,]0+)?)?)`;
}

/**
 * An ISO 8601 time with zone: the date, and seconds that are added to it. Flink parses a zone in a text but ignores it.
 */
function isoTime(): string {
  const zone = "([Zz]|[+-]([01]\\d|2[0-3])(:?[0-5]\\d)?)";
  const iso = `^(\\d{4}-\\d{2}-\\d{2}[Tt ]${timeOfDay(":")}|\\d{8}[Tt ]${timeOfDay("")})${zone}$`;
  const part = (pattern: string, group: number) => `REGEXP_EXTRACT(\`timestamp\`, ${quoted(pattern)}, ${group})`;
  const number = (pattern: string, group = 1) => `COALESCE(TRY_CAST(${part(pattern, group)} AS INT), 0)`;
  const clock = "[Tt ](\\d{2}):?(\\d{2}):?(\\d{2})?";
  const offset = "[Tt ].*([+-]\\d{2}):?(\\d{2})?$";
  const sign = "CASE WHEN REGEXP(`timestamp`, '[Tt ].*-\\d{2}:?(\\d{2})?$') THEN -1 ELSE 1 END";
  return [
    `CAST(TIMESTAMPADD(SECOND,`,
    `  3600 * (${number(clock, 1)} - ${number(offset, 1)})`,
    `  + 60 * (${number(clock, 2)} - ${number(offset, 2)} * ${sign}) + ${number(clock, 3)},`,
    `  TRY_CAST(CASE WHEN REGEXP(\`timestamp\`, ${quoted(iso)}) THEN`,
    `    ${part("^(\\d{4})", 1)} || '-' || ${part("^\\d{4}-?(\\d{2})", 1)}`,
    `    || '-' || ${part("^\\d{4}-?\\d{2}-?(\\d{2})", 1)}`,
    `    || ' 00:00:00.' || RPAD(COALESCE(${part("[.,](\\d{1,3})", 1)}, ''), 3, '0')`,
    `  END AS TIMESTAMP(3))) AS TIMESTAMP_LTZ(3))`,
  ].join("\n    ");
}

const PATH = "REGEXP_REPLACE(page, '(?s)[?#].*', '')";

/** The price with so many digits after the point. */
function rounded(digits: number): string {
  return `ROUND(TRY_CAST(price AS DECIMAL(38, 18)), ${digits})`;
}

/** The valid messages as events, without duplicates. */
export function eventsView({ keepMs, hashRoutes, currency }: Bounds): string {
  const digits = priceDigits(currency, currency);
  const isForeign = currency === null ? null : `COALESCE(currency, ${quoted(currency)}) <> ${quoted(currency)}`;
  const columns: readonly (readonly [string, string])[] = [
    [
      "event_id",
      "COALESCE(eventId, kafka_topic || '/' || CAST(kafka_partition AS STRING) || '/' || " +
      "CAST(kafka_offset AS STRING))",
    ],
    [COLUMN_OF.user, "userId"],
    [COLUMN_OF.session, "sessionId"],
    [COLUMN_OF.type, "eventType"],
    [
      COLUMN_OF.pagePath,
      hashRoutes
        ? `COALESCE(NULLIF(${PATH} || COALESCE(REGEXP_EXTRACT(page, '^[^?#]*(\\?[^#]*)?(#!?/[^?#]*)', 2), ''), ''), '/')`
        : `COALESCE(NULLIF(${PATH}, ''), '/')`,
    ],
    [
      COLUMN_OF.device,
      `CASE WHEN device IS NULL THEN ${quoted(FIELDS.device.absent)} WHEN device IN (${
        [...FIELDS.device.among].map(quoted).join(", ")
      }) ` +
      `THEN device ELSE ${quoted(FIELDS.device.other)} END`,
    ],
    [COLUMN_OF.region, `COALESCE(region, ${quoted(FIELDS.region.absent)})`],
    [COLUMN_OF.product, "productId"],
    [COLUMN_OF.campaign, "campaign"],
    [COLUMN_OF.currency, "currency"],
    [QUANTITY_COLUMN.price, `CAST(${rounded(digits)} * ${10 ** digits} AS BIGINT)`],
    [COLUMN_OF.bot, `COALESCE(REGEXP(userAgent, ${quoted(`(?i)${BOT_PATTERN}`)}), FALSE)`],
    [
      QUANTITY_COLUMN.revenue,
      `CASE WHEN eventType = 'purchase'${
        isForeign === null ? "" : ` AND NOT ${isForeign}`
      } THEN COALESCE(CAST(ROUND(\n` +
      `    TRY_CAST(price AS DECIMAL(38, 18)), ${digits}) * ${10 ** digits} AS BIGINT) * ` +
      "COALESCE(TRY_CAST(quantity AS BIGINT), 1), 0) ELSE 0 END",
    ],
    [
      QUANTITY_COLUMN.unconverted,
      isForeign === null ? "0" : `CASE WHEN eventType = 'purchase' AND ${isForeign} THEN 1 ELSE 0 END`,
    ],
  ];
  const text = [...columns.map(([name, sql]) => `${sql} AS ${name}`), "event_time", "kafka_partition"];
  const valid = [
    `REGEXP(eventType, ${quoted(FIELDS.eventType.form.pattern.source)})`,
    bounded("userId", FIELDS.userId.maxLength),
    bounded("page", FIELDS.page.maxLength),
    orAbsent("eventId", bounded("eventId", FIELDS.eventId.maxLength)),
    orAbsent("sessionId", bounded("sessionId", FIELDS.sessionId.maxLength)),
    orAbsent("region", bounded("region", FIELDS.region.maxLength)),
    orAbsent("userAgent", bounded("userAgent", FIELDS.userAgent.maxLength)),
    `POSITION(${BETWEEN} IN userId || page${
      ["eventId", "sessionId", "region", "productId", "campaign"].map((field) => ` || COALESCE(${field}, '')`).join("")
    }) = 0`,
    orAbsent("price", `COALESCE(${rounded(HUNDREDTHS)} BETWEEN 0 AND ${MAX_CENTS / 100}, FALSE)`),
    orAbsent("quantity", `REGEXP(quantity, '^0*[1-9]\\d{0,15}$')`),
    `(eventType <> 'purchase' OR COALESCE(${rounded(HUNDREDTHS)} * TRY_CAST(quantity AS DECIMAL(16, 0)), 0) <= ${
      MAX_CENTS / 100
    })`,
    orAbsent("currency", `REGEXP(currency, ${quoted(FIELDS.currency.form.pattern.source)})`),
    `event_time > TO_TIMESTAMP_LTZ(0, 3)`,
    `event_time BETWEEN kafka_time - ${interval(keepMs)} AND kafka_time + ${interval(MAX_AHEAD_MS)}`,
  ];
  return [
    "CREATE TEMPORARY VIEW valid_events AS",
    `SELECT\n  ${text.join(",\n  ")},\n  PROCTIME() AS arrived`,
    `FROM clicks\nWHERE ${valid.join("\n  AND ")};`,
    "",
    "-- Repetitions: the first counts, by the clock of this job (table.exec.state.ttl) and not by Kafka timestamps.",
    "CREATE TEMPORARY VIEW events AS",
    `SELECT ${[...columns.map(([name]) => name), "event_time"].join(", ")},`,
    `  ${HAPPENED} || ${BETWEEN} || event_id AS place`,
    "FROM (",
    "  SELECT *, ROW_NUMBER() OVER (PARTITION BY kafka_partition, event_id ORDER BY arrived) AS repetition",
    "  FROM valid_events",
    ")",
    "WHERE repetition = 1;",
  ].join("\n");
}

function bounded(field: string, most: number): string {
  return `CHAR_LENGTH(${field}) BETWEEN 1 AND ${most}`;
}

function orAbsent(field: string, test: string): string {
  return `(${field} IS NULL OR ${test})`;
}

/** The condition that dimensions match one of these; empty if all events pass. */
export function condition(where: Filter): string {
  return Object.entries(where).map(([dimension, matchers]) => {
    const column = COLUMN_OF[dimension as Dimension];
    const texts = matchers.filter((matcher) => typeof matcher === "string");
    if (matchers.includes(ANY)) return `${column} IS NOT NULL`;
    const tests = matchers.filter((matcher) => typeof matcher !== "string").map(({ around }) =>
      `${column} LIKE ${quoted(around.map((part) => part.replaceAll(/[%_!]/g, "!$&")).join("%"))} ESCAPE '!'`
    );
    if (texts.length > 0) tests.unshift(`${column} IN (${texts.map(quoted).join(", ")})`);
    return tests.length === 1 ? tests[0]! : `(${tests.join(" OR ")})`;
  }).join(" AND ");
}
