/**
 * Views in PostgreSQL's words: what makes a row one row, and how SQL merges what is added with what is stored. Chosen by
 * the kind of each measure; a kind that is not here does not compile.
 * @module
 */
import type { Dimension } from "../columns/batch.ts";
import type { Measure, MeasureKind } from "../measures/measure.ts";
import { keyOf } from "../translate/flink_view.ts";
import { COLUMN_OF, SCHEMA } from "../translate/table.ts";
import type { View } from "../views/view.ts";

/** The merged cells of two rows, `stored` and `added`: an expression for each of the measure's columns, in their order. */
type Merge = (columns: readonly string[], stored: string, added: string) => readonly string[];

const ADDED: Merge = (columns, stored, added) => columns.map((column) => `${stored}.${column} + ${added}.${column}`);

/** The row at one end of time wins; its columns are the value, its time, and the id of its event. */
function picked(wins: "<" | ">"): Merge {
  return (columns, stored, added) => {
    const [value, at, by] = columns;
    // As memory compares: by time, then by the bytes of the id and of the value.
    const end = (row: string) => `(${row}.${at}, ${row}.${by} collate "C", coalesce(${row}.${value}, '') collate "C")`;
    // Comparing with what is missing is neither true nor false, and leaves what is stored.
    const isAhead = `${stored}.${at} is null or ${end(added)} ${wins} ${end(stored)}`;
    return columns.map((column) => `case when ${isAhead} then ${added}.${column} else ${stored}.${column} end`);
  };
}

/** How SQL merges each kind of measure; `null` for a state that has to be read, merged in memory, and written back. */
const MERGES: { readonly [kind in MeasureKind]: Merge | null } = {
  count: ADDED,
  sum: ADDED,
  first: picked("<"),
  last: picked(">"),
  distinct: null,
  funnel: null,
};

/** True if SQL can merge two values of the measure where they lie. */
export function mergesInSql({ kind }: Measure): boolean {
  return MERGES[kind] !== null;
}

/** How SQL merges the cells of rows `stored` and `added`, by column; without the columns of measures that it can't. */
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

/** The columns, or expressions, of the unique index that tells the rows of a view's table apart. */
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

/** A page may be longer than an entry of an index can be; an absent session is the empty text, which no session is called. */
const KEY_OF: { readonly [dimension in Dimension]?: string } = {
  pagePath: "page_key",
  session: "coalesce(session_id, '')",
};

/** SQL that is true where a row's dimension, a column of the table `t`, equals `value`, which may be null for no session. */
export function keyMatch(dimension: Dimension, value: string): string {
  switch (dimension) {
    case "session":
      return `coalesce(t.session_id, '') = coalesce(${value}, '')`;
    case "pagePath":
      // Equal texts have equal hashes. To bytea a text goes as it is but for backslashes.
      return `t.page_key = sha256(replace(${value}, '\\', '\\\\')::bytea)`;
    default:
      return `t.${COLUMN_OF[dimension]} = ${value}`;
  }
}

/**
 * What PostgreSQL must be told once, as the owner of the schema, so that Flink's upserts find rows of this view by plain
 * columns; line by line, empty if nothing.
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
