/**
 * The declared views of a database: their tables, and what a file of declarations changes in them.
 * @module
 */
import { contentOf, type DeclaredViews, viewsOfDeclared } from "../../declared/file.ts";
import { columnComments } from "../../declared/comments.ts";
import type { View } from "../../views/view.ts";
import type { Database } from "../database.ts";
import { otherDeclarations, SCHEMA } from "../schema.ts";
import { createTable, quoted } from "../view_table.ts";

/** What a file changes in one view. */
export interface Change {
  /** `describe` changes comments alone; `replace` drops the table and creates another. */
  readonly kind: "create" | "describe" | "replace" | "drop";
  readonly view: View;
}

/** The declarations of a database. */
export interface Declarations {
  readonly hash: string;
  readonly views: readonly View[];
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
  const names = changesIn(stored, file).map(({ kind, view }) => `${view.name} (${IN_WORDS[kind]})`);
  throw otherDeclarations(`: ${names.join(", ")}`);
}

const IN_WORDS: { readonly [kind in Change["kind"]]: string } = {
  create: "only in the file",
  describe: "other descriptions",
  replace: "other in the file",
  drop: "only in the database",
};

/** What applying a file would change, in the order of its views; those that it lacks come last. */
export function changesIn(stored: Pick<Declarations, "declared" | "views">, file: DeclaredViews | null): Change[] {
  const wanted = file?.declared.views ?? [];
  const before = new Map(stored.declared.views.map((view) => [view.name, view]));
  const changes = wanted.flatMap((declared, n): Change[] => {
    const view = file!.views[n]!;
    const known = before.get(declared.name);
    before.delete(declared.name);
    if (known === undefined) return [{ kind: "create", view }];
    const [old, now] = [known, declared].map((each) => contentOf({ ...each, description: "" }));
    if (old !== now) return [{ kind: "replace", view }];
    return known.description === declared.description ? [] : [{ kind: "describe", view }];
  });
  const dropped = stored.views.filter(({ name }) => before.has(name));
  return [...changes, ...dropped.map((view): Change => ({ kind: "drop", view }))];
}

/** Names of new views that another table, or an index, already has. */
export async function takenNames(db: Database, changes: readonly Change[]): Promise<string[]> {
  const names = changes.filter(({ kind }) => kind === "create").map(({ view }) => view.name);
  const { rows } = await db.query<{ name: string }>(
    `select v.name from jsonb_array_elements_text($1::jsonb) as v(name)
      where to_regclass(format('${SCHEMA}.%I', v.name)) is not null`,
    [JSON.stringify(names)],
  );
  return rows.map(({ name }) => name);
}

/** Names of the views that lose their rows. */
export function emptied(changes: readonly Change[]): string[] {
  return changes.filter(({ kind }) => kind === "replace" || kind === "drop").map(({ view }) => view.name);
}

/**
 * Makes the tables of a file, in one transaction. Commits wait for it, and those of a program with other declarations
 * fail after it.
 *
 * @param db its own connection with a short `lock_timeout`
 * @param mayDrop whether rows may be dropped
 * @throws {Error} naming the views whose rows it would drop
 */
export async function applyDeclarations(db: Database, file: DeclaredViews, mayDrop: boolean): Promise<Change[]> {
  return await db.transaction(async (tx) => {
    await tx.exec(`set local role clickstream_owner; lock table ${SCHEMA}.declarations in access exclusive mode`);
    const changes = changesIn(await declarationsOf(tx), file);
    const dropped = emptied(changes);
    if (dropped.length > 0 && !mayDrop) {
      throw new Error(`could not apply ${file.file}: it drops the rows of ${dropped.join(", ")}; nothing was changed`);
    }
    for (const { kind, view } of changes) {
      const table = `${SCHEMA}.${view.name}`;
      if (kind === "drop" || kind === "replace") await tx.exec(`drop table ${table}`);
      if (kind === "create" || kind === "replace") await tx.exec(createTable(view));
      if (kind !== "drop") await tx.exec(commentsOn(view));
    }
    await tx.query(`update ${SCHEMA}.declarations set declared = $1::jsonb, hash = $2::text, applied_at = now()`, [
      JSON.stringify(file.declared),
      file.hash,
    ]);
    return changes;
  });
}

function commentsOn(view: View): string {
  const table = `${SCHEMA}.${view.name}`;
  return [
    `comment on table ${table} is ${quoted(view.about)};`,
    ...Object.entries(columnComments(view)).map(([column, text]) =>
      `comment on column ${table}.${column} is ${quoted(text)};`
    ),
  ].join("\n");
}
