/**
 * How many different: exact while few, a HyperLogLog sketch beyond. Both are built from the same hashes, so a set comes
 * out the same whatever order its parts were merged in.
 *
 * Hashes are keyed, 63 bits as a double (`KeyedHash.double`). Sets that were stored before there was a key hold hashes of
 * 53 bits without one. Nothing can turn the one into the other, so a set that was begun without a key goes on without
 * one: what is added to it brings its unkeyed hashes along.
 * @module
 */
import { grown } from "../columns/grown.ts";

/** Most members that are counted exactly. */
export const EXACT_MEMBERS = 4096;

/** Registers of a sketch: 2^14, for a standard error of 1.04 / 2^7 = 0.81 %. */
const REGISTER_BITS = 14;
const REGISTERS = 1 << REGISTER_BITS;

/** How the hashes of a set are made, and what is done with them. */
interface Scheme {
  /** First byte of a set whose members are kept one by one, and of a sketch. */
  readonly exactTag: number;
  readonly sketchTag: number;
  /** Bits of a hash that are left for a register's rank. */
  readonly rankBits: number;
  /** Raises the register of a hash to the hash's rank: the place of the first 1 among the bits left. */
  register(registers: Uint8Array, hash: number): void;
}

/** A double, and its words. */
const double = new Float64Array(1);
const words = new Int32Array(double.buffer);

const KEYED: Scheme = {
  exactTag: 2,
  sketchTag: 3,
  // Of the upper word 30 bits, for one is always 0 and the sign is left out; of the lower what the index leaves.
  rankBits: 30 + 32 - REGISTER_BITS,
  register(registers, hash) {
    double[0] = hash;
    const index = words[0]! & (REGISTERS - 1);
    const high = words[1]! << 2;
    const zeros = high !== 0 ? Math.clz32(high) : 30 + Math.clz32(words[0]! >>> REGISTER_BITS) - REGISTER_BITS;
    registers[index] = Math.max(registers[index]!, zeros + 1);
  },
};

const UNKEYED: Scheme = {
  exactTag: 0,
  sketchTag: 1,
  rankBits: 53 - REGISTER_BITS,
  register(registers, hash) {
    const index = hash % REGISTERS;
    const rest = Math.floor(hash / REGISTERS);
    const high = Math.floor(rest / 4294967296);
    const zeros = high > 0 ? Math.clz32(high) - 25 : 7 + Math.clz32(rest >>> 0);
    registers[index] = Math.max(registers[index]!, zeros + 1);
  },
};

/** Makes the unkeyed set of the same members. */
type Unkeyed = () => Distinct;

/** A set of hashes, to be counted. Never changes once made. */
export class Distinct {
  /** No member. */
  static readonly EMPTY: Distinct = new Distinct(KEYED, new Float64Array(0), null, () => Distinct.#NONE);
  static readonly #NONE: Distinct = new Distinct(UNKEYED, new Float64Array(0), null, null);

  readonly #scheme: Scheme;
  /** Sorted hashes, while there are few. */
  readonly #exact: Float64Array | null;
  readonly #registers: Uint8Array | null;
  /** Of a set that has not been stored yet. */
  readonly #unkeyed: Unkeyed | null;

  private constructor(
    scheme: Scheme,
    exact: Float64Array | null,
    registers: Uint8Array | null,
    unkeyed: Unkeyed | null,
  ) {
    this.#scheme = scheme;
    this.#exact = exact;
    this.#registers = registers;
    this.#unkeyed = unkeyed;
  }

  /**
   * The set of these keyed hashes, in any order; the array becomes its own.
   *
   * @param unkeyed makes the unkeyed hashes of the same members, in any order, should they be wanted
   */
  static from(hashes: Float64Array, unkeyed: () => Float64Array): Distinct {
    return Distinct.#ofSorted(
      KEYED,
      unique(hashes.sort()),
      () => Distinct.#ofSorted(UNKEYED, unique(unkeyed().sort()), null),
    );
  }

  /**
   * The set back from its `bytes`.
   *
   * @throws {RangeError} if they are none
   */
  static of(bytes: Uint8Array): Distinct {
    const body = new Uint8Array(bytes.subarray(1));
    for (const scheme of [KEYED, UNKEYED]) {
      if (bytes[0] === scheme.sketchTag && body.length === REGISTERS) return new Distinct(scheme, null, body, null);
      if (bytes[0] === scheme.exactTag && body.length % 8 === 0) {
        return new Distinct(scheme, new Float64Array(body.buffer), null, null);
      }
    }
    throw new RangeError(`a distinct count of ${bytes.length} bytes and tag ${bytes[0]} can't be read`);
  }

  static #ofSorted(scheme: Scheme, hashes: Float64Array, unkeyed: Unkeyed | null): Distinct {
    if (hashes.length <= EXACT_MEMBERS) return new Distinct(scheme, hashes, null, unkeyed);
    const registers = new Uint8Array(REGISTERS);
    for (const hash of hashes) scheme.register(registers, hash);
    return new Distinct(scheme, null, registers, unkeyed);
  }

  /** Number of members: exact up to `EXACT_MEMBERS`, an estimate beyond. */
  get count(): number {
    return this.#exact?.length ?? estimate(this.#registers!, this.#scheme.rankBits);
  }

  /** The set as bytes, for `Distinct.of`: a tag, then sorted hashes of eight bytes or 16,384 registers of one. */
  get bytes(): Uint8Array {
    const exact = this.#exact;
    const body = exact === null ? this.#registers! : new Uint8Array(exact.buffer, exact.byteOffset, exact.byteLength);
    const bytes = new Uint8Array(1 + body.length);
    bytes[0] = exact === null ? this.#scheme.sketchTag : this.#scheme.exactTag;
    bytes.set(body, 1);
    return bytes;
  }

  /**
   * The members of both; without a key, if one of them is.
   *
   * @throws {Error} if one is unkeyed and the other was stored keyed, which no two sets of one row are
   */
  union(other: Distinct): Distinct {
    if (this.#scheme !== other.#scheme) return this.#withoutKey().union(other.#withoutKey());
    const scheme = this.#scheme;
    const [mine, others] = [this.#unkeyed, other.#unkeyed];
    const unkeyed = mine === null || others === null ? null : () => mine().union(others());
    const a = this.#exact;
    const b = other.#exact;
    if (a !== null && b !== null) {
      if (a.length === 0) return other;
      return b.length === 0 ? this : Distinct.#ofSorted(scheme, unionOfSorted(a, b), unkeyed);
    }
    const [sketch, part] = this.#registers === null ? [other, this] : [this, other];
    const registers = sketch.#registers!.slice();
    if (part.#exact !== null) { for (const hash of part.#exact) scheme.register(registers, hash); }
    else raise(registers, part.#registers!);
    return new Distinct(scheme, null, registers, unkeyed);
  }

  #withoutKey(): Distinct {
    if (this.#scheme === UNKEYED) return this;
    if (this.#unkeyed === null) throw new Error("a set that was stored under a key can't be merged with one without");
    return this.#unkeyed();
  }
}

/**
 * Sets of codes, one for each row. What is added is noted, one after the other, and no more; who is in which set is
 * found out for all rows at once, when it is asked for. To look each one up would be to wait for memory each time: there
 * are as many sets as rows, and all together they are large.
 */
export class MemberSet {
  readonly #hash: (code: number) => number;
  readonly #unkeyedHash: (code: number) => number;
  /** What was added, repetitions and all. */
  #rows = new Int32Array(1024);
  #codes = new Int32Array(1024);
  #used = 0;
  /** Rows that have become part of another, and of which. */
  readonly #mergedInto = new Map<number, number>();
  #isOrdered = true;
  /** The codes of row 0, of row 1, and so on. */
  #sorted = new Int32Array(0);
  /** Of each code, the row whose set it was seen in last, plus one. */
  #seenIn = new Int32Array(0);
  /** The codes of row 0, of row 1, and so on, each once, their hashes, and where those of each row begin. */
  #codesByRow = new Int32Array(0);
  #byRow = new Float64Array(0);
  #starts = new Int32Array(1);

  /**
   * @param hash the keyed hash of a code
   * @param unkeyedHash the hash of a code for sets that were begun without a key
   */
  constructor(hash: (code: number) => number, unkeyedHash: (code: number) => number) {
    this.#hash = hash;
    this.#unkeyedHash = unkeyedHash;
  }

  /** Empties all sets, and keeps the room that they had. */
  clear(): void {
    this.#used = 0;
    this.#mergedInto.clear();
    this.#isOrdered = false;
    this.#byRow = new Float64Array(0);
  }

  /** Adds each of the first `count` codes to the set of its row, passing those whose row is negative. */
  add(rows: Int32Array, codes: Int32Array, count: number): void {
    this.#isOrdered = false;
    let used = this.#used;
    if (used + count > this.#rows.length) {
      this.#rows = grown(this.#rows, used + count);
      this.#codes = grown(this.#codes, used + count);
    }
    const [ownRows, ownCodes] = [this.#rows, this.#codes];
    for (let i = 0; i < count; i++) {
      if (rows[i]! < 0) continue;
      ownRows[used] = rows[i]!;
      ownCodes[used++] = codes[i]!;
    }
    this.#used = used;
  }

  /** Adds the set of row `from` to that of row `into`, which is done at the end. */
  merge(into: number, from: number): void {
    this.#mergedInto.set(from, into);
    this.#isOrdered = false;
  }

  /** The set of a row. It stands when the sets have been emptied; its unkeyed hashes are to be had until then. */
  set(row: number): Distinct {
    if (!this.#isOrdered) this.#order();
    const [start, end] = row < this.#starts.length - 1 ? [this.#starts[row]!, this.#starts[row + 1]!] : [0, 0];
    return Distinct.from(
      this.#byRow.subarray(start, end),
      () => Float64Array.from(this.#codesByRow.subarray(start, end), this.#unkeyedHash),
    );
  }

  #order(): void {
    const ends = this.#sort();
    const sorted = this.#sorted;
    const seenIn = this.#seenIn.fill(0);
    const starts = new Int32Array(ends.length + 1);
    // Those that are left move to the front of what has been looked at.
    let kept = 0;
    for (let row = 0, i = 0; row < ends.length; row++) {
      starts[row] = kept;
      for (; i < ends[row]!; i++) {
        const code = sorted[i]!;
        if (seenIn[code] === row + 1) continue;
        seenIn[code] = row + 1;
        sorted[kept++] = code;
      }
    }
    starts[ends.length] = kept;
    this.#codesByRow = sorted.subarray(0, kept);
    this.#byRow = this.#hashed(kept);
    this.#starts = starts;
    this.#isOrdered = true;
  }

  /** The hash of each of the first codes in order; of a code that is in many sets, worked out once. */
  #hashed(count: number): Float64Array<ArrayBuffer> {
    const sorted = this.#sorted;
    const hashes = new Float64Array(count);
    // Where the hash of a code stands already, plus one.
    const at = this.#seenIn.fill(0);
    for (let i = 0; i < count; i++) {
      const code = sorted[i]!;
      if (at[code] === 0) {
        at[code] = i + 1;
        hashes[i] = this.#hash(code);
      } else hashes[i] = hashes[at[code]! - 1]!;
    }
    return hashes;
  }

  /** Sorts the codes by row; returns where those of each row end. */
  #sort(): Int32Array {
    const used = this.#used;
    const [rows, codes] = [this.#rows, this.#codes];
    let mostRow = -1;
    let mostCode = -1;
    for (let i = 0; i < used; i++) {
      if (this.#mergedInto.size > 0) rows[i] = this.#whole(rows[i]!);
      mostRow = Math.max(mostRow, rows[i]!);
      mostCode = Math.max(mostCode, codes[i]!);
    }
    if (used > this.#sorted.length) this.#sorted = new Int32Array(this.#rows.length);
    if (mostCode >= this.#seenIn.length) this.#seenIn = grown(this.#seenIn, mostCode + 1);
    // First where each row begins, which becomes where it ends as it is filled.
    const ends = new Int32Array(mostRow + 2);
    for (let i = 0; i < used; i++) ends[rows[i]! + 1]!++;
    for (let row = 1; row < ends.length; row++) ends[row]! += ends[row - 1]!;
    const sorted = this.#sorted;
    for (let i = 0; i < used; i++) sorted[ends[rows[i]!]!++] = codes[i]!;
    return ends.subarray(0, mostRow + 1);
  }

  /** The row that a row has become part of, or itself. */
  #whole(row: number): number {
    for (let into; (into = this.#mergedInto.get(row)) !== undefined;) row = into;
    return row;
  }
}

/** Sorted numbers, each once. */
function unique(sorted: Float64Array): Float64Array {
  let n = 0;
  for (let i = 0; i < sorted.length; i++) if (i === 0 || sorted[i] !== sorted[n - 1]) sorted[n++] = sorted[i]!;
  return sorted.subarray(0, n);
}

let scratch = new Float64Array(1024);

function unionOfSorted(a: Float64Array, b: Float64Array): Float64Array {
  if (a.length + b.length > scratch.length) scratch = new Float64Array(2 * (a.length + b.length));
  const all = scratch;
  let n = 0;
  for (let i = 0, j = 0; i < a.length || j < b.length;) {
    const x = i < a.length ? a[i]! : Infinity;
    const y = j < b.length ? b[j]! : Infinity;
    if (x <= y) i++;
    if (y <= x) j++;
    all[n++] = Math.min(x, y);
  }
  return all.slice(0, n);
}

/** Raises registers to those of another sketch. */
function raise(registers: Uint8Array, others: Uint8Array): void {
  for (let i = 0; i < REGISTERS; i++) if (others[i]! > registers[i]!) registers[i] = others[i]!;
}

/**
 * Cardinality from registers without the bias of the classic estimator (O. Ertl, "New cardinality estimation algorithms
 * for HyperLogLog sketches", 2017, algorithm 6).
 */
function estimate(registers: Uint8Array, rankBits: number): number {
  const ranks = new Uint32Array(rankBits + 2);
  for (const rank of registers) ranks[rank]!++;
  const m = REGISTERS;
  let z = m * tau(1 - ranks[rankBits + 1]! / m);
  for (let k = rankBits; k >= 1; k--) z = 0.5 * (z + ranks[k]!);
  z += m * sigma(ranks[0]! / m);
  return Math.round((m * m) / (2 * Math.LN2 * z));
}

function sigma(x: number): number {
  if (x === 1) return Infinity;
  let z = x;
  for (let y = 1, before = NaN; z !== before; y += y) {
    x *= x;
    before = z;
    z += x * y;
  }
  return z;
}

function tau(x: number): number {
  if (x === 0 || x === 1) return 0;
  let z = 1 - x;
  for (let y = 1, before = NaN; z !== before;) {
    x = Math.sqrt(x);
    before = z;
    y *= 0.5;
    z -= (1 - x) ** 2 * y;
  }
  return z / 3;
}
