/**
 * Names of the schemas.
 * @module
 */
export { SCHEMA } from "../translate/table.ts";

/** The schema in which a rebuild fills new tables. */
export const STAGING = "clickstream_rebuild";
