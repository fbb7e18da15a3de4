/**
 * Creates or upgrades the schema.
 * @module
 */
import { MIGRATIONS } from "../../migrations/mod.ts";
import type { Settings } from "../config/config.ts";
import {
  currencyInWords,
  CurrencyMismatch,
  currencyUsed,
  useCurrency,
  verifyCurrency,
  whyNotIn,
} from "../postgres/currency.ts";
import type { Database } from "../postgres/database.ts";
import { openPostgres } from "../postgres/postgres.ts";
import { nowAndThen } from "../postgres/locks.ts";
import { limitReaders, makePartitions, migrate, schemaState } from "../postgres/operations/migrations.ts";
import { SchemaMismatch } from "../postgres/schema.ts";
import { setTimeZone, timeZoneOf } from "../postgres/time_zone.ts";
import { type DatabaseSettings, loginTo } from "./cli/connection.ts";
import { EXIT } from "./cli/exit.ts";

/** Settings that `migrate` reads. */
export type MigrateSettings = DatabaseSettings & Settings<"EVENTS_KEEP_DAYS" | "CURRENCY" | "TIME_ZONE">;

/** Days ahead for which `events` has partitions: `maintain` may be late by up to a week. */
export const AHEAD_DAYS = 7;

/**
 * Applies missing migrations and creates the partitions of `events`; with `check` it only prints whether the schema is
 * current. Returns the exit code: 0, or 3 if the schema does not fit this program.
 *
 * @throws {WrongTimeZone} if the tables have days of another time zone
 */
export async function migrateCommand(
  { check }: { readonly check: boolean },
  settings: MigrateSettings,
  out: (line: string) => void,
): Promise<number> {
  const access = { ...loginTo(settings), applicationName: "clickstream migrate" };
  const db = await openPostgres(settings.DATABASE_URL.reveal(), access);
  try {
    if (check) return await say(db, settings, out);
    await bringUpToDate(db, settings, out);
    await adoptCurrency(db, settings.CURRENCY, out);
    return EXIT.done;
  } catch (error) {
    if (!(error instanceof SchemaMismatch || error instanceof CurrencyMismatch)) throw error;
    out(error.message);
    return EXIT.schema;
  } finally {
    await db.close();
  }
}

async function say(
  db: Database,
  { CURRENCY, TIME_ZONE }: MigrateSettings,
  out: (line: string) => void,
): Promise<number> {
  const { state, detail } = await schemaState(db, MIGRATIONS);
  out(`schema clickstream is ${state}: ${detail}`);
  if (state !== "current") return EXIT.schema;
  await verifyCurrency(db, CURRENCY);
  await timeZoneOf(db, TIME_ZONE);
  return EXIT.done;
}

/**
 * Records that revenue is in this currency.
 *
 * @throws {CurrencyMismatch} if revenue in the tables is not, with the command that counts it again
 */
async function adoptCurrency(db: Database, currency: string | null, out: (line: string) => void): Promise<void> {
  const used = await currencyUsed(db);
  if (used === currency) return;
  const why = await whyNotIn(db, currency);
  if (why !== null) {
    throw new CurrencyMismatch(
      `CURRENCY is ${currencyInWords(currency)}, but revenue in the tables is not: ${why}. ` +
        (used === null ? "" : `Set CURRENCY=${used}, or `) +
        "run, with the new CURRENCY and its rates: clickstream rebuild --from DAY",
    );
  }
  await db.transaction(async (tx) => {
    await tx.exec("set local role clickstream_owner");
    await useCurrency(tx, currency);
  });
  out(currency === null ? "revenue is not converted any more" : `revenue is in ${currency} from now on`);
}

async function bringUpToDate(
  db: Database,
  { EVENTS_KEEP_DAYS: keepDays, TIME_ZONE: zone }: MigrateSettings,
  out: (line: string) => void,
): Promise<void> {
  const { applied, already } = await migrate(db, MIGRATIONS);
  for (const name of applied) out(`applied ${name}`);
  out(`schema clickstream is current: ${applied.length} migrations applied now, ${already} before`);
  if (zone !== null) out(`days are those of ${await setTimeZone(db, zone)}`);
  const progress = nowAndThen((count) => out(`created ${count} partitions of events so far`));
  const made = await makePartitions(db, { nowMs: Date.now(), keepDays, aheadDays: AHEAD_DAYS, progress });
  out(`created ${made} partitions of events, from ${keepDays} days ago to ${AHEAD_DAYS} days ahead`);
  for (const { name, limited } of await limitReaders(db)) {
    out(
      limited
        ? `set statement_timeout = 30 s for the read-only role ${name}`
        : `the read-only role ${name} has no statement_timeout; run as an administrator: alter role ${name} set statement_timeout = '30s'`,
    );
  }
}
