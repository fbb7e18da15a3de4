/** Random declarations on random logs: what the pipeline stores equals what a naive reading of the declaration gives. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { stringify } from "yaml";
import { runs } from "../../testing/effort.ts";
import { compareAll, formatDifferences } from "../oracle/differences.ts";
import { expectedOf } from "../oracle/oracle.ts";
import { isDecided, oracleLog } from "../testing/arbitrary_log.ts";
import { viewRows, WholeSink } from "../testing/fakes/memory_tables.ts";
import { ingest, KEEP_DAYS, schedule } from "../testing/ingest_schedules.ts";
import { VIEWS } from "../views/mod.ts";
import { readDeclared, withDeclared } from "./file.ts";
import { KEYS } from "./schema.ts";

const TEXTS: { readonly [key in typeof KEYS[number]]: readonly string[] } = {
  event: ["page_view", "add_to_cart", "purchase", "search"],
  page: ["/", "/a", "/s", "/a#y?x", "a b"],
  device: ["desktop", "mobile", "other", "unknown"],
  region: ["eu", "EU", "unknown", "%_"],
  product: ["P1", "P2", "é"],
  campaign: ["a", "b", "{}"],
};
const PATTERNS = ["*", "*a*", "/*", "*e*", "P*", "u*n", "%*", "_*"];

const matcher = (key: typeof KEYS[number]) =>
  fc.oneof(
    fc.constantFrom<unknown>(...TEXTS[key]),
    fc.constantFrom("/", "a", "P", "m", "add", "%").map((prefix) => ({ prefix })),
    fc.constantFrom(...PATTERNS).map((pattern) => ({ pattern })),
  );
const filter = fc.record(
  Object.fromEntries(
    KEYS.map((key) => [key, fc.oneof(matcher(key), fc.array(matcher(key), { minLength: 1, maxLength: 3 }))]),
  ),
  { requiredKeys: [] },
).map((whole) => Object.fromEntries(Object.entries(whole).slice(0, 2)));

const computes = fc.constantFrom(
  ...["count", "users", "sum revenue", "sum price", "min price", "max price", "min revenue", "max revenue"],
  ...["first page", "last page", "first product", "last campaign", "first event", "last device", "last region"],
);
const measure = fc.oneof(computes, fc.record({ measure: computes, filter }));
const view = fc.record({
  description: fc.constant("Some."),
  filter: fc.option(filter, { nil: undefined }),
  window: fc.constantFrom<unknown>("1 minute", "7 minutes", "1 hour", "1 day", {
    size: "15 minutes",
    every: "5 minutes",
  }),
  keys: fc.subarray([...KEYS]),
  measures: fc.array(measure, { minLength: 1, maxLength: 4 })
    .map((list) => Object.fromEntries(list.map((each, n) => [`m${n}`, each]))),
});

/** Filters that many events pass, or else no session would get far. */
const wide = fc.oneof(
  fc.constantFrom("*", "*a*", "*e*", "/*").map((pattern) => ({ page: { pattern } })),
  filter,
  fc.constant({}),
);
const goal = fc.record({ description: fc.constant("Some."), filter });
const funnel = fc.record({
  description: fc.constant("Some."),
  steps: fc.array(wide, { minLength: 2, maxLength: 8 })
    .map((filters) => filters.map((filter, n) => ({ name: `s${n}`, filter }))),
});

/** Declarations with names. */
function named<T>(prefix: string, list: readonly T[]): (T & { readonly name: string })[] {
  return list.map((each, n) => ({ name: `${prefix}${n}`, ...each }));
}

Deno.test("for any log, goals and funnels, the sessions in memory match the oracle", async () => {
  const reached = new Map<number, number>();
  await fc.assert(
    fc.asyncProperty(
      oracleLog,
      schedule,
      fc.array(goal, { maxLength: 3 }),
      fc.array(funnel, { maxLength: 3 }),
      async (log, schedule, goals, funnels) => {
        const declared = { goals: named("g", goals), funnels: named("f", funnels) };
        const text = stringify(declared);
        const [view] = withDeclared(VIEWS.filter(({ name }) => name === "sessions"), readDeclared(text, "views.yaml"));
        const expected = expectedOf(log, { keepDays: KEEP_DAYS, declared });
        fc.pre(isDecided(expected));
        const sink = new WholeSink();
        await ingest(log, sink, schedule, [view!]);
        const sessions = viewRows(sink, view!);
        for (const row of sessions) {
          for (const { name } of declared.funnels) {
            const step = Number(row[`funnel_${name}`]);
            reached.set(step, 1 + (reached.get(step) ?? 0));
          }
        }
        const differences = compareAll(expected, { sessions }).filter(({ table }) => table === "sessions");
        assert.equal(formatDifferences(differences), "every table agrees", text);
      },
    ),
    { numRuns: runs(100), seed: 22 },
  );
  for (const step of [0, 1, 2, 3]) assert.ok(reached.get(step)! > runs(10), `${reached.get(step)} reached ${step}`);
});

Deno.test("for any log and any declaration, the table in memory matches the oracle", async () => {
  let rows = 0;
  await fc.assert(
    fc.asyncProperty(
      oracleLog,
      schedule,
      fc.array(view, { minLength: 1, maxLength: 3 }),
      async (log, schedule, list) => {
        const text = stringify({ views: named("v", list) });
        const { views } = readDeclared(text, "views.yaml");
        const expected = expectedOf(log, { keepDays: KEEP_DAYS, views });
        fc.pre(isDecided(expected));
        const sink = new WholeSink();
        await ingest(log, sink, schedule, views);
        const actual = Object.fromEntries(views.map((view) => [view.name, viewRows(sink, view)]));
        rows += views.reduce((sum, { name }) => sum + actual[name]!.length, 0);
        const differences = compareAll(expected, actual).filter(({ table }) => table.startsWith("v"));
        assert.equal(formatDifferences(differences), "every table agrees", text);
      },
    ),
    { numRuns: runs(100), seed: 21 },
  );
  assert.ok(rows > runs(100), `${rows} rows`);
});
