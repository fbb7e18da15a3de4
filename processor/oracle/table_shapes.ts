import type { Expected } from "./rows.ts";

/** A table of the contract, by its name. */
export type TableName = Exclude<keyof Expected, "timeZone" | "declared" | "peopleOnly">;

/** The value of a column once it is read. */
export type Cell = string | number | boolean | null;

/** A row for comparison: column name to value. */
export type Row = { readonly [column: string]: Cell };

/** Runs SQL queries. */
export interface Reader {
  query<R = Record<string, unknown>>(sql: string, params?: readonly unknown[]): Promise<{ readonly rows: R[] }>;
}

/** How a column is read: times and days as ISO text (UTC), cents as decimal text, bytes as hexadecimal. */
export type Kind = "text" | "count" | "rate" | "cents" | "flag" | "time" | "day" | "bytes";

/** Columns by name, in reading order. */
export type Columns = Readonly<Record<string, Kind>>;

/** The compared columns of a table. */
export interface TableShape {
  /** The primary key columns. */
  readonly key: readonly string[];
  /** The column that divides a large table into pieces. */
  readonly cutBy: string;
  readonly columns: Columns;
  /** Distinct counts, which may be inexact beyond 4,096. */
  readonly sketched: readonly string[];
}

/** The expected content of every table, including those of other views. */
export interface ExpectedAll extends Expected {
  /** Tables and columns beyond the contract, by the name of their table. */
  readonly others: Readonly<Record<string, { readonly shape: TableShape; readonly rows: readonly Row[] }>>;
}

/** Every table of the contract, with the columns that the log determines. */
export const SHAPES: Readonly<Record<TableName, TableShape>> = {
  progress: shape("topic partition", "partition", {
    ...{ topic: "text", partition: "count", next_offset: "count", watermark: "time" },
    ...{ consumed: "count", stored: "count", duplicates: "count", refused: "count" },
  }),
  events: shape("kafka_partition kafka_offset", "kafka_offset", {
    ...{ event_id: "text", event_time: "time", user_id: "text", session_id: "text", event_type: "text" },
    ...{ page: "text", device: "text", region: "text", referrer: "text", product_id: "text", campaign: "text" },
    ...{ price_cents: "cents", quantity: "count", currency: "text", revenue_cents: "cents" },
    ...{ kafka_partition: "count", kafka_offset: "count", kafka_time: "time" },
    ...{ user_agent: "text", order_id: "text", is_bot: "flag" },
  }),
  traffic: shape("window_start event_type device region is_bot", "window_start", {
    ...{ window_start: "time", event_type: "text", device: "text", region: "text", is_bot: "flag" },
    ...{ events: "count", users: "count", revenue_cents: "cents" },
  }, ["users"]),
  pages: shape("window_start page is_bot", "window_start", {
    ...{ window_start: "time", page: "text", is_bot: "flag", views: "count", users: "count" },
  }, ["users"]),
  active_users: shape("window_start is_bot", "window_start", {
    ...{ window_start: "time", window_end: "time", is_bot: "flag", users: "count" },
  }, ["users"]),
  sessions: shape("user_id session_id started_at", "user_id", {
    ...{ user_id: "text", session_id: "text", started_at: "time", ended_at: "time", events: "count" },
    ...{ page_views: "count", entry_page: "text", exit_page: "text", device: "text", region: "text" },
    ...{ carts: "count", purchases: "count", revenue_cents: "cents", funnel_step: "count", bounced: "flag" },
    ...{ source: "text", medium: "text", campaign: "text", first_event_id: "text" },
    ...{ bot_events: "count", is_bot: "flag" },
  }),
  user_days: shape("user_id day", "user_id", {
    ...{ user_id: "text", day: "day", events: "count", purchases: "count", revenue_cents: "cents" },
    ...{ bot_sessions: "count", is_bot: "flag" },
  }),
  currencies: shape("window_start currency", "window_start", {
    ...{ window_start: "time", currency: "text", purchases: "count", revenue_cents: "cents", unconverted: "cents" },
  }),
  refusals: shape("topic partition offset", "offset", {
    ...{ topic: "text", partition: "count", offset: "count", reason: "text", field: "text", payload: "bytes" },
  }),
};

/** All tables, in the contract's order. */
export const TABLES = Object.keys(SHAPES) as readonly TableName[];

/** The piece of a table with `from <= cutBy < to`; a missing bound is open. */
export interface Piece {
  readonly from?: Cell;
  readonly to?: Cell;
}

/**
 * Reads a table of the contract or of a given shape, or a piece of it, sorted by its key: text by its bytes, rows
 * without session id first.
 */
export async function readTable(
  database: Reader,
  table: string,
  piece: Piece = {},
  { columns, cutBy, key }: TableShape = SHAPES[table as TableName],
): Promise<Row[]> {
  const bounds: string[] = [];
  const params: string[] = [];
  const bound = (operator: string, value: Cell | undefined) => {
    if (value === undefined) return;
    params.push(String(value));
    bounds.push(`${ordered(cutBy, columns)} ${operator} $${params.length}::text::${SQL_TYPES[columns[cutBy]!]}`);
  };
  bound(">=", piece.from);
  bound("<", piece.to);
  const where = bounds.length === 0 ? "" : ` where ${bounds.join(" and ")}`;
  const order = ` order by ${key.map((name) => `${ordered(name, columns)} nulls first`).join(", ")}`;
  return await readRows(database, columns, `clickstream.${table}`, where + order, params);
}

/** Reads columns from any SQL `from` item; the rest of the statement refers to it as `t`. */
export async function readRows(
  database: Reader,
  columns: Columns,
  source: string,
  rest: string,
  params: readonly string[],
): Promise<Row[]> {
  const names = Object.keys(columns);
  const list = names.map((name) => `${asText(name, columns[name]!)} as "${name}"`).join(", ");
  const { rows } = await database.query<Record<string, string | null>>(
    `select ${list} from ${source} as t${rest}`,
    params,
  );
  return rows.map((row) => Object.fromEntries(names.map((name) => [name, cellOf(row[name]!, columns[name]!)])));
}

const SQL_TYPES: Readonly<Record<Kind, string>> = {
  ...{ text: "text", count: "bigint", rate: "float8", cents: "bigint", flag: "boolean" },
  ...{ time: "timestamptz", day: "date", bytes: "bytea" },
};

// Without its table, the name would refer to the result column, which is text.
function ordered(name: string, columns: Columns): string {
  return columns[name] === "text" ? `t."${name}" collate "C"` : `t."${name}"`;
}

function asText(name: string, kind: Kind): string {
  // Microseconds, so that a time not cut to milliseconds shows.
  if (kind === "time") return `to_char(t."${name}" at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;
  if (kind === "day") return `to_char(t."${name}", 'YYYY-MM-DD')`;
  if (kind === "bytes") return `encode(t."${name}", 'hex')`;
  return `t."${name}"::text`;
}

function cellOf(text: string | null, kind: Kind): Cell {
  if (text === null) return null;
  if (kind === "count" || kind === "rate") return Number(text);
  if (kind === "flag") return text === "true";
  return kind === "time" ? text.replace(/000Z$/, "Z") : text;
}

function shape(
  key: string,
  cutBy: string,
  columns: Columns,
  sketched: readonly string[] = [],
): TableShape {
  return { key: key.split(" "), cutBy, columns, sketched };
}
