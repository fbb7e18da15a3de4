/**
 * An instance of the kernel: its memory, and its functions. The kernel is written in AssemblyScript (`assembly/`), and
 * `deno task kernel` compiles it.
 * @module
 */
import code from "./kernel.wasm" with { type: "bytes" };

/** The functions of `assembly/index.ts`. Addresses and pointers are in bytes. */
export interface Functions {
  alloc(bytes: number): number;
  free(at: number): void;
  takenBytes(): number;
  checkGuards(): void;
  init(mostRecords: number, mostBytes: number): void;
  startsAt(): number;
  endsAt(): number;
  offsetsAt(): number;
  timesAt(): number;
  setField(field: number, name: number, length: number, longest: number, needed: number, numeric: number): void;
  setRules(keepMs: number, aheadMs: number, hashRoutes: number): void;
  setDigits(at: number, digits: number): void;
  setAbsentDigits(digits: number): void;
  setMost(digits: number, most: number): void;
  setEndOfTime(ms: number): void;
  addDevice(at: number, length: number): void;
  setPurchase(at: number, length: number): void;
  useKey(at: number): void;
  quickHash(at: number, length: number): number;
  newDictionary(): number;
  clearDictionary(words: number): void;
  freeDictionary(words: number): void;
  internText(words: number, at: number, length: number): number;
  setId(ids: number, n: number, at: number, length: number): void;
  newWords(
    topic: number,
    topicLength: number,
    ids: number,
    sessions: number,
    agents: number,
    events: number,
  ): number;
  freeWords(words: number): void;
  setDictionary(words: number, column: number, dictionary: number): void;
  newColumns(capacity: number): number;
  freeColumns(columns: number): void;
  newDuplicates(shortest: number, wrong: number, longest: number, mostBytes: number): number;
  freeDuplicates(duplicates: number): void;
  pass(duplicates: number, offset: number, kafkaTime: number): void;
  isDuplicate(duplicates: number, a: number, b: number, c: number, kafkaTime: number): number;
  replayFrom(duplicates: number, next: number): number;
  scan(from: number, count: number, moved: number): void;
  take(
    words: number,
    columns: number,
    place: number,
    first: number,
    duplicates: number,
    partition: number,
    from: number,
    until: number,
  ): number;
  remember(duplicates: number, from: number, until: number): number;
  clearRowColumns(): void;
  addRowColumn(kind: number, source: number): void;
  newRows(): number;
  writeRows(words: number, columns: number, first: number, from: number, until: number): number;
  crcRoom(bytes: number): number;
  crc32c(state: number, length: number): number;
  readonly duplicates: WebAssembly.Global;
  readonly stored: WebAssembly.Global;
  readonly rowBytes: WebAssembly.Global;
}

/** Reasons why the kernel ends, by the numbers of `assembly/memory.ts`. */
const FAILURES = [
  "",
  "it has no memory left",
  "it has written past the end of a block of its memory",
  "it does not know a field of the event",
  "the name of the topic is too long",
  "rows have more columns than it has room for",
];

const PAGE_BYTES = 64 * 1024;

let compiled: WebAssembly.Module | null = null;

/** An instance of the kernel, and views of its memory. The memory never grows, so the views stay valid. */
export class Memory {
  readonly functions: Functions;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly view: DataView<ArrayBuffer>;
  readonly words: Int32Array<ArrayBuffer>;
  /** Room for a text that the host passes on, of any length. */
  #room = 0;
  #roomBytes = 0;

  /** @param mebibytes size of the memory; what is never used costs nothing */
  constructor(mebibytes: number) {
    const memory = new WebAssembly.Memory({ initial: (mebibytes * 1024 * 1024) / PAGE_BYTES });
    const fail = (what: number) => {
      throw new Error(`the kernel of ${mebibytes} MiB has failed: ${FAILURES[what]}`);
    };
    compiled ??= new WebAssembly.Module(code);
    const instance = new WebAssembly.Instance(compiled, { env: { memory }, host: { fail } });
    this.functions = instance.exports as unknown as Functions;
    // Not shared, because the descriptor does not say so.
    const buffer = memory.buffer as ArrayBuffer;
    this.bytes = new Uint8Array(buffer);
    this.view = new DataView(buffer);
    this.words = new Int32Array(buffer);
  }

  /** The 32-bit word at an address. */
  word(at: number): number {
    return this.words[at >> 2]!;
  }

  /** Puts a well-formed text where the kernel can read it; returns its address and its length in bytes. */
  place(text: string): { readonly at: number; readonly length: number } {
    const at = this.#roomFor(text.length * 3);
    const { written } = encoder.encodeInto(text, this.bytes.subarray(at, at + this.#roomBytes));
    return { at, length: written };
  }

  /** Puts a well-formed text where it stays; returns its address and its length in bytes. */
  kept(text: string): { readonly at: number; readonly length: number } {
    const bytes = encoder.encode(text);
    const at = this.functions.alloc(bytes.length + SLACK);
    this.bytes.set(bytes, at);
    return { at, length: bytes.length };
  }

  /** Puts the bytes `[start, end)` of a view where the kernel can read them; returns their address. */
  copied(view: DataView, start: number, end: number): number {
    const at = this.#roomFor(end - start);
    this.bytes.set(new Uint8Array(view.buffer, view.byteOffset + start, end - start), at);
    return at;
  }

  #roomFor(bytes: number): number {
    if (bytes + SLACK > this.#roomBytes) {
      if (this.#room !== 0) this.functions.free(this.#room);
      this.#roomBytes = Math.max(4096, 2 * (bytes + SLACK));
      this.#room = this.functions.alloc(this.#roomBytes);
    }
    return this.#room;
  }
}

/** Bytes after a text that the kernel may read. */
const SLACK = 16;

const encoder = new TextEncoder();
