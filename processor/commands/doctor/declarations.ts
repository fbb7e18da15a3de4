/**
 * Checks that the database has the declared views of the file.
 * @module
 */
import { type DeclaredViews, titlesIn } from "../../declared/file.ts";
import type { Database } from "../../postgres/database.ts";
import { verifyDeclarations } from "../../postgres/operations/declarations.ts";
import { SchemaMismatch } from "../../postgres/schema.ts";
import { bad, type Finding, good } from "./finding.ts";

/** Checks that the declared views of the database are those of this file, null for none. */
export async function checkDeclarations(db: Database, file: DeclaredViews | null): Promise<Finding> {
  const check = "declared views";
  try {
    await verifyDeclarations(db, file);
  } catch (error) {
    if (!(error instanceof SchemaMismatch)) throw error;
    return bad(
      check,
      error.detail,
      "set VIEWS_FILE to the file that was applied last, or run: clickstream views apply",
    );
  }
  if (file === null) return good(check, "none");
  return good(check, `those of ${file.file}: ${titlesIn(file.declared).join(", ")}`);
}
