/**
 * What settings are declared with.
 * @module
 */
import { z } from "zod";

/** Definition of a setting. */
export interface Setting {
  readonly schema: z.ZodType<unknown, string>;
  /** Value if the setting is absent; null: optional; undefined: required. */
  readonly default?: string | null;
  readonly allowed: string;
  readonly about: string;
  readonly secret?: true;
}

/** A text that matches a pattern. */
export const text = (pattern: RegExp) => z.string().regex(pattern);

/** One of these texts. */
export const oneOf = <const T extends readonly string[]>(...values: T) => z.enum(values);

/** `true` or `false`. */
export const flag = () => oneOf("true", "false").transform((value) => value === "true");

/** A whole number within these bounds, included. */
export const wholeNumber = (least: number, most: number) =>
  text(/^\d{1,9}$/).transform(Number).pipe(z.number().min(least).max(most));

/** A value parsed from text. The message of a `RangeError` is shown; the message of any other error is not. */
export const parsed = <T>(parse: (value: string) => T) =>
  z.string().transform((value, context): T => {
    try {
      return parse(value);
    } catch (error) {
      context.addIssue({ code: "custom", message: error instanceof RangeError ? error.message : "" });
      return z.NEVER;
    }
  });

/**
 * The parts of a text between commas, without blanks around them.
 *
 * @throws {RangeError} if there is none
 */
export function list(value: string): string[] {
  const parts = value.split(",").map((part) => part.trim()).filter((part) => part !== "");
  if (parts.length === 0) throw new RangeError("the list is empty");
  return parts;
}
