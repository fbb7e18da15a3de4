/**
 * Reads what can be exported: reports of a time, and tables with a column of time.
 * @module
 */
import type { Column, Row } from "../../export/rows.ts";
import type { Database } from "../database.ts";

/** Something that can be exported. */
export interface Exportable {
  readonly name: string;
  readonly columns: readonly Column[];
  /** Whether it counts people only, unless it is asked for bots too; a table has the rows of both. */
  readonly countsPeople: boolean;
  /** The rows of a time, as a `from` item of SQL and what follows it. */
  source(asked: Asked): string;
}

/** What of it is asked for. */
export interface Asked {
  /** Epoch milliseconds. */
  readonly fromMs: number;
  /** Epoch milliseconds; not in it. */
  readonly toMs: number;
  /** Whether a report counts bots too. */
  readonly bots?: boolean;
}

/** Rows that are fetched at a time. */
const FETCHED_ROWS = 5_000;

/** Columns by which a table is cut; the first one that it has. */
const TIMES = ["window_start", "event_time", "started_at", "day", "refused_at"];

const TYPES: Readonly<Record<string, Column["type"]>> = {
  "smallint": "integer",
  "integer": "integer",
  "bigint": "bigint",
  "double precision": "double",
  "boolean": "boolean",
  "timestamp with time zone": "time",
  "date": "day",
  "text": "text",
};

interface ColumnRow {
  readonly name: string;
  /** Type of the times that a report is asked for; null for a table. */
  readonly argument: string | null;
  readonly has_bots: boolean;
  readonly column: string;
  readonly type: string;
}

/** Everything that the login may read and export, by name. */
export async function exportables(db: Database): Promise<Map<string, Exportable>> {
  const { rows } = await db.query<ColumnRow>(
    `select p.proname::text as name, (p.proargtypes)[0]::regtype::text as argument,
            'bots' = any (p.proargnames) as has_bots, a.name as column, a.type::regtype::text as type, a.n
       from pg_proc p, unnest(p.proargnames, p.proargmodes, p.proallargtypes) with ordinality as a (name, mode, type, n)
      where p.pronamespace = 'clickstream'::regnamespace and p.proretset
        and p.pronargs - p.pronargdefaults = 2 and a.mode = 't'
        and (p.proargtypes)[0] = (p.proargtypes)[1]
        and (p.proargtypes)[0] in ('timestamptz'::regtype, 'date'::regtype)
        and has_function_privilege(p.oid, 'execute')
     union all
     select c.relname, null, false, a.attname, format_type(a.atttypid, null), a.attnum
       from pg_class c join pg_attribute a on a.attrelid = c.oid
      where c.relnamespace = 'clickstream'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
        and a.attnum > 0 and not a.attisdropped and has_table_privilege(c.oid, 'select')
      order by 1, 6`,
  );
  const found = new Map<string, Exportable>();
  for (const [name, columns] of Map.groupBy(rows, ({ name }) => name)) {
    const source = sourceOf(name, columns);
    // The rest of the columns, only the processor can read.
    const read = columns.filter(({ type }) => type !== "bytea");
    if (source === null) continue;
    found.set(name, {
      name,
      source,
      countsPeople: columns[0]!.has_bots,
      columns: read.map(({ column, type }) => ({ name: column, type: TYPES[type] ?? "text" })),
    });
  }
  return found;
}

/** Null for a table without a time. */
function sourceOf(name: string, columns: readonly ColumnRow[]): Exportable["source"] | null {
  const from = `clickstream.${quoted(name)}`;
  const { argument } = columns[0]!;
  if (argument !== null) {
    return ({ fromMs, toMs, bots = false }) => {
      const times = [fromMs, toMs].map((ms) => literal(ms, argument)).join(", ");
      return `${from}(${times}${bots ? ", bots => true" : ""}) t`;
    };
  }
  const time = TIMES.find((name) => columns.some(({ column }) => column === name));
  if (time === undefined) return null;
  const { type } = columns.find(({ column }) => column === time)!;
  return ({ fromMs, toMs }) =>
    `${from} t where t.${time} >= ${literal(fromMs, type)} and t.${time} < ${literal(toMs, type)} order by t.${time}`;
}

/** A time, or for a date the shop's day that contains it. */
function literal(ms: number, type: string): string {
  const time = `'${new Date(ms).toISOString()}'::timestamptz`;
  return type === "date" ? `clickstream.day_of(${time})` : time;
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** Reads the rows of a time, as of one moment, in pieces. */
export async function readExport(
  db: Database,
  exported: Exportable,
  asked: Asked,
  take: (rows: readonly Row[]) => Promise<void>,
): Promise<void> {
  const list = exported.columns.map(({ name, type }, n) => `${textOf(`t.${quoted(name)}`, type)} as c${n}`);
  await db.transaction(async (tx) => {
    await tx.exec("set transaction read only");
    await tx.exec(`declare exported no scroll cursor for select ${list.join(", ")} from ${exported.source(asked)}`);
    for (;;) {
      const { rows } = await tx.query<Record<string, string | null>>(`fetch ${FETCHED_ROWS} from exported`);
      if (rows.length === 0) return;
      await take(rows.map((row) => list.map((_, n) => row[`c${n}`]!)));
    }
  });
}

function textOf(column: string, type: Column["type"]): string {
  if (type === "time") return `to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;
  return type === "day" ? `to_char(${column}, 'YYYY-MM-DD')` : `${column}::text`;
}
