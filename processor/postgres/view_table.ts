/**
 * The PostgreSQL table of a view, as the view declares it: what its migration must create, and the rights of each role.
 * @module
 */
import type { Dimension } from "../columns/batch.ts";
import type { Column, Measure } from "../measures/measure.ts";
import { COLUMN_OF, LONG, quoted, tableOf, typeOf } from "../translate/table.ts";
import type { View } from "../views/view.ts";
import { hashOf, identityOf, KEY_OF } from "./dialect.ts";
import { isOfUsers } from "./erase.ts";
import { SCHEMA } from "./schema.ts";

/** A right on the rows of a table. */
export type Right = "select" | "insert" | "update" | "delete";

/** Rights of the service on a view's rows. It deletes only rows by user, when sessions merge or a user is forgotten. */
export function writerRights(view: View): readonly Right[] {
  return ["select", "insert", "update", ...(isOfUsers(view) ? ["delete" as const] : [])];
}

/** Rights of the service on the rows of rollups. */
export const ROLLUP_RIGHTS: readonly Right[] = ["select", "insert", "update"];

/** Rights of readers, such as dashboards. */
export const READER_RIGHTS: readonly Right[] = ["select"];

/**
 * Statements that create the table of a view in a schema: columns, the index that identifies rows, comments, rights.
 * Its migration adds what makes reports fast, such as more indexes and rollups.
 */
export function createTable(view: View, schema: string = SCHEMA): string {
  const { window, key, measured } = tableOf(view);
  const name = `${schema}.${view.name}`;
  const texts = new Map(textColumns(view));
  const column = (of: Column) => definitionOf(of, texts.get(of.name) === "C" ? ' collate "C"' : "");
  const identity = identityOf(view);
  const isPlain = identity.every((part) => /^\w+$/.test(part));
  const columns = [
    ...[...window, ...key].map(column),
    ...view.by.filter((dimension) => LONG.includes(dimension)).map(hashColumn),
    ...measured.map(column),
    ...Object.entries(view.derived ?? {}).map(([of, values]) => `${of} boolean not null ${conditionOf(values)}`),
    ...(view.firsts === undefined ? [] : [`${view.firsts} boolean not null default false`]),
    ...(view.ofBots === undefined ? [] : [
      `${view.ofBots.sessions} integer not null default 0`,
      `${view.ofBots.mark} boolean not null default false`,
    ]),
    ...(isPlain ? [`primary key (${identity.join(", ")})`] : []),
  ];
  // Leaves room in each page for the versions of a row that every commit updates, most of all in open sessions.
  const fillFactor = view.window.kind === "session" ? 70 : 80;
  return [
    `create table ${name} (\n${columns.map((line) => `  ${line}`).join(",\n")}\n) with (fillfactor = ${fillFactor}, ` +
    "autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);",
    // Hashes do not compress, so PostgreSQL must not try.
    ...statesOf(view).map((state) => `alter table ${name} alter column ${state} set storage external;`),
    ...(isPlain ? [] : [`create unique index ${view.name}_key on ${name} (${identity.join(", ")});`]),
    `comment on table ${name} is ${quoted(view.about)};`,
    ...distinctColumns(view).map((of) => `comment on column ${name}.${of} is ${quoted(DISTINCT)};`),
    `grant ${writerRights(view).join(", ")} on ${name} to clickstream_writer;`,
    `grant ${READER_RIGHTS.join(", ")} on ${name} to clickstream_reader;`,
  ].join("\n");
}

/** A column as `create table` and `alter table` take it. */
export function definitionOf({ name, type, nullable, default: value }: Column, collation = ""): string {
  return `${name} ${type}${collation}${nullable ? "" : " not null"}${value === undefined ? "" : ` default ${value}`}`;
}

/** The comment on every column of distinct users. */
const DISTINCT = "Distinct users: exact up to 4,096 in a window and at most 1 % off beyond (standard error).";

function hashColumn(dimension: Dimension): string {
  return `${KEY_OF[dimension]} bytea not null generated always as (${hashOf(COLUMN_OF[dimension])}) stored`;
}

function conditionOf(values: Readonly<Record<string, number>>): string {
  const all = Object.entries(values).map(([column, value]) => `${column} = ${value}`);
  return `generated always as (${all.join(" and ")}) stored`;
}

/** Text columns and their collations: "C" if they are compared or identify rows; long ones are only displayed. */
function textColumns({ by, measures }: View): (readonly [column: string, collation: "C" | "default"])[] {
  const of = (dimension: Dimension) => LONG.includes(dimension) ? "default" as const : "C" as const;
  return [
    ...by.filter((dimension) => typeOf(dimension) === "text")
      .map((dimension) => [COLUMN_OF[dimension], of(dimension)] as const),
    ...Object.entries(measures).flatMap(([name, measure]) =>
      measure.columns(name).filter(({ type }) => type === "text").map((column) =>
        [column.name, column.name === name ? of(measure.of as Dimension) : "C" as const] as const
      )
    ),
  ];
}

function distinctOf({ measures }: View): (readonly [name: string, measure: Measure])[] {
  return Object.entries(measures).filter(([, { kind }]) => kind === "distinct");
}

function distinctColumns(view: View): string[] {
  return distinctOf(view).map(([name]) => name);
}

function statesOf(view: View): string[] {
  return distinctOf(view).flatMap(([name, measure]) => measure.columns(name)).filter(({ type }) => type === "bytea")
    .map(({ name }) => name);
}
