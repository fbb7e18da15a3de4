/**
 * Secrets, which must never be printed.
 * @module
 */

/** A value that is never printed: text, JSON and inspections show a harmless part instead. */
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

  /** The harmless part: a connection string without its password and parameters. */
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

/** The text without the passwords of addresses in it, for messages of other programs. */
export function withoutPasswords(text: string): string {
  return text.replaceAll(/(:\/\/[^\s:/@]*):[^\s/]*@/g, "$1@").replaceAll(/([?&](?:ssl)?password=)[^\s&]*/gi, "$1…");
}

/** The message of an error, or with `stack` its stack. */
export function inWords(error: unknown, stack = false): string {
  if (!(error instanceof Error)) return withoutPasswords(String(error));
  const { message, name, cause } = error;
  const said = message !== "" ? message : cause instanceof Error ? cause.message : name;
  return withoutPasswords(stack ? error.stack ?? said : said);
}
