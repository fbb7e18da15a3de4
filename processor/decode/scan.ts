/**
 * The fast decoder: scans a record's bytes straight into the batch's columns. It handles the usual form: one flat
 * object without escapes, with each field once and in its usual notation. The reference decoder gets everything else
 * and every possible refusal, so the two can't disagree on what is an event.
 * @module
 */
import { textOf } from "./ascii.ts";
import { type Batch, type Coded, type Dictionaries, ID_WORDS } from "../columns/batch.ts";
import { TimestampParser } from "./timestamp.ts";
import { type Decoder, MOST_AHEAD } from "./decoder.ts";
import { JsonDecoder } from "./json.ts";
import { type Dictionary, NONE } from "../columns/dictionary.ts";
import { FIELDS, MAX_AHEAD_MS, MAX_CENTS, MAX_EVENT_BYTES, PURCHASE } from "../event.ts";
import { FIELD, FIELD_BITS, isAllowed, NEEDED } from "./fields.ts";
import { Lexer } from "./lexer.ts";
import { centsOf, wholeOf } from "./numbers.ts";
import { PageCutter } from "./page.ts";
import { MARGIN } from "./separators.ts";
import { grown } from "../columns/grown.ts";
import type { Records } from "../records.ts";
import type { Refusal } from "../refusal.ts";
import { parseEpochMs } from "./time.ts";

/** Options of the scanner. */
export interface ScanOptions {
  /** Maximum age of an event at its Kafka timestamp, in milliseconds. */
  readonly keepMs: number;
  /** Whether a fragment that is a route belongs to the page (default: true). */
  readonly hashRoutes?: boolean;
  /** Decodes unusual records, by the same rules. */
  readonly reference?: Decoder;
}

// Local copies: the compiler knows a module's own constants, but loads imported ones each time.
const {
  eventId: ID,
  userId: USER,
  sessionId: SESSION,
  eventType: TYPE,
  timestamp: TIMESTAMP,
  page: PAGE,
  device: DEVICE,
  region: REGION,
  referrer: REFERRER,
  productId: PRODUCT,
  campaign: CAMPAIGN,
  price: PRICE,
  quantity: QUANTITY,
  currency: CURRENCY,
} = FIELD;
const REQUIRED = NEEDED;
const BITS = FIELD_BITS;
const MASK = (1 << BITS) - 1;
const MAX_ID_LENGTH = FIELDS.eventId.maxLength;
const MAX_PAGE_LENGTH = FIELDS.page.maxLength;
const LEAST_QUANTITY = FIELDS.quantity.least;

/** Decodes by scanning bytes. */
export class ScanDecoder implements Decoder {
  readonly #reference: Decoder;
  readonly #keepMs: number;
  readonly #cutter: PageCutter;
  readonly #timestamps = new TimestampParser();
  readonly #lexer = new Lexer();
  /** The lexer's notes of the scanned records. */
  readonly #starts = this.#lexer.starts;
  readonly #ends = this.#lexer.ends;
  readonly #highs = this.#lexer.highs;
  readonly #lows = this.#lexer.lows;
  readonly #numbers = this.#lexer.numbers;
  /** By scanned record: the fields with a value, as bits; 0 if anything is unusual. */
  readonly #present = new Int32Array(MOST_AHEAD);
  readonly #users = new Int32Array(MOST_AHEAD);
  /** Keyed hashes of their ids. */
  readonly #ids = new Int32Array(MOST_AHEAD * ID_WORDS);
  /** The scanned records: those of `#records` from `#from` to `#until`. */
  #records: Records | null = null;
  #from = 0;
  #until = 0;
  /** The bytes of `#records`, and those of the scanned records: the same, or a copy of the last record. */
  #whole: DataView = new DataView(new ArrayBuffer(0));
  #view: DataView = this.#whole;
  #words: Dictionaries | null = null;
  #generation = 0;
  /** Codes in the current dictionaries. */
  #unknownDevice = NONE;
  #unknownRegion = NONE;
  #purchase = NONE;
  /** By code of the page as sent: the code of the cut page plus one; 0 if not looked up yet. */
  #pages = new Int32Array(64);

  constructor({ keepMs, hashRoutes = true, reference = new JsonDecoder(keepMs, hashRoutes) }: ScanOptions) {
    this.#reference = reference;
    this.#keepMs = keepMs;
    this.#cutter = new PageCutter(hashRoutes);
  }

  decode(records: Records, i: number, batch: Batch): Refusal | null {
    const { words } = batch;
    try {
      if (words !== this.#words || words.type.generation !== this.#generation) this.#use(words);
      if (!this.#hasSeen(records, i)) this.#look(records, i, 1, words);
      const n = i - this.#from;
      if ((this.#present[n]! & REQUIRED) === REQUIRED && this.#write(n, records, i, batch)) return null;
    } catch {
      // The reference decoder finds out what is wrong; if nothing is, it writes to the same index.
      this.#forget();
    }
    return this.#reference.decode(records, i, batch);
  }

  lookAhead(records: Records, i: number, words: Dictionaries, ids: Int32Array): number {
    if (this.#hasSeen(records, i)) return 0;
    try {
      this.#look(records, i, MOST_AHEAD, words);
    } catch {
      // One of them causes the error: decode them one by one.
      this.#forget();
      return 0;
    }
    const count = this.#until - i;
    for (let n = 0; n < count; n++) {
      this.#users[n] = this.#lows[n << BITS | USER]!;
      ids[n] = this.#ids[n * ID_WORDS]!;
    }
    words.user.touch(this.#users, count);
    return count;
  }

  /** Drops the notes of the scanned records. */
  #forget(): void {
    this.#records = null;
    this.#until = 0;
  }

  #hasSeen(records: Records, i: number): boolean {
    return records === this.#records && i >= this.#from && i < this.#until;
  }

  /** Notes the fields of up to `most` records. */
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
      else if (end + MARGIN <= bytes.length) {
        this.#present[i - from] = this.#lexer.scan(i - from, this.#view, start, end);
      } else break;
    }
    if (i === from) {
      const start = starts[i]!;
      const end = ends[i]!;
      this.#view = roomy(bytes, start, end);
      this.#present[0] = this.#lexer.scan(0, this.#view, 0, end - start);
      i++;
    }
    this.#until = i;
    for (let n = 0; n < i - from; n++) {
      if ((this.#present[n]! & 1 << ID) === 0) continue;
      const id = n << BITS | ID;
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
    this.#unknownDevice = words.device.internText(FIELDS.device.absent);
    this.#unknownRegion = words.region.internText(FIELDS.region.absent);
    this.#purchase = words.type.internText(PURCHASE);
  }

  /** Writes record `n` to index `batch.count`; false if the reference decoder must judge one of its fields. */
  #write(n: number, records: Records, i: number, batch: Batch): boolean {
    const fields = this.#present[n]!;
    const first = n << BITS;
    const { words, codes } = batch;
    const place = batch.count;
    const time = this.#time(n);
    const sentTime = records.times[i]!;
    const kafkaTime = sentTime < 0 ? time : sentTime;
    // Also false without a time (NaN).
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

  /**
   * The code of the text noted at `at`; `BAD` if it is not allowed. A text in the dictionary has been checked before.
   */
  #text(at: number, dictionary: Dictionary): number {
    const view = this.#view;
    const start = this.#starts[at]!;
    const end = this.#ends[at]!;
    const code = dictionary.find(view, start, end, this.#highs[at]!, this.#lows[at]!);
    if (code !== NONE) return code;
    if (!this.#isAllowed(at)) return BAD;
    return dictionary.add(view, start, end, this.#highs[at]!, this.#lows[at]!);
  }

  /** Whether the field may hold the text noted at `at`. */
  #isAllowed(at: number): boolean {
    return isAllowed(at & MASK, this.#view, this.#starts[at]!, this.#ends[at]!);
  }

  /** The code of the session; if no view needs sessions, only checks it. */
  #session(first: number, words: Dictionaries): number {
    if (words.wanted.sessions) return this.#text(first | SESSION, words.session);
    return this.#isAllowed(first | SESSION) ? NONE : BAD;
  }

  /** Writes the page, and the page as sent if it is wanted. */
  #setPage(first: number, { words, codes, count }: Batch): boolean {
    const view = this.#view;
    const start = this.#starts[first | PAGE]!;
    const end = this.#ends[first | PAGE]!;
    if (end === start || end - start > MAX_PAGE_LENGTH) return false;
    const high = this.#highs[first | PAGE]!;
    const low = this.#lows[first | PAGE]!;
    if (!words.wanted.events) {
      codes.pagePath[count] = this.#cutter.code(view, start, end, high, low, words.pagePath);
      return true;
    }
    const known = words.page.count;
    const sent = words.page.intern(view, start, end, high, low);
    if (sent >= this.#pages.length) this.#pages = grown(this.#pages, sent + 1);
    let page = sent < known ? this.#pages[sent]! : 0;
    if (page === 0) page = this.#pages[sent] = this.#cutter.code(view, start, end, high, low, words.pagePath) + 1;
    codes.page[count] = sent;
    codes.pagePath[count] = page - 1;
    return true;
  }

  /** Writes price, quantity and revenue. */
  #setPrice(n: number, type: number, batch: Batch): boolean {
    const view = this.#view;
    const fields = this.#present[n]!;
    const first = n << BITS;
    const place = batch.count;
    let price = NaN;
    let quantity: number = FIELDS.quantity.absent;
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
      if (!(quantity >= LEAST_QUANTITY)) return false;
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

  /** Writes the fields that only raw events keep. */
  #setRest(first: number, fields: number, { words, codes, count }: Batch): boolean {
    if ((fields & 1 << CURRENCY) !== 0 && !this.#isAllowed(first | CURRENCY)) return false;
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
    // A device that is literally called `unknown` counts as `other`.
    if (known !== NONE && known !== this.#unknownDevice) return known;
    const sent = end - start <= LONGEST_DEVICE ? textOf(view, start, end) : "";
    return devices.internText(FIELDS.device.among.has(sent) ? sent : FIELDS.device.other);
  }

  #time(n: number): number {
    const start = this.#starts[n << BITS | TIMESTAMP]!;
    const end = this.#ends[n << BITS | TIMESTAMP]!;
    if ((this.#numbers[n]! & 1 << TIMESTAMP) !== 0) return parseEpochMs(wholeOf(this.#view, start, end));
    return this.#timestamps.read(this.#view, start, end);
  }
}

/** Length of the longest known device name. */
const LONGEST_DEVICE = Math.max(...[...FIELDS.device.among].map((name) => name.length));

/** Stands for a code that can't exist. */
const BAD = -2;

/** A copy of a record that is too near the end of its buffer. */
function roomy(bytes: Uint8Array, start: number, end: number): DataView {
  const copy = new Uint8Array(end - start + MARGIN);
  copy.set(bytes.subarray(start, end));
  return new DataView(copy.buffer);
}
