/**
 * What must not be printed.
 * @module
 */

/** A value that is never printed: as text, as JSON and in an inspection it is what may be shown of it. */
export class Secret {
  readonly #value: string;
  readonly #shown: string;

  constructor(value: string, shown = "(secret)") {
    this.#value = value;
    this.#shown = shown;
  }

  /** The value itself, for the client that needs it. */
  reveal(): string {
    return this.#value;
  }

  /** What may be shown: of a connection string all but its password and parameters. */
  toString(): string {
    return this.#shown;
  }

  /** The same as `toString`. */
  toJSON(): string {
    return this.#shown;
  }

  /** The same as `toString`, for `console.log` in Deno. */
  [Symbol.for("Deno.customInspect")](): string {
    return this.#shown;
  }

  /** The same as `toString`, for `node:util`. */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return this.#shown;
  }
}

/** The text without the passwords of any addresses in it, for messages that others wrote. */
export function withoutPasswords(text: string): string {
  return text.replaceAll(/(:\/\/[^\s:/@]*):[^\s/]*@/g, "$1@").replaceAll(/([?&]password=)[^\s&]*/gi, "$1…");
}

/** An error in words, with `stack` also where it comes from. */
export function inWords(error: unknown, stack = false): string {
  if (!(error instanceof Error)) return withoutPasswords(String(error));
  const { message, name, cause } = error;
  const said = message !== "" ? message : cause instanceof Error ? cause.message : name;
  return withoutPasswords(stack ? error.stack ?? said : said);
}
