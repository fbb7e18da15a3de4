/**
 * Brings the schema up to date, or says how far it is.
 * @module
 */
import { createHash } from "node:crypto";
import type { UmzugStorage } from "umzug";
import type { Migration } from "../../../migrations/mod.ts";
import { DAY_MS } from "../../views/view.ts";
import { lockToTheEnd } from "../advisory_locks.ts";
import type { Database } from "../database.ts";
import { databaseError } from "../database_errors.ts";

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

/** What `migrate` did. */
export interface Migrated {
  /** Names of the migrations that it applied, in order. */
  readonly applied: readonly string[];
  /** How many had been applied before. */
  readonly already: number;
}

/**
 * Applies what is missing, each migration in a transaction of its own. Of two at once, one waits for the other with each.
 *
 * @throws {SchemaMismatch} if what was applied before is not what this program knows
 */
export async function migrate(db: Database, migrations: readonly Migration[]): Promise<Migrated> {
  const state = await schemaState(db, migrations);
  if (state.state === "ahead" || state.state === "changed") {
    throw new SchemaMismatch(state, "Nothing was changed. Use the program that applied it");
  }
  // Only where it is needed, since it brings half a megabyte of its own command line.
  const { MigrationError, Umzug } = await import("umzug");
  const applied: string[] = [];
  const umzug = new Umzug({
    migrations: migrations.map(({ name, sql }) => ({
      name,
      up: async () => {
        if (await apply(db, name, sql)) applied.push(name);
      },
    })),
    storage: storageIn(db),
    logger: undefined,
  });
  await umzug.up().catch((error) => {
    throw error instanceof MigrationError ? error.cause : error;
  });
  return { applied, already: migrations.length - applied.length };
}

/** A user who only reads, and had no time limit. */
export interface Reader {
  readonly name: string;
  /** Whether it has one now; if not, we may not alter it. */
  readonly limited: boolean;
}

/** Gives the users who only read, and have no time limit of their own, that of `clickstream_reader`. */
export async function limitReaders(db: Database): Promise<readonly Reader[]> {
  const { rows } = await db.query<Reader>("select reader as name, limited from clickstream.limit_readers()");
  return rows;
}

/**
 * Partitions made or dropped in one transaction. Each takes some six locks, and the table of locks, which all databases
 * of a server share, has room for 6,400 by default.
 */
export const PORTION = 50;

/** Which partitions to make, and how. */
export interface PartitionsWanted {
  readonly nowMs: number;
  readonly keepDays: number;
  readonly aheadDays: number;
  /** Runs each portion, such as again when a lock was not to be had; without it, once. */
  readonly attempt?: (portion: () => Promise<number>) => Promise<number>;
  /** Is told how many have been made so far, after each portion. */
  readonly progress?: (made: number) => void;
}

/**
 * Makes the daily partitions of `events` from `keepDays` ago to `aheadDays` from now, in portions with a transaction each;
 * returns how many were made. Ended anywhere and run again, it goes on.
 */
export async function makePartitions(
  db: Database,
  { nowMs, keepDays, aheadDays, attempt = (portion) => portion(), progress = () => {} }: PartitionsWanted,
): Promise<number> {
  const day = (offset: number) => new Date(nowMs + offset * DAY_MS).toISOString().slice(0, 10);
  let made = 0;
  // The latest first, which are written to.
  for (let to = aheadDays; to >= -keepDays; to -= PORTION) {
    const from = Math.max(-keepDays, to - PORTION + 1);
    made += await attempt(() =>
      db.transaction(async (tx) => {
        await tx.exec("set local role clickstream_owner");
        const { rows } = await tx.query<{ made: number }>(
          "select clickstream.make_partitions($1, $2) as made",
          [day(from), day(to)],
        );
        return rows[0]!.made;
      })
    );
    progress(made);
  }
  return made;
}

/** Applies a migration, unless another has done so while it waited; returns whether it did. */
async function apply(db: Database, name: string, sql: string): Promise<boolean> {
  try {
    return await db.transaction(async (tx) => {
      // A lock of the transaction's, which a pooler of connections can't leave to somebody else.
      await lockToTheEnd(tx, "migration");
      if ((await appliedTo(tx)).has(name)) return false;
      // No object of another schema takes the place of one that is meant.
      await tx.exec("set local search_path = pg_catalog, pg_temp");
      await tx.exec(sql);
      // Noted in the same transaction: a migration is applied and known, or neither.
      await tx.query("insert into clickstream.schema_version (name, checksum) values ($1, $2)", [name, checksum(sql)]);
      return true;
    });
  } catch (error) {
    throw databaseError(error, `apply migration ${name}`);
  }
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
  // Asked of the table of tables: a name that was not there is remembered, and looked up anew only where a table is read.
  const { rowCount } = await db.query(
    `select from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = 'clickstream' and c.relname = 'schema_version'`,
  );
  if (rowCount === 0) return new Map();
  const { rows } = await db.query<{ name: string; checksum: string }>(
    "select name, checksum from clickstream.schema_version order by name",
  );
  return new Map(rows.map(({ name, checksum }) => [name, checksum]));
}

function checksum(sql: string): string {
  return createHash("sha256").update(sql).digest("hex");
}
