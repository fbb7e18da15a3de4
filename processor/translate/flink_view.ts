/**
 * A view in Flink SQL: the table that it writes to, and the query that fills it.
 * @module
 */
import { BOT_EVENTS, BOT_EVENTS_A_MINUTE } from "../measures/bots.ts";
import type { Column, Filter, Measure } from "../measures/measure.ts";
import type { View } from "../views/view.ts";
import { type Dimension, OPTIONAL, type Quantity } from "../columns/batch.ts";
import { BETWEEN, condition, type Connector, HAPPENED, interval, QUANTITY_COLUMN, table } from "./flink_events.ts";
import { COLUMN_OF, LONG, quoted, SCHEMA, tableOf } from "./table.ts";

/** Longest texts that fit into an index entry, in bytes. */
const MAX_INDEXED_BYTES = 2600;

const TYPE_OF: { readonly [type in Column["type"]]: string } = {
  bigint: "BIGINT",
  smallint: "SMALLINT",
  boolean: "BOOLEAN",
  text: "STRING",
  timestamptz: "TIMESTAMP(3)",
  date: "DATE",
  bytea: "BYTES",
};

/** A name in quotes, because any name of a shop's own may be a keyword of Flink SQL. */
function identifier(name: string): string {
  return `\`${name}\``;
}

/** A view's key columns, for Flink's upsert. */
export function keyOf(view: View): string[] {
  const { window, key } = tableOf(view);
  const [start, names] = [window[0]!.name, key.map(({ name }) => name)];
  return view.window.kind === "session" ? [...names, start] : [start, ...names];
}

/** The sink of a view. */
export function sinkTable(view: View, database: Connector): string {
  const known = tableOf(view);
  const key = keyOf(view);
  const translated = new Set(
    Object.entries(view.measures).flatMap(([name, measure]) => {
      const texts = unpacked(identifier(name), measure);
      return measure.columns(name).filter((_, c) => texts[c] !== undefined).map((column) => column.name);
    }),
  );
  // Columns without translation may be null.
  const measured = known.measured.filter(({ name }) => translated.has(name));
  const all = [...known.window, ...known.key, ...measured];
  const columns = all.map(({ name, type }) =>
    `${identifier(name)} ${TYPE_OF[type]}${key.includes(name) ? " NOT NULL" : ""}`
  );
  return table(identifier(view.name), [...columns, `PRIMARY KEY (${key.map(identifier).join(", ")}) NOT ENFORCED`], {
    connector: "jdbc",
    ...database,
    "table-name": `${SCHEMA}.${view.name}`,
  });
}

/** What the queries depend on besides their views. */
export interface QueryOptions {
  /** How long events are kept, in milliseconds. */
  readonly keepMs: number;
  /** Name of the time zone of days (default: UTC). */
  readonly timeZone?: string;
}

/** The query that fills the sink of a view. */
export function insertOf(view: View, options: QueryOptions): string {
  const { source, group, columns } = windowOf(view, options);
  const dimensions = view.by.map((dimension) => COLUMN_OF[dimension]);
  const measures = Object.entries(view.measures);
  const filters = [
    ...(view.where === undefined ? [] : [condition(view.where)]),
    ...view.by.filter((dimension) => LONG.includes(dimension)).map(fitsIndex),
  ];
  const inner = [...group.map(([sql, name]) => sql === name ? name : `${sql} AS ${name}`), ...dimensions];
  const outer = new Map<string, string>(columns.map(([name, sql]) => [identifier(name), sql]));
  for (const dimension of view.by) {
    const column = COLUMN_OF[dimension];
    outer.set(column, dimension === "session" ? `COALESCE(${column}, '')` : column);
  }
  for (const [name, measure] of measures) {
    const texts = unpacked(identifier(name), measure, outer);
    measure.columns(name).forEach((column, c) => {
      const known = identifier(column.name);
      if (texts[c] !== undefined && !outer.has(known)) outer.set(known, texts[c]);
    });
  }
  return [
    `-- ${view.about}`,
    `INSERT INTO ${identifier(view.name)} (${[...outer.keys()].join(", ")})`,
    `SELECT\n  ${[...outer].map(([name, sql]) => sql === name ? name : `${sql} AS ${name}`).join(",\n  ")}`,
    "FROM (",
    `  SELECT${source.hint} ${inner.join(", ")},`,
    `    ${
      measures.flatMap(([name, measure]) => {
        const sql = aggregate(measure);
        return sql === null ? [] : [`${sql} AS ${identifier(name)}`];
      }).join(",\n    ")
    }`,
    `  FROM ${source.from}`,
    ...(filters.length === 0 ? [] : [`  WHERE ${filters.join(" AND ")}`]),
    `  GROUP BY ${[...group.map(([sql]) => sql), ...dimensions].join(", ")}`,
    ");",
  ].join("\n");
}

/** Base64 has four characters for three bytes. */
function fitsIndex(dimension: Dimension, _: number, { length }: readonly Dimension[]): string {
  return `CHAR_LENGTH(TO_BASE64(${COLUMN_OF[dimension]})) <= ${Math.floor(MAX_INDEXED_BYTES / length / 3) * 4}`;
}

interface Windowed {
  readonly source: { readonly from: string; readonly hint: string };
  /** Group by expressions besides dimensions: expression and name. */
  readonly group: readonly (readonly [sql: string, name: string])[];
  /** The window's columns in the table, and their expressions. */
  readonly columns: readonly (readonly [name: string, sql: string])[];
}

function windowOf({ window, by }: View, { keepMs, timeZone = "UTC" }: QueryOptions): Windowed {
  const cut = (name: string, lengths: readonly number[], partition = "") => ({
    source: {
      from: `TABLE(${name}(TABLE events${partition}, DESCRIPTOR(event_time), ${lengths.map(interval).join(", ")}))`,
      hint: "",
    },
    group: [["window_start", "window_start"], ["window_end", "window_end"]] as const,
  });
  const start = ["window_start", "window_start"] as const;
  switch (window.kind) {
    case "tumbling":
      return { ...cut("TUMBLE", [window.widthMs]), columns: [start] };
    case "hopping":
      return { ...cut("HOP", [window.everyMs, window.widthMs]), columns: [start, ["window_end", "window_end"]] };
    case "session": {
      const partition = ` PARTITION BY (${by.map((dimension) => COLUMN_OF[dimension]).join(", ")})`;
      return {
        ...cut("SESSION", [window.gapMs], partition),
        columns: [["started_at", "window_start"], ["ended_at", `window_end - ${interval(window.gapMs)}`]],
      };
    }
    case "day": {
      const local = `CONVERT_TZ(DATE_FORMAT(event_time, 'yyyy-MM-dd HH:mm:ss'), 'UTC', ${quoted(timeZone)})`;
      const date = timeZone === "UTC" ? "CAST(event_time AS DATE)" : `TO_DATE(${local}, 'yyyy-MM-dd HH:mm:ss')`;
      // Not a window that ends, but a running sum: it includes the current day and late events.
      return {
        source: { from: "events", hint: ` /*+ STATE_TTL('events' = '${Math.ceil(keepMs / 86_400_000) + 1} d') */` },
        group: [[date, identifier("day")]],
        columns: [["day", identifier("day")]],
      };
    }
  }
}

/** A measure as an aggregate, or as a text with all that it needs; null without a translation. */
function aggregate(measure: Measure): string | null {
  const filter = condition(measure.where);
  const only = filter === "" ? "" : ` FILTER (WHERE ${filter})`;
  switch (measure.kind) {
    case "count":
      return `COUNT(*)${only}`;
    case "min":
    case "max":
      return `${measure.kind.toUpperCase()}(${QUANTITY_COLUMN[measure.of as Quantity]})${only}`;
    case "sum":
      return `COALESCE(SUM(${QUANTITY_COLUMN[measure.of as Quantity]})${only}, 0)`;
    case "distinct":
      return `COUNT(DISTINCT ${COLUMN_OF.user})${only}`;
    case "first":
    case "last": {
      const value = `COALESCE(${COLUMN_OF[measure.of as Dimension]}, '')`;
      return `${measure.kind === "first" ? "MIN" : "MAX"}(place || ${BETWEEN} || ${value})${only}`;
    }
    case "funnel": {
      const types = typesOf(measure.steps!);
      if (types === null) return null;
      const steps = types.map((type, s) => `WHEN ${quoted(type)} THEN ${quoted(letter(s))}`).join(" ");
      const trail = `${HAPPENED} || CASE ${COLUMN_OF.type} ${steps} END`;
      return `ARRAY_JOIN(ARRAY_SORT(ARRAY_AGG(${trail}) FILTER (WHERE ${condition({ type: types })})), '')`;
    }
    case "bot":
      return `COUNT(*) FILTER (WHERE ${COLUMN_OF.bot})`;
    case "acquisition":
      return null;
  }
}

/**
 * The columns of a measure from its aggregate; undefined for a column without translation.
 *
 * @param known the columns before it, and their expressions
 */
function unpacked(
  name: string,
  measure: Measure,
  known: ReadonlyMap<string, string> = new Map(),
): readonly (string | undefined)[] {
  const part = (n: number) => `SPLIT_INDEX(${name}, ${BETWEEN}, ${n})`;
  switch (measure.kind) {
    case "distinct":
      return [name, "CAST(X'' AS BYTES)"];
    case "first":
    case "last": {
      const value = OPTIONAL.includes(measure.of as Dimension) ? `NULLIF(${part(2)}, '')` : part(2);
      return [value, `CAST(${part(0)} AS TIMESTAMP(3))`, part(1)];
    }
    case "funnel": {
      if (typesOf(measure.steps!) === null) return [];
      const reached = measure.steps!.map((_, s) => {
        const steps = Array.from({ length: s + 1 }, (_, n) => letter(n)).join(".*");
        return `WHEN REGEXP(${name}, ${quoted(steps)}) THEN ${s + 1}`;
      });
      return [`CAST(CASE ${reached.reverse().join(" ")} ELSE 0 END AS SMALLINT)`];
    }
    case "bot": {
      const [, , events, from, to] = measure.columns(name).map(({ name: column }) =>
        known.get(identifier(column)) ?? identifier(column)
      );
      const rate = `${events} > ${BOT_EVENTS_A_MINUTE} * (TIMESTAMPDIFF(MINUTE, ${from}, ${to}) + 1)`;
      return [`${name} > 0 OR ${events} >= ${BOT_EVENTS} AND ${rate}`, name];
    }
    case "count":
    case "sum":
    case "min":
    case "max":
      return [name];
    case "acquisition":
      return [];
  }
}

/** The event types of a funnel's steps; null if a step is anything else, or an event could be two of them. */
function typesOf(steps: readonly Filter[]): readonly string[] | null {
  const types = steps.map(({ type, ...others }) =>
    type?.length === 1 && Object.keys(others).length === 0 ? type[0]! : null
  );
  const texts = types.filter((type) => typeof type === "string");
  return new Set(texts).size === steps.length ? texts : null;
}

/** The letter of a funnel step in a session's trail, which writes times in digits. */
function letter(step: number): string {
  return String.fromCharCode(97 + step);
}
