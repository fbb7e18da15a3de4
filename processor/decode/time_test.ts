import assert from "node:assert/strict";
import fc from "fast-check";
import { END_OF_TIME_MS } from "../event.ts";
import { faultOfTime, inWords, parseEpochMs, parseIso } from "./time.ts";

const NOON = Date.UTC(2026, 10, 2, 12);

const TIMES: readonly (readonly [string, number])[] = [
  ["2026-11-02T12:00:00Z", NOON],
  ["2026-11-02T12:00:00.000Z", NOON],
  ["2026-11-02T12:00Z", NOON],
  ["2026-11-02T12:00:00.5Z", NOON + 500],
  ["2026-11-02T12:00:00,25Z", NOON + 250],
  ["2026-11-02T12:00:00.0019Z", NOON + 1],
  ["2026-11-02T12:00:00.999999999Z", NOON + 999],
  ["2026-11-02T13:30:00+01:30", NOON],
  ["2026-11-02T13:30:00+0130", NOON],
  ["2026-11-02T14:00:00+02", NOON],
  ["2026-11-02T07:00:00.000-05:00", NOON],
  ["2026-11-02T12:00:00-00:00", NOON],
  ["2026-11-02t12:00:00z", NOON],
  ["2026-11-02 12:00:00Z", NOON],
  ["2026-11-02 12:00:00.789+00:00", NOON + 789],
  ["2026-11-02t12:00:00.789z", NOON + 789],
  ["2026-11-02 12:00:00.789Z", NOON + 789],
  ["20261102T120000Z", NOON],
  ["20261102T1200Z", NOON],
  ["20261102t120000.789+0000", NOON + 789],
  ["20261102T140000,5+0200", NOON + 500],
  ["20261102 140000+02:00", NOON],
  ["20261102T120000.7890001Z", NOON + 789],
  // A leap second counts as the first second of the next minute.
  ["2016-12-31T23:59:60Z", Date.UTC(2017, 0, 1)],
  ["2016-12-31T23:59:60.250Z", Date.UTC(2017, 0, 1, 0, 0, 0, 250)],
  ["2017-01-01T08:59:60.000+09:00", Date.UTC(2017, 0, 1)],
  ["20161231T235960Z", Date.UTC(2017, 0, 1)],
  ["2026-11-02T24:00:00Z", NOON + 12 * 3_600_000],
  ["2024-02-29T00:00:00Z", Date.UTC(2024, 1, 29)],
  ["2000-02-29T00:00:00Z", Date.UTC(2000, 1, 29)],
  ["1970-01-01T00:00:00.000Z", 0],
  ["1969-12-31T23:00:00-01:00", 0],
  ["9999-12-31T23:59:59.999Z", END_OF_TIME_MS - 1],
];

const NO_TIMES: readonly string[] = [
  "",
  "now",
  "2026-11-02",
  "2026-11-02T12:00:00",
  "2026-11-02T12:00:00.000",
  "2026-11-02T12Z",
  " 2026-11-02T12:00:00Z",
  "2026-11-02T12:00:00Z\n",
  "2026-11-02T12:00:00.Z",
  // As long as the common form, but without its zone.
  "2026-11-02T12:00:00.0000",
  "2026-11-02T12:00:00.000+",
  "2026-02-30T12:00:00Z",
  "2026-02-29T12:00:00.000Z",
  "2100-02-29T12:00:00Z",
  "2026-04-31T12:00:00Z",
  "2026-00-10T12:00:00Z",
  "2026-13-10T12:00:00Z",
  "2026-11-00T12:00:00.000Z",
  "2026-11-02T24:00:00.001Z",
  "2026-11-02T25:00:00.000Z",
  "2026-11-02T12:60:00.000Z",
  "2026-11-02T12:00:61.000Z",
  "2026-11-02T24:00:60Z",
  "9999-12-31T23:59:60Z",
  "2026-11-02_12:00:00Z",
  "2026-11-02  12:00:00Z",
  "2026-11-02 12:00:00 Z",
  "2026-11-02T12:00:00 +01:00",
  // No mix of the two forms, and no week dates or ordinal dates.
  "20261102T12:00:00Z",
  "2026-11-02T120000Z",
  "2026-1102T12:00:00Z",
  "20261102T12:0000Z",
  "20261102120000Z",
  "20260230T120000Z",
  "2026-W45-1T12:00:00Z",
  "2026-W45-1T12:00:00.000Z",
  "2026W451T120000Z",
  "2026-306T12:00:00Z",
  "2026306T120000Z",
  "2026-11-02T12:00:00+24:00",
  "2026-11-02T12:00:00+01:60",
  "2026-11-02T12:00:00.0a0Z",
  "26-11-02T12:00:00Z",
  "+002026-11-02T12:00:00Z",
  "1969-12-31T23:59:59.999Z",
  "1970-01-01T00:00:00+00:01",
  "9999-12-31T23:59:59-00:01",
  "1793620800000",
];

Deno.test("an ISO 8601 time with zone is read to the millisecond, finer fractions cut off", () => {
  for (const [text, time] of TIMES) assert.equal(parseIso(text), time, text);
});

Deno.test("an invalid time, a time without zone or outside 1970 to 9999 is refused", () => {
  for (const text of NO_TIMES) assert.ok(Number.isNaN(parseIso(text)), text);
});

Deno.test("a cached day gives the same times", () => {
  for (const _ of [1, 2]) {
    for (const [text, time] of TIMES) assert.equal(parseIso(text), time, text);
    for (const text of NO_TIMES) assert.ok(Number.isNaN(parseIso(text)), text);
  }
});

Deno.test("epoch milliseconds are cut off to whole ones", () => {
  const table: readonly (readonly [number, number])[] = [
    [0, 0],
    [-0, 0],
    [0.9, 0],
    [NOON, NOON],
    [NOON + 0.999, NOON],
    [END_OF_TIME_MS - 1, END_OF_TIME_MS - 1],
    [END_OF_TIME_MS - 0.5, END_OF_TIME_MS - 1],
    [END_OF_TIME_MS, NaN],
    [-1, NaN],
    [-0.1, NaN],
    [Infinity, NaN],
    [NaN, NaN],
  ];
  for (const [number, time] of table) assert.equal(parseEpochMs(number), time, String(number));
});

Deno.test("an error says what is wrong with a time and what to send", () => {
  const table: readonly (readonly [string | number, RegExp])[] = [
    ["yesterday", /^it has another form; send ISO 8601 with a zone, such as 2026-11-24T12:34:56\.789Z, or epoch milli/],
    ["20261102T12:00:00Z", /^it has another form; /],
    ["2026-11-02T12:00:00", /^it has no zone; add Z for UTC, or one such as \+02:00$/],
    ["20261102T120000", /^it has no zone; /],
    ["2026-02-30T12:00:00Z", /^there is no such day or time$/],
    ["2026-11-02T12:00:61Z", /^there is no such day or time$/],
    ["1969-12-31T23:59:59Z", /^it lies outside the years 1970 to 9999$/],
    ["2026-W45-1T12:00:00Z", /^week and ordinal dates are not read; send ISO 8601/],
    ["2026306T120000Z", /^week and ordinal dates are not read; /],
    [NOON / 1000, /^it looks like seconds; send milliseconds$/],
    [`${NOON / 1000}`, /^it looks like seconds; send milliseconds$/],
    [`${NOON / 1000}.25`, /^it looks like seconds; send milliseconds$/],
    [NOON * 1000, /^it looks like microseconds; send milliseconds$/],
    [String(NOON * 1000), /^it looks like microseconds; /],
    [NOON * 1e6, /^it looks like nanoseconds; send milliseconds$/],
    [1e17, /^it looks like nanoseconds; /],
    [1e17 - 16, /^it looks like microseconds; /],
    [1e20, /^it lies outside the years/],
    [END_OF_TIME_MS, /^it looks like microseconds; /],
    [`${NOON}`, /^it is a string; send epoch milliseconds as a number, without quotes$/],
    ["-1", /^it is a string; /],
    [-1, /^it lies outside the years 1970 to 9999$/],
    [1e300, /^it lies outside the years/],
    [Infinity, /^it lies outside the years/],
  ];
  for (const [sent, words] of table) assert.match(faultOfTime(sent), words, String(sent));
});

Deno.test("a length of time is in its largest unit, rounded down", () => {
  const table: readonly (readonly [number, string])[] = [
    [0, "0 milliseconds"],
    [1, "1 millisecond"],
    [999, "999 milliseconds"],
    [1000, "1 second"],
    [7 * 60_000 + 59_999, "7 minutes"],
    [86_399_999, "23 hours"],
    [423 * 86_400_000 + 5, "423 days"],
  ];
  for (const [ms, words] of table) assert.equal(inWords(ms), words);
});

Deno.test("what Date.toISOString writes is read back", () => {
  const time = fc.integer({ min: 0, max: END_OF_TIME_MS - 1 });
  fc.assert(fc.property(time, (ms) => assert.equal(parseIso(new Date(ms).toISOString()), ms)), {
    seed: 1,
    numRuns: 2000,
  });
});

Deno.test("every zone moves the same instant", () => {
  const zone = fc.integer({ min: -23 * 60 - 59, max: 23 * 60 + 59 });
  const time = fc.integer({ min: 86_400_000, max: END_OF_TIME_MS - 86_400_001 });
  fc.assert(
    fc.property(time, zone, (ms, minutes) => {
      const size = Math.abs(minutes);
      const two = (n: number) => String(n).padStart(2, "0");
      const suffix = `${minutes < 0 ? "-" : "+"}${two(Math.floor(size / 60))}:${two(size % 60)}`;
      const local = new Date(ms + minutes * 60_000).toISOString().slice(0, -1);
      assert.equal(parseIso(local + suffix), ms);
    }),
    { seed: 2, numRuns: 1000 },
  );
});
