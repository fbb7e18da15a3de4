import assert from "node:assert/strict";
import fc from "fast-check";
import { Buffer } from "node:buffer";
import type { Cell } from "../measures/measure.ts";
import type { Sink } from "./commit.ts";
import { type LogOptions, partitioned, randomLog, type Sent } from "../testing/clicks.ts";
import { type LogRecord, MemorySink } from "../testing/fakes/memory.ts";
import type { ShopMoney } from "../oracle/money.ts";
import { expectedOf } from "../oracle/oracle.ts";
import { Random } from "../../generator/random.ts";
import { onlyInWholeRun, runs } from "../../testing/effort.ts";
import { down, harness } from "../testing/pipeline_harness.ts";
import { placesOf, rowsOf, type Tables, tablesOf } from "../testing/fakes/tables.ts";
import { conversionOf } from "../testing/ingest_schedules.ts";
import { decoder } from "../testing/scenario.ts";
import { tableOf } from "../translate/table.ts";
import { readDeclared, withDeclared } from "../declared/file.ts";
import { VIEWS as BUILT_IN } from "../views/mod.ts";

/** Goals and funnels in the sessions of the logs. */
const DECLARED = readDeclared(
  `
goals:
  - { name: bought, description: Bought., filter: { event: purchase } }
  - { name: seen, description: Seen on a phone., filter: { event: page_view, device: mobile } }
funnels:
  - name: usual
    description: As sessions have it.
    steps:
      - { name: page_view, filter: { event: page_view } }
      - { name: add_to_cart, filter: { event: add_to_cart } }
      - { name: purchase, filter: { event: purchase } }
  - name: long
    description: With steps that one event may be, and steps twice.
    steps:
      - { name: cart, filter: { event: [add_to_cart, checkout] } }
      - { name: view, filter: { event: page_view } }
      - { name: any, filter: {} }
      - { name: again, filter: { event: page_view } }
      - { name: end, filter: { page: { pattern: "*" }, event: [purchase, search, wink] } }
`,
  "views.yaml",
);
const VIEWS = withDeclared(BUILT_IN, DECLARED);

/** How a log is read; it must not change any result. */
interface Way {
  readonly limit: number;
  readonly commitRecords: number;
  /** Seed of the crashes; 0 for none. */
  readonly crashes: number;
}

/** A shop whose rates change in the middle of the logs' longest days, and which lacks one. */
const SHOP: ShopMoney = {
  currency: "EUR",
  rates: [["JPY", "1970-01-01", "0.005"], ["KWD", "1970-01-01", "2.5"], ["KWD", "2026-11-02", "3.0005"]],
};

const STRAIGHT: Way = { limit: 10_000, commitRecords: 100_000, crashes: 0 };

/** Loses replies and fails before commits, by a random seed. */
class WeakSink extends MemorySink {
  random: Random | null = null;

  override async commit(commit: Parameters<Sink["commit"]>[0]): Promise<void> {
    if (this.random?.chance(0.15)) throw down();
    await super.commit(commit);
    if (this.random?.chance(0.15)) throw down("the reply was lost");
  }
}

/** Reads a log to its end; starts again after each crash. */
async function read(log: LogRecord[][], { limit, commitRecords, crashes }: Way): Promise<MemorySink> {
  const random = crashes === 0 ? null : new Random(crashes);
  const sink = new WeakSink();
  sink.random = random;
  const total = log.reduce((sum, records) => sum + records.length, 0);
  const more = { limit, commitRecords, views: VIEWS, decoder: decoder(SHOP.currency), conversion: conversionOf(SHOP) };
  const consumed = () => [...sink.progress.values()].reduce((sum, progress) => sum + progress.consumed, 0);
  let { pipeline } = harness(log, { sink, ...more });
  for (let steps = 0; consumed() < total; steps++) {
    assert.ok(steps < 10_000, `${consumed()} of ${total} records are consumed`);
    try {
      await pipeline.step();
      if (random === null || random.chance(0.5)) await pipeline.flush();
    } catch (error) {
      if ((error as Error).name !== "Unavailable") throw error;
    }
    if (random?.chance(0.1)) ({ pipeline } = harness(log, { sink, ...more }));
  }
  assert.equal(consumed(), total);
  return sink;
}

const WAY = fc.record({
  limit: fc.integer({ min: 1, max: 60 }),
  commitRecords: fc.integer({ min: 1, max: 80 }),
  crashes: fc.nat({ max: 1e6 }),
});
const SEED = fc.nat({ max: 1e6 });

/**
 * Checks a property for random logs, each read once without crashes for comparison; failures name the seed and the way.
 */
async function assertSame(seed: number, options: LogOptions, holds: (sent: Sent[], straight: Tables) => Promise<void>) {
  const sent = randomLog(seed, options);
  await holds(sent, tablesOf(await read(partitioned(sent, 1), STRAIGHT), VIEWS));
}

Deno.test("all tables are equal for any order of arrival, partitions, batches and crashes", async () => {
  const property = fc.asyncProperty(
    SEED,
    SEED,
    fc.integer({ min: 1, max: 6 }),
    WAY,
    (seed, order, partitions, way) =>
      assertSame(seed, { events: 120 }, async (sent, straight) => {
        const log = partitioned(new Random(order).shuffled(sent), partitions);
        assert.deepEqual(tablesOf(await read(log, way), VIEWS), straight);
      }),
  );
  await fc.assert(property, { seed: 21, numRuns: runs(60) });
});

Deno.test("for one log all tables, offsets and watermarks are equal for any batches and crashes", async () => {
  const property = fc.asyncProperty(SEED, fc.integer({ min: 1, max: 4 }), WAY, async (seed, partitions, way) => {
    const sent = randomLog(seed, { events: 120, spanMs: 45 * 60_000, anonymous: true });
    const log = partitioned(sent, partitions);
    const [straight, other] = [await read(log, STRAIGHT), await read(log, way)];
    assert.deepEqual(tablesOf(other, VIEWS), tablesOf(straight, VIEWS));
    assert.deepEqual(placesOf(other), placesOf(straight));
  });
  await fc.assert(property, { seed: 22, numRuns: runs(75) });
});

Deno.test("a large commit gives the same tables as many small ones", onlyInWholeRun, async () => {
  await assertSame(7, { events: 12_000, users: 900 }, async (sent, straight) => {
    const small = await read(partitioned(sent, 3), { limit: 500, commitRecords: 170, crashes: 0 });
    assert.deepEqual(tablesOf(small, VIEWS), straight);
  });
});

Deno.test("the tables match the contract, by an oracle that shares no code", async () => {
  const property = fc.asyncProperty(SEED, fc.integer({ min: 1, max: 4 }), WAY, async (seed, partitions, way) => {
    const log = partitioned(randomLog(seed, { events: 200, spanMs: 45 * 60_000, anonymous: true }), partitions);
    const sink = await read(log, way);
    const records = log.map((part) => part.map((record, offset) => ({ ...record, offset })));
    const expected = expectedOf({ topic: "clickstream-events", partitions: records }, {
      keepDays: 30,
      money: SHOP,
      declared: DECLARED.declared,
    });
    for (const view of VIEWS) {
      const rows = expected[view.name as "traffic" | "sessions"];
      assert.ok(rows.length > 0, view.name);
      assert.deepEqual(textsOf(sink, view.name, Object.keys(rows[0]!)), rows.map((row) => text(row)).sort(), view.name);
    }
    assert.deepEqual([...sink.events].sort(), expected.events.map(({ event_id }) => event_id).sort());
    const refused = sink.refusals.map(({ partition, offset, reason, field, payload }) =>
      text({ partition, offset, reason, field, payload: Buffer.from(payload).toString("hex") })
    );
    const shouldBe = expected.refusals.map(({ topic: _, ...refusal }) => text(refusal));
    assert.deepEqual(refused.sort(), shouldBe.sort());
    for (const { topic: _, partition, next_offset, watermark, ...counts } of expected.progress) {
      const { topicId: _id, leaderEpoch: _epoch, replay: _, watermark: mark, ...ours } = sink.progress.get(partition)!;
      const all = { first: 0, next: next_offset, skipped: 0, gaps: 0, ...counts };
      assert.deepEqual(ours, all, `seed ${seed}`);
      assert.equal(mark === null ? null : new Date(mark).toISOString(), watermark);
    }
  });
  await fc.assert(property, { seed: 23, numRuns: runs(30) });
});

/** The rows of a view in the oracle's form, with the given columns. */
function textsOf(sink: MemorySink, name: string, columns: readonly string[]): string[] {
  const view = VIEWS.find((view) => view.name === name)!;
  const { window, key, measured } = tableOf(view);
  const types = new Map([...window, ...key, ...measured].map(({ name, type }) => [name, type]));
  return rowsOf(sink, view).map((cells) => {
    const bounced = cells.get("page_views") === 1 && cells.get("events") === 1;
    return text(Object.fromEntries(columns.map((column) => {
      return [column, column === "bounced" ? bounced : asOracle(column, cells.get(column)!, types.get(column))];
    })));
  }).sort();
}

function asOracle(column: string, cell: Cell, type: string | undefined): unknown {
  if (type === "timestamptz") return new Date(cell as number).toISOString();
  if (type === "date") return new Date(cell as number).toISOString().slice(0, 10);
  if (column === "is_bot") return cell === 1 || cell === "true";
  return column === "revenue_cents" || column === "unconverted" ? String(cell) : cell;
}

function text(row: Readonly<Record<string, unknown>>): string {
  return JSON.stringify(Object.entries(row).sort(([a], [b]) => a < b ? -1 : 1));
}
