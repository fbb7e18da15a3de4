import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { type Line, MAX_LINE_BYTES, readLines, type Skipped, writeLines } from "./ndjson.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

/** Splits chunks into lines, as text. */
async function linesOf(chunks: Iterable<Uint8Array>, skipped?: Skipped): Promise<Line[]> {
  const lines: Line[] = [];
  for await (const line of readLines(ReadableStream.from(chunks), skipped)) lines.push(line);
  return lines;
}

Deno.test("lines end with LF, CRLF or the end of the file; empty lines are skipped and counted", async () => {
  const skipped = { emptyLines: 0, byteOrderMarks: 0 };
  const lines = await linesOf([bytes("one\n\r\n\ntwo\r\nthr\ree\n\nfour")], skipped);
  assert.deepEqual(
    lines.map(({ number, value }) => [number, new TextDecoder().decode(value)]),
    [[1, "one"], [4, "two"], [5, "thr\ree"], [7, "four"]],
  );
  assert.deepEqual(skipped, { emptyLines: 3, byteOrderMarks: 0 });
  assert.deepEqual(await linesOf([]), []);
  assert.deepEqual(await linesOf([bytes("\n\n")]), []);
});

Deno.test("a byte-order mark is not part of a line, also where files were concatenated", async () => {
  const table: readonly (readonly [string, string[], number, number])[] = [
    ["\ufeff{}", ["{}"], 0, 1],
    ["\ufeff{}\r\n{}\r\n\r\n", ["{}", "{}"], 1, 1],
    ["\ufeffone\n\ufefftwo\r\n", ["one", "two"], 0, 2],
    ["\ufeff", [], 1, 1],
    ["\ufeff\r\n\r", [], 2, 1],
    // A mark that is not at the beginning is part of the value; so is a second mark.
    ["a\ufeff\n", ["a\ufeff"], 0, 0],
    ["\ufeff\ufeffa\n", ["\ufeffa"], 0, 1],
  ];
  for (const [file, expected, emptyLines, byteOrderMarks] of table) {
    const cuts = Array.from(bytes(file), (byte) => Uint8Array.of(byte));
    for (const chunks of [[bytes(file)], cuts]) {
      const skipped = { emptyLines: 0, byteOrderMarks: 0 };
      const lines = await linesOf(chunks, skipped);
      const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
      assert.deepEqual(lines.map(({ value }) => decoder.decode(value)), expected, JSON.stringify(file));
      assert.deepEqual(skipped, { emptyLines, byteOrderMarks }, JSON.stringify(file));
    }
  }
  const marked = await linesOf([bytes('\ufeff{"userId":"ann"}')]);
  assert.equal(marked[0]!.key, "ann");
  for (const mark of [[0xff, 0xfe], [0xfe, 0xff]]) {
    await assert.rejects(() => linesOf([Uint8Array.of(...mark, 0x7b, 0)]), {
      message: /^the file is UTF-16, .* iconv /,
    });
  }
});

Deno.test("the key is the userId of an object; invalid lines are kept byte for byte", async () => {
  const lines: [Uint8Array, string | null][] = [
    [bytes('{"userId":"ann","page":"/"}'), "ann"],
    [bytes(' {"userId":"Zoë"} '), "Zoë"],
    [bytes('{"userId":""}'), ""],
    [bytes('{"userId":7}'), null],
    [bytes("{}"), null],
    [bytes('["userId"]'), null],
    [bytes("null"), null],
    [bytes('{"userId":"ann"'), null],
    [Uint8Array.of(...bytes('{"userId":"'), 0xff, ...bytes('"}')), null],
  ];
  const file = lines.flatMap(([line]) => [line, bytes("\n")]);
  assert.deepEqual(
    (await linesOf(file)).map(({ key, value }) => [new Uint8Array(value), key]),
    lines,
  );
});

Deno.test("written lines are read back, however the chunks are cut", async () => {
  const value = fc.uint8Array({ maxLength: 40 }).map((line) =>
    line.filter((byte) => ![10, 13, 0xef, 0xfe].includes(byte))
  );
  const cut = fc.record({ values: fc.array(fc.option(value)), sizes: fc.array(fc.integer({ min: 1, max: 30 })) });
  await fc.assert(fc.asyncProperty(cut, async ({ values, sizes }) => {
    let file = Uint8Array.of(...[...writeLines(values.map((value) => ({ value })))].flatMap((chunk) => [...chunk]));
    const chunks: Uint8Array[] = [];
    for (const size of sizes) {
      chunks.push(file.slice(0, size));
      file = file.slice(size);
    }
    const lines = await linesOf([...chunks, file]);
    assert.deepEqual(
      lines.map(({ value }) => [...value]),
      values.filter((value) => value !== null && value.length > 0).map((value) => [...value!]),
    );
    assert.deepEqual(lines.map(({ number }) => values[number - 1]?.length), lines.map(({ value }) => value.length));
  }));
});

Deno.test("large records are written whole", () => {
  const values = [10, 600_000, 300_000, 5].map((length, i) => new Uint8Array(length).fill(65 + i));
  const file = Buffer.concat([...writeLines(values.map((value) => ({ value })))]);
  assert.ok(file.equals(Buffer.concat(values.flatMap((value) => [value, bytes("\n")]))));
});

Deno.test("a line that is too large for a broker is named, after the lines before it", async () => {
  const longest = new Uint8Array(MAX_LINE_BYTES).fill(65);
  assert.equal((await linesOf([longest, bytes("\r\n"), longest])).length, 2);
  const got: number[] = [];
  const read = async () => {
    const chunks = [bytes("one\n\nthree\n"), longest, bytes("A"), bytes("\n")];
    for await (const { number } of readLines(ReadableStream.from(chunks))) got.push(number);
  };
  await assert.rejects(read, { message: /^line 4 is longer than 1047552 bytes/ });
  assert.deepEqual(got, [1, 3]);
  await assert.rejects(() => linesOf([longest, longest]), { message: /^line 1 is longer/ });
});
