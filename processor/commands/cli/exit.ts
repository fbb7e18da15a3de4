/**
 * How the program ends.
 * @module
 */

/** Exit codes, which scripts rely on. */
export const EXIT = { done: 0, failed: 1, wrongUse: 2, schema: 3 } as const;

/** The program was called in a way that it can't be; `message` says what is allowed. */
export class WrongUse extends Error {
  override readonly name = "WrongUse";
}
