/**
 * The fast decoder: one pass over a record's bytes, straight into the batch's columns. It takes what shops nearly always
 * send: one flat object of ASCII without escapes, each field once and in its usual form. Everything else, and whatever
 * might have to be refused, it hands to the reference decoder, so that the two can't disagree on what is an event.
 * @module
 */
import type { Batch, Coded, Dictionaries } from "./batch.ts";
import type { Decoder } from "./decode.ts";
import { type Dictionary, NONE } from "./dictionary.ts";
import {
  DEVICES,
  EVENT_TYPE,
  MAX_AHEAD_MS,
  MAX_CENTS,
  MAX_EVENT_BYTES,
  MAX_ID_LENGTH,
  MAX_PAGE_LENGTH,
  MAX_REGION_LENGTH,
} from "./event.ts";
import type { Records, Refusal } from "./pipeline.ts";
import { parseIso } from "./time.ts";

/** How the scanner decodes. */
export interface ScanOptions {
  /** Takes what is unusual; checks the same age. */
  readonly reference: Decoder;
  /** How much older than its Kafka timestamp an event may be, in milliseconds. */
  readonly keepMs: number;
  /** Whether the columns that are only kept with the raw event are wanted; they stay unwritten otherwise. */
  readonly keepEvents: boolean;
}

/** Fields by number; the first is for those that are ignored. */
const FIELDS = [
  "",
  "eventId",
  "userId",
  "sessionId",
  "eventType",
  "timestamp",
  "page",
  "device",
  "region",
  "referrer",
  "productId",
  "campaign",
  "price",
  "quantity",
  "currency",
] as const;
const OTHER = 0;
const ID = 1;
const USER = 2;
const SESSION = 3;
const TYPE = 4;
const TIMESTAMP = 5;
const PAGE = 6;
const DEVICE = 7;
const REGION = 8;
const REFERRER = 9;
const PRODUCT = 10;
const CAMPAIGN = 11;
const PRICE = 12;
const QUANTITY = 13;
const CURRENCY = 14;
/** The fields that must be there, as bits. */
const NEEDED = 1 << USER | 1 << TYPE | 1 << TIMESTAMP | 1 << PAGE;

const NAMES = FIELDS.map((name) => new TextEncoder().encode(name));

/** Candidates for a field's number by the length of its name, times 32, plus the low five bits of its first letter. */
const BY_SHAPE = new Uint8Array(512);
FIELDS.forEach((name, field) => {
  if (field > 0) BY_SHAPE[shapeOf(name.length, name.charCodeAt(0))] = field;
});

function shapeOf(length: number, first: number): number {
  return (length & 15) << 5 | (first & 31);
}

/** Bytes that may stand inside a string that needs no second look. */
const PLAIN = Uint8Array.from({ length: 256 }, (_, c) => c >= 0x20 && c < 0x80 && c !== 0x22 && c !== 0x5c ? 1 : 0);

const QUOTE = 0x22;
const ZERO = 0x30;

/** Decodes by scanning bytes. */
export class ScanDecoder implements Decoder {
  readonly #reference: Decoder;
  readonly #keepMs: number;
  readonly #keepEvents: boolean;
  /** Place where each field's value lies in the record, by its number; of a string, without the quotes. */
  readonly #starts = new Int32Array(FIELDS.length);
  readonly #ends = new Int32Array(FIELDS.length);
  /** Of the dictionaries in use: the page of each page as sent. */
  #words: Dictionaries | null = null;
  #pages = new Int32Array(64);
  /** The day that the last timestamp lay in, as its digits, and when it began. */
  #day = -1;
  #midnight = 0;

  constructor({ reference, keepMs, keepEvents }: ScanOptions) {
    this.#reference = reference;
    this.#keepMs = keepMs;
    this.#keepEvents = keepEvents;
  }

  decode(records: Records, i: number, batch: Batch): Refusal | null {
    const { bytes } = records;
    const start = records.starts[i]!;
    const end = records.ends[i]!;
    if (end - start <= MAX_EVENT_BYTES) {
      const fields = this.#scan(bytes, start, end);
      if ((fields & NEEDED) === NEEDED && this.#write(bytes, fields, records, i, batch)) return null;
    }
    return this.#reference.decode(records, i, batch);
  }

  /** Finds the fields; returns those with a value as bits, or 0 if there is anything unusual. */
  #scan(bytes: Uint8Array, start: number, end: number): number {
    let at = start;
    if (at >= end || bytes[at] !== 0x7b) return 0;
    at = blanks(bytes, at + 1, end);
    let seen = 0;
    let present = 0;
    for (;;) {
      if (bytes[at] !== QUOTE) return 0;
      const name = at + 1;
      at = name;
      while (PLAIN[bytes[at]!] === 1) at++;
      if (at >= end || bytes[at] !== QUOTE) return 0;
      const field = fieldOf(bytes, name, at);
      at = blanks(bytes, at + 1, end);
      if (bytes[at] !== 0x3a) return 0;
      at = blanks(bytes, at + 1, end);
      const bit = 1 << field;
      if (field !== OTHER) {
        if ((seen & bit) !== 0) return 0;
        seen |= bit;
      }
      const first = bytes[at]!;
      if (first === QUOTE) {
        const from = at + 1;
        at = from;
        while (PLAIN[bytes[at]!] === 1) at++;
        if (at >= end || bytes[at] !== QUOTE) return 0;
        if (field === PRICE || field === QUANTITY) return 0;
        this.#starts[field] = from;
        this.#ends[field] = at;
        at++;
        present |= bit;
      } else if (first >= ZERO && first <= 0x39) {
        const from = at;
        while (at < end && isNumeral(bytes[at]!)) at++;
        // A number is taken apart where its field wants one; a field that is ignored may hold a number, but a valid one.
        if (field === OTHER ? !isPlainNumber(bytes, from, at) : field !== PRICE && field !== QUANTITY) return 0;
        this.#starts[field] = from;
        this.#ends[field] = at;
        present |= bit;
      } else if (matches(bytes, at, end, NULL)) {
        at += NULL.length;
      } else if (field === OTHER && (matches(bytes, at, end, TRUE) || matches(bytes, at, end, FALSE))) {
        at += first === TRUE[0] ? TRUE.length : FALSE.length;
      } else {
        return 0;
      }
      at = blanks(bytes, at, end);
      if (at >= end) return 0;
      if (bytes[at] === 0x2c) at = blanks(bytes, at + 1, end);
      else if (bytes[at] === 0x7d) break;
      else return 0;
      if (at >= end) return 0;
    }
    return blanks(bytes, at + 1, end) === end ? present : 0;
  }

  /** Writes the fields to place `batch.count`; false if one of them needs the reference's judgement. */
  #write(bytes: Uint8Array, fields: number, records: Records, i: number, batch: Batch): boolean {
    const { words, codes } = batch;
    const place = batch.count;
    if (words !== this.#words) {
      this.#words = words;
      this.#pages = new Int32Array(64);
    }
    const time = this.#time(bytes);
    const kafkaTime = records.times[i]! < 0 ? time : records.times[i]!;
    // Also false where there is no time.
    if (!(time - kafkaTime <= MAX_AHEAD_MS && kafkaTime - time <= this.#keepMs)) return false;
    const user = this.#text(bytes, USER, words.user);
    const type = this.#text(bytes, TYPE, words.type);
    const session = (fields & 1 << SESSION) === 0 ? NONE : this.#text(bytes, SESSION, words.session);
    const region = (fields & 1 << REGION) === 0
      ? wordOf(words.region, UNKNOWN)
      : this.#text(bytes, REGION, words.region);
    if (user === BAD || type === BAD || session === BAD || region === BAD) return false;
    if (!this.#setPage(bytes, batch) || !this.#setPrice(bytes, fields, batch)) return false;
    if (!this.#setRest(bytes, fields, batch)) return false;
    codes.user[place] = user;
    codes.type[place] = type;
    codes.session[place] = session;
    codes.region[place] = region;
    codes.device[place] = (fields & 1 << DEVICE) === 0 ? wordOf(words.device, UNKNOWN) : this.#device(bytes, words);
    if ((fields & 1 << ID) === 0) {
      batch.setId(place, bytes, 0, 0);
    } else {
      const length = this.#ends[ID]! - this.#starts[ID]!;
      if (length < 1 || length > MAX_ID_LENGTH) return false;
      batch.setId(place, bytes, this.#starts[ID]!, this.#ends[ID]!);
    }
    batch.time[place] = time;
    batch.kafkaTime[place] = kafkaTime;
    batch.partition[place] = records.partition;
    batch.offset[place] = records.offsets[i]!;
    return true;
  }

  /** The code of a field's text; `BAD` if it is not allowed. A text that is in the dictionary has been checked before. */
  #text(bytes: Uint8Array, field: number, dictionary: Dictionary): number {
    const start = this.#starts[field]!;
    const end = this.#ends[field]!;
    const code = dictionary.find(bytes, start, end);
    if (code !== NONE) return code;
    return isAllowed(field, bytes, start, end) ? dictionary.add(bytes, start, end) : BAD;
  }

  /** Writes page and page as sent. */
  #setPage(bytes: Uint8Array, { words, codes, count }: Batch): boolean {
    const start = this.#starts[PAGE]!;
    const end = this.#ends[PAGE]!;
    if (end === start || end - start > MAX_PAGE_LENGTH) return false;
    if (!this.#keepEvents) {
      codes.page[count] = words.page.intern(bytes, start, cutAt(bytes, start, end));
      return true;
    }
    const known = words.sentPage.count;
    const sent = words.sentPage.intern(bytes, start, end);
    // Codes count from 0, so a page that has not been looked up yet is 0 here, and all others are one more.
    if (sent >= this.#pages.length) this.#pages = widened(this.#pages, sent);
    let page = sent < known ? this.#pages[sent]! : 0;
    if (page === 0) page = this.#pages[sent] = words.page.intern(bytes, start, cutAt(bytes, start, end)) + 1;
    codes.sentPage[count] = sent;
    codes.page[count] = page - 1;
    return true;
  }

  /** Writes price, quantity and revenue. */
  #setPrice(bytes: Uint8Array, fields: number, batch: Batch): boolean {
    const place = batch.count;
    const hasPrice = (fields & 1 << PRICE) !== 0;
    const price = hasPrice ? centsOf(bytes, this.#starts[PRICE]!, this.#ends[PRICE]!) : 0;
    const quantity = (fields & 1 << QUANTITY) === 0
      ? 1
      : wholeOf(bytes, this.#starts[QUANTITY]!, this.#ends[QUANTITY]!);
    if (!(price <= MAX_CENTS && quantity >= 1)) return false;
    const sold = matches(bytes, this.#starts[TYPE]!, this.#ends[TYPE]!, PURCHASE) &&
      this.#ends[TYPE]! - this.#starts[TYPE]! === PURCHASE.length;
    const revenue = sold ? price * quantity : 0;
    if (revenue > MAX_CENTS) return false;
    batch.price[place] = hasPrice ? price : NaN;
    batch.quantity[place] = quantity;
    batch.revenue[place] = revenue;
    return true;
  }

  /** Writes what is only kept with the raw event. */
  #setRest(bytes: Uint8Array, fields: number, { words, codes, count }: Batch): boolean {
    if ((fields & 1 << CURRENCY) !== 0 && !isCurrency(bytes, this.#starts[CURRENCY]!, this.#ends[CURRENCY]!)) {
      return false;
    }
    if (!this.#keepEvents) return true;
    codes.referrer[count] = this.#kept(bytes, fields, REFERRER, words, "referrer");
    codes.product[count] = this.#kept(bytes, fields, PRODUCT, words, "product");
    codes.campaign[count] = this.#kept(bytes, fields, CAMPAIGN, words, "campaign");
    codes.currency[count] = this.#kept(bytes, fields, CURRENCY, words, "currency");
    return true;
  }

  #kept(bytes: Uint8Array, fields: number, field: number, words: Dictionaries, column: Coded): number {
    if ((fields & 1 << field) === 0) return NONE;
    return words[column].intern(bytes, this.#starts[field]!, this.#ends[field]!);
  }

  #device(bytes: Uint8Array, { device }: Dictionaries): number {
    const start = this.#starts[DEVICE]!;
    const end = this.#ends[DEVICE]!;
    for (const known of KNOWN_DEVICES) {
      if (end - start === known.length && matches(bytes, start, end, known)) return wordOf(device, known);
    }
    return wordOf(device, OTHER_DEVICE);
  }

  /** The timestamp of a text like `2026-11-24T12:34:56.789Z`, epoch milliseconds; NaN if it looks otherwise. */
  #time(bytes: Uint8Array): number {
    const at = this.#starts[TIMESTAMP]!;
    if (
      this.#ends[TIMESTAMP]! - at !== 24 || bytes[at + 10] !== 0x54 || bytes[at + 13] !== 0x3a ||
      bytes[at + 16] !== 0x3a || bytes[at + 19] !== 0x2e || bytes[at + 23] !== 0x5a
    ) return NaN;
    const hour = pair(bytes, at + 11);
    const minute = pair(bytes, at + 14);
    const second = pair(bytes, at + 17);
    const ms = pair(bytes, at + 20) * 10 + digit(bytes[at + 22]!);
    if (!(hour <= 23 && minute <= 59 && second <= 59 && ms <= 999)) return NaN;
    const day = (pair(bytes, at) * 100 + pair(bytes, at + 2)) * 10_000 + pair(bytes, at + 5) * 100 +
      pair(bytes, at + 8);
    if (day !== this.#day || bytes[at + 4] !== 0x2d || bytes[at + 7] !== 0x2d) {
      const date = String.fromCharCode(...bytes.subarray(at, at + 11));
      this.#midnight = parseIso(`${date}00:00:00.000Z`);
      this.#day = Number.isNaN(this.#midnight) ? -1 : day;
    }
    return this.#midnight + ((hour * 60 + minute) * 60 + second) * 1000 + ms;
  }
}

/** Stands for a code where there can't be one. */
const BAD = -2;
/** Stands for a number that is none: no two digits come near it. */
const NO_DIGIT = 100_000;

const encoded = (text: string) => new TextEncoder().encode(text);
const NULL = encoded("null");
const TRUE = encoded("true");
const FALSE = encoded("false");
const PURCHASE = encoded("purchase");
const UNKNOWN = encoded("unknown");
const OTHER_DEVICE = encoded("other");
const KNOWN_DEVICES = [...DEVICES].map(encoded);

function wordOf(dictionary: Dictionary, word: Uint8Array): number {
  return dictionary.intern(word, 0, word.length);
}

/** Where the next byte is that is no white space. */
function blanks(bytes: Uint8Array, at: number, end: number): number {
  while (at < end && (bytes[at] === 0x20 || bytes[at] === 0x0a || bytes[at] === 0x0d || bytes[at] === 0x09)) at++;
  return at;
}

function matches(bytes: Uint8Array, at: number, end: number, word: Uint8Array): boolean {
  if (end - at < word.length) return false;
  for (let i = 0; i < word.length; i++) if (bytes[at + i] !== word[i]) return false;
  return true;
}

/** The number of the field with this name. */
function fieldOf(bytes: Uint8Array, start: number, end: number): number {
  const length = end - start;
  if (length < 4 || length > 9) return OTHER;
  let field = BY_SHAPE[shapeOf(length, bytes[start]!)]!;
  // The only two of one shape.
  if (field === CURRENCY && bytes[start + 1] === 0x61) field = CAMPAIGN;
  const name = NAMES[field]!;
  if (name.length !== length) return OTHER;
  for (let i = 0; i < length; i++) if (bytes[start + i] !== name[i]) return OTHER;
  return field;
}

function isNumeral(c: number): boolean {
  return (c >= ZERO && c <= 0x39) || c === 0x2e;
}

/** True for digits, and perhaps a point and digits, as JSON allows them. */
function isPlainNumber(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start > 1 && bytes[start] === ZERO && bytes[start + 1] !== 0x2e) return false;
  let points = 0;
  for (let i = start; i < end; i++) if (bytes[i] === 0x2e) points++;
  return points === 0 || (points === 1 && bytes[end - 1] !== 0x2e);
}

function digit(c: number): number {
  return c >= ZERO && c <= 0x39 ? c - ZERO : NO_DIGIT;
}

function pair(bytes: Uint8Array, at: number): number {
  return digit(bytes[at]!) * 10 + digit(bytes[at + 1]!);
}

/** A plain decimal of at most 15 digits in cents, rounded half up; NaN if it is none. */
function centsOf(bytes: Uint8Array, start: number, end: number): number {
  // With so few digits, the number that `JSON.parse` makes of them is written with the very same digits again.
  if (end - start > 15 || !isPlainNumber(bytes, start, end)) return NaN;
  let cents = 0;
  let decimals = -1;
  let up = 0;
  for (let i = start; i < end; i++) {
    const c = bytes[i]!;
    if (c === 0x2e) {
      decimals = 0;
    } else if (decimals < 2) {
      cents = cents * 10 + c - ZERO;
      if (decimals >= 0) decimals++;
    } else {
      if (decimals === 2 && c >= 0x35) up = 1;
      decimals++;
    }
  }
  if (decimals < 1) return cents * 100;
  return (decimals === 1 ? cents * 10 : cents) + up;
}

/** A whole number of at most 15 digits; NaN if it is none. */
function wholeOf(bytes: Uint8Array, start: number, end: number): number {
  if (end - start > 15 || !isPlainNumber(bytes, start, end)) return NaN;
  let number = 0;
  for (let i = start; i < end; i++) {
    if (bytes[i] === 0x2e) return NaN;
    number = number * 10 + bytes[i]! - ZERO;
  }
  return number;
}

function isCurrency(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start !== 3) return false;
  for (let i = start; i < end; i++) if (bytes[i]! < 0x41 || bytes[i]! > 0x5a) return false;
  return true;
}

function isAllowed(field: number, bytes: Uint8Array, start: number, end: number): boolean {
  const length = end - start;
  if (field === TYPE) return length <= 64 && EVENT_TYPE.test(String.fromCharCode(...bytes.subarray(start, end)));
  return length >= 1 && length <= (field === REGION ? MAX_REGION_LENGTH : MAX_ID_LENGTH);
}

/** Where a page's query string or fragment begins, or its end. */
function cutAt(bytes: Uint8Array, start: number, end: number): number {
  for (let i = start; i < end; i++) if (bytes[i] === 0x3f || bytes[i] === 0x23) return i;
  return end;
}

function widened(values: Int32Array<ArrayBuffer>, index: number): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(Math.max(index + 1, values.length * 2));
  larger.set(values);
  return larger;
}
