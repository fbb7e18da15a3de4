/**
 * The fast decoder: one pass over a record's bytes, four at a time, straight into the batch's columns. It takes what
 * shops nearly always send: one flat object of ASCII without escapes, each field once and in its usual form. Everything
 * else, and whatever might have to be refused, it hands to the reference decoder, so that the two can't disagree on what
 * is an event.
 *
 * A producer writes its fields in one order and with one spacing, so what stands between two values is nearly always
 * one of a few things that stood there before: it is compared as a whole before it is taken apart.
 * @module
 */
import {
  BACKSLASH,
  CLOSE,
  COLON,
  COMMA,
  EXCLAMATION,
  HASH,
  NINE,
  OPEN,
  POINT,
  QUOTE,
  SLASH,
  textOf,
  ZERO,
} from "./ascii.ts";
import { type Batch, type Coded, type Dictionaries, ID_WORDS } from "../columns/batch.ts";
import { TimestampParser } from "./timestamp.ts";
import { type Decoder, MOST_AHEAD } from "./decoder.ts";
import { JsonDecoder } from "./json.ts";
import { type Dictionary, NONE } from "../columns/dictionary.ts";
import {
  DEVICES,
  EVENT_TYPE,
  MAX_AHEAD_MS,
  MAX_CENTS,
  MAX_EVENT_BYTES,
  MAX_ID_LENGTH,
  MAX_PAGE_LENGTH,
  MAX_REGION_LENGTH,
} from "../event.ts";
import { MARGIN, Separators } from "./separators.ts";
import { grown } from "../columns/grown.ts";
import { endHigh, endLow, Hasher, HIGH_SEED, LOW_SEED, lowBytes, stepHigh, stepLow } from "../columns/hash.ts";
import type { Records } from "../records.ts";
import type { Refusal } from "../refusal.ts";
import { parseEpochMs } from "./time.ts";

/** How the scanner decodes. */
export interface ScanOptions {
  /** How much older than its Kafka timestamp an event may be, in milliseconds. */
  readonly keepMs: number;
  /** Whether a fragment that is a route belongs to the page; true if left out. */
  readonly hashRoutes?: boolean;
  /** Takes what is unusual, by the same rules. */
  readonly reference?: Decoder;
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
/** Stands for the beginning of the record, where a field that came before is asked for. */
const BEGINNING = 15;
/** What is noted of one record, as a power of two: a place for each field. */
const FIELD_BITS = 4;
const FIELD_MASK = (1 << FIELD_BITS) - 1;

/** The fields that must be there, as bits. */
const NEEDED = 1 << USER | 1 << TYPE | 1 << TIMESTAMP | 1 << PAGE;
/** Fields that may be a number. */
const NUMERIC = 1 << TIMESTAMP | 1 << PRICE | 1 << QUANTITY;

const FIELD_BY_NAME: ReadonlyMap<string, number> = new Map(
  FIELDS.map((name, field) => [name, field] as const).filter(([name]) => name !== ""),
);

/** A byte in all four places of a word. */
const FOURFOLD = 0x01010101;
const HIGH_BITS = 0x80808080 | 0;

/** Decodes by scanning bytes. */
export class ScanDecoder implements Decoder {
  readonly #reference: Decoder;
  readonly #keepMs: number;
  readonly #hashRoutes: boolean;
  readonly #separators = new Separators(BEGINNING + 1);
  readonly #timestamps = new TimestampParser();
  readonly #hasher = new Hasher();
  /** Of each record looked at, and each of its fields: where its value lies; of a string without quotes, and its hash. */
  readonly #starts = new Int32Array(MOST_AHEAD << FIELD_BITS);
  readonly #ends = new Int32Array(MOST_AHEAD << FIELD_BITS);
  readonly #highs = new Int32Array(MOST_AHEAD << FIELD_BITS);
  readonly #lows = new Int32Array(MOST_AHEAD << FIELD_BITS);
  /** Fields of each that have a value, as bits; 0 if there is anything unusual about it. */
  readonly #present = new Int32Array(MOST_AHEAD);
  /** Fields of each that were numbers, as bits. */
  readonly #numbers = new Int32Array(MOST_AHEAD);
  readonly #users = new Int32Array(MOST_AHEAD);
  /** Keyed hashes of their ids. */
  readonly #ids = new Int32Array(MOST_AHEAD * ID_WORDS);
  /** Which records these are: those of `#records` from `#from` to `#until`. */
  #records: Records | null = null;
  #from = 0;
  #until = 0;
  /** What all of `#records` lie in, and what those looked at do: the same, or a copy of the last. */
  #whole: DataView = new DataView(new ArrayBuffer(0));
  #view: DataView = this.#whole;
  #words: Dictionaries | null = null;
  #generation = 0;
  /** Codes in the dictionaries in use. */
  #unknownDevice = NONE;
  #unknownRegion = NONE;
  #purchase = NONE;
  /** The page of each page as sent, plus one; 0 where it has not been looked up. */
  #pages = new Int32Array(64);

  constructor({ keepMs, hashRoutes = true, reference = new JsonDecoder(keepMs, hashRoutes) }: ScanOptions) {
    this.#reference = reference;
    this.#keepMs = keepMs;
    this.#hashRoutes = hashRoutes;
  }

  decode(records: Records, i: number, batch: Batch): Refusal | null {
    const { words } = batch;
    try {
      if (words !== this.#words || words.type.generation !== this.#generation) this.#use(words);
      if (!this.#hasSeen(records, i)) this.#look(records, i, 1, words);
      const n = i - this.#from;
      if ((this.#present[n]! & NEEDED) === NEEDED && this.#write(n, records, i, batch)) return null;
    } catch {
      // The reference says what is wrong with it, and writes to the same place if nothing is.
      this.#forget();
    }
    return this.#reference.decode(records, i, batch);
  }

  lookAhead(records: Records, i: number, words: Dictionaries, ids: Int32Array): number {
    if (this.#hasSeen(records, i)) return 0;
    try {
      this.#look(records, i, MOST_AHEAD, words);
    } catch {
      // One of them is to blame: they are looked at one by one.
      this.#forget();
      return 0;
    }
    const count = this.#until - i;
    for (let n = 0; n < count; n++) {
      this.#users[n] = this.#lows[n << FIELD_BITS | USER]!;
      ids[n] = this.#ids[n * ID_WORDS]!;
    }
    words.user.touch(this.#users, count);
    return count;
  }

  /** What was noted of the records looked at is not to be used. */
  #forget(): void {
    this.#records = null;
    this.#until = 0;
  }

  #hasSeen(records: Records, i: number): boolean {
    return records === this.#records && i >= this.#from && i < this.#until;
  }

  /** Notes where the fields lie of up to `most` records. */
  #look(records: Records, from: number, most: number, { keyed }: Dictionaries): void {
    const { bytes, starts, ends, count } = records;
    if (records !== this.#records) this.#whole = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#records = records;
    this.#from = from;
    this.#view = this.#whole;
    let i = from;
    for (const until = Math.min(count, from + most); i < until; i++) {
      const start = starts[i]!;
      const end = ends[i]!;
      if (end - start > MAX_EVENT_BYTES || end <= start) this.#present[i - from] = 0;
      else if (end + MARGIN <= bytes.length) this.#present[i - from] = this.#scan(i - from, start, end);
      else break;
    }
    if (i === from) {
      const start = starts[i]!;
      const end = ends[i]!;
      this.#view = roomy(bytes, start, end);
      this.#present[0] = this.#scan(0, 0, end - start);
      i++;
    }
    this.#until = i;
    for (let n = 0; n < i - from; n++) {
      if ((this.#present[n]! & 1 << ID) === 0) continue;
      const id = n << FIELD_BITS | ID;
      keyed.hash(this.#view, this.#starts[id]!, this.#ends[id]!);
      const at = n * ID_WORDS;
      this.#ids[at] = keyed.a;
      this.#ids[at + 1] = keyed.b;
      this.#ids[at + 2] = keyed.c;
    }
  }

  #use(words: Dictionaries): void {
    this.#words = words;
    this.#generation = words.type.generation;
    this.#pages.fill(0);
    this.#unknownDevice = words.device.internText("unknown");
    this.#unknownRegion = words.region.internText("unknown");
    this.#purchase = words.type.internText("purchase");
  }

  /** Finds the fields of record `n`; returns those with a value as bits, or 0 if there is anything unusual. */
  #scan(n: number, start: number, end: number): number {
    const view = this.#view;
    const expected = this.#separators;
    const first = n << FIELD_BITS;
    let at = start;
    let field = BEGINNING;
    let seen = 0;
    let present = 0;
    let numbers = 0;
    for (;;) {
      let isText = true;
      const way = expected.find(field, view, at);
      if (way >= 0) {
        at += expected.length(way);
        isText = expected.isText(way);
        field = expected.next(way);
        // What stood before a number stands before a text too, but for the quote.
        if (!isText && view.getUint8(at) === QUOTE) {
          isText = true;
          at++;
        }
      } else {
        const before = field;
        const between = at;
        at = blanks(view, at, end);
        if (view.getUint8(at) !== (before === BEGINNING ? OPEN : COMMA)) return 0;
        at = blanks(view, at + 1, end);
        if (at >= end || view.getUint8(at) !== QUOTE) return 0;
        const name = at + 1;
        at = name;
        while (at < end && isPlain(view.getUint8(at))) at++;
        if (at >= end || view.getUint8(at) !== QUOTE) return 0;
        field = FIELD_BY_NAME.get(textOf(view, name, at)) ?? OTHER;
        at = blanks(view, at + 1, end);
        if (at >= end || view.getUint8(at) !== COLON) return 0;
        at = blanks(view, at + 1, end);
        isText = at < end && view.getUint8(at) === QUOTE;
        if (isText) at++;
        expected.learn(before, field, isText, view, between, at);
      }
      const bit = 1 << field;
      if (field !== OTHER) {
        if ((seen & bit) !== 0) return 0;
        seen |= bit;
      }
      const from = at;
      if (isText) {
        let high = HIGH_SEED;
        let low = LOW_SEED;
        for (;;) {
          // The text goes on past the record: it has no end.
          if (at >= end) return 0;
          const word = view.getInt32(at, true);
          // The highest bit of each byte that is a quote, a backslash, a control character or not ASCII; bytes above
          // the first of these may be marked wrongly.
          const special = (((word ^ QUOTE * FOURFOLD) - FOURFOLD) | ((word ^ BACKSLASH * FOURFOLD) - FOURFOLD) |
            (word - 0x20 * FOURFOLD) | word) & HIGH_BITS;
          if (special === 0) {
            high = stepHigh(high, word);
            low = stepLow(low, word);
            at += 4;
          } else {
            const plain = (31 - Math.clz32(special & -special)) >>> 3;
            const rest = lowBytes(word, plain);
            high = stepHigh(high, rest);
            low = stepLow(low, rest);
            at += plain;
            break;
          }
        }
        if (at >= end) return 0;
        if (view.getUint8(at) === QUOTE) {
          high = endHigh(high, at - from);
          this.#highs[first | field] = high;
          this.#lows[first | field] = endLow(low, high);
        } else {
          at = endOfText(view, at, end);
          if (at < 0) return 0;
          this.#hasher.hash(view, from, at);
          this.#highs[first | field] = this.#hasher.high;
          this.#lows[first | field] = this.#hasher.low;
        }
        this.#starts[first | field] = from;
        this.#ends[first | field] = at;
        present |= bit;
        at++;
      } else if (isDigit(view.getUint8(at))) {
        while (at < end && isNumeral(view.getUint8(at))) at++;
        // A number is taken apart where its field wants one; a field that is ignored may hold any, but a valid one.
        if (field === OTHER ? !isPlainNumber(view, from, at) : (NUMERIC & bit) === 0) return 0;
        this.#starts[first | field] = from;
        this.#ends[first | field] = at;
        numbers |= bit;
        present |= bit;
      } else if (matches(view, at, end, "null")) {
        at += 4;
      } else if (field === OTHER && matches(view, at, end, "true")) {
        at += 4;
      } else if (field === OTHER && matches(view, at, end, "false")) {
        at += 5;
      } else {
        return 0;
      }
      if (at >= end) return 0;
      let next = view.getUint8(at);
      if (next === CLOSE) break;
      if (next !== COMMA) {
        const blank = blanks(view, at, end);
        if (blank >= end) return 0;
        next = view.getUint8(blank);
        if (next === CLOSE) {
          at = blank;
          break;
        }
      }
    }
    this.#numbers[n] = numbers;
    return at + 1 === end || blanks(view, at + 1, end) === end ? present : 0;
  }

  /** Writes record `n` to place `batch.count`; false if one of its fields needs the reference's judgement. */
  #write(n: number, records: Records, i: number, batch: Batch): boolean {
    const fields = this.#present[n]!;
    const first = n << FIELD_BITS;
    const { words, codes } = batch;
    const place = batch.count;
    const time = this.#time(n);
    const sentTime = records.times[i]!;
    const kafkaTime = sentTime < 0 ? time : sentTime;
    // Also false where there is no time.
    if (!(time - kafkaTime <= MAX_AHEAD_MS && kafkaTime - time <= this.#keepMs)) return false;
    const user = this.#text(first | USER, words.user);
    const type = this.#text(first | TYPE, words.type);
    const session = (fields & 1 << SESSION) === 0 ? NONE : this.#session(first, words);
    const region = (fields & 1 << REGION) === 0 ? this.#unknownRegion : this.#text(first | REGION, words.region);
    if (user === BAD || type === BAD || session === BAD || region === BAD) return false;
    if (!this.#setPage(first, batch) || !this.#setPrice(n, type, batch)) return false;
    if (!this.#setRest(first, fields, batch)) return false;
    codes.user[place] = user;
    codes.type[place] = type;
    codes.session[place] = session;
    codes.region[place] = region;
    codes.device[place] = (fields & 1 << DEVICE) === 0
      ? this.#unknownDevice
      : this.#device(first | DEVICE, words.device);
    batch.time[place] = time;
    batch.kafkaTime[place] = kafkaTime;
    batch.partition[place] = records.partition;
    batch.offset[place] = records.offsets[i]!;
    if ((fields & 1 << ID) === 0) {
      batch.setPlaceAsId();
      return true;
    }
    const id = first | ID;
    const length = this.#ends[id]! - this.#starts[id]!;
    if (length < 1 || length > MAX_ID_LENGTH) return false;
    const at = n * ID_WORDS;
    batch.setId(
      this.#view,
      this.#starts[id]!,
      this.#ends[id]!,
      this.#ids[at]!,
      this.#ids[at + 1]!,
      this.#ids[at + 2]!,
    );
    return true;
  }

  /** The code of the text noted at `at`; `BAD` if it is not allowed. One that is in the dictionary has been checked. */
  #text(at: number, dictionary: Dictionary): number {
    const view = this.#view;
    const start = this.#starts[at]!;
    const end = this.#ends[at]!;
    const code = dictionary.find(view, start, end, this.#highs[at]!, this.#lows[at]!);
    if (code !== NONE) return code;
    if (!isAllowed(at & FIELD_MASK, view, start, end)) return BAD;
    return dictionary.add(view, start, end, this.#highs[at]!, this.#lows[at]!);
  }

  /** The code of the session; of one that nobody wants, only whether it is allowed. */
  #session(first: number, words: Dictionaries): number {
    if (words.wanted.sessions) return this.#text(first | SESSION, words.session);
    return isAllowed(SESSION, this.#view, this.#starts[first | SESSION]!, this.#ends[first | SESSION]!) ? NONE : BAD;
  }

  /** Writes page, and page as sent where it is wanted. */
  #setPage(first: number, { words, codes, count }: Batch): boolean {
    const view = this.#view;
    const start = this.#starts[first | PAGE]!;
    const end = this.#ends[first | PAGE]!;
    if (end === start || end - start > MAX_PAGE_LENGTH) return false;
    const high = this.#highs[first | PAGE]!;
    const low = this.#lows[first | PAGE]!;
    if (!words.wanted.events) {
      codes.page[count] = this.#page(view, start, end, high, low, words.page);
      return true;
    }
    const known = words.sentPage.count;
    const sent = words.sentPage.intern(view, start, end, high, low);
    if (sent >= this.#pages.length) this.#pages = grown(this.#pages, sent + 1);
    let page = sent < known ? this.#pages[sent]! : 0;
    if (page === 0) page = this.#pages[sent] = this.#page(view, start, end, high, low, words.page) + 1;
    codes.sentPage[count] = sent;
    codes.page[count] = page - 1;
    return true;
  }

  /** The code of a page as `cutPage` cuts it. */
  #page(view: DataView, start: number, end: number, high: number, low: number, pages: Dictionary): number {
    const cut = cutAt(view, start, end);
    if (cut === end) return pages.intern(view, start, end, high, low);
    const route = this.#hashRoutes ? routeAt(view, cut, end) : end;
    if (route < end) return this.#routed(view, start, cut, route, cutAt(view, route + 1, end), pages);
    if (cut === start) return pages.internText("/");
    this.#hasher.hash(view, start, cut);
    return pages.intern(view, start, cut, this.#hasher.high, this.#hasher.low);
  }

  /** The code of the page that is the path `[start, cut)` and the route `[route, end)`. */
  #routed(view: DataView, start: number, cut: number, route: number, end: number, pages: Dictionary): number {
    let [whole, from, until] = [view, start, end];
    if (cut < route) {
      // A query string stands between them.
      until = cut - start + end - route;
      const joined = new Uint8Array(until + MARGIN);
      for (let i = start; i < cut; i++) joined[i - start] = view.getUint8(i);
      for (let i = route; i < end; i++) joined[cut - start + i - route] = view.getUint8(i);
      [whole, from] = [new DataView(joined.buffer), 0];
    }
    this.#hasher.hash(whole, from, until);
    return pages.intern(whole, from, until, this.#hasher.high, this.#hasher.low);
  }

  /** Writes price, quantity and revenue. */
  #setPrice(n: number, type: number, batch: Batch): boolean {
    const view = this.#view;
    const fields = this.#present[n]!;
    const first = n << FIELD_BITS;
    const place = batch.count;
    let price = NaN;
    let quantity = 1;
    if ((fields & 1 << PRICE) !== 0) {
      price = centsOf(
        view,
        this.#starts[first | PRICE]!,
        this.#ends[first | PRICE]!,
        (this.#numbers[n]! & 1 << PRICE) === 0,
      );
      if (!(price <= MAX_CENTS)) return false;
    }
    if ((fields & 1 << QUANTITY) !== 0) {
      quantity = wholeOf(view, this.#starts[first | QUANTITY]!, this.#ends[first | QUANTITY]!);
      if (!(quantity >= 1)) return false;
    }
    let revenue = 0;
    if (type === this.#purchase && !Number.isNaN(price)) {
      revenue = price * quantity;
      if (revenue > MAX_CENTS) return false;
    }
    batch.price[place] = price;
    batch.quantity[place] = quantity;
    batch.revenue[place] = revenue;
    return true;
  }

  /** Writes what is only kept with the raw event. */
  #setRest(first: number, fields: number, { words, codes, count }: Batch): boolean {
    if (
      (fields & 1 << CURRENCY) !== 0 &&
      !isCurrency(this.#view, this.#starts[first | CURRENCY]!, this.#ends[first | CURRENCY]!)
    ) {
      return false;
    }
    if (!words.wanted.events) return true;
    codes.referrer[count] = this.#kept(first, fields, REFERRER, words, "referrer");
    codes.product[count] = this.#kept(first, fields, PRODUCT, words, "product");
    codes.campaign[count] = this.#kept(first, fields, CAMPAIGN, words, "campaign");
    codes.currency[count] = this.#kept(first, fields, CURRENCY, words, "currency");
    return true;
  }

  #kept(first: number, fields: number, field: number, words: Dictionaries, column: Coded): number {
    if ((fields & 1 << field) === 0) return NONE;
    const at = first | field;
    return words[column].intern(this.#view, this.#starts[at]!, this.#ends[at]!, this.#highs[at]!, this.#lows[at]!);
  }

  #device(at: number, devices: Dictionary): number {
    const view = this.#view;
    const start = this.#starts[at]!;
    const end = this.#ends[at]!;
    const known = devices.find(view, start, end, this.#highs[at]!, this.#lows[at]!);
    // A device that calls itself `unknown` is one that is not known by its name.
    if (known !== NONE && known !== this.#unknownDevice) return known;
    const sent = end - start <= LONGEST_DEVICE ? textOf(view, start, end) : "";
    return devices.internText(DEVICES.has(sent) ? sent : "other");
  }

  #time(n: number): number {
    const start = this.#starts[n << FIELD_BITS | TIMESTAMP]!;
    const end = this.#ends[n << FIELD_BITS | TIMESTAMP]!;
    if ((this.#numbers[n]! & 1 << TIMESTAMP) !== 0) return parseEpochMs(wholeOf(this.#view, start, end));
    return this.#timestamps.read(this.#view, start, end);
  }
}

/** Length of the longest name of a device that is told apart. */
const LONGEST_DEVICE = Math.max(...[...DEVICES].map((name) => name.length));

/** Stands for a code where there can't be one. */
const BAD = -2;

/** A copy of a record that lies too near the end of its buffer. */
function roomy(bytes: Uint8Array, start: number, end: number): DataView {
  const copy = new Uint8Array(end - start + MARGIN);
  copy.set(bytes.subarray(start, end));
  return new DataView(copy.buffer);
}

/** Where the quote stands that ends a text, from `at` on; -1 if an escape, or what is not UTF-8, comes before it. */
function endOfText(view: DataView, at: number, end: number): number {
  while (at < end) {
    const c = view.getUint8(at);
    if (c === QUOTE) return at;
    if (c < 0x20 || c === BACKSLASH) return -1;
    const length = c < 0x80 ? 1 : sequenceLength(view, at, c);
    if (length === 0) return -1;
    at += length;
  }
  return -1;
}

/** Length of the UTF-8 sequence that begins with the byte `c` at `at`; 0 if it is none. Surrogates have none. */
function sequenceLength(view: DataView, at: number, c: number): number {
  const follows = (n: number, least = 0x80, most = 0xbf) => {
    const next = view.getUint8(at + n);
    return next >= least && next <= most;
  };
  if (c < 0xc2 || c > 0xf4) return 0;
  if (c < 0xe0) return follows(1) ? 2 : 0;
  if (c < 0xf0) return follows(1, c === 0xe0 ? 0xa0 : 0x80, c === 0xed ? 0x9f : 0xbf) && follows(2) ? 3 : 0;
  return follows(1, c === 0xf0 ? 0x90 : 0x80, c === 0xf4 ? 0x8f : 0xbf) && follows(2) && follows(3) ? 4 : 0;
}

function isPlain(c: number): boolean {
  return c >= 0x20 && c < 0x80 && c !== QUOTE && c !== BACKSLASH;
}

function isDigit(c: number): boolean {
  return c >= ZERO && c <= NINE;
}

function isNumeral(c: number): boolean {
  return isDigit(c) || c === POINT;
}

/** Where the next byte is that is no white space. */
function blanks(view: DataView, at: number, end: number): number {
  for (; at < end; at++) {
    const c = view.getUint8(at);
    if (c !== 0x20 && c !== 0x0a && c !== 0x0d && c !== 0x09) break;
  }
  return at;
}

function matches(view: DataView, at: number, end: number, word: string): boolean {
  if (end - at < word.length) return false;
  for (let i = 0; i < word.length; i++) if (view.getUint8(at + i) !== word.charCodeAt(i)) return false;
  return true;
}

/** True for digits, and perhaps a point and digits, as JSON allows them. */
function isPlainNumber(view: DataView, start: number, end: number): boolean {
  return (end - start === 1 || view.getUint8(start) !== ZERO || view.getUint8(start + 1) === POINT) &&
    isDecimal(view, start, end);
}

/** True for digits, and perhaps a point and digits. */
function isDecimal(view: DataView, start: number, end: number): boolean {
  let points = 0;
  for (let i = start; i < end; i++) {
    const c = view.getUint8(i);
    if (c === POINT) points++;
    else if (!isDigit(c)) return false;
  }
  return start < end && view.getUint8(start) !== POINT && view.getUint8(end - 1) !== POINT && points <= 1;
}

/** A decimal of at most 15 digits in cents, rounded half up; NaN if it is none. As text it may begin with zeros. */
function centsOf(view: DataView, start: number, end: number, isText: boolean): number {
  // With so few digits, the number that `JSON.parse` makes of them is written with the very same digits again.
  if (end - start > 15 || !(isText ? isDecimal(view, start, end) : isPlainNumber(view, start, end))) return NaN;
  let cents = 0;
  let decimals = -1;
  let up = 0;
  for (let i = start; i < end; i++) {
    const c = view.getUint8(i);
    if (c === POINT) {
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
function wholeOf(view: DataView, start: number, end: number): number {
  if (end - start > 15 || !isPlainNumber(view, start, end)) return NaN;
  let number = 0;
  for (let i = start; i < end; i++) {
    const c = view.getUint8(i);
    if (c === POINT) return NaN;
    number = number * 10 + c - ZERO;
  }
  return number;
}

function isCurrency(view: DataView, start: number, end: number): boolean {
  return end - start === 3 && /^[A-Z]{3}$/.test(textOf(view, start, end));
}

function isAllowed(field: number, view: DataView, start: number, end: number): boolean {
  const length = end - start;
  if (field === TYPE) return length <= 64 && EVENT_TYPE.test(textOf(view, start, end));
  return length >= 1 && length <= (field === REGION ? MAX_REGION_LENGTH : MAX_ID_LENGTH);
}

/** Where a page's query string or fragment begins, or its end. */
function cutAt(view: DataView, start: number, end: number): number {
  for (let i = start; i < end; i++) {
    const c = view.getUint8(i);
    if (c === 0x3f || c === HASH) return i;
  }
  return end;
}

/** Where the fragment begins, from `at` on, if it is a hash route; or the page's end. */
function routeAt(view: DataView, at: number, end: number): number {
  // Four bytes at a time, for a query string may be long, and few pages have a fragment.
  for (; at < end; at += 4) {
    const word = view.getInt32(at, true) ^ HASH * FOURFOLD;
    if (((word - FOURFOLD) & ~word & HIGH_BITS) !== 0) break;
  }
  while (at < end && view.getUint8(at) !== HASH) at++;
  const slash = at + 1 < end && view.getUint8(at + 1) === EXCLAMATION ? at + 2 : at + 1;
  return slash < end && view.getUint8(slash) === SLASH ? at : end;
}
