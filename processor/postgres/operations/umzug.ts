/**
 * What is used of Umzug, in a module to load on demand: Umzug includes half a megabyte of command-line code. The
 * package itself, as CommonJS, has no named exports once the program is bundled in parts.
 * @module
 */
export { MigrationError, Umzug } from "umzug";
