/**
 * Compares the database in memory, on which the simulation relies, with a real one: the same commits must be accepted or
 * rejected by both, and must leave the same rows.
 * @module
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { Batch, dictionaries } from "../../columns/batch.ts";
import { KeyedHash } from "../../columns/keyed_hash.ts";
import { compareTable, formatDifferences } from "../../oracle/differences.ts";
import { readTable, type Row, TABLES } from "../../oracle/table_shapes.ts";
import type { Advance, Commit } from "../../pipeline/commit.ts";
import { fold } from "../../pipeline/fold.ts";
import type { Database } from "../../postgres/database.ts";
import { adopt, type TopicNow } from "../../postgres/operations/adopt.ts";
import { SqlSink } from "../../postgres/sink/sql_sink.ts";
import type { Refusal } from "../../refusal.ts";
import { VIEWS } from "../../views/mod.ts";
import { recordsOf } from "../fakes/memory.ts";
import { tablesOf, WholeSink } from "../fakes/memory_tables.ts";
import { record, reference } from "../scenario.ts";
import { adoptInMemory } from "./adoption.ts";
import { EVENT } from "./laws.ts";

const TOPIC = "clickstream-events";

/** Events with an id that begins like this are refused by the database. */
const POISON = "poison";

/** What a commit does to a partition. */
const part = fc.record({
  partition: fc.integer({ min: 0, max: 2 }),
  /** Where it begins: where the partition is, or somewhere else. */
  from: fc.constantFrom("here", "here", "here", "here", "here", "behind", "ahead", "never read"),
  events: fc.array(EVENT, { maxLength: 4 }),
  refused: fc.nat(1),
  skipped: fc.nat(2),
  gap: fc.constantFrom(0, 0, 0, 1, 3),
});

const plannedCommit = fc.record({
  parts: fc.uniqueArray(part, { selector: ({ partition }) => partition, minLength: 1, maxLength: 3 }),
  topicId: fc.constantFrom("one", "one", "one", "one", "two", null),
  /** Whether it was prepared before the last adoption. */
  isOld: fc.constantFrom(false, false, false, false, false, false, false, true),
  hasPoison: fc.constantFrom(false, false, false, false, true),
});

/** What adopting the topic finds. */
const plannedAdoption = fc.record({
  id: fc.constantFrom("one", "one", "one", "two", null),
  partitions: fc.array(
    fc.record({
      /** Its end, from the position on. */
      end: fc.constantFrom(-2, -1, 0, 0, 1),
      /** How many of the records that were read it has lost; null if Kafka does not know. */
      lost: fc.constantFrom(0, 0, 1, 2, null),
    }),
    { minLength: 1, maxLength: 3 },
  ),
});

const steps = fc.array(fc.oneof({ weight: 5, arbitrary: plannedCommit }, { weight: 1, arbitrary: plannedAdoption }), {
  minLength: 1,
  maxLength: 14,
});

type Generated<A> = A extends fc.Arbitrary<infer T> ? T : never;

/** Asserts that a database and its model agree on random commits and adoptions, by seed. `make` returns an empty database. */
export async function assertAgreement(make: () => Promise<Database>, seed: number, numRuns: number): Promise<void> {
  const results = new Map<string, number>();
  const property = fc.asyncProperty(steps, async (planned) => {
    const db = await make();
    await db.exec(
      `alter table clickstream.events drop constraint if exists no_poison;
       alter table clickstream.events add constraint no_poison check (event_id not like '${POISON}%')`,
    );
    const real = new SqlSink(db, "agreement");
    const model = new WholeSink();
    model.poison = POISON;
    const keyed = new KeyedHash(await real.hashKey());
    for (const [n, plan] of planned.entries()) {
      if ("partitions" in plan) {
        const now = topicOf(plan, model);
        const expected = adoptInMemory(model, now);
        assert.deepEqual((await adopt(db, now)).adoptions, expected, `adoption ${n}`);
        if (expected.length > 0) results.set("adopted", (results.get("adopted") ?? 0) + 1);
        assert.equal((await real.positions(TOPIC, [])).adoptions, model.adoptions);
        await assertSame(db, model);
        continue;
      }
      const commit = commitOf(plan, n, model, keyed);
      const [mine, theirs] = [await resultOf(model.commit(commit)), await resultOf(real.commit(commit))];
      assert.equal(theirs, mine, `commit ${n}`);
      results.set(mine, (results.get(mine) ?? 0) + 1);
      await assertSame(db, model);
    }
  });
  await fc.assert(property, { seed, numRuns });
  // Otherwise it proves less than it says. Few runs may lack what is rare.
  if (numRuns < 6) return;
  for (const result of ["applied", "adopted", "PositionsMoved", "Unstorable"]) {
    assert.ok((results.get(result) ?? 0) > 0, result);
  }
}

/** What came of a commit: that it was applied, or the name of its error. */
async function resultOf(commit: Promise<void>): Promise<string> {
  try {
    await commit;
    return "applied";
  } catch (error) {
    return error instanceof Error ? error.name : String(error);
  }
}

function topicOf({ id, partitions }: Generated<typeof plannedAdoption>, model: WholeSink): TopicNow {
  const next = (p: number) => model.progress.get(p)?.next ?? 3;
  return {
    ...{ topic: TOPIC, id },
    partitions: partitions.map(({ end }, p) => ({ partition: p, begin: 0, end: Math.max(0, next(p) + end) })),
    truncated: new Map(
      partitions.flatMap(({ lost }, p) =>
        lost === 0 ? [] : [[p, lost === null ? null : Math.max(0, next(p) - lost)] as const]
      ),
    ),
  };
}

function commitOf(
  { parts, topicId, isOld, hasPoison }: Generated<typeof plannedCommit>,
  n: number,
  model: WholeSink,
  keyed: KeyedHash,
): Commit {
  const words = dictionaries(TOPIC, keyed);
  const batch = new Batch(words, 16);
  const decoder = reference();
  const refusals: Refusal[] = [];
  const advances = parts.map(({ partition, from: where, events, refused, skipped, gap }): Advance => {
    const here = model.progress.get(partition)?.next ?? null;
    const from = where === "here" ? here : where === "never read" ? null : (here ?? 3) + (where === "ahead" ? 1 : -1);
    const first = from ?? n;
    const begin = first + gap + skipped;
    const values = events.map((event, i) => {
      const isPoison = hasPoison && i === 0;
      const eventId = `${isPoison ? POISON : event.eventId}-${n}-${partition}-${i}`;
      return record({ ...event, eventId }, event.timestamp);
    });
    const records = recordsOf(partition, begin, values);
    for (let i = 0; i < records.count; i++) {
      assert.equal(decoder.decode(records, i, batch), null);
      // Some are on the list of bots.
      batch.codes.bot[batch.count] = events[i]!.eventId === "b" ? 1 : 0;
      batch.keep();
    }
    const stored = values.length;
    for (let i = 0; i < refused; i++) {
      const payload = Uint8Array.of(0, 92, 255, n);
      const what = { reason: "not_json", field: null, detail: "no JSON" } as const;
      refusals.push({ ...what, partition, offset: begin + stored + i, payload });
    }
    const counts = { consumed: stored + refused, stored, duplicates: 0, refused, skipped };
    const next = begin + stored + refused;
    return {
      ...{ partition, topicId, from, first, next, replay: first, ...counts },
      leaderEpoch: n % 3 === 0 ? null : n,
      watermark: stored === 0 ? null : Math.max(...events.map(({ timestamp }) => timestamp)) - 10_000,
      gap: gap === 0 ? null : { from: first, to: first + gap },
    };
  }).sort((a, b) => a.partition - b.partition);
  const deltas = VIEWS.map((view) => {
    const folded = fold(view, words);
    if (batch.count > 0) folded.add(batch);
    return folded.delta();
  }).filter((delta) => delta.count > 0);
  const adoptions = model.adoptions - (isOld ? 1 : 0);
  return { topic: TOPIC, topicId, adoptions, advances, deltas, events: batch.count > 0 ? [batch] : [], refusals };
}

function linesOf(rows: readonly Row[]): string[] {
  return rows.map((row) => JSON.stringify(Object.entries(row).sort(([a], [b]) => a < b ? -1 : 1))).sort();
}

async function assertSame(db: Database, model: WholeSink): Promise<void> {
  const expected = tablesOf(model, TOPIC);
  for (const table of TABLES) {
    const found = await readTable(db, table);
    if (table === "events" || table === "refusals") {
      // After an adoption, two of them may have the same offset.
      assert.deepEqual(linesOf(found), linesOf(expected[table] ?? []), table);
      continue;
    }
    const differences = compareTable(table, expected[table] ?? [], found);
    assert.equal(formatDifferences(differences), "every table agrees");
  }
  const { rows: positions } = await db.query<{ at: string }>(
    `select concat_ws(' ', partition, first_offset, next_offset, 'e' || leader_epoch, replay_offset, skipped, gaps, topic_id) as at
       from clickstream.progress order by partition`,
  );
  const { rows: gaps } = await db.query<{ at: string }>(
    `select concat_ws(' ', partition, from_offset, to_offset) as at from clickstream.gaps order by 1`,
  );
  assert.deepEqual(
    positions.map(({ at }) => at),
    [...model.progress].sort(([a], [b]) => a - b).map(([partition, p]) =>
      [
        ...[partition, p.first, p.next, p.leaderEpoch === null ? null : `e${p.leaderEpoch}`, p.replay],
        ...[p.skipped, p.gaps, p.topicId],
      ].filter((cell) => cell !== null).join(" ")
    ),
  );
  assert.deepEqual(
    gaps.map(({ at }) => at),
    model.gaps.map(({ partition, from, to }) => [partition, from, to].join(" ")).sort(),
  );
}
