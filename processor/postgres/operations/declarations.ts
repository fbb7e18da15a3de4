/**
 * What a shop has declared in a database: tables of views, columns of goals and funnels, and what a file changes in them.
 * @module
 */
import { columnComments } from "../../declared/comments.ts";
import { contentOf, type DeclaredViews, titleOf, viewsOfDeclared } from "../../declared/file.ts";
import type { SessionMeasure } from "../../declared/goals.ts";
import { type Kind, KINDS } from "../../declared/schema.ts";
import { sessions } from "../../views/sessions.ts";
import type { View } from "../../views/view.ts";
import type { Database } from "../database.ts";
import { otherDeclarations, SCHEMA } from "../schema.ts";
import { createTable, definitionOf } from "../view_table.ts";
import { quoted } from "../../translate/table.ts";

/** What a file changes in one view, goal or funnel. */
export interface Change {
  /** `describe` changes comments alone; `replace` drops the table or the columns and creates others. */
  readonly change: "create" | "describe" | "replace" | "drop";
  readonly kind: Kind;
  readonly name: string;
}

/** The declarations of a database. */
export interface Declarations extends Pick<DeclaredViews, "views" | "ofSessions"> {
  readonly hash: string;
  /** The content of the file, as it is compared. */
  readonly declared: DeclaredViews["declared"];
}

/** The declarations that were applied last. */
export async function declarationsOf(db: Database): Promise<Declarations> {
  const { rows } = await db.query<{ declared: string; hash: string }>(
    `select declared::text as declared, hash from ${SCHEMA}.declarations`,
  );
  return { hash: rows[0]!.hash, ...viewsOfDeclared(JSON.parse(rows[0]!.declared)) };
}

/**
 * Verifies that a database has the declared views of a file, and no others.
 *
 * @param file null without a file
 * @throws {SchemaMismatch} with the command to run
 */
export async function verifyDeclarations(db: Database, file: DeclaredViews | null): Promise<void> {
  const stored = await declarationsOf(db);
  if (stored.hash === (file?.hash ?? "")) return;
  const changes = changesIn(stored, file).map((each) => `${titleOf(each.kind, each.name)} (${IN_WORDS[each.change]})`);
  throw otherDeclarations(`: ${changes.join(", ")}`);
}

const IN_WORDS: { readonly [change in Change["change"]]: string } = {
  create: "only in the file",
  describe: "other descriptions",
  replace: "other in the file",
  drop: "only in the database",
};

/** What applying a file would change, in the order of its declarations; of each kind, those that it lacks come last. */
export function changesIn({ declared }: Pick<Declarations, "declared">, file: DeclaredViews | null): Change[] {
  return KINDS.flatMap((kind) => {
    const before = new Map(declared[`${kind}s`].map((each) => [each.name, each]));
    const changes = (file?.declared[`${kind}s`] ?? []).flatMap((now): Change[] => {
      const { name } = now;
      const known = before.get(name);
      before.delete(name);
      if (known === undefined) return [{ change: "create", kind, name }];
      const [old, wanted] = [known, now].map((each) => contentOf({ ...each, description: "" }));
      if (old !== wanted) return [{ change: "replace", kind, name }];
      return known.description === now.description ? [] : [{ change: "describe", kind, name }];
    });
    return [...changes, ...[...before.keys()].map((name): Change => ({ change: "drop", kind, name }))];
  });
}

/** Names of new views that another table, or an index, already has. */
export async function takenNames(db: Database, changes: readonly Change[]): Promise<string[]> {
  const names = changes.filter(({ change, kind }) => change === "create" && kind === "view").map(({ name }) => name);
  const { rows } = await db.query<{ name: string }>(
    `select v.name from jsonb_array_elements_text($1::jsonb) as v(name)
      where to_regclass(format('${SCHEMA}.%I', v.name)) is not null`,
    [JSON.stringify(names)],
  );
  return rows.map(({ name }) => name);
}

/** Titles of what loses its counts. */
export function emptied(changes: readonly Change[]): string[] {
  return changes.filter(({ change }) => change === "replace" || change === "drop").map(({ kind, name }) =>
    titleOf(kind, name)
  );
}

/**
 * Makes the tables and columns of a file, in one transaction. Commits wait for it, and those of a program with other
 * declarations fail after it. Columns have constant defaults, so no row of sessions is written anew.
 *
 * @param db its own connection with a short `lock_timeout`
 * @param mayDrop whether counts may be dropped
 * @throws {Error} naming what it would drop
 */
export async function applyDeclarations(db: Database, file: DeclaredViews, mayDrop: boolean): Promise<Change[]> {
  return await db.transaction(async (tx) => {
    await tx.exec(`set local role clickstream_owner; lock table ${SCHEMA}.declarations in access exclusive mode`);
    const stored = await declarationsOf(tx);
    const changes = changesIn(stored, file);
    const dropped = emptied(changes);
    if (dropped.length > 0 && !mayDrop) {
      throw new Error(
        `could not apply ${file.file}: it drops the counts of ${dropped.join(", ")}; nothing was changed`,
      );
    }
    // First what is dropped: a new funnel may have the column of an old one.
    for (const { change, ...of } of changes) {
      if (change === "drop" || change === "replace") await tx.exec(dropping(of, stored));
    }
    for (const { change, ...of } of changes) {
      if (change === "create" || change === "replace") await tx.exec(creating(of, file));
      if (change !== "drop") await tx.exec(describing(of, file));
    }
    await tx.query(`update ${SCHEMA}.declarations set declared = $1::jsonb, hash = $2::text, applied_at = now()`, [
      JSON.stringify(file.declared),
      file.hash,
    ]);
    return changes;
  });
}

/** Something declared. */
type Of = Pick<Change, "kind" | "name">;
type In = Pick<DeclaredViews, "views" | "ofSessions">;

function viewIn({ views }: In, { name }: Of): View {
  return views.find((view) => view.name === name)!;
}

function measureIn({ ofSessions }: In, { kind, name }: Of): SessionMeasure {
  return ofSessions.find((each) => each.kind === kind && each.name === name)!;
}

const SESSIONS = `${SCHEMA}.${sessions.name}`;

function dropping(of: Of, stored: In): string {
  if (of.kind === "view") return `drop table ${SCHEMA}.${of.name}`;
  const { measure, column } = measureIn(stored, of);
  return `alter table ${SESSIONS} ${measure.columns(column).map(({ name }) => `drop column ${name}`).join(", ")}`;
}

function creating(of: Of, file: In): string {
  if (of.kind === "view") return createTable(viewIn(file, of));
  const { measure, column } = measureIn(file, of);
  return `alter table ${SESSIONS} ${
    measure.columns(column).map((each) => `add column ${definitionOf(each)}`).join(", ")
  }`;
}

function describing(of: Of, file: In): string {
  const comments = ([column, text]: readonly [string, string]) =>
    `comment on column ${of.kind === "view" ? `${SCHEMA}.${of.name}` : SESSIONS}.${column} is ${quoted(text)};`;
  if (of.kind !== "view") return Object.entries(measureIn(file, of).comments).map(comments).join("\n");
  const view = viewIn(file, of);
  return [
    `comment on table ${SCHEMA}.${view.name} is ${quoted(view.about)};`,
    ...Object.entries(columnComments(view)).map(comments),
  ].join("\n");
}
