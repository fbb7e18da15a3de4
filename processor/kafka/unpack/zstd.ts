/**
 * Decompresses Zstandard (RFC 8878), without dictionaries. Ignores its checksum, because the record batch has its own.
 * @module
 */
import { finiteState, type FiniteStates, readFiniteStates } from "./zstd_entropy.ts";
import { type HuffmanTable, readHuffmanTable, unpackHuffman } from "./zstd_huffman.ts";
import { BackwardBits } from "./zstd_bits.ts";
import type { Output } from "./output.ts";

const MAGIC = 0xfd2fb528;
/** Magic number of frames to skip, without its last four bits. */
const SKIPPABLE = 0x184d2a50;

/** Most bytes that one block may decompress to. */
const MAX_BLOCK_BYTES = 128 * 1024;

const PLAIN = 0;
const REPEATED = 1;
const COMPRESSED = 2;

/** @throws {Error} saying what is wrong with the data, or that it exceeds the output's limit */
export function unpackZstd(packed: Uint8Array, out: Output): void {
  const view = new DataView(packed.buffer, packed.byteOffset, packed.length);
  for (let at = 0; at < packed.length;) {
    has(packed, at, 8);
    const magic = view.getUint32(at, true);
    if ((magic & ~0xf) === SKIPPABLE) at += 8 + view.getUint32(at + 4, true);
    else if (magic === MAGIC) at = unpackFrame(packed, at + 4, out);
    else throw new Error("it is no Zstandard frame");
  }
}

/** Decompresses the frame with its magic number before `at`; returns where it ends. */
function unpackFrame(packed: Uint8Array, at: number, out: Output): number {
  const flags = packed[at]!;
  if ((flags & 0x08) !== 0) throw new Error("it is of another version of Zstandard");
  const isSingle = (flags & 0x20) !== 0;
  const idBytes = [0, 1, 2, 4][flags & 3]!;
  const sizeBytes = [isSingle ? 1 : 0, 2, 4, 8][flags >>> 6]!;
  at += isSingle ? 1 : 2;
  has(packed, at, idBytes + sizeBytes);
  if (littleEndian(packed, at, idBytes) !== 0) throw new Error("it needs a dictionary");
  at += idBytes;
  const size = littleEndian(packed, at, sizeBytes) + (sizeBytes === 2 ? 256 : 0);
  out.check(size);
  at += sizeBytes;
  const start = out.length;
  const frame = new Frame(packed, out);
  for (let isLast = false; !isLast;) {
    has(packed, at, 3);
    const head = littleEndian(packed, at, 3);
    isLast = (head & 1) === 1;
    at = frame.block(head >>> 1 & 3, head >>> 3, at + 3);
  }
  if (sizeBytes > 0 && out.length - start !== size) throw new Error("it unpacks to another size than it says");
  return at + ((flags & 0x04) === 0 ? 0 : 4);
}

/** Extra bits of each literal length code, and the smallest length that it stands for. */
const LITERAL_BITS = bits(16, [1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
const LITERAL_BASE = baselines(LITERAL_BITS, 0);
/** The same for match lengths. */
const MATCH_BITS = bits(32, [1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
const MATCH_BASE = baselines(MATCH_BITS, 3);
/** Largest distance code that is read; greater distances exceed any output. */
const MAX_DISTANCE_CODE = 30;

/** Default distributions of the codes for literal lengths, distances and match lengths. */
const DEFAULT_LITERALS = finiteState(
  [4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1, 1, -1, -1, -1, -1],
  6,
);
const DEFAULT_DISTANCES = finiteState(
  [1, 1, 1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1],
  5,
);
const DEFAULT_MATCHES = finiteState(
  [1, 4, 3, 2, 2, 2, 2, 2, 2, ...Array<number>(37).fill(1), -1, -1, -1, -1, -1, -1, -1],
  6,
);

/** State of a frame that its blocks share. */
class Frame {
  readonly #packed: Uint8Array;
  readonly #out: Output;
  /** Where its first byte was written. */
  readonly #start: number;
  #huffman: HuffmanTable | null = null;
  #literalCodes: FiniteStates | null = null;
  #distanceCodes: FiniteStates | null = null;
  #matchCodes: FiniteStates | null = null;
  /** The last three distances. */
  #distances: [number, number, number] = [1, 4, 8];
  /** Literals of the block, and how many of them its sequences have used. */
  #literals = new Uint8Array(0);
  #used = 0;

  constructor(packed: Uint8Array, out: Output) {
    this.#packed = packed;
    this.#out = out;
    this.#start = out.length;
  }

  /** Decompresses a block; returns where it ends. */
  block(kind: number, size: number, at: number): number {
    const packed = this.#packed;
    if (size > MAX_BLOCK_BYTES) throw new Error("one of its blocks is larger than a block can be");
    has(packed, at, kind === REPEATED ? 1 : size);
    if (kind === REPEATED) {
      this.#out.repeat(packed[at]!, size);
      return at + 1;
    }
    const end = at + size;
    if (kind === PLAIN) this.#out.append(packed, at, end);
    else if (kind === COMPRESSED) this.#compressed(at, end);
    else throw new Error("one of its blocks is of a kind that there isn't");
    return end;
  }

  #compressed(from: number, end: number): void {
    const { at, count } = this.#readLiterals(from, end);
    this.#sequences(at, end, count);
    this.#out.append(this.#literals, this.#used, count);
  }

  /** Reads a block's literals; returns how many there are, and where the sequences begin. */
  #readLiterals(at: number, end: number): { at: number; count: number } {
    const packed = this.#packed;
    const head = littleEndian(packed, at, Math.min(5, end - at));
    const kind = head & 3;
    const format = head >>> 2 & 3;
    if (kind < 2) {
      const headBytes = format === 1 ? 2 : format === 3 ? 3 : 1;
      const count = format === 1 ? head >>> 4 & 0xfff : format === 3 ? head >>> 4 & 0xfffff : head >>> 3 & 0x1f;
      at += headBytes;
      this.#makeRoom(count, end - at - (kind === 0 ? count : 1));
      if (kind === 0) this.#literals.set(packed.subarray(at, at + count));
      else this.#literals.fill(packed[at]!, 0, count);
      return { at: at + (kind === 0 ? count : 1), count };
    }
    const headBytes = format < 2 ? 3 : format + 2;
    const numberBits = format < 2 ? 10 : format * 4 + 6;
    const count = Math.floor(head / 16) % 2 ** numberBits;
    const size = Math.floor(head / 2 ** (4 + numberBits)) % 2 ** numberBits;
    at += headBytes;
    const after = at + size;
    this.#makeRoom(count, end - after);
    if (kind === 2) {
      const read = readHuffmanTable(packed, at, after);
      this.#huffman = read.table;
      at = read.at;
    }
    if (this.#huffman === null) throw new Error("it refers to a Huffman table that it does not have");
    unpackHuffman(packed, at, after, this.#literals.subarray(0, count), this.#huffman, format !== 0);
    return { at: after, count };
  }

  #makeRoom(count: number, left: number): void {
    if (count > MAX_BLOCK_BYTES || left < 0) throw new Error("its literals are more than a block can have");
    if (this.#literals.length < count) this.#literals = new Uint8Array(count);
  }

  /** Decodes the sequences of a block: literals, each followed by a match. */
  #sequences(at: number, end: number, literalCount: number): void {
    const packed = this.#packed;
    const out = this.#out;
    this.#used = 0;
    if (at >= end) throw new Error("it is cut off");
    let count = packed[at++]!;
    if (count === 0) return;
    if (count > 127) {
      if (end - at < 2) throw new Error("it is cut off");
      if (count === 255) {
        count = packed[at]! + (packed[at + 1]! << 8) + 0x7f00;
        at += 2;
      } else {
        count = (count - 128 << 8) + packed[at++]!;
      }
    }
    if (at >= end) throw new Error("it is cut off");
    const modes = packed[at++]!;
    const table = (
      shift: number,
      last: FiniteStates | null,
      usual: FiniteStates,
      maxLog: number,
      maxCode: number,
    ): FiniteStates => {
      const mode = modes >>> shift & 3;
      if (mode === 0) return usual;
      if (mode === 3) {
        if (last === null) throw new Error("it refers to a table that it does not have");
        return last;
      }
      const read = mode === 1
        ? { states: finiteState([...Array<number>(packed[at] ?? 0).fill(0), 1], 0), at: at + 1 }
        : readFiniteStates(packed, at, end, maxLog);
      at = read.at;
      if (at > end || read.states.largest > maxCode) throw new Error("one of its tables is damaged");
      return read.states;
    };
    const literals = this.#literalCodes = table(6, this.#literalCodes, DEFAULT_LITERALS, 9, LITERAL_BITS.length - 1);
    const distances = this.#distanceCodes = table(4, this.#distanceCodes, DEFAULT_DISTANCES, 8, MAX_DISTANCE_CODE);
    const matches = this.#matchCodes = table(2, this.#matchCodes, DEFAULT_MATCHES, 9, MATCH_BITS.length - 1);
    const input = new BackwardBits(packed, at, end);
    let literalState = input.read(literals.log);
    let distanceState = input.read(distances.log);
    let matchState = input.read(matches.log);
    const most = out.length + MAX_BLOCK_BYTES;
    for (let n = 0; n < count; n++) {
      const distanceCode = distances.symbols[distanceState]!;
      const sent = (1 << distanceCode) + input.read(distanceCode);
      const matchCode = matches.symbols[matchState]!;
      const length = MATCH_BASE[matchCode]! + input.read(MATCH_BITS[matchCode]!);
      const literalCode = literals.symbols[literalState]!;
      const literal = LITERAL_BASE[literalCode]! + input.read(LITERAL_BITS[literalCode]!);
      if (literal > literalCount - this.#used) throw new Error("it uses more literals than it has");
      if (out.length + literal + length > most) throw new Error("one of its blocks is larger than a block can be");
      out.append(this.#literals, this.#used, this.#used + literal);
      this.#used += literal;
      const distance = this.#distance(sent, literal);
      if (distance > out.length - this.#start) throw new Error("it refers to bytes before its beginning");
      out.copy(distance, length);
      if (n + 1 === count) break;
      literalState = literals.bases[literalState]! + input.read(literals.bits[literalState]!);
      matchState = matches.bases[matchState]! + input.read(matches.bits[matchState]!);
      distanceState = distances.bases[distanceState]! + input.read(distances.bits[distanceState]!);
    }
    if (out.length + literalCount - this.#used > most) {
      throw new Error("one of its blocks is larger than a block can be");
    }
    if (!input.isAtStart) throw new Error("one of its blocks is damaged");
  }

  /** The distance for an offset value: one of the last three distances, or a new one. */
  #distance(sent: number, literals: number): number {
    const last = this.#distances;
    const which = sent > 3 ? 4 : literals === 0 ? sent : sent - 1;
    if (which === 0) return last[0];
    const distance = which === 4 ? sent - 3 : which === 3 ? last[0] - 1 : last[which]!;
    if (which > 1) last[2] = last[1];
    last[1] = last[0];
    last[0] = distance;
    return distance;
  }
}

function has(packed: Uint8Array, at: number, bytes: number): void {
  if (bytes > packed.length - at) throw new Error("it is cut off");
}

function littleEndian(packed: Uint8Array, at: number, bytes: number): number {
  let number = 0;
  for (let i = bytes - 1; i >= 0; i--) number = number * 256 + packed[at + i]!;
  return number;
}

/** Extra bits by code: `plain` codes without extra bits, then these. */
function bits(plain: number, more: readonly number[]): Uint8Array {
  return Uint8Array.from([...Array<number>(plain).fill(0), ...more]);
}

function baselines(bits: Uint8Array, first: number): Uint32Array {
  let base = first;
  return Uint32Array.from(bits, (count) => {
    const mine = base;
    base += 2 ** count;
    return mine;
  });
}
