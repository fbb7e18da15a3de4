/**
 * How many different: exact while few, a HyperLogLog sketch beyond. Both are built from the same 53-bit hashes, so a
 * set comes out the same whatever order its parts were merged in.
 * @module
 */
import { grown } from "./grown.ts";

/** Most members that are counted exactly. */
export const EXACT_MEMBERS = 4096;

/** Registers of the sketch: 2^14, for a standard error of 1.04 / 2^7 = 0.81 %. */
const REGISTER_BITS = 14;
const REGISTERS = 1 << REGISTER_BITS;
/** Bits of a hash that are left for a register's rank. */
const RANK_BITS = 53 - REGISTER_BITS;

const EXACT = 0;
const SKETCH = 1;

/** A set of hashes, to be counted. Never changes once made. */
export class Distinct {
  /** No member. */
  static readonly EMPTY: Distinct = new Distinct(new Float64Array(0), null);

  /** Sorted hashes, while there are few. */
  readonly #exact: Float64Array | null;
  readonly #registers: Uint8Array | null;

  private constructor(exact: Float64Array | null, registers: Uint8Array | null) {
    this.#exact = exact;
    this.#registers = registers;
  }

  /** The set of these hashes, in any order; the array becomes its own. */
  static from(hashes: Float64Array): Distinct {
    return Distinct.#ofSorted(unique(hashes.sort()));
  }

  /** The set back from its `bytes`. */
  static of(bytes: Uint8Array): Distinct {
    const body = new Uint8Array(bytes.subarray(1));
    if (bytes[0] === SKETCH && body.length === REGISTERS) return new Distinct(null, body);
    if (bytes[0] === EXACT && body.length % 8 === 0) return new Distinct(new Float64Array(body.buffer), null);
    throw new RangeError(`a distinct count of ${bytes.length} bytes and tag ${bytes[0]} can't be read`);
  }

  static #ofSorted(hashes: Float64Array): Distinct {
    if (hashes.length <= EXACT_MEMBERS) return new Distinct(hashes, null);
    const registers = new Uint8Array(REGISTERS);
    for (const hash of hashes) register(registers, hash);
    return new Distinct(null, registers);
  }

  /** Number of members: exact up to `EXACT_MEMBERS`, an estimate beyond. */
  get count(): number {
    return this.#exact?.length ?? estimate(this.#registers!);
  }

  /** The set as bytes, for `Distinct.of`: a tag, then sorted hashes of eight bytes or 16,384 registers of one. */
  get bytes(): Uint8Array {
    const exact = this.#exact;
    const body = exact === null ? this.#registers! : new Uint8Array(exact.buffer, exact.byteOffset, exact.byteLength);
    const bytes = new Uint8Array(1 + body.length);
    bytes[0] = exact === null ? SKETCH : EXACT;
    bytes.set(body, 1);
    return bytes;
  }

  /** The members of both. */
  union(other: Distinct): Distinct {
    const a = this.#exact;
    const b = other.#exact;
    if (a !== null && b !== null) {
      return a.length === 0 ? other : b.length === 0 ? this : Distinct.#ofSorted(unionOfSorted(a, b));
    }
    const [sketch, part] = this.#registers === null ? [other, this] : [this, other];
    const registers = sketch.#registers!.slice();
    if (part.#exact !== null) { for (const hash of part.#exact) register(registers, hash); }
    else raise(registers, part.#registers!);
    return new Distinct(null, registers);
  }
}

/**
 * Sets of codes, one for each row. What is added is noted, one after the other, and no more; who is in which set is
 * found out for all rows at once, when it is asked for. To look each one up would be to wait for memory each time: there
 * are as many sets as rows, and all together they are large.
 */
export class MemberSet {
  readonly #hash: (code: number) => number;
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
  /** The hashes of row 0, of row 1, and so on, each once, and where those of each row begin. */
  #byRow = new Float64Array(0);
  #starts = new Int32Array(1);

  /** @param hash the hash of a code, 53 bits */
  constructor(hash: (code: number) => number) {
    this.#hash = hash;
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

  /** The hashes of the codes in the set of `row`, each once, in no order. They stand when the sets have been emptied. */
  hashes(row: number): Float64Array {
    if (!this.#isOrdered) this.#order();
    return row < this.#starts.length - 1
      ? this.#byRow.subarray(this.#starts[row], this.#starts[row + 1])
      : this.#byRow.subarray(0, 0);
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
    const byRow = new Float64Array(kept);
    for (let i = 0; i < kept; i++) byRow[i] = this.#hash(sorted[i]!);
    this.#byRow = byRow;
    this.#starts = starts;
    this.#isOrdered = true;
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

/** Raises the register of a hash to the hash's rank: the place of the first 1 among the bits left. */
function register(registers: Uint8Array, hash: number): void {
  const index = hash % REGISTERS;
  const rest = Math.floor(hash / REGISTERS);
  const high = Math.floor(rest / 4294967296);
  const zeros = high > 0 ? Math.clz32(high) - (64 - RANK_BITS) : RANK_BITS - 32 + Math.clz32(rest >>> 0);
  registers[index] = Math.max(registers[index]!, zeros + 1);
}

/**
 * Cardinality from registers without the bias of the classic estimator (O. Ertl, "New cardinality estimation algorithms
 * for HyperLogLog sketches", 2017, algorithm 6).
 */
function estimate(registers: Uint8Array): number {
  const ranks = new Uint32Array(RANK_BITS + 2);
  for (const rank of registers) ranks[rank]!++;
  const m = REGISTERS;
  let z = m * tau(1 - ranks[RANK_BITS + 1]! / m);
  for (let k = RANK_BITS; k >= 1; k--) z = 0.5 * (z + ranks[k]!);
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
