/**
 * The schemas that tables are in.
 * @module
 */
export { SCHEMA } from "../translate/table.ts";

/** The schema in which a rebuild fills new tables, beside those in use. */
export const STAGING = "clickstream_rebuild";
