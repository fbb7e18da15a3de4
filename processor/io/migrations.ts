/**
 * Brings the schema up to date, or says how far it is.
 * @module
 */
import { createHash } from "node:crypto";
import { Umzug, type UmzugStorage } from "umzug";
import type { Migration } from "../../migrations/mod.ts";
import { DAY_MS } from "../view.ts";
import type { Database } from "./database.ts";

/** Held by whoever migrates, so that two at once don't race. */
const MIGRATION_LOCK = 7_226_914_057;

/** How the schema of a database stands to the migrations of this program. */
export interface SchemaState {
  /** `changed`: a migration that was applied reads otherwise here. `ahead`: the database knows one that is not here. */
  readonly state: "current" | "behind" | "missing" | "ahead" | "changed";
  /** What is missing, unknown or changed, in words. */
  readonly detail: string;
  readonly pending: readonly string[];
}

/** The schema can't be used or brought up to date as it stands. */
export class SchemaMismatch extends Error {
  override readonly name = "SchemaMismatch";
  readonly state: SchemaState["state"];

  constructor({ state, detail }: SchemaState, advice: string) {
    super(`schema clickstream is ${state}: ${detail}. ${advice}`);
    this.state = state;
  }
}

/** Compares the schema with the migrations. Needs no more than to read. */
export async function schemaState(db: Database, migrations: readonly Migration[]): Promise<SchemaState> {
  const applied = await appliedTo(db);
  const pending = migrations.filter(({ name }) => !applied.has(name)).map(({ name }) => name);
  const unknown = [...applied.keys()].filter((name) => !migrations.some((migration) => migration.name === name));
  const changed = migrations.filter(({ name, sql }) => applied.has(name) && applied.get(name) !== checksum(sql));
  const say = (state: SchemaState["state"], detail: string): SchemaState => ({ state, detail, pending });
  if (applied.size === 0) return say("missing", "no migration has been applied");
  if (changed.length > 0) {
    return say("changed", `applied in another version: ${changed.map(({ name }) => name).join(", ")}`);
  }
  if (unknown.length > 0) return say("ahead", `applied by a newer program: ${unknown.join(", ")}`);
  if (pending.length > 0) return say("behind", `not applied: ${pending.join(", ")}`);
  return say("current", `${migrations.length} migrations applied`);
}

/**
 * Throws unless the schema is just what this program needs.
 *
 * @throws {SchemaMismatch} with the command to type
 */
export async function verifySchema(db: Database, migrations: readonly Migration[]): Promise<void> {
  const state = await schemaState(db, migrations);
  if (state.state === "current") return;
  const advice = state.state === "missing" || state.state === "behind"
    ? "Type: clickstream migrate"
    : "Run the version of clickstream that the schema was made by";
  throw new SchemaMismatch(state, advice);
}

/**
 * Applies what is missing, each migration in a transaction of its own, and returns the names.
 *
 * @throws {SchemaMismatch} if what was applied before is not what this program knows
 */
export async function migrate(db: Database, migrations: readonly Migration[]): Promise<readonly string[]> {
  await db.query("select pg_advisory_lock($1::text::bigint)", [String(MIGRATION_LOCK)]);
  try {
    const state = await schemaState(db, migrations);
    if (state.state === "ahead" || state.state === "changed") {
      throw new SchemaMismatch(state, "Nothing was changed. Use the program that applied it");
    }
    const umzug = new Umzug({
      migrations: migrations.map(({ name, sql }) => ({
        name,
        // The version is noted in the same transaction: a migration is applied and known, or neither.
        up: () => db.transaction((tx) => apply(tx, name, sql)),
      })),
      storage: storageIn(db),
      logger: undefined,
    });
    return (await umzug.up()).map(({ name }) => name);
  } finally {
    await db.query("select pg_advisory_unlock($1::text::bigint)", [String(MIGRATION_LOCK)]);
  }
}

/** Makes the daily partitions of `events` from `keepDays` ago to `aheadDays` from now; returns how many were made. */
export async function makePartitions(
  db: Database,
  { nowMs, keepDays, aheadDays }: { nowMs: number; keepDays: number; aheadDays: number },
): Promise<number> {
  const day = (offset: number) => new Date(nowMs + offset * DAY_MS).toISOString().slice(0, 10);
  return await db.transaction(async (tx) => {
    await tx.exec("set local role clickstream_owner");
    const { rows } = await tx.query<{ made: string }>(
      "select clickstream.make_partitions($1::text::date, $2::text::date)::text as made",
      [day(-keepDays), day(aheadDays)],
    );
    return Number(rows[0]!.made);
  });
}

async function apply(tx: Database, name: string, sql: string): Promise<void> {
  await tx.exec(sql);
  await tx.query("insert into clickstream.schema_version (name, checksum) values ($1::text, $2::text)", [
    name,
    checksum(sql),
  ]);
}

function storageIn(db: Database): UmzugStorage {
  return {
    executed: async () => [...(await appliedTo(db)).keys()],
    logMigration: () => Promise.resolve(),
    unlogMigration: () => Promise.reject(new Error("migrations only go forward")),
  };
}

/** Checksums of the applied migrations, by name. */
async function appliedTo(db: Database): Promise<Map<string, string>> {
  const { rows: [found] } = await db.query<{ there: string | null }>(
    "select to_regclass('clickstream.schema_version')::text as there",
  );
  if (found!.there === null) return new Map();
  const { rows } = await db.query<{ name: string; checksum: string }>(
    "select name, checksum from clickstream.schema_version order by name",
  );
  return new Map(rows.map(({ name, checksum }) => [name, checksum]));
}

function checksum(sql: string): string {
  return createHash("sha256").update(sql).digest("hex");
}
