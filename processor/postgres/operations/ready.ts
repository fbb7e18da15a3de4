/**
 * Checks that the schema fits this program.
 * @module
 */
import { MIGRATIONS } from "../../../migrations/mod.ts";
import type { DeclaredViews } from "../../declared/file.ts";
import type { Database } from "../database.ts";
import { SchemaMismatch } from "../schema.ts";
import { verifyDeclarations } from "./declarations.ts";
import { verifySchema } from "./migrations.ts";

/**
 * Returns true if the schema fits this program; otherwise prints what is wrong and what to run, and returns false.
 *
 * @param file the declared views to expect; without it, any
 */
export async function ready(
  db: Database,
  writeError: (text: string) => void,
  file?: DeclaredViews | null,
): Promise<boolean> {
  try {
    await verifySchema(db, MIGRATIONS);
    if (file !== undefined) await verifyDeclarations(db, file);
    return true;
  } catch (error) {
    if (!(error instanceof SchemaMismatch)) throw error;
    writeError(`clickstream: ${error.message}\n`);
    return false;
  }
}
