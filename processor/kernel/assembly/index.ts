/**
 * What the host calls. Records are looked at in rounds of up to `MOST`, one stage after another for all of them and not
 * all stages for one after another: reads of memory that depend on each other take ten times as long as others.
 */
import { Columns, keep, keepNone, keptCount, LONGEST_TOPIC, usersOf, Words, WORDS_BYTES, write } from "./columns";
import { slotAt } from "./dictionary";
import { Duplicates, entryAt, isDuplicate, pass } from "./duplicates";
import { hashIds } from "./hash";
import { freeIds, newIds } from "./ids";
import { alloc, fail, free, initMasks, LONG_TOPIC } from "./memory";
import { initNotes, note } from "./notes";
import { scan as scanRecord } from "./scan";
import { clearScratch, initScratch } from "./text";
import { check, initDigits } from "./values";

export { alloc, checkGuards, free, takenBytes } from "./memory";
export { freeColumns, newColumns, setDictionary } from "./columns";
export { crc32c, crcRoom } from "./crc";
export { clearDictionary, freeDictionary, internText, newDictionary } from "./dictionary";
export { freeDuplicates, isDuplicate, newDuplicates, pass, replayFrom } from "./duplicates";
export { setField } from "./fields";
export { quickHash, useKey } from "./hash";
export { setId } from "./ids";
export { setEndOfTime } from "./numbers";
export { addRowColumn, clearRowColumns, newRows, rowBytes, writeRows } from "./rows";
export { addDevice, setAbsentDigits, setDigits, setMost, setPurchase, setRules } from "./values";

/** The records in the kernel's memory: where each begins and ends, its offset and its Kafka timestamp. */
let starts: usize = 0;
let ends: usize = 0;
let offsets: usize = 0;
let times: usize = 0;
let mostBytes: i32 = 0;

/** @param most most records at a time; `bytes` is the most that a record may have */
export function init(most: i32, bytes: i32): void {
  initMasks();
  initNotes();
  initScratch();
  initDigits();
  starts = alloc(most * 4);
  ends = alloc(most * 4);
  offsets = alloc(most * 8);
  times = alloc(most * 8);
  mostBytes = bytes;
}

/** Where the host writes the starts, the ends, the offsets and the times of records. */
export function startsAt(): usize {
  return starts;
}

export function endsAt(): usize {
  return ends;
}

export function offsetsAt(): usize {
  return offsets;
}

export function timesAt(): usize {
  return times;
}

/** Takes what is read for nothing else than to have it in the nearest cache, so that it is read. */
let touched: u32 = 0;

/** Looks at `count` records from `from` on; `moved` is how far their bytes lie behind where the starts say. */
export function scan(from: i32, count: i32, moved: i32): void {
  clearScratch();
  for (let n = 0; n < count; n++) {
    const own = note(n);
    const start = load<i32>(starts + ((from + n) << 2)) + moved;
    const end = load<i32>(ends + ((from + n) << 2)) + moved;
    own.offset = load<f64>(offsets + ((from + n) << 3));
    own.logTime = load<f64>(times + ((from + n) << 3));
    const length = end - start;
    own.present = length > 0 && length <= mostBytes ? scanRecord(own, <usize>start, <usize>end) : 0;
    if (own.present !== 0 && !check(own)) own.present = 0;
  }
  hashIds(count);
}

/** Reads the memory that records will need, all at once. */
function touch(words: Words, ids: Duplicates, from: i32, until: i32): void {
  const users = usersOf(words);
  let all: u32 = 0;
  for (let n = from; n < until; n++) {
    const own = note(n);
    all |= load<u32>(entryAt(ids, own.idA)) | load<u32>(slotAt(users, own.userHash));
  }
  touched = all;
}

/** What the last `take` came to. */
export let duplicates: i32 = 0;
export let stored: i32 = 0;

/**
 * Takes records of the round from `from` on, up to the first that the host must judge; returns where it stopped. Events
 * that are no duplicates are written to the columns from `place` on.
 */
export function take(
  words: Words,
  columns: Columns,
  place: i32,
  first: i32,
  ids: Duplicates,
  partition: i32,
  from: i32,
  until: i32,
): i32 {
  touch(words, ids, from, until);
  keepNone();
  duplicates = 0;
  let n = from;
  for (; n < until; n++) {
    const own = note(n);
    if (own.present === 0) break;
    pass(ids, own.offset, own.logTime);
    const hasId = (own.idA | own.idB | own.idC) !== 0;
    if (hasId && isDuplicate(ids, own.idA, own.idB, own.idC, own.logTime)) duplicates++;
    else keep(n);
  }
  stored = keptCount();
  write(words, columns, place, first, partition);
  return n;
}

/** Remembers the ids of records from `from` on, up to the first that the host must judge; returns where it stopped. */
export function remember(ids: Duplicates, from: i32, until: i32): i32 {
  let n = from;
  for (; n < until; n++) {
    const own = note(n);
    if (own.present === 0) break;
    pass(ids, own.offset, own.logTime);
    if ((own.idA | own.idB | own.idC) !== 0) isDuplicate(ids, own.idA, own.idB, own.idC, own.logTime);
  }
  return n;
}

/** Gives the memory of a commit's texts back, but for that of its dictionaries. */
export function freeWords(words: Words): void {
  freeIds(words.ids);
  free(words.topic);
  free(changetype<usize>(words));
}

/** The texts of a commit; `topic` is the topic with a slash behind it. */
export function newWords(
  topic: usize,
  length: i32,
  wantsIds: bool,
  wantsSessions: bool,
  wantsAgents: bool,
  wantsEvents: bool,
): Words {
  if (length > LONGEST_TOPIC) fail(LONG_TOPIC);
  const words = changetype<Words>(alloc(WORDS_BYTES));
  words.ids = newIds();
  words.wantsIds = wantsIds ? 1 : 0;
  words.wantsSessions = wantsSessions ? 1 : 0;
  words.wantsAgents = wantsAgents ? 1 : 0;
  words.wantsEvents = wantsEvents ? 1 : 0;
  words.topic = topic;
  words.topicLength = length;
  return words;
}
