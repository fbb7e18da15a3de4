/** The walk over record batches: it lists valid batches, refuses invalid ones, and trusts nothing unchecked. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { Records, Unreadable } from "../records.ts";
import { batchBytes, type BatchOptions, type BatchRecord, bombOf, recordBytes, sealed } from "../testing/batches.ts";
import { Random } from "../../generator/random.ts";
import { nextReadable } from "./damaged.ts";
import { type AbortedTransaction, walk, type Walked } from "./record_batch.ts";
import { MAX_UNPACKED_BYTES } from "./unpack/unpack.ts";

const utf8 = new TextEncoder();

function records(count: number, from = 0): BatchRecord[] {
  return Array.from({ length: count }, (_, i) => ({ value: utf8.encode(`record ${from + i}`), time: 1000 + i }));
}

/** Walks these batches; the log ends with them unless `end` says more. */
function walked(batches: readonly Uint8Array[], from: number, end = -1, aborted: readonly AbortedTransaction[] = []) {
  return walk(
    { partition: 3, bytes: Buffer.concat(batches), highWatermark: end, lastStableOffset: end, aborted },
    from,
    Infinity,
  );
}

/** Summary of a walk: values by offset, and refused offsets. */
function said({ records }: Walked): string[] {
  return records.flatMap(({ count, bytes, offsets, starts, ends, unreadable }) =>
    unreadable !== undefined
      ? [`${unreadable.offset}: ${unreadable.from} to ${unreadable.to - 1} refused`]
      : Array.from(
        { length: count },
        (_, i) => `${offsets[i]}: ${ends[i]! < 0 ? null : Buffer.from(bytes.subarray(starts[i]!, ends[i]!))}`,
      )
  );
}

function refused({ records }: Walked): Unreadable {
  const found = records.flatMap(({ unreadable }) => unreadable ?? []);
  assert.equal(found.length, 1);
  return found[0]!;
}

const FIRST = batchBytes(records(2), { base: 10 });
const LAST = batchBytes(records(1, 5), { base: 15 });
const NEIGHBOURS = ["10: record 0", "11: record 1", "15: record 5"];

/** A batch of the offsets 12 to 14 with an error; its checksum is right unless that is the error. */
function wrong(options: BatchOptions = {}, change: (batch: Buffer) => void = () => {}): Buffer {
  const batch = batchBytes(records(3, 2), { base: 12, ...options });
  change(batch);
  return sealed(batch);
}

function body(...bytes: number[]): Uint8Array {
  return Uint8Array.from(bytes);
}

const three = Buffer.concat(records(3, 2).map((record, delta) => recordBytes({ ...record, delta }, 1000)));

const WRONG: Readonly<Record<string, readonly [Buffer, RegExp]>> = {
  ...Object.fromEntries(["gzip", "snappy", "lz4", "zstd"].map((name, i) => [
    `${name} bomb`,
    [
      wrong({ codec: i + 1, body: bombOf(i + 1, 100_000_000) }),
      new RegExp(`batch of offsets 12 to 14, 3 records: .*${name}.*more than ${MAX_UNPACKED_BYTES} bytes`),
    ] as const,
  ])),
  ...Object.fromEntries(["gzip", "snappy", "lz4", "zstd"].map((name, i) => [
    `invalid ${name} data`,
    [
      wrong({ codec: i + 1, body: utf8.encode("nothing that was ever packed") }),
      new RegExp(`unpacked \\(${name}\\)`),
    ] as const,
  ])),
  "unknown codec": [wrong({ codec: 5 }), /codec 5 is unknown/],
  "gzip cut off": [
    ((packed) => wrong({ codec: 1, body: packed.subarray(61, packed.length - 5) }))(
      batchBytes(records(3), { codec: 1 }),
    ),
    /unpacked \(gzip\)/,
  ],
  "negative count": [wrong({ count: -1 }), /says that it has -1 records/],
  "count of two billion": [wrong({ count: 2 ** 31 - 1 }), /says that it has 2147483647 records/],
  "one record too many": [wrong({ count: 4 }), /record 4 says that it is/],
  "one record too few": [wrong({ count: 2 }), /bytes are left after its last record/],
  "record longer than the batch": [
    wrong({ body: body(...three.subarray(0, -1)) }),
    /record 3 says that it is \d+ bytes/,
  ],
  "record of negative length": [wrong({ body: body(1, ...Array(30).fill(0)) }), /record 1 says that it is -1 bytes/],
  "record of length 0": [wrong({ body: body(0, ...Array(30).fill(0)) }), /record 1 says that it is 0 bytes/],
  "value longer than its record": [
    wrong({ count: 1, body: body(20, 0, 0, 0, 1, 80, ...Array(5).fill(0)) }),
    /key and value of record 1/,
  ],
  "key of two billion": [
    wrong({ count: 1, body: body(26, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff, 0x0f, 1, 0, 0, 0, 0) }),
    /key and value of record 1/,
  ],
  "number of too many bytes": [wrong({ body: Buffer.alloc(200, 0xff) }), /longer than a number can be/],
  "time of too many bytes": [wrong({ count: 1, body: body(40, 0, ...Array(19).fill(0xff)) }), /longer than a number/],
  "offset outside": [wrong({ lastDelta: 2 }, (batch) => batch[61 + 3] = 6), /record 1 says that it has offset 15/],
  "negative offset": [wrong({}, (batch) => batch[61 + 3] = 1), /record 1 says that it has offset 11/],
  "repeated offset": [
    wrong({}, (batch) => batch[61 + three.length / 3 + 3] = 0),
    /record 2 says that it has offset 12/,
  ],
};

for (const [name, [batch, why]] of Object.entries(WRONG)) {
  Deno.test(`batch with ${name}: refused, its neighbours are read`, () => {
    for (const from of [10, 13]) {
      const all = walked([FIRST, batch, LAST], from, 16);
      assert.deepEqual([all.next, all.lost], [16, null]);
      const offset = Math.max(12, from);
      assert.deepEqual(said(all), [
        ...from === 10 ? NEIGHBOURS.slice(0, 2) : [],
        `${offset}: 12 to 14 refused`,
        NEIGHBOURS[2],
      ]);
      const { detail, bytes } = refused(all);
      assert.match(detail, why);
      assert.deepEqual(bytes, batch.subarray(0, 65_536));
    }
  });
}

Deno.test("batch with a wrong checksum: refused, and reading continues at the next batch", () => {
  const damaged = batchBytes(records(3, 2), { base: 12 });
  damaged[70]! ^= 1;
  const all = walked([FIRST, damaged, LAST], 10, 16);
  // After a damaged batch, the open transactions are fetched again.
  assert.deepEqual([said(all), all.next], [[...NEIGHBOURS.slice(0, 2), "12: 12 to 14 refused"], 15]);
  assert.match(
    refused(all).detail,
    /batch of offsets 12 to 14, an unknown number of records: .*damaged: its checksum is/,
  );
  assert.deepEqual(said(walked([LAST], all.next, 16)), NEIGHBOURS.slice(2));
});

for (const [name, delta] of [["too far", 1_000_000], ["negative", -5], ["too near", 0]] as const) {
  Deno.test(`batch with a damaged head that ends ${name}: no record after it is lost`, () => {
    const damaged = wrong();
    damaged.writeInt32BE(delta, 23);
    const { next, lost } = walked([FIRST, damaged, LAST], 10, 2_000_000);
    assert.equal(lost, null);
    assert.equal(next, name === "too near" ? 13 : 15);
    const alone = walked([damaged], 12, 2_000_000);
    assert.deepEqual([said(alone), alone.next], [[], 12]);
    assert.match(alone.lost?.why ?? "", /damaged/);
  });
}

Deno.test("damaged batch at the end of the log: refused", () => {
  const damaged = batchBytes(records(3, 2), { base: 12 });
  damaged[70]! ^= 1;
  assert.deepEqual(said(walked([FIRST, damaged], 10, 15)), [...NEIGHBOURS.slice(0, 2), "12: 12 to 14 refused"]);
});

for (
  const [name, change] of Object.entries<(batch: Buffer) => void>({
    "negative length": (batch) => batch.writeInt32BE(-7, 8),
    "length of two billion": (batch) => batch.writeInt32BE(2 ** 31 - 1, 8),
    "length 0": (batch) => batch.writeInt32BE(0, 8),
    "unknown format": (batch) => batch[16] = 3,
    "offset beyond the log": (batch) => batch.writeBigInt64BE(2n ** 40n, 0),
    "negative offset": (batch) => batch.writeBigInt64BE(-(2n ** 40n), 0),
  })
) {
  Deno.test(`head with ${name}: nothing before it is lost, and it is reported if it comes first`, () => {
    const batch = wrong();
    change(batch);
    const before = walked([FIRST, batch], 10, 16);
    assert.deepEqual([said(before), before.next, before.lost], [NEIGHBOURS.slice(0, 2), 12, null]);
    const first = walked([batch], 12, 16);
    assert.deepEqual([said(first), first.next], [[], 12]);
    assert.notEqual(first.lost, null);
  });
}

Deno.test("messages of the formats 0 and 1 are refused one by one", () => {
  for (const magic of [0, 1]) {
    const old = (offset: number) => {
      const message = Buffer.alloc(12 + 30);
      message.writeBigInt64BE(BigInt(offset), 0);
      message.writeInt32BE(30, 8);
      message[16] = magic;
      return message;
    };
    const all = walked([old(12), old(13), old(14), LAST], 12, 16);
    assert.deepEqual(said(all), [12, 13, 14].map((n) => `${n}: ${n} to ${n} refused`).concat(NEIGHBOURS.slice(2)));
    assert.match(all.records[0]!.unreadable!.detail, new RegExp(`message format ${magic}`));
  }
});

Deno.test("batches of aborted transactions are skipped, even unreadable ones", () => {
  const producer = { id: 7n, epoch: 0, sequence: 0 };
  const bomb = wrong({ codec: 4, body: bombOf(4, 100_000_000), attributes: 0x10, producer });
  const aborted = [{ producerId: 7n, firstOffset: 12 }];
  const all = walked([FIRST, bomb, LAST], 10, 16, aborted);
  assert.deepEqual([said(all), all.next], [NEIGHBOURS, 16]);
});

Deno.test("decompressed bytes are bounded: the rest is fetched again", () => {
  const large = (base: number) => batchBytes([{ value: new Uint8Array(5_000_000) }], { base, codec: 4 });
  const bytes = Buffer.concat([large(0), large(1), large(2), large(3)]);
  const fetched = { partition: 0, bytes, aborted: [], highWatermark: 4, lastStableOffset: 4 };
  const first = walk(fetched, 0, 8_000_000);
  assert.deepEqual([first.records.length, first.next], [2, 2]);
  assert.deepEqual(walk(fetched, first.next, 8_000_000).next, 4);
});

Deno.test("every codec and header is listed as it was written", () => {
  for (const codec of [0, 1, 2, 3, 4]) {
    const values = [utf8.encode("ä"), null, new Uint8Array(), Buffer.alloc(100_000, "clicks and more clicks ")];
    const batch = batchBytes(
      values.map((value, i) => ({ value, headers: i, key: i === 1 ? null : utf8.encode("k"), time: 5000 - i })),
      { base: 40, codec },
    );
    const [run] = walked([batch], 0).records as [Records];
    assert.deepEqual([...run.offsets], [40, 41, 42, 43]);
    assert.deepEqual([...run.times], [5000, 4999, 4998, 4997]);
    const found = values.map((_, i) =>
      run.ends[i]! < 0 ? null : Buffer.from(run.bytes.subarray(run.starts[i], run.ends[i]))
    );
    assert.deepEqual(
      found.map((value) => value?.toString() ?? null),
      values.map((v) => v && Buffer.from(v).toString()),
    );
  }
});

Deno.test("with random bytes the walk ends, makes progress or reports why not, and lists nothing outside them", () => {
  const random = new Random(20);
  for (let round = 0; round < 6000; round++) {
    const batches: Buffer[] = [];
    let base = 5;
    for (let n = 1 + random.below(4); n > 0; n--) {
      const list = records(1 + random.below(5));
      const batch = batchBytes(list, { base, codec: random.below(5), attributes: random.pick([0, 0, 0, 0x10, 0x08]) });
      base += list.length;
      const isSealed = random.chance(0.7);
      for (let changes = random.below(3); changes > 0; changes--) {
        const at = random.chance(0.5) ? random.below(61) : random.below(batch.length);
        batch[at] = random.chance(0.3) ? random.pick([0, 0x7f, 0x80, 0xff]) : random.below(256);
      }
      batches.push(isSealed ? sealed(batch) : batch);
    }
    let bytes = Buffer.concat(batches);
    if (random.chance(0.2)) bytes = bytes.subarray(0, random.below(bytes.length));
    const from = 5 + random.below(4);
    const end = random.chance(0.5) ? -1 : base;
    const { records: runs, next, lost } = walk({
      partition: 0,
      bytes,
      aborted: [],
      highWatermark: end,
      lastStableOffset: end,
    }, from);
    assert.ok(next > from || lost !== null || bytes.length === 0, `round ${round}: no way on`);
    let last = from - 1;
    for (const run of runs) {
      if (run.unreadable !== undefined) {
        assert.ok(run.unreadable.offset > last && run.unreadable.to > run.unreadable.offset, `round ${round}`);
        last = run.unreadable.to - 1;
      }
      for (let i = 0; i < run.count; i++) {
        const [start, stop] = [run.starts[i]!, run.ends[i]!];
        assert.ok(start >= 0 && (stop === -1 || stop >= start && stop <= run.bytes.length), `round ${round}`);
        assert.ok(run.offsets[i]! > last && run.offsets[i]! < run.next, `round ${round}`);
        last = run.offsets[i]!;
      }
      assert.ok(run.next <= next, `round ${round}`);
    }
  }
});

Deno.test("the next readable offset is found, far away with few fetches", async () => {
  const cases = [[10, 11, 20], [10, 14, 5000], [0, 777, 1000], [3, 9, 9], [3, 4, 4], [7, 900_000, 1_000_000]] as const;
  for (const [from, good, end] of cases) {
    let asked = 0;
    const readableFrom = (offset: number) => {
      asked++;
      return Promise.resolve(offset >= good ? offset : null);
    };
    assert.equal(await nextReadable(from, end, readableFrom), good);
    assert.ok(asked <= 1_050, `${asked} questions`);
  }
  assert.equal(await nextReadable(10, 20, (offset) => Promise.resolve(offset)), 10);
  // A batch between two damaged ones, even if it has one record.
  assert.equal(
    await nextReadable(11, 90, (offset) => Promise.resolve(offset === 16 || offset >= 20 ? offset : null)),
    16,
  );
  // The batch found for an offset may begin later, where offsets are missing.
  assert.equal(await nextReadable(10, 99, (offset) => Promise.resolve(offset > 12 ? 50 : null)), 50);
});
