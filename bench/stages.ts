/**
 * `deno task bench:stages`: the cost of each stage by itself, on one core and in memory: decode and tell
 * duplicates, fold each view, and encode for PostgreSQL.
 * @module
 */
import { cpuUsage } from "node:process";
import {
  Batch,
  BATCH_EVENTS,
  type Dictionaries,
  dictionaries,
  EVERYTHING,
  ID_WORDS,
  type Wanted,
} from "../processor/columns/batch.ts";
import type { Decoder, RunDecoder } from "../processor/decode/decoder.ts";
import { JsonDecoder } from "../processor/decode/json.ts";
import { Duplicates, PIECE_LENGTHS } from "../processor/pipeline/duplicates.ts";
import { fold } from "../processor/pipeline/fold.ts";
import { columnsSent, copyCells, copyRows } from "../processor/postgres/binary.ts";
import { KeyedHash, NO_KEY } from "../processor/columns/keyed_hash.ts";
import { wantedBy } from "../processor/pipeline/pending.ts";
import type { Records } from "../processor/records.ts";
import { Kernel } from "../processor/kernel/kernel.ts";
import { tableByRow } from "../processor/status/text.ts";
import { activeUsers } from "../processor/views/active_users.ts";
import { columnsOf, tableOf } from "../processor/translate/table.ts";
import { VIEWS } from "../processor/views/mod.ts";
import type { Delta } from "../processor/views/view.ts";
import { pages } from "../processor/views/pages.ts";
import { traffic } from "../processor/views/traffic.ts";
import { recordsOf } from "./clicks.ts";

const EVENTS = 1_000_000;
const COMMIT = 262_144;
const RECORDS = 4096;
const RUNS = 3;

const keepMs = 3650 * 86_400_000;

/** Records as a fetch returns them, `RECORDS` at once. */
function fetched(): Records[] {
  const all: Records[] = [];
  let values: { value: Uint8Array; timestampMs: number }[] = [];
  let from = 0;
  for (const record of recordsOf({ events: EVENTS, users: 100_000, spanMs: 1_200_000, late: 0.001, seed: 1 })) {
    values.push(record);
    if (values.length < RECORDS) continue;
    const ends = new Int32Array(values.length);
    const starts = new Int32Array(values.length);
    const bytes = new Uint8Array(values.reduce((sum, { value }) => sum + value.length + 8, 16));
    let at = 0;
    values.forEach(({ value }, i) => {
      bytes.set(value, at);
      starts[i] = at;
      ends[i] = at + value.length;
      at += value.length + 8;
    });
    const next = from + values.length;
    all.push({
      partition: 0,
      skipped: 0,
      gap: null,
      leaderEpoch: null,
      count: values.length,
      bytes,
      offsets: Float64Array.from(values, (_, i) => from + i),
      times: Float64Array.from(values, ({ timestampMs }) => timestampMs),
      starts,
      ends,
      next,
      end: next,
      stable: next,
    });
    from = next;
    values = [];
  }
  return all;
}

/** Decodes every record into batches and tells duplicates, with new dictionaries for every commit. */
function decoded(decoder: Decoder, wanted = EVERYTHING): Batch[][] {
  const runs = decoder.begin?.();
  const commits: Batch[][] = [];
  const duplicates = runs?.duplicates(PIECE_LENGTHS, 1) ?? new Duplicates();
  let batches: Batch[] = [];
  let words = dictionariesOf(runs, wanted);
  let batch = batchOf(runs, words);
  let n = 0;
  for (const records of log) {
    for (let i = 0; i < records.count;) {
      const to = runs?.take(records, i, Math.min(records.count, i + BATCH_EVENTS - batch.count), batch, duplicates) ??
        i;
      if (to > i) batch.keep(runs!.stored);
      else {
        if (decoder.decode(records, i, batch) !== null) throw new Error(`record ${records.offsets[i]} was refused`);
        duplicates.pass(records.offsets[i]!, records.times[i]!);
        if (!duplicates.seen(batch.idHash, batch.count * ID_WORDS, records.times[i]!)) batch.keep();
      }
      n += Math.max(1, to - i);
      i = Math.max(to, i + 1);
      if (batch.count < BATCH_EVENTS) continue;
      batches.push(batch);
      if (n >= COMMIT) {
        commits.push(batches);
        batches = [];
        words = dictionariesOf(runs, wanted);
        n = 0;
      }
      batch = batchOf(runs, words);
    }
  }
  return commits;
}

function dictionariesOf(runs: RunDecoder | undefined, wanted: Wanted): Dictionaries {
  return runs?.dictionaries("bench", keyed, wanted) ?? dictionaries("bench", keyed, wanted);
}

function batchOf(runs: RunDecoder | undefined, words: Dictionaries): Batch {
  return runs?.batch(words, BATCH_EVENTS) ?? new Batch(words, BATCH_EVENTS);
}

/** Writes the rows of a delta as for `copy`. */
function copied(delta: Delta): void {
  const { window, key, measured } = tableOf(delta.view);
  const cells = columnsOf(delta);
  const columns = [...window, ...key, ...measured].map(({ name, type }) => ({ cells: cells.get(name)!, type }));
  for (const chunk of copyCells(columns, Int32Array.from({ length: delta.count }, (_, row) => row))) chunk.length;
}

const shown = tableByRow(["stage", "µs/event"], [36]);

function timed(name: string, events: number, run: () => void): void {
  const times: number[] = [];
  for (let i = 0; i < RUNS; i++) {
    const before = cpuUsage();
    run();
    const { user, system } = cpuUsage(before);
    times.push((user + system) / events);
  }
  const median = times.sort((a, b) => a - b)[RUNS >> 1]!;
  console.log(shown([name, median.toFixed(3)]));
}

const keyed = new KeyedHash(NO_KEY);
const log = fetched();
const events = log.reduce((sum, { count }) => sum + count, 0);
const kernel = () => new Kernel({ keepMs, mebibytes: 1024 });
timed("kernel, for windows", events, () => decoded(kernel(), wantedBy([traffic, pages, activeUsers], false)));
timed("kernel, for all views", events, () => decoded(kernel(), wantedBy(VIEWS, false)));
timed("kernel, kept columns too", events, () => decoded(kernel()));
timed("JSON.parse, kept columns too", events, () => decoded(new JsonDecoder(keepMs)));
const commits = decoded(kernel());
const kept = commits.reduce((sum, batches) => sum + batches.reduce((n, { count }) => n + count, 0), 0);
for (const view of VIEWS) {
  const folded = (write: (delta: Delta) => void) => () => {
    for (const batches of commits) {
      const folding = fold(view, batches[0]!.words);
      for (const batch of batches) folding.add(batch);
      write(folding.delta());
    }
  };
  timed(`fold ${view.name}`, kept, folded(({ count }) => count));
  timed(`fold ${view.name}, write it for COPY`, kept, folded(copied));
}
timed("write raw events for COPY", kept, () => {
  for (const batches of commits) for (const chunk of copyRows(batches, columnsSent(batches))) chunk.length;
});
