/** A log that an earlier version stored must be read with the same kinds. */
import assert from "node:assert/strict";
import { EmbeddedLog } from "../../embedded/embedded_log.ts";
import { CODE_OF, type Kind, kindOfCode } from "./kinds.ts";

const TOPIC = "clickstream-events";

/** The codes that every version has stored, in any order. */
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

/** A record as stored in a file: `length u32, time f64, code u8, value`, little-endian. */
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

Deno.test("a kept log still has the kinds of its records", async () => {
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

Deno.test("the code of each kind never changes", () => {
  const sorted = (codes: object) => Object.entries(codes).sort(([a], [b]) => a < b ? -1 : 1);
  assert.deepEqual(sorted(CODE_OF), sorted(Object.fromEntries(STORED.map(([code, kind]) => [kind, code]))));
  assert.throws(() => kindOfCode(200), /unknown kind 200/);
});
