/** Writes events to columns, as processor/columns/batch.ts has them; the host makes its arrays of them. */
import { Dictionary, intern, internText } from "./dictionary";
import {
  CAMPAIGN,
  CURRENCY,
  ID,
  ORDER,
  PAGE,
  PRODUCT,
  REFERRER,
  REGION,
  SESSION,
  TYPE,
  USER,
  USER_AGENT,
} from "./fields";
import { Ids, setId } from "./ids";
import { alloc, copy, free } from "./memory";
import { Note, note } from "./notes";

const CODED: i32 = 14;
/** Code of an absent text. */
const NONE: i32 = -1;
/** Code of the region of events without one. */
const UNKNOWN: i32 = 0;

// The coded columns, in the order of CODED in processor/columns/batch.ts.
const OF_TYPE: i32 = 0;
const OF_USER: i32 = 1;
const OF_SESSION: i32 = 2;
const OF_PAGE_PATH: i32 = 3;
const OF_DEVICE: i32 = 4;
const OF_REGION: i32 = 5;
// Of 6, the marks of bots, the host writes the codes.
const OF_PAGE: i32 = 7;
const OF_REFERRER: i32 = 8;
const OF_PRODUCT: i32 = 9;
const OF_CAMPAIGN: i32 = 10;
const OF_CURRENCY: i32 = 11;
const OF_USER_AGENT: i32 = 12;
const OF_ORDER: i32 = 13;

/** The texts of a commit. The dictionaries of the coded columns follow. */
@unmanaged
export class Words {
  ids: Ids = changetype<Ids>(0);
  wantsIds: i32 = 0;
  wantsSessions: i32 = 0;
  wantsAgents: i32 = 0;
  wantsEvents: i32 = 0;
  /** The topic and a slash, for the identity of events that have none; its length. */
  topic: usize = 0;
  topicLength: i32 = 0;
}

const DICTIONARIES: usize = 32;
export const WORDS_BYTES: usize = DICTIONARIES + 4 * 14;

@inline
export function dictionaryOf(words: Words, column: i32): Dictionary {
  return changetype<Dictionary>(<usize>load<u32>(changetype<usize>(words) + (column << 2), DICTIONARIES));
}

/** The users of a commit. */
@inline
export function usersOf(words: Words): Dictionary {
  return dictionaryOf(words, OF_USER);
}

export function setDictionary(words: Words, column: i32, dictionary: Dictionary): void {
  store<u32>(changetype<usize>(words) + (column << 2), <u32>changetype<usize>(dictionary), DICTIONARIES);
}

/** The columns of a batch: where each is. Those of codes follow. */
@unmanaged
export class Columns {
  partition: usize = 0;
  offset: usize = 0;
  kafkaTime: usize = 0;
  time: usize = 0;
  idHash: usize = 0;
  price: usize = 0;
  quantity: usize = 0;
  revenue: usize = 0;
}

const CODES: usize = 32;

export function newColumns(capacity: i32): Columns {
  const columns = changetype<Columns>(alloc(CODES + 4 * 14));
  columns.partition = alloc(capacity * 4);
  columns.offset = alloc(capacity * 8);
  columns.kafkaTime = alloc(capacity * 8);
  columns.time = alloc(capacity * 8);
  columns.idHash = alloc(capacity * 12);
  columns.price = alloc(capacity * 8);
  columns.quantity = alloc(capacity * 8);
  columns.revenue = alloc(capacity * 8);
  for (let n = 0; n < CODED; n++) store<u32>(changetype<usize>(columns) + (n << 2), <u32>alloc(capacity * 4), CODES);
  return columns;
}

export function freeColumns(columns: Columns): void {
  const at = changetype<usize>(columns);
  for (let n: usize = 0; n < CODES + 4 * 14; n += 4) free(<usize>load<u32>(at + n));
  free(at);
}

@inline
export function codes(columns: Columns, column: i32): usize {
  return <usize>load<u32>(changetype<usize>(columns) + (column << 2), CODES);
}

/** Which notes are written: those of events that are no duplicates. */
const KEPT: usize = memory.data(64 * 4, 16);
let kept: i32 = 0;

export function keepNone(): void {
  kept = 0;
}

@inline
export function keep(n: i32): void {
  store<i32>(KEPT + (kept++ << 2), n);
}

/** How many notes `keep` has chosen. */
export function keptCount(): i32 {
  return kept;
}

@inline
function keptNote(k: i32): Note {
  return note(load<i32>(KEPT + (k << 2)));
}

/** Writes the chosen events to the columns from `place` on; the first event of the batch is event `first` of the commit. */
export function write(words: Words, columns: Columns, place: i32, first: i32, partition: i32): void {
  // One column after another, so that the texts that have to be waited for are waited for together.
  const users = codes(columns, OF_USER) + (place << 2);
  for (let k = 0; k < kept; k++) {
    const own = keptNote(k);
    store<i32>(users + (k << 2), intern(dictionaryOf(words, OF_USER), own.start(USER), own.length(USER), own.userHash));
  }
  const pages = codes(columns, OF_PAGE_PATH) + (place << 2);
  for (let k = 0; k < kept; k++) {
    const own = keptNote(k);
    store<i32>(pages + (k << 2), intern(dictionaryOf(words, OF_PAGE_PATH), own.pageStart, own.pageLength, own.pageHash));
  }
  const types = codes(columns, OF_TYPE) + (place << 2);
  for (let k = 0; k < kept; k++) {
    const own = keptNote(k);
    store<i32>(types + (k << 2), internText(dictionaryOf(words, OF_TYPE), own.start(TYPE), own.length(TYPE)));
  }
  const regions = codes(columns, OF_REGION) + (place << 2);
  for (let k = 0; k < kept; k++) {
    const own = keptNote(k);
    const code = own.has(REGION)
      ? intern(dictionaryOf(words, OF_REGION), own.start(REGION), own.length(REGION), own.regionHash)
      : UNKNOWN;
    store<i32>(regions + (k << 2), code);
  }
  if (words.wantsSessions !== 0) writeSessions(words, columns, place);
  writeNumbers(columns, place, partition);
  if (words.wantsIds !== 0) writeIds(words, first + place, partition);
  if (words.wantsAgents !== 0) writeTexts(words, columns, place, OF_USER_AGENT, USER_AGENT);
  if (words.wantsEvents !== 0) {
    writeTexts(words, columns, place, OF_PAGE, PAGE);
    writeTexts(words, columns, place, OF_REFERRER, REFERRER);
    writeTexts(words, columns, place, OF_PRODUCT, PRODUCT);
    writeTexts(words, columns, place, OF_CAMPAIGN, CAMPAIGN);
    writeTexts(words, columns, place, OF_CURRENCY, CURRENCY);
    writeTexts(words, columns, place, OF_ORDER, ORDER);
  }
}

function writeSessions(words: Words, columns: Columns, place: i32): void {
  const sessions = codes(columns, OF_SESSION) + (place << 2);
  for (let k = 0; k < kept; k++) {
    const own = keptNote(k);
    const code = own.has(SESSION)
      ? intern(dictionaryOf(words, OF_SESSION), own.start(SESSION), own.length(SESSION), own.sessionHash)
      : NONE;
    store<i32>(sessions + (k << 2), code);
  }
}

function writeTexts(words: Words, columns: Columns, place: i32, column: i32, field: i32): void {
  const to = codes(columns, column) + (place << 2);
  for (let k = 0; k < kept; k++) {
    const own = keptNote(k);
    const code = own.has(field) ? internText(dictionaryOf(words, column), own.start(field), own.length(field)) : NONE;
    store<i32>(to + (k << 2), code);
  }
}

function writeNumbers(columns: Columns, place: i32, partition: i32): void {
  const devices = codes(columns, OF_DEVICE);
  for (let k = 0; k < kept; k++) {
    const own = keptNote(k);
    const at = place + k;
    store<i32>(columns.partition + (at << 2), partition);
    store<f64>(columns.offset + (at << 3), own.offset);
    store<f64>(columns.kafkaTime + (at << 3), own.kafkaTime);
    store<f64>(columns.time + (at << 3), own.time);
    store<f64>(columns.price + (at << 3), own.price);
    store<f64>(columns.quantity + (at << 3), own.quantity);
    store<f64>(columns.revenue + (at << 3), own.revenue);
    store<i32>(devices + (at << 2), own.device);
    const hash = columns.idHash + at * 12;
    store<u32>(hash, own.idA);
    store<u32>(hash, own.idB, 4);
    store<u32>(hash, own.idC, 8);
  }
}

/** A topic, a partition and an offset, where an event has no `eventId`. */
const PLACE: usize = memory.data(1024, 16);
/** Most bytes of a topic; Kafka allows 249. */
export const LONGEST_TOPIC: i32 = 900;

function writeIds(words: Words, first: i32, partition: i32): void {
  for (let k = 0; k < kept; k++) {
    const own = keptNote(k);
    if (own.has(ID)) setId(words.ids, first + k, own.start(ID), own.length(ID));
    else setId(words.ids, first + k, PLACE, placeOf(words, partition, own.offset));
  }
}

/** Writes where an event lies in the log; returns the length of the text. */
function placeOf(words: Words, partition: i32, offset: f64): i32 {
  copy(PLACE, words.topic, words.topicLength);
  let to = digits(PLACE + words.topicLength, <u64>partition);
  store<u8>(to++, 0x2f);
  to = digits(to, <u64>offset);
  return <i32>(to - PLACE);
}

/** Writes a number in decimal digits; returns where they end. */
function digits(to: usize, number: u64): usize {
  let count = 1;
  for (let rest = number / 10; rest > 0; rest /= 10) count++;
  for (let n = count - 1; n >= 0; n--) {
    store<u8>(to + n, <u8>(number % 10) + 0x30);
    number /= 10;
  }
  return to + count;
}
