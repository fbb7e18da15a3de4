/** Takes the values of a record's fields apart; what may have to be refused is left to the host. */
import {
  CURRENCY,
  DEVICE,
  ID,
  mayHold,
  needed,
  ORDER,
  PAGE,
  PRICE,
  QUANTITY,
  REGION,
  SESSION,
  TIMESTAMP,
  TYPE,
  USER,
  USER_AGENT,
} from "./fields";
import { quickHash } from "./hash";
import { alloc, copy, same, SLACK, upTo16 } from "./memory";
import { Note } from "./notes";
import { inRange, minorOf, timeOf, wholeOf } from "./numbers";
import { scratchFor } from "./text";

let keepMs: f64 = 0;
let aheadMs: f64 = 0;
let hashRoutes: bool = true;

/** The rules that are no field's own: how old and how far ahead an event may be, and whether pages have routes. */
export function setRules(keep: f64, ahead: f64, routes: bool): void {
  keepMs = keep;
  aheadMs = ahead;
  hashRoutes = routes;
}

/** Digits after the point of most currencies. */
const USUAL_DIGITS: i32 = 2;
/** By three letters, the digits of a currency, combined with `USUAL_DIGITS` by XOR; and the digits where none is sent. */
const CODES: i32 = 26 * 26 * 26;
let digits: usize = 0;
let absentDigits: i32 = USUAL_DIGITS;
/** By digits, the most minor units of a price, and of the revenue of an event. */
const MOST: usize = memory.data(5 * 8, 8);

/** All currencies have two digits so far. */
export function initDigits(): void {
  digits = alloc(CODES);
  memory.fill(digits, 0, CODES);
}

@inline
function digitsAt(at: usize): usize {
  return digits + (<usize>load<u8>(at) - 0x41) * 676 + (<usize>load<u8>(at, 1) - 0x41) * 26 +
    (<usize>load<u8>(at, 2) - 0x41);
}

/** Sets how many digits a currency of three letters has, if not two. */
export function setDigits(at: usize, count: i32): void {
  store<u8>(digitsAt(at), <u8>(count ^ USUAL_DIGITS));
}

/** Sets how many digits a price without a currency has. */
export function setAbsentDigits(count: i32): void {
  absentDigits = count;
}

/** Sets the most minor units, where there are so many digits. */
export function setMost(count: i32, most: f64): void {
  store<f64>(MOST + (count << 3), most);
}

/** The names of the devices that keep their value, which have the codes 1, 2, 3, …; the next code is all others'. */
const DEVICES: usize = memory.data(8 * 16, 16);
const DEVICE_LENGTHS: usize = memory.data(8 * 4, 4);
let deviceCount: i32 = 0;

export function addDevice(at: usize, length: i32): void {
  v128.store(DEVICES + (deviceCount << 4), upTo16(at, length));
  store<i32>(DEVICE_LENGTHS + (deviceCount << 2), length);
  deviceCount++;
}

/** The type whose events have revenue. */
const PURCHASE: usize = memory.data(16, 16);
let purchaseLength: i32 = 0;

export function setPurchase(at: usize, length: i32): void {
  v128.store(PURCHASE, upTo16(at, length));
  purchaseLength = length;
}

/** Most characters of a type; its form is `[a-z][a-z0-9_]*`. */
const LONGEST_TYPE: i32 = 64;

/** Works out the values; false if the host must judge one of them. */
export function check(note: Note): bool {
  if ((note.present & needed) !== needed) return false;
  if (!mayHold(USER, note.length(USER)) || !mayHold(PAGE, note.length(PAGE))) return false;
  if (note.has(ID) && !mayHold(ID, note.length(ID))) return false;
  if (note.has(SESSION) && !mayHold(SESSION, note.length(SESSION))) return false;
  if (note.has(REGION) && !mayHold(REGION, note.length(REGION))) return false;
  if (note.has(USER_AGENT) && !mayHold(USER_AGENT, note.length(USER_AGENT))) return false;
  if (note.has(ORDER) && !mayHold(ORDER, note.length(ORDER))) return false;
  if (!isType(note.start(TYPE), note.length(TYPE))) return false;
  if (note.has(CURRENCY) && !isCurrency(note.start(CURRENCY), note.length(CURRENCY))) return false;
  const start = note.start(TIMESTAMP);
  const end = note.end(TIMESTAMP);
  const time = note.isNumber(TIMESTAMP) ? inRange(wholeOf(start, end)) : timeOf(start, end);
  note.kafkaTime = note.logTime < 0 ? time : note.logTime;
  // Also false without a time (NaN).
  if (!(time - note.kafkaTime <= aheadMs && note.kafkaTime - time <= keepMs)) return false;
  note.time = time;
  note.device = deviceOf(note);
  if (!setPrice(note)) return false;
  if (!setPage(note)) return false;
  note.userHash = quickHash(note.start(USER), note.length(USER));
  note.pageHash = quickHash(note.pageStart, note.pageLength);
  if (note.has(REGION)) note.regionHash = quickHash(note.start(REGION), note.length(REGION));
  if (note.has(SESSION)) note.sessionHash = quickHash(note.start(SESSION), note.length(SESSION));
  return true;
}

function isType(at: usize, length: i32): bool {
  if (length < 1 || length > LONGEST_TYPE || <u32>load<u8>(at) - 0x61 > 25) return false;
  for (let n = 0; n < length; n += 16) {
    const bytes = v128.load(at + n);
    const allowed = i8x16.bitmask(v128.or(
      v128.or(
        i8x16.le_u(i8x16.sub(bytes, i8x16.splat(0x61)), i8x16.splat(25)),
        i8x16.le_u(i8x16.sub(bytes, i8x16.splat(0x30)), i8x16.splat(9)),
      ),
      i8x16.eq(bytes, i8x16.splat(0x5f)),
    ));
    const all = length - n >= 16 ? 0xffff : (1 << (length - n)) - 1;
    if ((allowed & all) !== all) return false;
  }
  return true;
}

function isCurrency(at: usize, length: i32): bool {
  return length === 3 && <u32>load<u8>(at) - 0x41 < 26 && <u32>load<u8>(at, 1) - 0x41 < 26 &&
    <u32>load<u8>(at, 2) - 0x41 < 26;
}

function deviceOf(note: Note): i32 {
  if (!note.has(DEVICE)) return 0;
  const length = note.length(DEVICE);
  if (length <= 16) {
    const name = upTo16(note.start(DEVICE), length);
    for (let n = 0; n < deviceCount; n++) {
      if (load<i32>(DEVICE_LENGTHS + (n << 2)) === length && same(name, v128.load(DEVICES + (n << 4)))) return n + 1;
    }
  }
  return deviceCount + 1;
}

function isPurchase(note: Note): bool {
  const length = note.length(TYPE);
  return length === purchaseLength && same(upTo16(note.start(TYPE), length), v128.load(PURCHASE));
}

function setPrice(note: Note): bool {
  note.price = NaN;
  note.quantity = 1;
  note.revenue = 0;
  let most: f64 = 0;
  if (note.has(PRICE)) {
    const count = note.has(CURRENCY)
      ? <i32>load<u8>(digitsAt(note.start(CURRENCY))) ^ USUAL_DIGITS
      : absentDigits;
    most = load<f64>(MOST + (count << 3));
    note.price = minorOf(note.start(PRICE), note.end(PRICE), !note.isNumber(PRICE), count);
    if (!(note.price <= most)) return false;
  }
  if (note.has(QUANTITY)) {
    note.quantity = wholeOf(note.start(QUANTITY), note.end(QUANTITY));
    if (!(note.quantity >= 1)) return false;
  }
  if (note.price >= 0 && isPurchase(note)) {
    note.revenue = note.price * note.quantity;
    return note.revenue <= most;
  }
  return true;
}

/** What a page without a path is called. */
const ROOT: usize = memory.data<u8>([0x2f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);

/**
 * Sets the page as reports group by it: without query string and fragment, but with a fragment that is a route. False if
 * there is no room for it.
 */
function setPage(note: Note): bool {
  const start = note.start(PAGE);
  const end = note.end(PAGE);
  const cut = cutAt(start, end);
  note.pageStart = start;
  note.pageLength = <i32>(cut - start);
  if (cut === end) return true;
  const route = hashRoutes ? routeAt(cut, end) : end;
  if (route < end) {
    const routeEnd = cutAt(route + 1, end);
    note.pageLength = <i32>(routeEnd - start);
    if (cut === route) return true;
    // A query string is between the path and the route.
    const path = <i32>(cut - start);
    const joined = scratchFor(routeEnd - start + SLACK);
    if (joined === 0) return false;
    copy(joined, start, path);
    copy(joined + path, route, <i32>(routeEnd - route));
    note.pageStart = joined;
    note.pageLength = path + <i32>(routeEnd - route);
  } else if (cut === start) {
    note.pageStart = ROOT;
    note.pageLength = 1;
  }
  return true;
}

/** Where the query string or the fragment of a page begins; without either, its end. */
function cutAt(at: usize, end: usize): usize {
  for (; at < end; at += 16) {
    const bytes = v128.load(at);
    const cuts = i8x16.bitmask(v128.or(i8x16.eq(bytes, i8x16.splat(0x3f)), i8x16.eq(bytes, i8x16.splat(0x23))));
    if (cuts !== 0) return min(end, at + ctz(cuts));
  }
  return end;
}

/** Where the fragment begins, from `at`, if it is a route; otherwise the page's end. */
function routeAt(at: usize, end: usize): usize {
  for (; at < end; at += 16) {
    const found = i8x16.bitmask(i8x16.eq(v128.load(at), i8x16.splat(0x23)));
    if (found === 0) continue;
    at += ctz(found);
    const slash = at + 1 < end && load<u8>(at, 1) === 0x21 ? at + 2 : at + 1;
    return slash < end && load<u8>(slash) === 0x2f ? at : end;
  }
  return end;
}
