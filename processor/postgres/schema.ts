/**
 * The schemas: their names, and that they may not fit.
 * @module
 */
export { SCHEMA } from "../translate/table.ts";

/** The schema in which a rebuild fills new tables. */
export const STAGING = "clickstream_rebuild";

/** The schema of a database, compared with the migrations of this program. */
export interface SchemaState {
  /** `changed`: an applied migration has another text here. `ahead`: the database has one that this program lacks. */
  readonly state: "current" | "behind" | "missing" | "ahead" | "changed";
  /** Names the migrations that are missing, unknown or changed. */
  readonly detail: string;
  readonly pending: readonly string[];
}

/** The schema cannot be used, or cannot be upgraded, in its present state. */
export class SchemaMismatch extends Error {
  override readonly name = "SchemaMismatch";
  readonly state: SchemaState["state"];
  readonly detail: string;

  constructor({ state, detail }: Pick<SchemaState, "state" | "detail">, advice: string) {
    super(`schema clickstream is ${state}: ${detail}. ${advice}`);
    this.state = state;
    this.detail = detail;
  }
}

/** What is wrong if the database has other declared views than the program's `VIEWS_FILE`. */
export function otherDeclarations(which = ""): SchemaMismatch {
  return new SchemaMismatch(
    { state: "behind", detail: `VIEWS_FILE declares other views than the database has${which}` },
    "Set VIEWS_FILE to the file that was applied last, or type: clickstream views apply",
  );
}
