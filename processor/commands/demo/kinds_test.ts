/** What was stored by an earlier version is read as what it was. */
import assert from "node:assert/strict";
import { EmbeddedLog } from "../../embedded/embedded_log.ts";
import { CODE_OF, type Kind, kindOfCode } from "./kinds.ts";

const TOPIC = "clickstream-events";

/** What every version has stored, in no order that means anything. */
const STORED: readonly (readonly [code: number, kind: Kind])[] = [
  [13, "expired"],
  [2, "duplicate"],
  [8, "missing_field"],
  [5, "not_utf8"],
  [0, "event"],
  [11, "bad_timestamp"],
  [7, "not_an_object"],
  [3, "empty"],
  [12, "from_the_future"],
  [9, "wrong_type"],
  [1, "late"],
  [4, "too_large"],
  [10, "bad_value"],
  [6, "not_json"],
];

/** A record as it lies in a file: `length u32, time f64, code u8, value`, little-endian. */
function stored(code: number, text: string): Uint8Array {
  const value = new TextEncoder().encode(text);
  const bytes = new Uint8Array(13 + value.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, value.length, true);
  view.setFloat64(4, 1_700_000_000_000, true);
  bytes[12] = code;
  bytes.set(value, 13);
  return bytes;
}

Deno.test("the log of a folder that was kept tells what kinds of records it has", async () => {
  const folder = await Deno.makeTempDir({ prefix: "clickstream-kinds-" });
  try {
    const bytes = STORED.flatMap(([code, kind]) => [...stored(code, kind)]);
    await Deno.writeFile(`${folder}/${TOPIC}-0.log`, Uint8Array.from(bytes));
    const log = EmbeddedLog.open(folder, TOPIC, 1);
    const kinds = [...log.entries()].map(({ value, tag }) => [new TextDecoder().decode(value!), kindOfCode(tag)]);
    await log.close();
    assert.deepEqual(kinds, STORED.map(([, kind]) => [kind, kind]));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a kind has the code that it has always had, wherever it is listed", () => {
  const sorted = (codes: object) => Object.entries(codes).sort(([a], [b]) => a < b ? -1 : 1);
  assert.deepEqual(sorted(CODE_OF), sorted(Object.fromEntries(STORED.map(([code, kind]) => [kind, code]))));
  assert.throws(() => kindOfCode(200), /kind 200, which is not known/);
});
