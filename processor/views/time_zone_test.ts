import assert from "node:assert/strict";
import fc from "fast-check";
import { scenario } from "../testing/scenario.ts";
import { LoadedZone, OffsetZone, RULES_UNTIL_MS, UTC, ZoneSince } from "./time_zone.ts";
import { userDaysOf } from "./user_days.ts";

const HOUR_MS = 3_600_000;
const at = (time: string) => Date.parse(`${time}Z`);

/** Berlin in 2026. */
const BERLIN = new OffsetZone("Europe/Berlin", [
  { fromMs: 0, aheadMs: HOUR_MS },
  { fromMs: at("2026-03-29T01:00"), aheadMs: 2 * HOUR_MS },
  { fromMs: at("2026-10-25T01:00"), aheadMs: HOUR_MS },
]);

scenario(
  userDaysOf(BERLIN),
  "days of a time zone begin at its midnight to the millisecond, also one of 23 hours",
  `
  time                     userId
  2026-03-28T22:59:59.999  ann
  2026-03-28T23:00:00.000  ann
  2026-03-29T21:59:59.999  ann
  2026-03-29T22:00:00.000  ann
  `,
  `
  user_id  day         events
  ann      2026-03-28  1
  ann      2026-03-29  2
  ann      2026-03-30  1
  `,
);

scenario(
  userDaysOf(BERLIN),
  "a day of 25 hours is one day",
  `
  time                     userId
  2026-10-24T21:59:59.999  bob
  2026-10-24T22:00:00.000  bob
  2026-10-25T22:59:59.999  bob
  2026-10-25T23:00:00.000  bob
  `,
  `
  user_id  day         events
  bob      2026-10-24  1
  bob      2026-10-25  2
  bob      2026-10-26  1
  `,
);

scenario(
  userDaysOf(new OffsetZone("America/New_York", [{ fromMs: 0, aheadMs: -5 * HOUR_MS }])),
  "the first day west of UTC is the last of 1969",
  `
  time                     userId
  1970-01-01T00:00:00.000  ann
  1970-01-01T05:00:00.000  ann
  `,
  `
  user_id  day         events
  ann      1969-12-31  1
  ann      1970-01-01  1
  `,
);

Deno.test("a zone knows its clock in any order of times, as a search of the whole table does", () => {
  const offsets = fc.uniqueArray(fc.integer({ min: 1, max: RULES_UNTIL_MS - 1 }), { maxLength: 20 }).chain((times) =>
    fc.array(fc.integer({ min: -12, max: 14 }), { minLength: times.length + 1, maxLength: times.length + 1 }).map((
      hours,
    ) => [0, ...times.toSorted((a, b) => a - b)].map((fromMs, n) => ({ fromMs, aheadMs: hours[n]! * HOUR_MS })))
  );
  const time = fc.oneof(fc.integer({ min: 0, max: RULES_UNTIL_MS }), fc.integer({ min: 0, max: Date.UTC(9999) }));
  const edge = fc.tuple(fc.nat(20), fc.integer({ min: -1, max: 1 }), fc.integer({ min: 0, max: 18 }));
  fc.assert(
    fc.property(offsets, fc.array(fc.oneof(time, edge), { minLength: 1, maxLength: 50 }), (offsets, picks) => {
      const zone = new OffsetZone("test", offsets);
      for (const pick of picks) {
        const [n, more, cycles] = typeof pick === "number" ? [0, 0, 0] : pick;
        const timeMs = typeof pick === "number"
          ? pick
          : Math.max(0, offsets[n % offsets.length]!.fromMs + more + cycles * (RULES_UNTIL_MS - Date.UTC(2100)));
        assert.equal(zone.localMs(timeMs) - timeMs, aheadAt(offsets, timeMs), String(timeMs));
      }
    }),
  );
});

/** The rules of 2100 to 2500 repeat for ever. */
function aheadAt(offsets: readonly { fromMs: number; aheadMs: number }[], timeMs: number): number {
  let known = timeMs;
  while (known >= RULES_UNTIL_MS) known -= RULES_UNTIL_MS - Date.UTC(2100);
  return offsets.findLast(({ fromMs }) => fromMs <= known)!.aheadMs;
}

Deno.test("a zone that is loaded later is UTC until then; one since a time leaves out what was before", () => {
  const zone = new LoadedZone();
  assert.deepEqual([zone.name, zone.isUtc, zone.localMs(5)], ["UTC", true, 5]);
  zone.load(BERLIN);
  assert.deepEqual([zone.name, zone.isUtc, zone.localMs(5)], ["Europe/Berlin", false, 5 + HOUR_MS]);
  const since = new ZoneSince(1000, UTC);
  assert.deepEqual([since.name, since.isUtc, since.localMs(1000)], ["UTC", false, 1000]);
  assert.ok(since.localMs(999) < -HOUR_MS * 24);
});
