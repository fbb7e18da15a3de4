import assert from "node:assert/strict";
import { table, tableByRow, withCommas } from "./text.ts";

Deno.test("columns of figures stand to the right under their heads, others to the left, and no line ends in blanks", () => {
  assert.deepEqual(table(["what", "count", ""], [["a", "1,234", ""], ["events, all", "5", "!"]]), [
    "what         count",
    "a            1,234",
    "events, all      5  !",
  ]);
  assert.deepEqual(table(null, [["KAFKA_TOPIC", "the topic"], ["", "any name"]]), [
    "KAFKA_TOPIC  the topic",
    "             any name",
  ]);
  assert.deepEqual(table(null, []), []);
  assert.deepEqual(table(["id"], []), ["id"]);
});

Deno.test("rows that come one at a time stand under the heads that came with the first", () => {
  const shown = tableByRow(["case", "events/s", "p50"], [8, 0, 5]);
  assert.equal(shown(["all", "1234567", ""]), "case      events/s    p50\nall        1234567");
  assert.equal(shown(["windows", "9", "40"]), "windows          9     40");
});

Deno.test("numbers are whole, with commas", () => {
  assert.deepEqual([0, 999.6, 1234567, -1000].map(withCommas), ["0", "1,000", "1,234,567", "-1,000"]);
});
