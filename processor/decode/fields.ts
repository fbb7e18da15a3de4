/**
 * The fields of an event for the scanner: as numbers, as bits, and with their rules by number.
 * @module
 */
import { textOf } from "./ascii.ts";
import { type ClickEvent, type FieldRule, FIELDS } from "../event.ts";

const RULES = Object.entries(FIELDS) as [keyof ClickEvent, FieldRule][];

/** The number of all ignored fields. */
export const OTHER = 0;

/** The number of each field. */
export const FIELD = Object.fromEntries(RULES.map(([name], i) => [name, i + 1])) as {
  readonly [name in keyof ClickEvent]-?: number;
};

/** The number of a field, by its name. */
export const FIELD_BY_NAME: ReadonlyMap<string, number> = new Map(Object.entries(FIELD));

/** Stands for the beginning of the record in place of a previous field. */
export const BEGINNING = RULES.length + 1;

/** Bits of a field number: notes of a record have one slot for each field, and one for ignored fields. */
export const FIELD_BITS = 32 - Math.clz32(BEGINNING);

/** The required fields, as bits. */
export const NEEDED = bitsOf(({ required }) => required === true);

/** Fields that may be a number, as bits. */
export const NUMERIC = bitsOf(({ number }) => number === true);

/** Fields with texts that are looked up by hash, as bits: all that are stored as codes. */
export const HASHED = bitsOf(({ number }, name) => number !== true && name !== "eventId");

/** By field: the longest text (0: no limit), and the form of the text. */
const MAX_LENGTHS = Int32Array.from([0, ...RULES.map(([, { maxLength }]) => maxLength ?? 0)]);
const PATTERNS = [undefined, ...RULES.map(([, { form }]) => form?.pattern)];

/** Whether a field may hold the text `[start, end)`. */
export function isAllowed(field: number, view: DataView, start: number, end: number): boolean {
  const length = end - start;
  const most = MAX_LENGTHS[field]!;
  if (most > 0 && (length < 1 || length > most)) return false;
  const pattern = PATTERNS[field];
  return pattern === undefined || pattern.test(textOf(view, start, end));
}

function bitsOf(has: (rule: FieldRule, name: keyof ClickEvent) => boolean): number {
  return RULES.reduce((bits, [name, rule]) => has(rule, name) ? bits | 1 << FIELD[name] : bits, 0);
}
