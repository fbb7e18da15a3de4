/**
 * Checks that the schema fits this program.
 * @module
 */
import { MIGRATIONS } from "../../../migrations/mod.ts";
import type { Database } from "../database.ts";
import { SchemaMismatch, verifySchema } from "./migrations.ts";

/** Returns true if the schema fits this program; otherwise prints what is wrong and what to run, and returns false. */
export async function ready(db: Database, writeError: (text: string) => void): Promise<boolean> {
  try {
    await verifySchema(db, MIGRATIONS);
    return true;
  } catch (error) {
    if (!(error instanceof SchemaMismatch)) throw error;
    writeError(`clickstream: ${error.message}\n`);
    return false;
  }
}
