/**
 * Zstandard's Huffman-coded literals.
 * @module
 */
import { BackwardBits, bitsAt } from "./zstd_bits.ts";
import { readFiniteStates } from "./zstd_entropy.ts";

/** Most bits of a code. */
const MAX_BITS = 11;

/** For the next `log` bits: the byte that they encode, and the length of its code. */
export interface HuffmanTable {
  readonly log: number;
  readonly symbols: Uint8Array;
  readonly bits: Uint8Array;
}

/** Reads a table from `at` that ends before `end`; returns it and where it ends. */
export function readHuffmanTable(
  bytes: Uint8Array,
  at: number,
  end: number,
): { readonly table: HuffmanTable; readonly at: number } {
  if (at >= end) throw new Error("it is cut off");
  const head = bytes[at++]!;
  const size = head < 128 ? head : head - 126 >>> 1;
  if (size > end - at) throw new Error("it is cut off");
  const after = at + size;
  if (head < 128) return { table: tableOf(packedWeights(bytes, at, after)), at: after };
  const weights = Array.from({ length: head - 127 }, (_, i) => {
    const two = bytes[at + (i >>> 1)]!;
    return (i & 1) === 0 ? two >>> 4 : two & 15;
  });
  return { table: tableOf(weights), at: after };
}

/** Weights that are compressed themselves, with two alternating states. */
function packedWeights(bytes: Uint8Array, from: number, end: number): number[] {
  const { states, at } = readFiniteStates(bytes, from, end, 6);
  const input = new BackwardBits(bytes, at, end);
  const turns = [input.read(states.log), input.read(states.log)];
  const weights: number[] = [];
  for (let turn = 0;; turn ^= 1) {
    const state = turns[turn]!;
    weights.push(states.symbols[state]!);
    if (weights.length > 254) throw new Error("its Huffman table is damaged");
    if (states.bits[state]! > input.left) {
      weights.push(states.symbols[turns[turn ^ 1]!]!);
      return weights;
    }
    turns[turn] = states.bases[state]! + input.read(states.bits[state]!);
  }
}

/** The table of bytes with these weights; the last byte's weight follows from the others. */
function tableOf(weights: number[]): HuffmanTable {
  let sum = 0;
  for (const weight of weights) {
    if (weight > MAX_BITS) throw new Error("its Huffman table is damaged");
    if (weight > 0) sum += 1 << weight - 1;
  }
  const log = 32 - Math.clz32(sum);
  const rest = (1 << log) - sum;
  if (sum === 0 || log > MAX_BITS || weights.length > 255 || (rest & rest - 1) !== 0) {
    throw new Error("its Huffman table is damaged");
  }
  weights.push(32 - Math.clz32(rest));
  const symbols = new Uint8Array(1 << log);
  const bits = new Uint8Array(1 << log);
  let at = 0;
  // Least likely first: by weight, then by byte.
  for (let weight = 1; weight <= log; weight++) {
    weights.forEach((mine, symbol) => {
      if (mine !== weight) return;
      const room = 1 << weight - 1;
      symbols.fill(symbol, at, at + room);
      bits.fill(log + 1 - weight, at, at + room);
      at += room;
    });
  }
  return { log, symbols, bits };
}

/** Decompresses one stream, or four that share the output, from `at` to `end`. */
export function unpackHuffman(
  bytes: Uint8Array,
  at: number,
  end: number,
  out: Uint8Array,
  table: HuffmanTable,
  isFourfold: boolean,
): void {
  if (!isFourfold) return unpackStream(bytes, at, end, out, table);
  if (end - at < 6) throw new Error("it is cut off");
  const quarter = out.length + 3 >>> 2;
  if (quarter * 3 > out.length) throw new Error("its literals are too few for four streams");
  let start = at + 6;
  for (let n = 0; n < 4; n++) {
    const stop = n === 3 ? end : start + bytes[at + 2 * n]! + (bytes[at + 2 * n + 1]! << 8);
    if (stop > end) throw new Error("it is cut off");
    unpackStream(bytes, start, stop, out.subarray(quarter * n, n === 3 ? out.length : quarter * (n + 1)), table);
    start = stop;
  }
}

function unpackStream(bytes: Uint8Array, start: number, end: number, out: Uint8Array, table: HuffmanTable): void {
  const { log, symbols, bits } = table;
  const mask = (1 << log) - 1;
  let left = new BackwardBits(bytes, start, end).left;
  const count = out.length;
  for (let i = 0; i < count; i++) {
    // Before the first bit there are only zeros.
    const next = left >= log
      ? bitsAt(bytes, start, left - log) & mask
      : (bitsAt(bytes, start, 0) & (1 << left) - 1) << log - left;
    out[i] = symbols[next]!;
    left -= bits[next]!;
    if (left < 0) throw new Error("one of its bit streams is cut off");
  }
  if (left !== 0) throw new Error("one of its bit streams is damaged");
}
