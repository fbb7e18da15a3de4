import assert from "node:assert/strict";
import fc from "fast-check";
import { parquetReadObjects } from "hyparquet";
import { type Format, writerOf } from "./format.ts";
import type { Column, Row } from "./rows.ts";

const COLUMNS: readonly Column[] = [
  { name: "page", type: "text" },
  { name: "hour", type: "integer" },
  { name: "cents", type: "bigint" },
  { name: "rate", type: "double" },
  { name: "bounced", type: "boolean" },
  { name: "time", type: "time" },
  { name: 'the "day"', type: "day" },
];

const ROWS: readonly Row[] = [
  ["/a", "7", "9007199254740993", "0.5", "true", "2026-11-02T10:00:00.000001Z", "2026-11-02"],
  ['say "a",\nb', "-1", "-9223372036854775808", "NaN", "false", "1969-12-31T23:59:59.999999Z", "1969-12-31"],
  [null, null, null, null, null, null, null],
  ["é\u{1F600}", "0", "0", "-0", "true", "9999-12-31T23:59:59.999000Z", "9999-12-31"],
];

/** The file of these rows, written in pieces. */
async function file(
  format: Format,
  columns: readonly Column[],
  pieces: readonly (readonly Row[])[],
): Promise<Uint8Array> {
  const written: Uint8Array[] = [];
  const writer = await writerOf(format, columns, (bytes) => {
    written.push(bytes);
    return Promise.resolve();
  });
  for (const rows of pieces) await writer.rows(rows);
  await writer.end();
  return new Uint8Array(await new Blob(written as BlobPart[]).arrayBuffer());
}

async function text(format: Format, columns: readonly Column[], pieces: readonly (readonly Row[])[]): Promise<string> {
  return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(await file(format, columns, pieces));
}

Deno.test("CSV has a line of names, and quotes what needs it", async () => {
  assert.equal(
    await text("csv", COLUMNS, [ROWS.slice(0, 2), ROWS.slice(2)]),
    [
      'page,hour,cents,rate,bounced,time,"the ""day"""',
      "/a,7,9007199254740993,0.5,true,2026-11-02T10:00:00.000001Z,2026-11-02",
      '"say ""a"",\nb",-1,-9223372036854775808,NaN,false,1969-12-31T23:59:59.999999Z,1969-12-31',
      ",,,,,,",
      "é\u{1F600},0,0,-0,true,9999-12-31T23:59:59.999000Z,9999-12-31",
      "",
    ].join("\r\n"),
  );
  assert.equal(await text("csv", COLUMNS, []), 'page,hour,cents,rate,bounced,time,"the ""day"""\r\n');
});

Deno.test("NDJSON has an object a line, and every digit of a number", async () => {
  assert.deepEqual((await text("ndjson", COLUMNS, [ROWS])).split("\n"), [
    '{"page":"/a","hour":7,"cents":9007199254740993,"rate":0.5,"bounced":true,"time":"2026-11-02T10:00:00.000001Z",' +
    '"the \\"day\\"":"2026-11-02"}',
    '{"page":"say \\"a\\",\\nb","hour":-1,"cents":-9223372036854775808,"rate":null,"bounced":false,' +
    '"time":"1969-12-31T23:59:59.999999Z","the \\"day\\"":"1969-12-31"}',
    '{"page":null,"hour":null,"cents":null,"rate":null,"bounced":null,"time":null,"the \\"day\\"":null}',
    '{"page":"é\u{1F600}","hour":0,"cents":0,"rate":-0,"bounced":true,"time":"9999-12-31T23:59:59.999000Z",' +
    '"the \\"day\\"":"9999-12-31"}',
    "",
  ]);
  assert.equal(await text("ndjson", COLUMNS, []), "");
});

/** What a reader of Parquet finds; times as microseconds, days as days since 1970. */
async function readBack(bytes: Uint8Array): Promise<Record<string, unknown>[]> {
  const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
  return await parquetReadObjects({
    file: buffer,
    parsers: {
      timestampFromMicroseconds: (microseconds) => microseconds,
      dateFromDays: (days) => days,
    } as NonNullable<Parameters<typeof parquetReadObjects>[0]["parsers"]>,
  });
}

Deno.test("Parquet has the types of the columns, and each value", async () => {
  const rows = await readBack(await file("parquet", COLUMNS, [ROWS.slice(0, 1), ROWS.slice(1)]));
  assert.deepEqual(rows.map((row) => Object.values(row)), [
    ["/a", 7, 9007199254740993n, 0.5, true, 1_793_613_600_000_001n, 20_759],
    ['say "a",\nb', -1, -9223372036854775808n, NaN, false, -1n, -1],
    [null, null, null, null, null, null, null],
    ["é\u{1F600}", 0, 0n, -0, true, 253_402_300_799_999_000n, 2_932_896],
  ]);
  assert.deepEqual(Object.keys(rows[0]!), COLUMNS.map(({ name }) => name));
  assert.deepEqual(await readBack(await file("parquet", COLUMNS, [])), []);
});

Deno.test("Parquet: any texts and numbers come back, in as many row groups as there are", async () => {
  const columns = COLUMNS.slice(0, 3);
  const cells = fc.tuple(
    fc.option(fc.string({ unit: "grapheme" })),
    fc.option(fc.integer()),
    fc.option(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(cells, { maxLength: 50 }), fc.integer({ min: 0, max: 2 }), async (some, groups) => {
      const filler: Row[] = Array.from({ length: 50_000 }, (_, n) => ["/", String(n), null]);
      const rows = some.map((row): Row => row.map((cell) => cell === null ? null : String(cell)));
      const found = await readBack(await file("parquet", columns, [...new Array(groups).fill(filler), rows]));
      assert.equal(found.length, groups * 50_000 + rows.length);
      assert.deepEqual(found.slice(groups * 50_000).map((row) => Object.values(row).map((cell) => cell ?? null)), some);
    }),
    { numRuns: 20 },
  );
});
