import assert from "node:assert/strict";
import { table, tableByRow, withCommas } from "./text.ts";

Deno.test("a table aligns numbers to the right, texts to the left, and trims line ends", () => {
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

Deno.test("rows that are printed one at a time are aligned with the heads", () => {
  const shown = tableByRow(["case", "events/s", "p50"], [8, 0, 5]);
  assert.equal(shown(["all", "1234567", ""]), "case      events/s    p50\nall        1234567");
  assert.equal(shown(["windows", "9", "40"]), "windows          9     40");
});

Deno.test("numbers are rounded, with commas", () => {
  assert.deepEqual([0, 999.6, 1234567, -1000].map(withCommas), ["0", "1,000", "1,234,567", "-1,000"]);
});
