/** Writes events as rows of PostgreSQL's binary format, in the columns that the host declares. */
import { codes, Columns, dictionaryOf, Words } from "./columns";
import { alloc, copy, fail, MANY_COLUMNS, SLACK } from "./memory";

// The kinds of columns, as in processor/kernel/rows.ts.
const ID: i32 = 0;
const TEXT: i32 = 1;
const BIGINT: i32 = 2;
const TIMESTAMP: i32 = 3;
const BOOLEAN: i32 = 5;

/** A column: its kind, and which one of its kind. */
@unmanaged
class Column {
  kind: i32 = 0;
  source: i32 = 0;
  /** Where its values or codes lie. */
  values: usize = 0;
  /** Where the starts of its texts lie, and the texts. */
  starts: usize = 0;
  bytes: usize = 0;
}

const COLUMN: usize = 20;
const MOST_COLUMNS: i32 = 32;
const DECLARED: usize = memory.data(32 * 20, 16);
let declared: i32 = 0;

@inline
function columnAt(n: i32): Column {
  return changetype<Column>(DECLARED + <usize>n * COLUMN);
}

/** Forgets the columns that were declared. */
export function clearRowColumns(): void {
  declared = 0;
}

/** Declares the next column: its kind, and the place of its values among the columns or the dictionaries. */
export function addRowColumn(kind: i32, source: i32): void {
  if (declared === MOST_COLUMNS) fail(MANY_COLUMNS);
  const column = columnAt(declared++);
  column.kind = kind;
  column.source = source;
}

/** Bytes after which no further row is begun. As many again lie behind them, which every row fits into. */
const ENOUGH: usize = 256 * 1024;
/** Most bytes of a cell without a text: its length and a number. */
const CELL: usize = 12;

let room: usize = 0;

/** Makes room for rows; the address to read them from. */
export function newRows(): usize {
  return room = alloc(2 * ENOUGH);
}

/** Bytes that the last `writeRows` wrote. */
export let rowBytes: i32 = 0;

/** PostgreSQL's epoch, 2000-01-01, in Unix epoch milliseconds. */
const EPOCH_MS: i64 = 946_684_800_000;

@inline
function swapped(word: u32): u32 {
  return (rotl(word, 8) & 0x00ff00ff) | (rotr(word, 8) & 0xff00ff00);
}

/** Writes a number of 8 bytes behind its length; returns where it ends. */
@inline
function number(to: usize, value: i64): usize {
  store<u32>(to, 0x08000000);
  store<u32>(to, swapped(<u32>(value >>> 32)), 4);
  store<u32>(to, swapped(<u32>value), 8);
  return to + 12;
}

@inline
function isNull(to: usize): usize {
  store<i32>(to, -1);
  return to + 4;
}

/** Finds the values of the columns in a batch; the first event of the batch is event `first` of the commit. */
function find(words: Words, columns: Columns, first: i32): void {
  for (let n = 0; n < declared; n++) {
    const column = columnAt(n);
    if (column.kind === ID) {
      column.starts = words.ids.starts + (first << 2);
      column.bytes = words.ids.bytes;
    } else if (column.kind === TEXT) {
      const dictionary = dictionaryOf(words, column.source);
      column.values = codes(columns, column.source);
      column.starts = dictionary.texts;
      column.bytes = dictionary.bytes;
    } else if (column.kind === BOOLEAN) column.values = codes(columns, column.source);
    else column.values = <usize>load<u32>(changetype<usize>(columns) + (column.source << 2));
  }
}

/** Writes events from `from` on as rows, up to `until` or until there are enough; returns where it stopped. */
export function writeRows(words: Words, columns: Columns, first: i32, from: i32, until: i32): i32 {
  find(words, columns, first);
  const begin = room;
  // What may follow a text in its row, and what may be written behind it.
  const rest = <usize>declared * CELL + SLACK;
  const last = begin + 2 * ENOUGH - rest;
  let to = begin;
  let row = from;
  while (row < until && to < begin + ENOUGH) {
    let at = to;
    store<u16>(at, <u16>(declared << 8));
    at += 2;
    for (let n = 0; n < declared; n++) {
      const column = columnAt(n);
      const kind = column.kind;
      if (kind <= TEXT) {
        const code = kind === ID ? row : load<i32>(column.values + (row << 2));
        if (code < 0) {
          at = isNull(at);
          continue;
        }
        const starts = column.starts + (code << 2);
        const start = load<i32>(starts);
        const length = load<i32>(starts, 4) - start;
        // A row that does not fit is left for the next time.
        if (at + length > last) {
          rowBytes = <i32>(to - begin);
          return row;
        }
        store<u32>(at, swapped(length));
        at += 4;
        copy(at, column.bytes + start, length);
        at += length;
      } else if (kind <= TIMESTAMP) {
        const value = load<f64>(column.values + (row << 3));
        if (value !== value) at = isNull(at);
        else at = number(at, kind === BIGINT ? <i64>value : (<i64>value - EPOCH_MS) * 1000);
      } else if (kind === BOOLEAN) {
        // A mark's code is its value.
        store<u32>(at, 0x01000000);
        store<u8>(at, load<u8>(column.values + (row << 2)), 4);
        at += 5;
      } else {
        store<u32>(at, 0x04000000);
        store<u32>(at, swapped(load<u32>(column.values + (row << 2))), 4);
        at += 8;
      }
    }
    to = at;
    row++;
  }
  rowBytes = <i32>(to - begin);
  return row;
}
