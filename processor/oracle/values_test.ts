import assert from "node:assert/strict";
import { cutPage, millisecondsOfNumber, millisecondsOfText, smallestUnitsOf } from "./values.ts";

Deno.test("the oracle reads ISO 8601 with a zone, cut to the millisecond", () => {
  const cases: [string, string | undefined][] = [
    ["2026-03-01T12:30Z", "2026-03-01T12:30:00.000Z"],
    ["2026-03-01T12:30:15Z", "2026-03-01T12:30:15.000Z"],
    ["2026-03-01T12:30:15.5Z", "2026-03-01T12:30:15.500Z"],
    ["2026-03-01T12:30:15.99999999999999999999Z", "2026-03-01T12:30:15.999Z"],
    ["2026-03-01T00:30:00+01", "2026-02-28T23:30:00.000Z"],
    ["2026-03-01T00:30:00+0145", "2026-02-28T22:45:00.000Z"],
    ["2026-03-01T00:30:00-01:45", "2026-03-01T02:15:00.000Z"],
    ["2024-02-29T00:00Z", "2024-02-29T00:00:00.000Z"],
    ["2000-02-29T00:00Z", "2000-02-29T00:00:00.000Z"],
    ["1970-01-01T00:00Z", "1970-01-01T00:00:00.000Z"],
    ["1969-12-31T23:59-00:01", "1970-01-01T00:00:00.000Z"],
    ["9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"],
    ["9999-12-31T23:59:59.999-00:01", undefined],
    ["1970-01-01T00:00+00:01", undefined],
    ["0099-01-01T00:00Z", undefined],
    ["2026-02-29T00:00Z", undefined],
    ["2100-02-29T00:00Z", undefined],
    ["2026-04-31T00:00Z", undefined],
    ["2026-13-01T00:00Z", undefined],
    ["2026-00-01T00:00Z", undefined],
    ["2026-01-00T00:00Z", undefined],
    ["2026-03-01T12:30:15,25Z", "2026-03-01T12:30:15.250Z"],
    ["2026-12-31T24:00:00.000Z", "2027-01-01T00:00:00.000Z"],
    ["2026-12-31T24:00:00.0001Z", undefined],
    ["2026-12-31T24:01Z", undefined],
    ["2026-12-31T25:00Z", undefined],
    ["2026-01-01T00:60Z", undefined],
    ["2026-01-01T00:00:60Z", "2026-01-01T00:01:00.000Z"],
    ["2016-12-31T23:59:60.5Z", "2017-01-01T00:00:00.500Z"],
    ["2026-01-01T00:00:61Z", undefined],
    ["2026-01-01T00:00+24:00", undefined],
    ["2026-01-01T00:00+00:60", undefined],
    ["2026-01-01T00:00", undefined],
    ["2026-01-01 00:00Z", "2026-01-01T00:00:00.000Z"],
    ["2026-01-01  00:00Z", undefined],
    ["2026-01-01 00:00 Z", undefined],
    ["2026-01-01t00:00z", "2026-01-01T00:00:00.000Z"],
    ["2026-01-01T00:00:00.Z", undefined],
    ["2026-01-01T00:00Z ", undefined],
    ["20260101T000000Z", "2026-01-01T00:00:00.000Z"],
    ["20260101T0130+0130", "2026-01-01T00:00:00.000Z"],
    ["20260101 013000.25-01:30", "2026-01-01T03:00:00.250Z"],
    ["20260101T00:00:00Z", undefined],
    ["2026-01-01T000000Z", undefined],
    ["2026-W01-4T00:00:00Z", undefined],
    ["2026-001T00:00:00Z", undefined],
    ["2026-01-01", undefined],
    ["1767225600000", undefined],
    ["", undefined],
  ];
  for (const [text, expected] of cases) {
    const timeMs = millisecondsOfText(text);
    assert.equal(timeMs === undefined ? undefined : new Date(timeMs).toISOString(), expected, text);
  }
});

Deno.test("the oracle reads epoch milliseconds from 1970 to 9999, cut to whole milliseconds", () => {
  const cases: [number, number | undefined][] = [
    [0, 0],
    [1.999, 1],
    [-1, undefined],
    [253_402_300_799_999.5, 253_402_300_799_999],
    [253_402_300_800_000, undefined],
    [Infinity, undefined],
  ];
  for (const [number, expected] of cases) assert.equal(millisecondsOfNumber(number), expected, String(number));
});

Deno.test("the oracle rounds a price half up by its decimal digits", () => {
  const cases: [number | string, bigint | undefined][] = [
    [0, 0n],
    [-0, 0n],
    [12, 1_200n],
    [1.005, 101n],
    [1.004999, 100n],
    ["1.005", 101n],
    ["1.00499999999999999999999", 100n],
    ["007.10", 710n],
    [0.005, 1n],
    [4.9e-3, 0n],
    [1e-7, 0n],
    [5e-324, 0n],
    [1e10, 1_000_000_000_000n],
    ["10000000000.004", 1_000_000_000_000n],
    ["10000000000.005", 1_000_000_000_001n],
    [Infinity, undefined],
    [-0.01, undefined],
    ["", undefined],
    ["-1", undefined],
    ["1,5", undefined],
    ["1e2", undefined],
    [" 1", undefined],
    ["1\n", undefined],
  ];
  for (const [price, cents] of cases) assert.equal(smallestUnitsOf(price, 2), cents, String(price));
  assert.deepEqual([0, 3, 4].map((decimals) => smallestUnitsOf("1.4995", decimals)), [1n, 1500n, 14_995n]);
});

Deno.test("the oracle cuts a page at its query or fragment, whichever comes first, but keeps hash routes", () => {
  const cases = [
    ...[["/a", "/a"], ["/a?b#c", "/a"], ["/a#c?b", "/a"], ["?b", "/"], ["#b", "/"], ["/a/", "/a/"]],
    ...[["#/b", "#/b"], ["/a?c#!/b?d", "/a#!/b"], ["/a#/b#/c", "/a#/b"], ["/a#b#/c", "/a"], ["/a#!b", "/a"]],
  ] as const;
  for (const [page, cut] of cases) assert.equal(cutPage(page), cut);
});
