/**
 * Exit codes of the program.
 * @module
 */

/** Exit codes; scripts depend on them. */
export const EXIT = { done: 0, failed: 1, wrongUse: 2, schema: 3 } as const;

/** The program was called with invalid options; `message` says what is allowed. */
export class WrongUse extends Error {
  override readonly name = "WrongUse";
}
