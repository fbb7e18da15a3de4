/**
 * Turns bytes into columns, or into the reason for a refusal.
 * @module
 */
import type { Batch, Coded } from "../columns/batch.ts";
import { encoded, SLACK } from "../columns/dictionary.ts";
import { NONE } from "../columns/strings.ts";
import type { Decoder } from "./decoder.ts";
import { faultOfTime, inWords, parseEpochMs, parseIso, unitOf } from "./time.ts";
import {
  type ClickEvent,
  cutPage,
  type FieldRule,
  FIELDS,
  MAX_AHEAD_MS,
  MAX_EVENT_BYTES,
  PURCHASE,
  type Reason,
} from "../event.ts";
import { mostMinor, priceDigits } from "../currency.ts";
import type { Records } from "../records.ts";
import type { Refusal } from "../refusal.ts";

/**
 * Why a record can't be an event. It is thrown but not an `Error`: a stack trace would cost time and nobody needs it.
 */
class Refused {
  readonly reason: Reason;
  readonly field: string | null;
  readonly detail: string;

  constructor(reason: Reason, field: string | null, detail: string) {
    this.reason = reason;
    this.field = field;
    this.detail = detail;
  }
}

/** The reference decoder: `JSON.parse`, field by field, in the order of the contract. */
export class JsonDecoder implements Decoder {
  readonly #keepMs: number;
  readonly #hashRoutes: boolean;
  readonly #shop: string | null;
  readonly #text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

  /**
   * @param keepMs maximum age of an event at its Kafka timestamp, in milliseconds
   * @param hashRoutes whether a fragment that is a route belongs to the page
   * @param shop the shop's currency; null: all prices are in hundredths, whatever their currency
   */
  constructor(keepMs: number, hashRoutes = true, shop: string | null = null) {
    this.#keepMs = keepMs;
    this.#hashRoutes = hashRoutes;
    this.#shop = shop;
  }

  decode(records: Records, i: number, batch: Batch): Refusal | null {
    const start = records.starts[i]!;
    const value = records.bytes.subarray(start, Math.max(start, records.ends[i]!));
    try {
      const event = this.#parse(value);
      write(event, batch, this.#hashRoutes, this.#shop);
      const time = batch.time[batch.count]!;
      // A record without a timestamp has no time to compare with; the event's own time takes its place.
      const kafkaTime = records.times[i]! < 0 ? time : records.times[i]!;
      this.#checkAge(time, kafkaTime, event.timestamp);
      batch.kafkaTime[batch.count] = kafkaTime;
      batch.partition[batch.count] = records.partition;
      batch.offset[batch.count] = records.offsets[i]!;
      setId(event, batch);
      return null;
    } catch (error) {
      const { reason, field, detail } = error instanceof Refused ? error : undecodable(error);
      // A copy, because the record's bytes may be reused; `slice` would not copy a `Buffer`, which clients return.
      const payload = new Uint8Array(value.subarray(0, MAX_EVENT_BYTES));
      return { reason, field, detail, partition: records.partition, offset: records.offsets[i]!, payload };
    }
  }

  #parse(value: Uint8Array): Fields {
    if (value.length === 0) throw new Refused("empty", null, "the record has no value");
    if (value.length > MAX_EVENT_BYTES) {
      throw new Refused("too_large", null, `it has ${value.length} bytes; at most ${MAX_EVENT_BYTES} are allowed`);
    }
    let text: string;
    let json: unknown;
    try {
      text = this.#text.decode(value);
    } catch {
      throw new Refused("not_utf8", null, "the record is not valid UTF-8");
    }
    try {
      json = JSON.parse(text);
    } catch (error) {
      if (text.startsWith("\ufeff")) {
        throw new Refused("not_json", null, "it begins with a byte-order mark (EF BB BF); send it without");
      }
      throw new Refused("not_json", null, printable(error instanceof Error ? error.message : String(error)));
    }
    if (typeof json !== "object" || json === null || Array.isArray(json)) {
      throw new Refused("not_an_object", null, `${shown(json)} is not a JSON object`);
    }
    return json as Fields;
  }

  #checkAge(time: number, kafkaTime: number, sent: unknown): void {
    const ageMs = kafkaTime - time;
    if (ageMs >= -MAX_AHEAD_MS && ageMs <= this.#keepMs) return;
    const unit = typeof sent === "number" ? unitOf(sent) : null;
    const hint = unit === null ? "" : `: ${shown(sent)} ${unit}`;
    if (ageMs < 0) {
      const ahead = `${moreThan(-ageMs, MAX_AHEAD_MS)} ahead of its Kafka timestamp`;
      const detail = `${ahead}; at most ${inWords(MAX_AHEAD_MS)} are allowed${hint}`;
      throw new Refused("from_the_future", "timestamp", detail);
    }
    const detail = `${moreThan(ageMs, this.#keepMs)} old; kept for ${inWords(this.#keepMs)}${hint}`;
    throw new Refused("expired", "timestamp", detail);
  }
}

/** A length of time as text; says `more than` if it would otherwise read like the allowed one. */
function moreThan(ms: number, allowedMs: number): string {
  return inWords(ms) === inWords(allowedMs) ? `more than ${inWords(ms)}` : inWords(ms);
}

/** No record may end the process: any other error also becomes a refusal. */
function undecodable(error: unknown): Refused {
  return new Refused("bad_value", null, `it cannot be decoded: ${printable(String(error)).slice(0, 200)}`);
}

/** The fields of an object that may be an event, with any values. */
type Fields = { readonly [field in keyof ClickEvent]?: unknown };

/** A text field and its column. */
interface TextField {
  readonly name: keyof ClickEvent;
  readonly column: Coded;
}

const USER: TextField = { name: "userId", column: "user" };
const SESSION: TextField = { name: "sessionId", column: "session" };
const TYPE: TextField = { name: "eventType", column: "type" };
const PAGE: TextField = { name: "page", column: "page" };
const REGION: TextField = { name: "region", column: "region" };
const REFERRER: TextField = { name: "referrer", column: "referrer" };
const PRODUCT: TextField = { name: "productId", column: "product" };
const CAMPAIGN: TextField = { name: "campaign", column: "campaign" };
const CURRENCY: TextField = { name: "currency", column: "currency" };
const USER_AGENT: TextField = { name: "userAgent", column: "userAgent" };
const ORDER: TextField = { name: "orderId", column: "order" };

/** Writes an event's fields to index `batch.count`; checks each in the order of the contract. */
function write(event: Fields, batch: Batch, hashRoutes: boolean, shop: string | null): void {
  const at = batch.count;
  const { codes, words } = batch;
  checkId(event);
  codes.user[at] = code(event, USER, batch);
  codes.session[at] = code(event, SESSION, batch);
  codes.type[at] = code(event, TYPE, batch);
  batch.time[at] = timeOf(event.timestamp);
  const page = codes.page[at] = code(event, PAGE, batch);
  codes.pagePath[at] = words.pagePath.internText(cutPage(words.page.text(page), hashRoutes));
  const device = text(event, "device");
  codes.device[at] = words.device.internText(
    device === null ? FIELDS.device.absent : FIELDS.device.among.has(device) ? device : FIELDS.device.other,
  );
  const region = code(event, REGION, batch);
  codes.region[at] = region === NONE ? words.region.internText(FIELDS.region.absent) : region;
  codes.referrer[at] = code(event, REFERRER, batch);
  codes.product[at] = code(event, PRODUCT, batch);
  codes.campaign[at] = code(event, CAMPAIGN, batch);
  const digits = priceDigits(typeof event.currency === "string" ? event.currency : null, shop);
  const price = minorOf(event.price, digits);
  const quantity = quantityOf(event.quantity);
  batch.price[at] = price ?? NaN;
  batch.quantity[at] = quantity;
  batch.revenue[at] = event.eventType === PURCHASE ? revenueOf(price ?? 0, quantity, digits) : 0;
  codes.currency[at] = code(event, CURRENCY, batch);
  codes.userAgent[at] = code(event, USER_AGENT, batch);
  codes.order[at] = code(event, ORDER, batch);
}

/** The code of a field's text, `NONE` if absent. */
function code(event: Fields, field: TextField, batch: Batch): number {
  const value = event[field.name];
  if (value === undefined || value === null) return ruleOf(field.name).required ? missing(field.name) : NONE;
  if (typeof value !== "string") throw wrongType(field.name, value, "a string");
  check(value, field.name);
  return batch.words[field.column].internText(value);
}

function checkId(event: Fields): void {
  const id = text(event, "eventId");
  if (id !== null) check(id, "eventId");
}

/** Writes the identity, last: without an `eventId`, it is the event's position in the log. */
function setId(event: Fields, batch: Batch): void {
  const id = text(event, "eventId");
  if (id === null) return batch.setPlaceAsId();
  const view = encoded(id);
  const length = view.byteLength - SLACK;
  const { keyed } = batch.words;
  keyed.hash(view, 0, length);
  batch.setId(view, 0, length, keyed.a, keyed.b, keyed.c);
}

/** Refuses a text that can't be stored or that its field does not allow. */
function check(value: string, name: keyof ClickEvent): void {
  const { maxLength, form } = ruleOf(name);
  if (value.includes("\0") || !value.isWellFormed()) {
    throw new Refused("bad_value", name, `${name} holds a NUL or a lone surrogate: ${shown(value)}`);
  }
  if (maxLength !== undefined && (value.length < 1 || value.length > maxLength)) {
    const length = value === "" ? "is empty" : `has ${value.length} characters`;
    throw new Refused("bad_value", name, `${name} ${length}; 1 to ${maxLength} characters are allowed`);
  }
  if (form !== undefined && !form.pattern.test(value)) {
    throw new Refused("bad_value", name, `${name} is ${shown(value)}; it must be ${form.words}`);
  }
}

function ruleOf(name: keyof ClickEvent): FieldRule {
  return FIELDS[name];
}

/** A string, or null if absent. */
function text(event: Fields, field: keyof ClickEvent): string | null {
  const value = event[field] ?? null;
  if (value !== null && typeof value !== "string") throw wrongType(field, value, "a string");
  return value;
}

function timeOf(timestamp: unknown): number {
  const sent = timestamp ?? missing("timestamp");
  if (typeof sent !== "string" && typeof sent !== "number") throw wrongType("timestamp", sent, "a string or a number");
  const time = typeof sent === "string" ? parseIso(sent) : parseEpochMs(sent);
  if (Number.isNaN(time)) {
    throw new Refused("bad_timestamp", "timestamp", `${shown(sent)} is not a time: ${faultOfTime(sent)}`);
  }
  return time;
}

function missing(field: string): never {
  throw new Refused("missing_field", field, `${field} is missing`);
}

function wrongType(field: string, value: unknown, wanted: string): Refused {
  return new Refused("wrong_type", field, `${field} is ${shown(value)}; it must be ${wanted}`);
}

/** A price in minor units of so many digits, rounded half up by its decimal digits; null if absent. */
function minorOf(price: unknown, digits: number): number | null {
  if (price === undefined || price === null) return null;
  if (typeof price !== "number" && typeof price !== "string") throw wrongType("price", price, "a number or a string");
  const minor = typeof price === "string" ? minorOfDecimal(price, digits) : minorOfNumber(price, digits);
  if (Number.isNaN(minor) || minor > mostMinor(digits)) {
    const allowed = `a decimal number from ${FIELDS.price.least} to ${
      unitsOf(mostMinor(digits), digits)
    }, such as 19.99`;
    throw new Refused("bad_value", "price", `price is ${shown(price)}; it must be ${allowed}`);
  }
  return minor;
}

function unitsOf(minor: number, digits: number): number {
  return minor / 10 ** digits;
}

function minorOfNumber(price: number, digits: number): number {
  // The double nearest to a whole number of minor units prints with at most as many decimals, so nothing is rounded.
  const minor = Math.round(price * 10 ** digits);
  if (unitsOf(minor, digits) === price && price >= 0) return minor;
  const text = String(price);
  // A number that prints with a negative exponent is less than half a minor unit.
  return text.includes("e-") && price > 0 ? 0 : minorOfDecimal(text, digits);
}

/** Minor units of a decimal such as `12.345`, rounded half up; NaN if it is not a decimal or too large to be exact. */
function minorOfDecimal(text: string, digits: number): number {
  const match = /^0*(\d{1,13})(?:\.(\d+))?$/.exec(text);
  if (match === null) return NaN;
  const fraction = (match[2] ?? "").padEnd(digits + 1, "0");
  // A number of 16 digits or less is exact, and more are above the limit.
  return +(match[1]! + fraction.slice(0, digits)) + (fraction[digits]! >= "5" ? 1 : 0);
}

function quantityOf(sent: unknown): number {
  if (sent === undefined || sent === null) return FIELDS.quantity.absent;
  if (typeof sent !== "number" && typeof sent !== "string") throw wrongType("quantity", sent, "a number or a string");
  const quantity = typeof sent === "number" ? sent : /^\d+$/.test(sent) ? +sent : NaN;
  if (!Number.isSafeInteger(quantity) || quantity < FIELDS.quantity.least) {
    throw new Refused(
      "bad_value",
      "quantity",
      `quantity is ${shown(sent)}; it must be a whole number from ${FIELDS.quantity.least}`,
    );
  }
  return quantity;
}

function revenueOf(price: number, quantity: number, digits: number): number {
  const revenue = price * quantity;
  if (revenue > mostMinor(digits)) {
    const asked = `${unitsOf(price, digits)} × ${quantity}`;
    throw new Refused("bad_value", "price", `revenue of ${asked} is more than ${unitsOf(mostMinor(digits), digits)}`);
  }
  return revenue;
}

/** Longest value that is shown, in UTF-16 code units. */
const SHOWN = 100;

/** A value as JSON, cut short; it is escaped, so that any value can be stored. */
function shown(value: unknown): string {
  const json = jsonBegun(value, SHOWN + 1);
  return json.length > SHOWN ? `${json.slice(0, SHOWN - 1).toWellFormed()}…` : json;
}

/** At least the first `least` characters of a value's JSON; `JSON.stringify` would recurse as deep as the value. */
function jsonBegun(value: unknown, least: number): string {
  if (typeof value === "string") return JSON.stringify(value.slice(0, least));
  if (typeof value !== "object" || value === null) return String(JSON.stringify(value));
  const isArray = Array.isArray(value);
  let json = isArray ? "[" : "{";
  // Each level adds a character, so the depth is at most `least`.
  for (const name in value) {
    if (json.length >= least) return json;
    if (json.length > 1) json += ",";
    if (!isArray) json += `${JSON.stringify(name.slice(0, least))}:`;
    json += jsonBegun((value as Readonly<Record<string, unknown>>)[name], least - json.length);
  }
  return json + (isArray ? "]" : "}");
}

function printable(message: string): string {
  return message.replaceAll("\0", "\\0").toWellFormed();
}
