/**
 * The fast decoder: scans records, takes their values apart, tells duplicates and numbers texts in WebAssembly. The
 * reference decoder judges everything unusual and every possible refusal, so the two can't disagree on what is an event.
 * @module
 */
import {
  Batch,
  CODED,
  type Coded,
  type Columns,
  type Dictionaries,
  type EventColumn,
  ID_WORDS,
  type Wanted,
  type WrittenRows,
} from "../columns/batch.ts";
import type { KeyedHash } from "../columns/keyed_hash.ts";
import type { Decoder, DuplicateFinder, PieceLengths, RunDecoder } from "../decode/decoder.ts";
import { JsonDecoder } from "../decode/json.ts";
import { END_OF_TIME_MS, type FieldRule, FIELDS, MAX_AHEAD_MS, MAX_EVENT_BYTES, PURCHASE } from "../event.ts";
import { MINOR_DIGITS, mostMinor, priceDigits } from "../currency.ts";
import type { Records } from "../records.ts";
import type { Refusal } from "../refusal.ts";
import { KernelDuplicates } from "./duplicates.ts";
import { Memory } from "./memory.ts";
import { RowWriter } from "./rows.ts";
import { type KernelDictionary, type KernelWords, kernelWords } from "./words.ts";

/** Options of the kernel. */
export interface KernelOptions {
  /** Maximum age of an event at its Kafka timestamp, in milliseconds. */
  readonly keepMs: number;
  /** Whether a fragment that is a route belongs to the page (default: true). */
  readonly hashRoutes?: boolean;
  /** The shop's currency; null: all prices are in hundredths, whatever their currency (default: null). */
  readonly currency?: string | null;
  /** Decodes unusual records, by the same rules. */
  readonly reference?: Decoder;
  /** Size of its memory; what is never used costs nothing (default: 256). */
  readonly mebibytes?: number;
  /** Most bytes of the ids of all partitions (default: as its memory allows). */
  readonly idsBytes?: number;
}

/** Most records that are copied into the kernel together, and most bytes of them. */
const MOST_RECORDS = 4096;
const MOST_BYTES = 1024 * 1024;
/** Records in a round; as in assembly/notes.ts. */
const ROUND = 64;

/** A batch in the kernel's memory. */
class KernelBatch extends Batch {
  /** Address of its columns. */
  readonly at: number;
  readonly #rows: RowWriter;

  constructor(words: Dictionaries, capacity: number, memory: Memory, rows: RowWriter) {
    const at = memory.functions.newColumns(capacity);
    super(words, capacity, columnsAt(memory, at, capacity));
    this.at = at;
    this.#rows = rows;
  }

  override rowsFrom(from: number, columns: readonly EventColumn[]): WrittenRows {
    return this.#rows.write((this.words as KernelWords).at, this.at, this.first, from, this.count, columns);
  }
}

/** The columns at an address, in the order of assembly/columns.ts. */
function columnsAt(memory: Memory, at: number, capacity: number): Columns {
  const { buffer } = memory.bytes;
  const [partition, offset, kafkaTime, time, idHash, price, quantity, revenue, ...codes] = memory.words.subarray(
    at >> 2,
    (at >> 2) + 8 + CODED.length,
  );
  const integers = (address: number, length = capacity) => new Int32Array(buffer, address, length);
  const numbers = (address: number) => new Float64Array(buffer, address, capacity);
  return {
    partition: integers(partition!),
    offset: numbers(offset!),
    kafkaTime: numbers(kafkaTime!),
    time: numbers(time!),
    idHash: integers(idHash!, capacity * ID_WORDS),
    price: numbers(price!),
    quantity: numbers(quantity!),
    revenue: numbers(revenue!),
    codes: Object.fromEntries(CODED.map((name, n) => [name, integers(codes[n]!)])) as Record<Coded, Int32Array>,
  };
}

/** Decodes in WebAssembly. */
export class Kernel implements Decoder {
  readonly #options: KernelOptions;
  readonly #reference: Decoder;

  constructor(options: KernelOptions) {
    const { keepMs, hashRoutes = true, currency = null } = options;
    const { reference = new JsonDecoder(keepMs, hashRoutes, currency) } = options;
    this.#options = options;
    this.#reference = reference;
  }

  decode(records: Records, i: number, batch: Batch): Refusal | null {
    return this.#reference.decode(records, i, batch);
  }

  begin(): KernelRuns {
    return new KernelRuns(this.#options);
  }
}

/** Decodes runs of records. */
export class KernelRuns implements RunDecoder {
  readonly #memory: Memory;
  readonly #rows: RowWriter;
  /** Where the bytes of records are copied to, and where their starts, ends, offsets and times are. */
  readonly #room: number;
  readonly #starts: Int32Array;
  readonly #ends: Int32Array;
  readonly #offsets: Float64Array;
  readonly #times: Float64Array;
  /** The records in the kernel: those of `#records` from `#from` to `#until`. */
  #records: Records | null = null;
  #from = 0;
  #until = 0;
  /** How far their bytes lie behind where `#records` says. */
  #moved = 0;
  /** The records of the round. */
  #roundFrom = 0;
  #roundUntil = 0;
  #keyed: KeyedHash | null = null;
  #keyUses = 0;
  readonly #idsBytes: number;
  stored = 0;
  duplicated = 0;

  constructor(options: KernelOptions) {
    const { keepMs, hashRoutes = true, currency = null, mebibytes = 256, idsBytes = mebibytes * 2 ** 20 } = options;
    this.#idsBytes = idsBytes;
    const memory = this.#memory = new Memory(mebibytes);
    this.#rows = new RowWriter(memory);
    const { functions } = memory;
    functions.init(MOST_RECORDS, MAX_EVENT_BYTES);
    const { buffer } = memory.bytes;
    this.#starts = new Int32Array(buffer, functions.startsAt(), MOST_RECORDS);
    this.#ends = new Int32Array(buffer, functions.endsAt(), MOST_RECORDS);
    this.#offsets = new Float64Array(buffer, functions.offsetsAt(), MOST_RECORDS);
    this.#times = new Float64Array(buffer, functions.timesAt(), MOST_RECORDS);
    this.#room = functions.alloc(MOST_BYTES);
    for (const [n, [name, rule]] of (Object.entries(FIELDS) as [string, FieldRule][]).entries()) {
      const { at, length } = memory.place(name);
      functions.setField(n + 1, at, length, rule.maxLength ?? 0, +(rule.required ?? false), +(rule.number ?? false));
    }
    for (const device of FIELDS.device.among) {
      const { at, length } = memory.place(device);
      functions.addDevice(at, length);
    }
    const { at, length } = memory.place(PURCHASE);
    functions.setPurchase(at, length);
    functions.setRules(keepMs, MAX_AHEAD_MS, +hashRoutes);
    for (const digits of new Set(MINOR_DIGITS.values())) functions.setMost(digits, mostMinor(digits));
    functions.setAbsentDigits(priceDigits(null, currency));
    for (const code of MINOR_DIGITS.keys()) functions.setDigits(memory.place(code).at, priceDigits(code, currency));
    functions.setEndOfTime(END_OF_TIME_MS);
  }

  dictionaries(topic: string, keyed: KeyedHash, wanted: Wanted): Dictionaries {
    return kernelWords(this.#memory, topic, keyed, wanted);
  }

  batch(words: Dictionaries, capacity: number): Batch {
    return new KernelBatch(words, capacity, this.#memory, this.#rows);
  }

  duplicates(lengths: PieceLengths, partitions: number): KernelDuplicates {
    return new KernelDuplicates(this.#memory, lengths, this.#idsBytes / partitions);
  }

  free(words: Dictionaries, batches: readonly Batch[]): void {
    const { functions } = this.#memory;
    for (const batch of batches as readonly KernelBatch[]) functions.freeColumns(batch.at);
    for (const column of CODED) functions.freeDictionary((words[column] as KernelDictionary).at);
    functions.freeWords((words as KernelWords).at);
  }

  take(records: Records, i: number, until: number, batch: Batch, duplicates: DuplicateFinder): number {
    this.#useKey(batch.words.keyed);
    const to = Math.min(until, this.#look(records, i));
    const { functions } = this.#memory;
    const { at } = batch as KernelBatch;
    const words = (batch.words as KernelWords).at;
    const ids = (duplicates as KernelDuplicates).at;
    const from = this.#roundFrom;
    const { partition } = records;
    const stop = functions.take(words, at, batch.count, batch.first, ids, partition, i - from, to - from);
    this.stored = functions.stored.value;
    this.duplicated = functions.duplicates.value;
    return stop + from;
  }

  remember(records: Records, i: number, until: number, duplicates: DuplicateFinder, keyed: KeyedHash): number {
    this.#useKey(keyed);
    const to = Math.min(until, this.#look(records, i));
    const from = this.#roundFrom;
    return this.#memory.functions.remember((duplicates as KernelDuplicates).at, i - from, to - from) + from;
  }

  get takenBytes(): number {
    return this.#memory.functions.takenBytes();
  }

  textBytes(words: Dictionaries): number {
    const { ids, wanted } = words;
    // Unless they are wanted, identities are counted, but not written.
    const identities = wanted.ids && ids.count > 0 ? ids.start(ids.count) - ids.start(0) : 0;
    return CODED.reduce((sum, column) => sum + (words[column] as KernelDictionary).textBytes, identities);
  }

  check(): void {
    this.#memory.functions.checkGuards();
  }

  #useKey(keyed: KeyedHash): void {
    if (keyed === this.#keyed && keyed.uses === this.#keyUses) return;
    this.#keyed = keyed;
    this.#keyUses = keyed.uses;
    const { key } = keyed;
    this.#memory.functions.useKey(this.#memory.copied(new DataView(key.buffer), 0, key.length));
    this.#roundUntil = 0;
  }

  /** Looks at a round of records that has record `i`, unless it has done so; returns where the round ends. */
  #look(records: Records, i: number): number {
    if (records !== this.#records || i < this.#from || i >= this.#until) this.#load(records, i);
    else if (i >= this.#roundFrom && i < this.#roundUntil) return this.#roundUntil;
    const count = Math.min(ROUND, this.#until - i);
    this.#memory.functions.scan(i - this.#from, count, this.#moved);
    this.#roundFrom = i;
    return this.#roundUntil = i + count;
  }

  /** Copies records from `i` on into the kernel. */
  #load(records: Records, i: number): void {
    const { bytes, starts, ends } = records;
    const most = Math.min(records.count, i + MOST_RECORDS);
    let first = Infinity;
    let last = 0;
    let until = i;
    for (; until < most; until++) {
      const start = starts[until]!;
      const end = ends[until]!;
      // What is empty or too long is never looked at.
      if (end <= start || end - start > MAX_EVENT_BYTES) continue;
      const low = Math.min(first, start);
      const high = Math.max(last, end);
      if (high - low > MOST_BYTES) break;
      first = low;
      last = high;
    }
    this.#records = records;
    this.#from = i;
    this.#until = until;
    this.#roundUntil = 0;
    this.#starts.set(starts.subarray(i, until));
    this.#ends.set(ends.subarray(i, until));
    this.#offsets.set(records.offsets.subarray(i, until));
    this.#times.set(records.times.subarray(i, until));
    if (last === 0) return;
    this.#memory.bytes.set(bytes.subarray(first, last), this.#room);
    this.#moved = this.#room - first;
  }
}
