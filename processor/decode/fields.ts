/**
 * The fields of an event for the scanner: as numbers, as bits, and what each may hold by number.
 * @module
 */
import { textOf } from "./ascii.ts";
import { type ClickEvent, type FieldRule, FIELDS } from "../event.ts";

const RULES = Object.entries(FIELDS) as [keyof ClickEvent, FieldRule][];

/** Stands for fields that are ignored. */
export const OTHER = 0;

/** The number of each field. */
export const FIELD = Object.fromEntries(RULES.map(([name], i) => [name, i + 1])) as {
  readonly [name in keyof ClickEvent]-?: number;
};

/** The number of a field, by its name. */
export const FIELD_BY_NAME: ReadonlyMap<string, number> = new Map(Object.entries(FIELD));

/** Stands for the beginning of the record, where a field that came before is asked for. */
export const BEGINNING = RULES.length + 1;

/** What is noted of one record, as a power of two: a place for each field, and for those that are ignored. */
export const FIELD_BITS = 32 - Math.clz32(BEGINNING);

/** The fields that must be there, as bits. */
export const NEEDED = bitsOf(({ required }) => required === true);

/** Fields that may be a number, as bits. */
export const NUMERIC = bitsOf(({ number }) => number === true);

/** Fields whose texts are looked up by a hash, as bits: all that are kept as a code. */
export const HASHED = bitsOf(({ number }, name) => number !== true && name !== "eventId");

/** By field: the longest text, 0 where it may be as long as it likes; and what it must look like. */
const MAX_LENGTHS = Int32Array.from([0, ...RULES.map(([, { maxLength }]) => maxLength ?? 0)]);
const PATTERNS = [undefined, ...RULES.map(([, { form }]) => form?.pattern)];

/** Whether the text `[start, end)` is what a field may hold. */
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
