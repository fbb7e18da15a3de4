/**
 * Whether a command finds the schema that it knows.
 * @module
 */
import { MIGRATIONS } from "../../migrations/mod.ts";
import type { Database } from "../postgres/database.ts";
import { SchemaMismatch, verifySchema } from "../postgres/operations/migrations.ts";

/** True if the schema is what this program needs; otherwise says what is wrong with it, and what to type. */
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
