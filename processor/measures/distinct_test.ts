import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { encoded, SLACK } from "../columns/dictionary.ts";
import { Distinct, EXACT_MEMBERS, MemberSet } from "./distinct.ts";
import { Hasher, join53 } from "../columns/hash.ts";
import { testKeyed } from "../testing/fakes/keyed.ts";
import { Random } from "../../generator/random.ts";
import { onlyInWholeRun } from "../../testing/effort.ts";

/** 1.04 / √(2^14); the comments of the columns promise at most 1 %. */
const STANDARD_ERROR = 1.04 / 128;

/** Forms of user ids in shops. */
const SHAPES: readonly ((n: number) => string)[] = [
  (n) => `user-${n}`,
  (n) => String(n).padStart(10, "0"),
  (n) => `${(n * 2654435761 % 2 ** 32).toString(16).padStart(8, "0")}-0000-4000-8000-000000000000`,
  (n) => `${n}@shop.example`,
];

const keyed = testKeyed();

function hashOf(text: string): number {
  const view = encoded(text);
  return keyed.double(view, 0, view.byteLength - SLACK);
}

const hasher = new Hasher();

function unkeyedHashOf(text: string): number {
  const view = encoded(text);
  hasher.hash(view, 0, view.byteLength - SLACK);
  return join53(hasher.high, hasher.low);
}

/** Sets of codes that are their own hashes. */
const plainSets = () => new MemberSet((code) => code, (code) => code);

/** The sorted codes in the set of a row, if codes are their own hashes. */
function codesOf(members: MemberSet, row: number): number[] {
  const { bytes } = members.set(row);
  return [...new Float64Array(bytes.slice(1).buffer)];
}

/** A set of `n` users of a form; `from` is the first. */
function users(n: number, shape: (n: number) => string, from = 0): Distinct {
  const hashes = (hash: (text: string) => number) => Float64Array.from({ length: n }, (_, i) => hash(shape(from + i)));
  return Distinct.from(hashes(hashOf), () => hashes(unkeyedHashOf));
}

/** The same set, as stored before there was a key. */
function storedUnkeyed(n: number, shape: (n: number) => string, from = 0): Distinct {
  const hashes = Float64Array.from({ length: n }, (_, i) => unkeyedHashOf(shape(from + i))).sort();
  if (n <= EXACT_MEMBERS) return Distinct.of(Buffer.concat([Buffer.of(0), new Uint8Array(hashes.buffer)]));
  const registers = new Uint8Array(16384);
  for (const hash of hashes) {
    const rest = Math.floor(hash / 16384).toString(2).padStart(39, "0");
    registers[hash % 16384] = Math.max(registers[hash % 16384]!, (rest + "1").indexOf("1") + 1);
  }
  return Distinct.of(Buffer.concat([Buffer.of(1), registers]));
}

const bytesOf = (set: Distinct) => Buffer.from(set.bytes).toString("base64");

Deno.test("up to 4,096 members are counted exactly, whatever their ids", () => {
  for (const shape of SHAPES) {
    for (const n of [0, 1, 2, 63, 1000, 4095, EXACT_MEMBERS]) assert.equal(users(n, shape).count, n);
  }
});

Deno.test("the first stored byte names the format and never changes", () => {
  const of = (set: Distinct) => [set.bytes[0], set.bytes.length];
  assert.deepEqual(of(users(3, SHAPES[0]!)), [2, 1 + 3 * 8]);
  assert.deepEqual(of(users(EXACT_MEMBERS, SHAPES[0]!)), [2, 1 + EXACT_MEMBERS * 8]);
  assert.deepEqual(of(users(EXACT_MEMBERS + 1, SHAPES[0]!)), [3, 1 + 16384]);
  assert.deepEqual(of(storedUnkeyed(1, SHAPES[0]!).union(users(0, SHAPES[0]!))), [0, 1 + 8]);
});

Deno.test("4,097 members are estimated", () => {
  const sets = SHAPES.map((shape) => users(EXACT_MEMBERS + 1, shape));
  assert.ok(sets.some(({ count }) => count !== EXACT_MEMBERS + 1));
  for (const { count, bytes } of sets) {
    assert.ok(Math.abs(count / (EXACT_MEMBERS + 1) - 1) <= 3 * STANDARD_ERROR);
    assert.equal(bytes.length, 1 + 16384);
  }
});

for (const [n, sets] of [[5_000, 40], [20_000, 40], [200_000, 12], [2_000_000, 2]] as const) {
  const options = n < 100_000 ? {} : onlyInWholeRun;
  Deno.test(
    `${n.toLocaleString("en")} members are estimated within 1 % on average, always within 3 standard errors`,
    options,
    () => {
      const errors = Array.from({ length: sets }, (_, seed) => {
        const { count } = users(n, SHAPES[seed % SHAPES.length]!, seed * n);
        return count / n - 1;
      });
      const rootMeanSquare = Math.sqrt(errors.reduce((sum, error) => sum + error ** 2, 0) / sets);
      const bias = errors.reduce((sum, error) => sum + error, 0) / sets;
      assert.ok(errors.every((error) => Math.abs(error) <= 3 * STANDARD_ERROR), String(errors));
      assert.ok(rootMeanSquare <= 0.0125 && Math.abs(bias) <= 0.01, `error ${rootMeanSquare}, bias ${bias}`);
      if (sets > 4) assert.ok(rootMeanSquare <= 0.0105, `root mean square ${rootMeanSquare}`);
    },
  );
}

Deno.test("a register of a sketch holds the position of the first 1 beside its index, of 48 bits", () => {
  const words = new Uint32Array(2);
  const double = new Float64Array(words.buffer);
  const rankOf = (index: number) => index % 49 + 1;
  const hashes = Float64Array.from({ length: 5000 }, (_, index) => {
    // After the first 1 all bits are 1 in every other hash, and 0 in the others.
    const first = 1n << 48n - BigInt(rankOf(index)) & (1n << 48n) - 1n;
    const rest = rankOf(index) === 49 ? 0n : index % 2 === 0 ? first : first | first - 1n;
    words[0] = Number(rest & 0x3ffffn) << 14 | index;
    words[1] = Number(rest >> 18n);
    return double[0]!;
  });
  const [tag, ...registers] = Distinct.from(hashes, () => new Float64Array(0)).bytes;
  assert.equal(tag, 3);
  assert.deepEqual(registers, Array.from({ length: 16384 }, (_, index) => index < 5000 ? rankOf(index) : 0));
});

/** The estimate of registers with `bits` bits for a rank, by the series of the paper (O. Ertl, 2017). */
function published(registers: Uint8Array, bits: number): number {
  const m = registers.length;
  const share = (rank: number) => registers.filter((of) => of === rank).length / m;
  const sum = (term: (k: number) => number) =>
    Array.from({ length: 50 }, (_, k) => term(k + 1)).reduce((a, b) => a + b);
  const [full, none] = [1 - share(bits + 1), share(0)];
  const tau = (1 - full - sum((k) => (1 - full ** (2 ** -k)) ** 2 * 2 ** -k)) / 3;
  const sigma = none + sum((k) => none ** (2 ** k) * 2 ** (k - 1));
  const ranks = Array.from({ length: bits }, (_, k) => share(k + 1) * 2 ** -(k + 1)).reduce((a, b) => a + b);
  return m / (2 * Math.LN2 * (tau * 2 ** -bits + ranks + sigma));
}

Deno.test("the estimate of a sketch is that of the paper, for any registers", () => {
  // Shares of registers without a member and of those at the highest rank; the others have at least the lowest rank.
  const kinds = [[0.7, 0, 1], [0.01, 0, 1], [0, 0, 1], [0, 0.01, 1], [0.2, 0.2, 1], [0, 0.5, 39]] as const;
  for (const [tag, bits] of [[3, 48], [1, 39]] as const) {
    for (const [seed, [empty, full, lowest]] of kinds.entries()) {
      const random = new Random(seed);
      const registers = Uint8Array.from({ length: 16384 }, () => {
        if (random.chance(empty)) return 0;
        if (random.chance(full)) return bits + 1;
        let rank: number = lowest;
        while (rank < bits && random.chance(0.5)) rank++;
        return rank;
      });
      const { count } = Distinct.of(Uint8Array.of(tag, ...registers));
      const expected = published(registers, bits);
      assert.ok(Math.abs(count / expected - 1) < 1e-4, `${count}, not ${expected}: tag ${tag}, seed ${seed}`);
    }
  }
});

Deno.test("a set has the same bytes, in whatever parts and order it was merged", () => {
  for (let seed = 0; seed < 30; seed++) {
    const random = new Random(seed);
    const total = random.pick([10, 4000, EXACT_MEMBERS, EXACT_MEMBERS + 1, 9000]);
    const shape = random.pick(SHAPES);
    const whole = users(total, shape);
    const cuts = [0, ...[1, 2, 3].map(() => random.below(total)).sort((a, b) => a - b), total];
    // Parts overlap: each begins up to a thousand users early.
    const parts = cuts.slice(1).map((to, i) => {
      const from = Math.max(0, cuts[i]! - random.below(1000));
      return users(to - from, shape, from);
    });
    const merged = random.shuffled(parts).reduce((a, b) => random.chance(0.5) ? a.union(b) : b.union(a));
    assert.equal(bytesOf(merged), bytesOf(whole), `seed ${seed}`);
    assert.equal(bytesOf(Distinct.of(merged.bytes)), bytesOf(whole), `seed ${seed}`);
    assert.equal(bytesOf(Distinct.of(merged.bytes).union(parts[0]!)), bytesOf(whole), `seed ${seed}`);
  }
});

Deno.test("a set is read from bytes at any position, and later changes to them don't affect it", () => {
  for (const set of [users(3, SHAPES[0]!), users(5000, SHAPES[0]!)]) {
    const pooled = Buffer.concat([Buffer.alloc(3), set.bytes]).subarray(3);
    const again = Distinct.of(pooled);
    pooled.fill(0);
    again.bytes.fill(0);
    assert.equal(bytesOf(again), bytesOf(set));
  }
});

Deno.test("bytes that are not a set are refused", () => {
  for (const bytes of [[], [2, 1], [3], [4], [0, 1, 2, 3], [1, 0], new Array<number>(16384).fill(1)]) {
    assert.throws(() => Distinct.of(Uint8Array.from(bytes)), RangeError);
  }
});

Deno.test("different users have different hashes, with a key and without", onlyInWholeRun, () => {
  for (const shape of SHAPES) {
    for (const hash of [hashOf, unkeyedHashOf]) {
      assert.equal(new Set(Array.from({ length: 250_000 }, (_, n) => hash(shape(n)))).size, 250_000);
    }
  }
});

Deno.test("each row keeps a member once", () => {
  const random = new Random(5);
  const naive = new Map<number, Set<number>>();
  const members = plainSets();
  for (let batch = 0; batch < 50; batch++) {
    const rows = Int32Array.from({ length: 1000 }, () => random.below(301) - 1);
    const codes = Int32Array.from(rows, () => random.below(200));
    members.add(rows, codes, 990);
    for (let i = 0; i < 990; i++) naive.set(rows[i]!, (naive.get(rows[i]!) ?? new Set()).add(codes[i]!));
  }
  naive.delete(-1);
  for (const [row, codes] of naive) {
    assert.deepEqual(codesOf(members, row), [...codes].sort((a, b) => a - b));
  }
  assert.deepEqual(codesOf(members, 300), []);
  assert.deepEqual(codesOf(members, 1_000_000), []);
});

Deno.test("merged sets hold the members of both, and of sets merged into them before", () => {
  const members = plainSets();
  members.add(Int32Array.of(0, 1, 1, 2, 3), Int32Array.of(1, 1, 2, 3, 4), 5);
  assert.deepEqual(codesOf(members, 1), [1, 2]);
  members.merge(1, 2);
  members.merge(0, 1);
  assert.deepEqual(codesOf(members, 0), [1, 2, 3]);
  assert.deepEqual(codesOf(members, 3), [4]);
  members.clear();
  assert.deepEqual(codesOf(members, 0), []);
  members.add(Int32Array.of(1), Int32Array.of(5), 1);
  assert.deepEqual([codesOf(members, 0), codesOf(members, 1)], [[], [5]]);
});

Deno.test("a set stored without a key stays unkeyed, and counts as before", () => {
  for (
    const [before, from, added] of [[0, 0, 3], [10, 5, 10], [4000, 3000, 1096], [4000, 3000, 2000], [9000, 0, 9500]]
  ) {
    for (const shape of SHAPES) {
      const total = Math.max(before!, from! + added!);
      const delta = users(added!, shape, from);
      const merged = storedUnkeyed(before!, shape).union(delta);
      assert.equal(bytesOf(merged), bytesOf(storedUnkeyed(total, shape)));
      // The same holds after it is stored, read and added to again.
      assert.equal(bytesOf(delta.union(Distinct.of(merged.bytes))), bytesOf(merged));
      // And in any order of its parts.
      const parts = users(added! - 1, shape, from).union(users(1, shape, from! + added! - 1));
      assert.equal(bytesOf(parts.union(storedUnkeyed(before!, shape))), bytesOf(merged));
    }
  }
});

Deno.test("a keyed set is not mistaken for an unkeyed one", () => {
  const stored = Distinct.of(users(10, SHAPES[0]!).bytes);
  assert.throws(() => stored.union(storedUnkeyed(10, SHAPES[0]!)), /stored under a key/);
});
