import assert from "node:assert/strict";
import fc from "fast-check";
import { decoder } from "./scenario.ts";
import { Pipeline } from "../pipeline/pipeline.ts";
import type { Sink } from "../pipeline/commit.ts";
import type { View } from "../views/view.ts";
import { VIEWS } from "../views/mod.ts";
import { MemorySource } from "./fakes/memory.ts";
import { Conversion } from "../currency.ts";
import type { ShopMoney } from "../oracle/money.ts";
import type { OracleLog } from "../oracle/oracle.ts";

/** `EVENTS_KEEP_DAYS` of the pipelines that ingest logs. */
export const KEEP_DAYS = 30;

/** How to ingest a log: records per poll and per commit, and steps after which a new pipeline takes over. */
export interface IngestSchedule {
  readonly inAPoll: number;
  readonly inACommit: number;
  readonly turnsOfALife: number;
}

/** Schedules from one record at a time to all at once. */
export const schedule: fc.Arbitrary<IngestSchedule> = fc.record({
  inAPoll: fc.constantFrom(1, 3, 17, 1_000),
  inACommit: fc.constantFrom(1, 2, 10, 1_000),
  turnsOfALife: fc.constantFrom(1, 2, 5, 1_000),
});

/** Ingests a whole log with one pipeline after another. Every other one is dropped with its uncommitted records. */
export async function ingest(
  log: OracleLog,
  sink: Sink,
  { inAPoll, inACommit, turnsOfALife }: IngestSchedule,
  views: readonly View[] = VIEWS,
  money?: ShopMoney,
): Promise<void> {
  const partitions = log.partitions.map((records) => [...records]);
  for (let life = 0; !await isIn(log, sink); life++) {
    assert.ok(life < 1_000, "the pipeline doesn't get on");
    const pipeline = new Pipeline({
      source: new MemorySource(partitions, inAPoll, log.topic),
      sink,
      views,
      decoder: decoder(money?.currency),
      storeEvents: true,
      conversion: money === undefined ? undefined : conversionOf(money),
      now: () => 0,
      commitEveryMs: 0,
      commitRecords: inACommit,
    });
    for (let turn = 0; turn < turnsOfALife + life; turn++) {
      await pipeline.step();
      if (turn % 8 === 7 && await isIn(log, sink)) break;
    }
    if (life % 2 === 0) await pipeline.flush();
  }
}

/** How a pipeline converts purchases, for what the oracle knows of the shop. */
export function conversionOf({ currency, rates }: ShopMoney): Conversion {
  return new Conversion(currency, rates.map(([currency, fromDay, rate]) => ({ currency, fromDay, rate })));
}

async function isIn(log: OracleLog, sink: Sink): Promise<boolean> {
  const { byPartition: positions } = await sink.positions(log.topic, [...log.partitions.keys()]);
  return log.partitions.every((records, p) => (positions.get(p)?.next ?? 0) === records.length);
}
