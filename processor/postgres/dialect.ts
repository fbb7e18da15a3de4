/**
 * Views in PostgreSQL's SQL: what identifies a row, and how SQL merges added rows with stored ones. The kind of a
 * measure chooses the SQL; a kind that is missing here does not compile.
 * @module
 */
import type { Dimension } from "../columns/batch.ts";
import { BOT_EVENTS, BOT_EVENTS_A_MINUTE } from "../measures/bots.ts";
import type { Measure, MeasureKind } from "../measures/measure.ts";
import { keyOf } from "../translate/flink_view.ts";
import { COLUMN_OF, LONG, SCHEMA } from "../translate/table.ts";
import type { View } from "../views/view.ts";

/** Merges the cells of rows `stored` and `added`: an expression for each column of the measure, in their order. */
type Merge = (columns: readonly string[], stored: string, added: string) => readonly string[];

/** The least or the greatest value; null is none. */
function compared(by: "least" | "greatest"): Merge {
  return (columns, stored, added) => columns.map((column) => `${by}(${stored}.${column}, ${added}.${column})`);
}

const ADDED: Merge = (columns, stored, added) => columns.map((column) => `${stored}.${column} + ${added}.${column}`);

/** The earliest or latest values win. The columns are the values, their time, and the id of their event. */
function picked(wins: "<" | ">"): Merge {
  return (columns, stored, added) => {
    const [at, by] = columns.slice(-2);
    const values = columns.slice(0, -2);
    // Compares as memory does: by time, then by the bytes of the id and the values.
    const end = (row: string) =>
      `(${row}.${at}, ${row}.${by} collate "C", ${
        values.map((value) => `coalesce(${row}.${value}, '') collate "C"`).join(", ")
      })`;
    // A comparison with null is neither true nor false: the stored value stays.
    const isAhead = `${stored}.${at} is null or ${end(added)} ${wins} ${end(stored)}`;
    return columns.map((column) => `case when ${isAhead} then ${added}.${column} else ${stored}.${column} end`);
  };
}

/**
 * The columns are the mark, the number of events on the list, that of all events, and the times of the earliest and the
 * latest one: by them the mark is decided anew, as memory does.
 */
const MARKED: Merge = ([, listed, events, from, to], stored, added) => {
  const sum = (column: string) => `${stored}.${column} + ${added}.${column}`;
  const begin = `least(${stored}.${from}, ${added}.${from})`;
  const end = `greatest(${stored}.${to}, ${added}.${to})`;
  const minutes = `floor(extract(epoch from ${end} - ${begin}) / 60) + 1`;
  const mark = `${sum(listed!)} > 0 or ${sum(events!)} >= ${BOT_EVENTS} and ` +
    `${sum(events!)} > ${BOT_EVENTS_A_MINUTE} * (${minutes})`;
  return [mark, sum(listed!), sum(events!), begin, end];
};

/** How SQL merges each kind of measure; `null` if the state must be read, merged in memory, and written back. */
const MERGES: { readonly [kind in MeasureKind]: Merge | null } = {
  count: ADDED,
  sum: ADDED,
  min: compared("least"),
  max: compared("greatest"),
  first: picked("<"),
  last: picked(">"),
  acquisition: picked("<"),
  bot: MARKED,
  distinct: null,
  funnel: null,
};

/** True if SQL can merge two values of the measure in place. */
export function mergesInSql({ kind }: Measure): boolean {
  return MERGES[kind] !== null;
}

/** SQL that merges the cells of rows `stored` and `added`, by column; omits measures that SQL cannot merge. */
export function mergedBy(view: View, stored: string, added: string): Map<string, string> {
  const expressions = new Map<string, string>();
  for (const [name, measure] of Object.entries(view.measures)) {
    const columns = measure.columns(name).map((column) => column.name);
    const merged = MERGES[measure.kind]?.(columns, stored, added) ?? [];
    merged.forEach((sql, c) => expressions.set(columns[c]!, sql));
  }
  if (view.window.kind === "session") {
    expressions.set("started_at", `least(${stored}.started_at, ${added}.started_at)`);
    expressions.set("ended_at", `greatest(${stored}.ended_at, ${added}.ended_at)`);
  }
  return expressions;
}

/** The columns or expressions of the unique index that identifies the rows of a view's table. */
export function identityOf({ window, by }: View): readonly string[] {
  const key = by.map((dimension) => KEY_OF[dimension] ?? COLUMN_OF[dimension]);
  switch (window.kind) {
    case "session":
      return [...key, "started_at"];
    case "day":
      return ["day", ...key];
    case "tumbling":
    case "hopping":
      return ["window_start", ...key];
  }
}

/**
 * What identifies a dimension where its own column cannot: the hash of a text that may be too long for an index entry.
 * The empty text, which is no valid session id, stands for no session.
 */
export const KEY_OF: { readonly [dimension in Dimension]?: string } = {
  ...Object.fromEntries(LONG.map((dimension) => [dimension, `${COLUMN_OF[dimension]}_key`])),
  session: "coalesce(session_id, '')",
};

/** SQL for the hash of a text. A cast of text to bytea interprets only backslashes, so they are doubled. */
export function hashOf(text: string): string {
  return `sha256(replace(${text}, '\\', '\\\\')::bytea)`;
}

/** SQL that is true if a dimension of table `t` equals `value`. For no session, `value` is null. */
export function keyMatch(dimension: Dimension, value: string): string {
  if (dimension === "session") return `coalesce(t.session_id, '') = coalesce(${value}, '')`;
  // Equal texts have equal hashes.
  if (LONG.includes(dimension)) return `t.${KEY_OF[dimension]} = ${hashOf(value)}`;
  return `t.${COLUMN_OF[dimension]} = ${value}`;
}

/**
 * Statements to run once, as the owner of the schema, so that Flink's upserts find rows of this view by plain columns;
 * line by line, empty if none are needed.
 */
export function flinkPreparation(view: View): readonly string[] {
  const identity = identityOf(view);
  const key = keyOf(view);
  if (key.every((column) => identity.includes(column))) return [];
  const target = `${SCHEMA}.${view.name}`;
  const index = `create unique index flink_${view.name} on ${target} (${key.join(", ")}) nulls not distinct;`;
  if (!view.by.includes("session")) return [index];
  const noSession = `${SCHEMA}.flink_no_session()`;
  return [
    index,
    `create function ${noSession} returns trigger language plpgsql as`,
    `  $$ begin new.session_id := nullif(new.session_id, ''); return new; end $$;`,
    `create trigger flink_no_session before insert on ${target}`,
    `  for each row execute function ${noSession};`,
  ];
}
