/** The fields of an event by number, and the rules that the host has read from the definition of the event. */
import { fail, same, UNKNOWN_FIELD, upTo16 } from "./memory";

// In the order of FIELDS in processor/event.ts; all ignored fields have number 0.
export const ID: i32 = 1;
export const USER: i32 = 2;
export const SESSION: i32 = 3;
export const TYPE: i32 = 4;
export const TIMESTAMP: i32 = 5;
export const PAGE: i32 = 6;
export const DEVICE: i32 = 7;
export const REGION: i32 = 8;
export const REFERRER: i32 = 9;
export const PRODUCT: i32 = 10;
export const CAMPAIGN: i32 = 11;
export const PRICE: i32 = 12;
export const QUANTITY: i32 = 13;
export const CURRENCY: i32 = 14;
export const USER_AGENT: i32 = 15;
export const ORDER: i32 = 16;
/** Stands for the beginning of the record in place of a previous field. */
export const BEGINNING: i32 = 17;

/** Fields that must be there, and fields that may be a number, as bits. */
export let needed: i32 = 0;
export let numeric: i32 = 0;

/** By field: its name in 16 bytes, and the length of the name; and the longest text in bytes, or 0. */
const NAMES: usize = memory.data(17 * 16, 16);
const NAME_LENGTHS: usize = memory.data(17 * 4, 4);
const LONGEST: usize = memory.data(17 * 4, 4);

/** Names a field and sets its rules. */
export function setField(field: i32, name: usize, length: i32, longest: i32, isNeeded: bool, isNumeric: bool): void {
  // A name is compared as one vector.
  if (field > ORDER || length > 16) fail(UNKNOWN_FIELD);
  v128.store(NAMES + (field << 4), upTo16(name, length));
  store<i32>(NAME_LENGTHS + (field << 2), length);
  store<i32>(LONGEST + (field << 2), longest);
  if (isNeeded) needed |= 1 << field;
  if (isNumeric) numeric |= 1 << field;
}

/** The field of this name; 0 if there is none. */
export function fieldNamed(at: usize, length: i32): i32 {
  if (length > 16) return 0;
  const name = upTo16(at, length);
  for (let field = ID; field <= ORDER; field++) {
    if (load<i32>(NAME_LENGTHS + (field << 2)) === length && same(name, v128.load(NAMES + (field << 4)))) return field;
  }
  return 0;
}

/** Whether a field may hold a text of so many bytes, of which UTF-16 needs no more units. */
@inline
export function mayHold(field: i32, length: i32): bool {
  return <u32>(length - 1) < <u32>load<i32>(LONGEST + (field << 2));
}
