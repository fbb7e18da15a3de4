/**
 * Brings the schema up to date, or reports its state.
 * @module
 */
import { createHash } from "node:crypto";
import type { UmzugStorage } from "umzug";
import type { Migration } from "../../../migrations/mod.ts";
import { DAY_MS } from "../../views/view.ts";
import { lockToTheEnd } from "../advisory_locks.ts";
import type { Database } from "../database.ts";
import { databaseError } from "../database_errors.ts";
import { SchemaMismatch, type SchemaState } from "../schema.ts";

/** Compares the schema with the migrations. Needs only the right to read. */
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
 * Verifies that the schema is exactly the one that this program needs.
 *
 * @throws {SchemaMismatch} with the command to run
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
  /** Names of the applied migrations, in order. */
  readonly applied: readonly string[];
  /** Number of migrations that were applied before. */
  readonly already: number;
}

/**
 * Applies the pending migrations, each in its own transaction. Two runs at once wait for each other at each migration.
 *
 * @throws {SchemaMismatch} if the schema is ahead or changed
 */
export async function migrate(db: Database, migrations: readonly Migration[]): Promise<Migrated> {
  const state = await schemaState(db, migrations);
  if (state.state === "ahead" || state.state === "changed") {
    throw new SchemaMismatch(state, "Nothing was changed. Use the program that applied it");
  }
  const { MigrationError, Umzug } = await import("./umzug.ts");
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

/** A database user who only reads, and had no time limit. */
export interface Reader {
  readonly name: string;
  /** True if it has one now; false if this login has no right to alter the user. */
  readonly limited: boolean;
}

/** Gives the time limit of `clickstream_reader` to users who only read and have none. */
export async function limitReaders(db: Database): Promise<readonly Reader[]> {
  const { rows } = await db.query<Reader>("select reader as name, limited from clickstream.limit_readers()");
  return rows;
}

/**
 * Partitions that one transaction creates or drops. Each takes about six locks. The lock table, which all databases of
 * a server share, has room for 6,400 by default.
 */
export const PORTION = 50;

/** Which partitions to create, and how. */
export interface PartitionsWanted {
  readonly nowMs: number;
  readonly keepDays: number;
  readonly aheadDays: number;
  /** Runs each portion, for example with retries after a lock timeout (default: once). */
  readonly attempt?: (portion: () => Promise<number>) => Promise<number>;
  /** Called after each portion with the number of partitions created so far. */
  readonly progress?: (made: number) => void;
}

/**
 * Creates the daily partitions of `events` from `keepDays` ago to `aheadDays` from now, in portions of one transaction
 * each; returns how many were created. After it was killed, the next run continues.
 */
export async function makePartitions(
  db: Database,
  { nowMs, keepDays, aheadDays, attempt = (portion) => portion(), progress = () => {} }: PartitionsWanted,
): Promise<number> {
  const day = (offset: number) => new Date(nowMs + offset * DAY_MS).toISOString().slice(0, 10);
  let made = 0;
  // The latest come first, because the service writes to them.
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

/** Applies a migration; returns false if another session applied it while this one waited for the lock. */
async function apply(db: Database, name: string, sql: string): Promise<boolean> {
  try {
    return await db.transaction(async (tx) => {
      // A transaction-level lock: a connection pooler cannot pass it on to another client.
      await lockToTheEnd(tx, "migration");
      if ((await appliedTo(tx)).has(name)) return false;
      // Keeps objects of other schemas from being used by mistake.
      await tx.exec("set local search_path = pg_catalog, pg_temp");
      await tx.exec(sql);
      // In the same transaction: a migration is both applied and recorded, or neither.
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
  // Asks the catalogue: after a failed lookup a session caches that the name is missing, until it reads a table.
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
