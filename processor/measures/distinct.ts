/**
 * Counts distinct values: exactly while they are few, with a HyperLogLog sketch beyond. Both use the same hashes, so a
 * set is the same in whatever order its parts are merged.
 *
 * Hashes are keyed, 63 bits as a double (`KeyedHash.double`). Sets stored before there was a key hold unkeyed hashes of
 * 53 bits. Neither can be converted into the other, so a set that began without a key stays unkeyed: new members also
 * bring their unkeyed hashes.
 * @module
 */
import { grown, NO_DOUBLES, NO_INTEGERS } from "../columns/grown.ts";

/** Most members that are counted exactly. */
export const EXACT_MEMBERS = 4096;

/** Registers of a sketch: 2^14, for a standard error of 1.04 / 2^7 = 0.81 %. */
const REGISTER_BITS = 14;
const REGISTERS = 1 << REGISTER_BITS;

/** How a set's hashes are made and used. */
interface Scheme {
  /** First byte of an exact set, and of a sketch. */
  readonly exactTag: number;
  readonly sketchTag: number;
  /** Bits of a hash that are left for a register's rank. */
  readonly rankBits: number;
  /** Raises the register of a hash to its rank: the position of the first 1 in the remaining bits. */
  register(registers: Uint8Array, hash: number): void;
}

/** A double, and its words. */
const double = new Float64Array(1);
const words = new Int32Array(double.buffer);

const KEYED: Scheme = {
  exactTag: 2,
  sketchTag: 3,
  // 30 bits of the upper word, without the sign and a bit that is always 0; of the lower word, the bits beside the
  // index.
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

/** An immutable set of hashes that can be counted. */
export class Distinct {
  /** The empty set. */
  static readonly EMPTY: Distinct = new Distinct(KEYED, new Float64Array(0), null, () => Distinct.#NONE);
  static readonly #NONE: Distinct = new Distinct(UNKEYED, new Float64Array(0), null, null);

  readonly #scheme: Scheme;
  /** Sorted hashes, while they are few. */
  readonly #exact: Float64Array | null;
  readonly #registers: Uint8Array | null;
  /** Only for a set that has not been stored yet. */
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
   * The set of these keyed hashes, in any order; the array must not be used afterwards.
   *
   * @param unkeyed makes the unkeyed hashes of the same members, in any order; called only if needed
   */
  static from(hashes: Float64Array, unkeyed: () => Float64Array): Distinct {
    return Distinct.#ofSorted(
      KEYED,
      unique(hashes.sort()),
      () => Distinct.#ofSorted(UNKEYED, unique(unkeyed().sort()), null),
    );
  }

  /**
   * Reads a set from its `bytes`.
   *
   * @throws {RangeError} if they are not a set
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

  /** The set as bytes, for `Distinct.of`: a tag, then sorted 8-byte hashes or 16,384 one-byte registers. */
  get bytes(): Uint8Array {
    const exact = this.#exact;
    const body = exact === null ? this.#registers! : new Uint8Array(exact.buffer, exact.byteOffset, exact.byteLength);
    const bytes = new Uint8Array(1 + body.length);
    bytes[0] = exact === null ? this.#scheme.sketchTag : this.#scheme.exactTag;
    bytes.set(body, 1);
    return bytes;
  }

  /**
   * The union of two sets; unkeyed if one of them is.
   *
   * @throws {Error} if one is unkeyed and the other was stored keyed, which never happens in sets of one row
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
 * Sets of codes, one for each row. Additions are only appended; all sets are computed at once on request. Looking up
 * each addition would cost a cache miss each: there are as many sets as rows, and together they are large.
 */
export class MemberSet {
  readonly #hash: (code: number) => number;
  readonly #unkeyedHash: (code: number) => number;
  /** All additions, with repetitions. */
  #rows = NO_INTEGERS;
  #codes = NO_INTEGERS;
  #used = 0;
  /** Rows that were merged into another, and into which. */
  readonly #mergedInto = new Map<number, number>();
  #isOrdered = true;
  /** The codes of row 0, of row 1, and so on. */
  #sorted = NO_INTEGERS;
  /** By code: the row in which it was last seen, plus one. */
  #seenIn = NO_INTEGERS;
  /** The distinct codes of row 0, of row 1, and so on; their hashes; and where each row begins. */
  #codesByRow = NO_INTEGERS;
  #byRow = NO_DOUBLES;
  #starts = new Int32Array(1);

  /**
   * @param hash the keyed hash of a code
   * @param unkeyedHash the unkeyed hash of a code, for sets that began without a key
   */
  constructor(hash: (code: number) => number, unkeyedHash: (code: number) => number) {
    this.#hash = hash;
    this.#unkeyedHash = unkeyedHash;
  }

  /** Empties all sets, and keeps their memory. */
  clear(): void {
    this.#used = 0;
    this.#mergedInto.clear();
    this.#isOrdered = false;
    this.#byRow = new Float64Array(0);
  }

  /** Adds each of the first `count` codes to the set of its row; skips negative rows. */
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

  /** Adds the set of row `from` to that of row `into`; this happens at the end. */
  merge(into: number, from: number): void {
    this.#mergedInto.set(from, into);
    this.#isOrdered = false;
  }

  /** The set of a row. It stays valid after `clear`, but its unkeyed hashes do not. */
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
    // Distinct codes move to the front of `sorted`.
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

  /** The hashes of the first codes; each code is hashed only once, even if it is in many sets. */
  #hashed(count: number): Float64Array<ArrayBuffer> {
    const sorted = this.#sorted;
    const hashes = new Float64Array(count);
    // By code: the index of its hash, plus one.
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

  /** Sorts the codes by row; returns the end of each row. */
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
    // Begins of the rows; filling a row moves its begin to its end.
    const ends = new Int32Array(mostRow + 2);
    for (let i = 0; i < used; i++) ends[rows[i]! + 1]!++;
    for (let row = 1; row < ends.length; row++) ends[row]! += ends[row - 1]!;
    const sorted = this.#sorted;
    for (let i = 0; i < used; i++) sorted[ends[rows[i]!]!++] = codes[i]!;
    return ends.subarray(0, mostRow + 1);
  }

  /** The row that a row was merged into, or itself. */
  #whole(row: number): number {
    for (let into; (into = this.#mergedInto.get(row)) !== undefined;) row = into;
    return row;
  }
}

/** Sorted numbers without repetitions. */
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

/** Raises registers to at least those of another sketch. */
function raise(registers: Uint8Array, others: Uint8Array): void {
  for (let i = 0; i < REGISTERS; i++) if (others[i]! > registers[i]!) registers[i] = others[i]!;
}

/**
 * Cardinality by registers, without the bias of the classic estimator (O. Ertl, "New cardinality estimation algorithms
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
