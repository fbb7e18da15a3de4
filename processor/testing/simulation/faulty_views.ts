/**
 * Planted faults: views, measures and decoders with results that depend on what must not matter.
 * @module
 */
import type { Batch } from "../../columns/batch.ts";
import type { Decoder } from "../../decode/decoder.ts";
import { distinctUsers } from "../../measures/distinct_users.ts";
import type { Measure } from "../../measures/measure.ts";
import { first, type Pick } from "../../measures/picks.ts";
import { count, sum } from "../../measures/totals.ts";
import { minutes, session, type View } from "../../views/view.ts";
import { VIEWS } from "../../views/mod.ts";
import type { Fault } from "./faults.ts";
import type { Measures } from "../contracts/laws.ts";
import { reference } from "../scenario.ts";
import type { Parts } from "./instance.ts";

/** Faults of views and decoders that a simulation must find. */
export const VIEW_FAULTS: readonly Fault[] = [
  {
    name: "a merge that overwrites",
    breaks: /rows differ/,
    parts: () => withMeasure("carts", () => ({ merge: (_, b) => b })),
  },
  {
    name: "an entry page from the last writer",
    breaks: /rows differ/,
    parts: () => withMeasure("entry_page", () => ({ merge: (a, b) => b ?? a })),
  },
  {
    name: "an entry page without a tie-break",
    breaks: /rows differ/,
    parts: () => withMeasure("entry_page", () => ({ merge: earlierOfAny })),
  },
  {
    name: "an entry page by index in the batch",
    breaks: /rows differ/,
    parts: () => withMeasure("entry_page", (measure) => ({ accumulator: (words) => firstPlaced(measure, words) })),
  },
  {
    name: "an entry page from the commit before",
    breaks: /rows differ/,
    parts: () => withMeasure("entry_page", (measure) => ({ accumulator: (words) => uncleared(measure, words) })),
  },
  {
    name: "a source from the last writer",
    breaks: /rows differ/,
    parts: () => withMeasure("source", () => ({ merge: (a, b) => b ?? a })),
  },
  {
    name: "a pause of half an hour that ends a session",
    breaks: /rows differ/,
    parts: () => withSessions(() => ({ window: session(minutes(30) - 1) })),
  },
  {
    name: "a pause of half an hour and 1 ms that does not end a session",
    breaks: /rows differ/,
    parts: () => withSessions(() => ({ window: session(minutes(30) + 1) })),
  },
  {
    name: "sessions that ignore the client's session id",
    breaks: /rows differ/,
    parts: () => withSessions(() => ({ by: ["user"] })),
  },
  {
    name: "expiry by the processor's clock",
    breaks: /has (stored|duplicates) /,
    parts: () => ({
      decoder: (now) =>
        refusing((batch) => batch.kafkaTime[batch.count]! - batch.time[batch.count]! > 86_400_000 - now() * 10_000),
    }),
  },
  {
    name: "late events dropped",
    breaks: /has (stored|duplicates) /,
    parts: () => ({
      decoder() {
        let latest = 0;
        return refusing((batch) => {
          const time = batch.time[batch.count]!;
          latest = Math.max(latest, time);
          return time < latest - 3_600_000;
        });
      },
    }),
  },
];

/** Measures that break a law. */
export const LAWLESS: Measures = [
  ["a merge that overwrites", { ...count(), merge: (_, b) => b }],
  ["money in units instead of cents", moneyInUnits()],
  ["distinct users that are added", addedCounts()],
  ["a sum that goes on after the commit", {
    ...sum("revenue"),
    accumulator: (words) => uncleared(sum("revenue"), words),
  }],
  ["a first value without a tie-break", { ...first("pagePath", { at: "at", by: "by" }), merge: earlierOfAny }],
];
/** All views with changed sessions. */
function withSessions(change: (sessions: View) => Partial<View>): Parts {
  return { views: VIEWS.map((view) => view.name === "sessions" ? { ...view, ...change(view) } : view) };
}

/** All views with one changed measure of the sessions. */
function withMeasure(name: string, change: (measure: Measure) => Partial<Measure>): Parts {
  return withSessions(({ measures }) => ({
    measures: { ...measures, [name]: { ...measures[name]!, ...change(measures[name]!) } },
  }));
}

/** Decodes correctly, but then refuses some events. */
function refusing(refuses: (batch: Batch) => boolean): Decoder {
  const good = reference();
  return {
    decode(records, i, batch) {
      const refusal = good.decode(records, i, batch);
      if (refusal !== null || !refuses(batch)) return refusal;
      const [partition, offset] = [records.partition, records.offsets[i]!];
      const payload = records.bytes.slice(records.starts[i], records.ends[i]);
      return { reason: "expired", field: "timestamp", detail: "planted", partition, offset, payload };
    },
  };
}

function earlierOfAny(a: unknown, b: unknown): Pick | null {
  const [x, y] = [a as Pick | null, b as Pick | null];
  if (x === null || y === null) return x ?? y;
  return x.time <= y.time ? x : y;
}

function moneyInUnits(): Measure<number> {
  const cents = sum("revenue");
  return {
    ...cents,
    accumulator(words) {
      const inner = cents.accumulator(words);
      return {
        add: (batch, rows, rowCount) => inner.add(batch, rows, rowCount),
        merge: (into, from) => inner.merge(into, from),
        value: (row) => inner.value(row) / 100,
        clear: () => inner.clear(),
      };
    },
  };
}

function addedCounts(): Measure {
  const users = distinctUsers();
  return {
    ...count(),
    merge: (a, b) => Number(a) + Number(b),
    accumulator(words) {
      const inner = users.accumulator(words);
      return {
        add: (batch, rows, rowCount) => inner.add(batch, rows, rowCount),
        merge: (into, from) => inner.merge(into, from),
        value: (row) => inner.value(row).count,
        clear: () => inner.clear(),
      };
    },
  };
}

function firstPlaced(measure: Measure, words: Batch["words"]): ReturnType<Measure["accumulator"]> {
  const good = measure.accumulator(words);
  const placed: (Pick | null)[] = [];
  return {
    add(batch, rows, rowCount) {
      rows.forEach((row, i) => {
        if (row < 0 || placed[row] != null || batch.text("type", i) !== "page_view") return;
        placed[row] = { time: batch.time[i]!, id: batch.id(i), value: batch.text("pagePath", i) };
      });
      good.add(batch, rows, rowCount);
    },
    merge(into, from) {
      placed[into] ??= placed[from] ?? null;
    },
    value: (row) => placed[row] ?? null,
    clear() {
      placed.length = 0;
      good.clear();
    },
  };
}

function uncleared<V>(measure: Measure<V>, words: Batch["words"]): ReturnType<Measure<V>["accumulator"]> {
  return { ...measure.accumulator(words), clear() {} };
}
