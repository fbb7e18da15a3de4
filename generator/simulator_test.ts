import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import fc from "fast-check";
import { onlyInWholeRun } from "../testing/effort.ts";
import { RECORD_REASONS, type RecordReason } from "../processor/event.ts";
import { decodeRecord, type OracleEvent, Refused } from "../processor/oracle/reference_decoder.ts";
import type { SimulatorOptions } from "./options.ts";
import { Simulator } from "./simulator.ts";
import type { SimulatedRecord } from "./records.ts";
import type { Counts } from "./records.ts";

const FROM_MS = Date.UTC(2026, 10, 2, 9);
const KEEP_DAYS = 30;

/** Options of a short span with every feature enabled. */
function short(seconds: number, rate: number, more: Partial<SimulatorOptions> = {}): SimulatorOptions {
  const span = { fromMs: FROM_MS, toMs: FROM_MS + seconds * 1000 };
  return { seed: 1, ...span, rate, bad: 0.05, duplicates: 0.05, late: 0.05, ...more };
}

function bytesOf(options: SimulatorOptions): string {
  return [...new Simulator(options)].map(({ key, value, timestampMs, kind }) =>
    `${key} ${timestampMs} ${kind} ${value === null ? "-" : [...value].join()}`
  ).join("\n");
}

/** The verdict of an independent decoder on a record: the event, or the reason for its refusal. */
function judged({ value, timestampMs }: SimulatedRecord): OracleEvent | RecordReason {
  try {
    return decodeRecord({ offset: 0, value, time: timestampMs }, KEEP_DAYS);
  } catch (error) {
    if (error instanceof Refused) return error.reason as RecordReason;
    throw error;
  }
}

/** Checks all promises of each record, and recounts them from their contents. */
function recount(records: readonly SimulatedRecord[], { fromMs, toMs }: SimulatorOptions): Counts {
  const refusals = Object.fromEntries(RECORD_REASONS.map((reason) => [reason, 0])) as Record<RecordReason, number>;
  const eventTypes = new Map<string, number>();
  const users = new Set<string>();
  const owners = new Map<string, string>();
  const originals = new Map<string, SimulatedRecord>();
  let [duplicates, late, events, revenueCents, nowMs] = [0, 0, 0, 0n, fromMs];
  for (const record of records) {
    const { key, kind, timestampMs } = record;
    assert.ok(timestampMs >= nowMs && timestampMs < toMs && Number.isInteger(timestampMs), `${timestampMs}`);
    nowMs = timestampMs;
    const verdict = judged(record);
    if (typeof verdict === "string") {
      assert.equal(verdict, kind);
      refusals[verdict]++;
      continue;
    }
    const original = originals.get(verdict.eventId ?? "");
    assert.equal(verdict.userId, key);
    if (original !== undefined) {
      assert.equal(kind, "duplicate");
      assert.equal(original.key, key);
      assert.deepEqual(record.value, original.value);
      const afterMs = timestampMs - original.timestampMs;
      assert.ok(afterMs > 0 && afterMs < 10 * 60_000, `repeated after ${afterMs} ms`);
      duplicates++;
      continue;
    }
    if (verdict.eventId !== null) originals.set(verdict.eventId, record);
    const lateMs = timestampMs - verdict.timeMs;
    assert.ok(verdict.timeMs >= fromMs && (kind === "late" ? lateMs >= 1000 : lateMs === 0), `${kind}: ${lateMs} ms`);
    if (verdict.sessionId !== null) {
      assert.equal(owners.get(verdict.sessionId) ?? key, key, "a session is one user's");
      owners.set(verdict.sessionId, key);
    }
    events++;
    if (kind === "late") late++;
    users.add(key);
    eventTypes.set(verdict.eventType, (eventTypes.get(verdict.eventType) ?? 0) + 1);
    revenueCents += verdict.revenueCents;
  }
  return {
    records: records.length,
    events,
    duplicates,
    late,
    refusals,
    eventTypes: Object.fromEntries([...eventTypes].sort(([a], [b]) => a < b ? -1 : 1)),
    purchases: eventTypes.get("purchase") ?? 0,
    revenueCents: Number(revenueCents),
    users: users.size,
  };
}

Deno.test("the same seed gives the same bytes; another seed or start gives others", () => {
  const once = bytesOf(short(5, 200));
  assert.equal(bytesOf(short(5, 200)), once);
  assert.notEqual(bytesOf(short(5, 200, { seed: 2 })), once);
  assert.notEqual(bytesOf(short(5, 200, { fromMs: FROM_MS - 1 })), once);
});

Deno.test("a seed's records stay the same byte for byte from version to version", () => {
  const expected = {
    1: "962fd10102584951a1ba158dc6beccba8b3c68d9bc75a7e0e7d9f13c3f7e6a71",
    20261102: "da56c79995c4f8e015bdd65799d4ecd45bfd6a511d51ff1ab403c121a3932a49",
  };
  for (const [seed, sha256] of Object.entries(expected)) {
    const hash = createHash("sha256");
    let left = 100_000;
    for (
      const { key, value, timestampMs, kind, eventType, revenueCents } of new Simulator(
        short(60, 2000, { seed: Number(seed) }),
      )
    ) {
      hash.update(JSON.stringify([key, timestampMs, kind, eventType, revenueCents])).update(value ?? "none");
      if (--left === 0) break;
    }
    assert.equal(left, 0);
    assert.equal(hash.digest("hex"), sha256, `seed ${seed}`);
  }
});

Deno.test("no event id is used twice, not even by another seed or another span of the same simulator", () => {
  const ids = [{}, { seed: 2 }, { fromMs: FROM_MS + 1 }].flatMap((more) => {
    const records = [...new Simulator(short(10, 500, { bad: 0, duplicates: 0, ...more }))];
    return records.map(({ value }) => JSON.parse(new TextDecoder().decode(value!)).eventId as string | undefined)
      .filter((id) => id !== undefined);
  });
  assert.ok(ids.length > 14_000);
  assert.equal(new Set(ids).size, ids.length);
  for (const id of ids) assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

Deno.test("with any options, every record is of its stated kind and counted as such", () => {
  const options = fc.record({
    seed: fc.integer({ min: -(2 ** 53) + 1, max: 2 ** 53 - 1 }),
    startMs: fc.integer({ min: Date.UTC(1995), max: Date.UTC(2060) }),
    spanMs: fc.oneof(fc.integer({ min: 1, max: 60_000 }), fc.integer({ min: 60_000, max: 3 * 86_400_000 })),
    records: fc.integer({ min: 1, max: 400 }),
    users: fc.option(fc.integer({ min: 1, max: 1000 }), { nil: undefined }),
    bad: fc.double({ min: 0, max: 0.5, noNaN: true }),
    duplicates: fc.double({ min: 0, max: 0.25, noNaN: true }),
    late: fc.double({ min: 0, max: 0.5, noNaN: true }),
  });
  fc.assert(
    fc.property(options, ({ startMs, spanMs, records, ...more }) => {
      const rate = Math.min(5000, records * 1000 / spanMs);
      const all: SimulatorOptions = { ...more, fromMs: startMs, toMs: startMs + spanMs, rate };
      const simulator = new Simulator(all);
      assert.deepEqual(recount([...simulator], all), simulator.counts);
    }),
    { numRuns: 150 },
  );
});

Deno.test("every kind of refused record is refused for its reason, and each reason comes up early", () => {
  const options = short(20, 1000, { bad: 0.5 });
  const simulator = new Simulator(options);
  const records = [...simulator];
  assert.deepEqual(recount(records, options), simulator.counts);
  const bad = records.filter(({ kind }) => (RECORD_REASONS as readonly string[]).includes(kind));
  assert.deepEqual(bad.slice(0, RECORD_REASONS.length).map(({ kind }) => kind), [...RECORD_REASONS]);
  assert.ok(Math.abs(bad.length / records.length - 0.5) < 0.02);
});

Deno.test("shares are met, and nothing is made that was not asked for", () => {
  const counts = (options: SimulatorOptions) => {
    const simulator = new Simulator(options);
    for (const _ of simulator);
    return simulator.counts;
  };
  const all = counts(short(1800, 20, { bad: 0.04, duplicates: 0.1, late: 0.2 }));
  const bad = Object.values(all.refusals).reduce((sum, count) => sum + count);
  assert.ok(Math.abs(bad / all.records - 0.04) < 0.006, `${bad / all.records} bad`);
  assert.ok(Math.abs(all.duplicates / all.records - 0.1) < 0.01, `${all.duplicates / all.records} duplicates`);
  assert.ok(Math.abs(all.late / all.events - 0.2) < 0.015, `${all.late / all.events} late`);
  const none = counts(short(60, 100, { bad: 0, duplicates: 0, late: 0 }));
  assert.equal(none.records, none.events);
  assert.equal(none.late, 0);
});

Deno.test("late events arrive out of order, some hours after the event-time watermark", () => {
  const records = [...new Simulator(short(86_400, 1, { bad: 0, duplicates: 0, late: 0.3 }))];
  const delaysMs = records.filter(({ kind }) => kind === "late").map((record) => {
    const event = judged(record);
    return typeof event === "string" ? NaN : record.timestampMs - event.timeMs;
  });
  assert.ok(Math.min(...delaysMs) < 5000);
  assert.ok(Math.max(...delaysMs) > 3 * 3_600_000);
});

Deno.test("the rate is met over any span", onlyInWholeRun, () => {
  for (const [seconds, rate] of [[10, 2000], [20, 500], [600, 30], [3 * 86_400, 0.2], [7200, 5]] as const) {
    for (const seed of [1, 2, 3]) {
      let records = 0;
      for (const _ of new Simulator(short(seconds, rate, { seed, bad: 0.01, duplicates: 0.01, late: 0.01 }))) records++;
      const met = records / (seconds * rate);
      assert.ok(Math.abs(met - 1) < 0.03, `${met} of ${rate} a second in ${seconds} s, seed ${seed}`);
    }
  }
});

Deno.test("a simulation without an end is endless, and starts at full rate", () => {
  const simulator = new Simulator({ seed: 1, fromMs: FROM_MS, toMs: Infinity, rate: 1000 });
  let firstHalf = 0;
  for (const { timestampMs } of simulator) {
    if (timestampMs >= FROM_MS + 60_000) break;
    if (timestampMs < FROM_MS + 30_000) firstHalf++;
  }
  const { events, eventTypes } = simulator.counts;
  assert.ok(Math.abs(events / 60_000 - 1) < 0.05, `${events} in a minute`);
  assert.ok(Math.abs(firstHalf / 30_000 - 1) < 0.05, `${firstHalf} in its first half`);
  assert.ok(eventTypes["purchase"]! > 0);
});

Deno.test("an option out of bounds is named, with its value and its bounds", () => {
  const wrong: [Partial<SimulatorOptions>, RegExp][] = [
    [{ rate: 0 }, /^RangeError: rate is 0; allowed: records a second, above 0/],
    [{ rate: NaN }, /^RangeError: rate is NaN/],
    [{ seed: 0.5 }, /^RangeError: seed is 0.5; allowed: a whole number/],
    [{ toMs: FROM_MS }, /^RangeError: toMs is \d+; allowed: later than fromMs/],
    [{ fromMs: -1 }, /^RangeError: fromMs is -1; allowed: whole milliseconds in the years/],
    [{ bad: 0.51 }, /^RangeError: bad is 0.51; allowed: a share from 0 to 0.5/],
    [{ bad: 0.4, duplicates: 0.4 }, /^RangeError: bad is 0.4; allowed: at most 1 less twice the duplicates/],
    [{ late: -1 }, /^RangeError: late is -1/],
    [{ users: 0 }, /^RangeError: users is 0; allowed: 1 to/],
    [{ pace: 0 }, /^RangeError: pace is 0/],
    [{ keepDays: 0 }, /^RangeError: keepDays is 0/],
  ];
  for (const [more, message] of wrong) {
    assert.throws(() => new Simulator(short(1, 1, more)), (error) => {
      assert.match(String(error), message);
      return true;
    });
  }
});
