/**
 * Judges the tables after a round: every row is the oracle's, and the counts are the simulator's own.
 * @module
 */
import assert from "node:assert/strict";
import { compareTables, formatDifferences } from "../../processor/oracle/differences.ts";
import { expectedOf, type OracleLog } from "../../processor/oracle/oracle.ts";
import type { ExpectedAll } from "../../processor/oracle/table_shapes.ts";
import { readTopic } from "../../processor/testing/fakes/log.ts";
import { wrongRollups } from "../../processor/testing/rollups.ts";
import { clickstream, type Env } from "../servers/binary.ts";
import { until } from "../servers/child.ts";
import { using } from "../servers/postgres.ts";
import type { World } from "./fault.ts";

const KEEP_DAYS = 30;

/** The users of the simulator; odd records have others. */
const SIMULATED = "user_id ~ '^u-[0-9a-f]{8}$'";

/**
 * Waits until every record of the log is committed, stops the service in order, and compares.
 *
 * @throws {Error} with what is wrong
 */
export async function judge(world: World, doctor: Env): Promise<void> {
  const { cluster, topic, postgres, database, services } = world;
  const log = await readTopic({ brokers: cluster.open, topic, patienceMs: 60_000 });
  const records = log.partitions.reduce((sum, partition) => sum + partition.length, 0);
  await committed(world, records);
  const { code, out, err } = await clickstream(["doctor"], doctor);
  assert.equal(code, 0, `doctor finds:\n${out}${err}`);
  await services.stopAll();
  await using(postgres.url(database), async (db) => {
    const differences = await compareTables(db, wanted(world, log));
    assert.equal(differences.length, 0, formatDifferences(differences));
    assert.deepEqual(await wrongRollups(db), {}, "rollups differ from their tables");
  });
  await agreesWithSimulator(world, records);
}

/** Waits until so many records are committed; a slow machine is no failure, only a lack of progress is. */
export async function committed({ consumed, load }: World, records: number, patienceMs = 120_000): Promise<void> {
  for (let done = -1; done < records;) {
    const before = done;
    await until(
      `more than ${before} of ${records} records are committed`,
      async () => {
        load.check();
        done = await consumed().catch(() => before);
        return done > before || done >= records;
      },
      patienceMs,
      50,
    );
  }
}

/** The oracle's tables, without the users who were forgotten. */
function wanted({ notes }: World, log: OracleLog): ExpectedAll {
  const all = expectedOf(log, { keepDays: KEEP_DAYS });
  if (notes.forgotten.size === 0) return all;
  const stays = ({ user_id }: { readonly user_id: string }) => !notes.forgotten.has(user_id);
  return {
    ...all,
    events: all.events.filter(stays),
    sessions: all.sessions.filter(stays),
    user_days: all.user_days.filter(stays),
  };
}

/** Compares the simulator's own counts, which neither the processor nor the oracle has made. */
async function agreesWithSimulator({ load, postgres, database, notes }: World, records: number): Promise<void> {
  const { events, purchases, revenueCents, users, duplicates, refusals, records: made } = load.counts;
  const { rows: [stored] } = await using(postgres.url(database), (db) =>
    db.query(
      `select (select count(*) from clickstream.events where ${SIMULATED})::float8 as events,
         (select count(*) from clickstream.events where ${SIMULATED} and event_type = 'purchase')::float8 as purchases,
         (select sum(revenue_cents) from clickstream.sessions where ${SIMULATED})::float8 as "revenueCents",
         (select count(distinct user_id) from clickstream.user_days where ${SIMULATED})::float8 as users,
         (select sum(duplicates) from clickstream.progress)::float8 as duplicates,
         (select sum(refused) from clickstream.progress)::float8 as refused`,
    ));
  const { duplicates: skipped, refused, ...exact } = stored as Record<string, number>;
  // A record from the future that is sent again later may be an event by then.
  const known = notes.replayed ? { events: exact["events"]! } : { events };
  assert.deepEqual(
    exact,
    { ...known, purchases, revenueCents, users },
    "the tables differ from the simulator's counts",
  );
  assert.ok(exact["events"]! >= events, `${events} events of the simulator, but ${exact["events"]} are stored`);
  const bad = Object.values(refusals).reduce((sum, count) => sum + count, 0);
  assert.ok(skipped! >= duplicates && refused! >= bad, "duplicates or refusals of the simulator are missing");
  // Each record was written once. The odd ones and those that were sent again come on top.
  if (!notes.replayed) assert.equal(records, made + load.odd + notes.sent, "the log differs from what was sent");
}
