/**
 * The texts of a commit in the kernel's memory, as the rest of the processor reads them.
 * @module
 */
import { CODED, type Coded, type Dictionaries, FIXED, type Wanted } from "../columns/batch.ts";
import { hash53 } from "../columns/hash.ts";
import type { KeyedHash } from "../columns/keyed_hash.ts";
import type { Dictionary, Sequence, StringSpans } from "../columns/strings.ts";
import { FIELDS } from "../event.ts";
import type { Memory } from "./memory.ts";

// Places in `Dictionary` of assembly/dictionary.ts and in `Ids` of assembly/ids.ts.
const COUNT = 0;
const TEXTS = 4;
const BYTES = 8;
const FLOODED = 12;
const USED = 16;
const STARTS = 0;
const ID_BYTES = 4;

const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });

/** A dictionary of the kernel. */
export class KernelDictionary implements Dictionary {
  generation = 0;
  /** Its address. */
  readonly at: number;
  readonly #memory: Memory;
  readonly #keyed: KeyedHash;
  readonly #texts: (string | undefined)[] = [];
  readonly #fixed: readonly string[];

  /**
   * @param keyed hashes texts that are compared by their hash alone
   * @param fixed texts that always have the codes 0, 1, 2, …
   */
  constructor(memory: Memory, keyed: KeyedHash, fixed: readonly string[] = []) {
    this.#memory = memory;
    this.#keyed = keyed;
    this.#fixed = fixed;
    this.at = memory.functions.newDictionary();
    for (const text of fixed) this.internText(text);
  }

  get count(): number {
    return this.#memory.word(this.at + COUNT);
  }

  get view(): DataView {
    return this.#memory.view;
  }

  get spans(): StringSpans {
    return spansAt(this.#memory, this.at + BYTES, this.at + TEXTS);
  }

  /** Bytes of all texts together. */
  get textBytes(): number {
    return this.#memory.word(this.at + USED);
  }

  /** True once crafted strings collided: all are looked up by a keyed hash now. */
  get isFlooded(): boolean {
    return this.#memory.word(this.at + FLOODED) !== 0;
  }

  internText(text: string): number {
    const { at, length } = this.#memory.place(text);
    return this.#memory.functions.internText(this.at, at, length);
  }

  start(code: number): number {
    const memory = this.#memory;
    return memory.word(this.at + BYTES) + memory.word(memory.word(this.at + TEXTS) + code * 4);
  }

  length(code: number): number {
    const at = this.#memory.word(this.at + TEXTS) + code * 4;
    return this.#memory.word(at + 4) - this.#memory.word(at);
  }

  text(code: number): string {
    const start = this.start(code);
    return this.#texts[code] ??= utf8.decode(this.#memory.bytes.subarray(start, start + this.length(code)));
  }

  hash(code: number): number {
    const start = this.start(code);
    return this.#keyed.double(this.view, start, start + this.length(code));
  }

  unkeyedHash(code: number): number {
    const start = this.start(code);
    return hash53(this.view, start, start + this.length(code));
  }

  clear(): void {
    this.#memory.functions.clearDictionary(this.at);
    this.#texts.length = 0;
    this.generation++;
    for (const text of this.#fixed) this.internText(text);
  }
}

/** The identities of a commit's events in the kernel. */
class KernelIds implements Sequence {
  count = 0;
  readonly #memory: Memory;
  readonly #at: number;

  constructor(memory: Memory, at: number) {
    this.#memory = memory;
    this.#at = at;
  }

  get view(): DataView {
    return this.#memory.view;
  }

  get spans(): StringSpans {
    return spansAt(this.#memory, this.#at + ID_BYTES, this.#at + STARTS);
  }

  start(n: number): number {
    return this.#memory.word(this.#at + ID_BYTES) + this.#start(n);
  }

  length(n: number): number {
    return this.#start(n + 1) - this.#start(n);
  }

  text(n: number): string {
    const start = this.start(n);
    return utf8.decode(this.#memory.bytes.subarray(start, start + this.length(n)));
  }

  set(n: number, view: DataView, start: number, end: number): void {
    const at = this.#memory.copied(view, start, end);
    this.#memory.functions.setId(this.#at, n, at, end - start);
  }

  compare(a: number, b: number): number {
    const { bytes } = this.#memory;
    const [startA, startB, lengthA, lengthB] = [this.start(a), this.start(b), this.length(a), this.length(b)];
    for (let i = 0; i < lengthA && i < lengthB; i++) {
      const difference = bytes[startA + i]! - bytes[startB + i]!;
      if (difference !== 0) return difference;
    }
    return lengthA - lengthB;
  }

  clear(): void {
    this.count = 0;
  }

  /** Where identity `n` begins among the others. */
  #start(n: number): number {
    return this.#memory.word(this.#memory.word(this.#at + STARTS) + n * 4);
  }
}

/** Strings whose bytes and whose starts lie where the words at these addresses say. */
function spansAt(memory: Memory, bytes: number, starts: number): StringSpans {
  return { view: memory.view, base: memory.word(bytes), starts: memory.words.subarray(memory.word(starts) >> 2) };
}

/** The texts of a commit, in the kernel. */
export type KernelWords = Dictionaries & { readonly at: number };

/** Texts that the kernel expects under certain codes. */
const OWN: { readonly [column in Coded]?: readonly string[] } = {
  ...FIXED,
  device: [FIELDS.device.absent, ...FIELDS.device.among, FIELDS.device.other],
  region: [FIELDS.region.absent],
};

/** Empty dictionaries for the next commit. */
export function kernelWords(memory: Memory, topic: string, keyed: KeyedHash, wanted: Wanted): KernelWords {
  const { functions } = memory;
  const prefix = memory.kept(`${topic}/`);
  const at = functions.newWords(
    prefix.at,
    prefix.length,
    +wanted.ids,
    +wanted.sessions,
    +wanted.agents,
    +wanted.events,
  );
  const columns = Object.fromEntries(CODED.map((column, n) => {
    const dictionary = new KernelDictionary(memory, keyed, OWN[column]);
    functions.setDictionary(at, n, dictionary.at);
    return [column, dictionary];
  })) as Record<Coded, KernelDictionary>;
  return { topic, wanted, keyed, ids: new KernelIds(memory, memory.word(at)), ...columns, at };
}
