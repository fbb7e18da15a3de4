/**
 * `deno task bench:stages`: the cost of each stage by itself, on one core and in memory: decode, recognise duplicates,
 * fold each view, and encode for PostgreSQL.
 * @module
 */
import { cpuUsage } from "node:process";
import { Batch, BATCH_EVENTS, dictionaries, EVERYTHING, ID_WORDS } from "../processor/columns/batch.ts";
import type { Decoder } from "../processor/decode/decoder.ts";
import { JsonDecoder } from "../processor/decode/json.ts";
import { Duplicates } from "../processor/pipeline/duplicates.ts";
import { fold } from "../processor/pipeline/fold.ts";
import { copyRows } from "../processor/postgres/binary.ts";
import { KeyedHash, NO_KEY } from "../processor/columns/keyed_hash.ts";
import { wantedBy } from "../processor/pipeline/pending.ts";
import type { Records } from "../processor/records.ts";
import { ScanDecoder } from "../processor/decode/scan.ts";
import { tableByRow } from "../processor/status/text.ts";
import { activeUsers } from "../processor/views/active_users.ts";
import { VIEWS } from "../processor/views/mod.ts";
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

/** Decodes every record into batches, with new dictionaries for every commit. */
function decoded(log: readonly Records[], decoder: Decoder, wanted = EVERYTHING): Batch[][] {
  const commits: Batch[][] = [];
  let batches: Batch[] = [];
  let words = dictionaries("bench", keyed, wanted);
  let batch = new Batch(words);
  let n = 0;
  for (const records of log) {
    for (let i = 0; i < records.count; i++) {
      if (decoder.decode(records, i, batch) !== null) throw new Error(`record ${records.offsets[i]} was refused`);
      batch.keep();
      n++;
      if (batch.count < BATCH_EVENTS) continue;
      batches.push(batch);
      if (n >= COMMIT) {
        commits.push(batches);
        batches = [];
        words = dictionaries("bench", keyed, wanted);
        n = 0;
      }
      batch = new Batch(words);
    }
  }
  return commits;
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
timed(
  "decode by scanning, for windows",
  events,
  () => decoded(log, new ScanDecoder({ keepMs }), wantedBy([traffic, pages, activeUsers], false)),
);
timed(
  "decode by scanning, for all views",
  events,
  () => decoded(log, new ScanDecoder({ keepMs }), wantedBy(VIEWS, false)),
);
timed("decode by scanning, kept columns too", events, () => decoded(log, new ScanDecoder({ keepMs })));
timed("decode by JSON.parse", events, () => decoded(log, new JsonDecoder(keepMs)));
const commits = decoded(log, new ScanDecoder({ keepMs }));
const kept = commits.reduce((sum, batches) => sum + batches.reduce((n, { count }) => n + count, 0), 0);
timed("tell duplicates", kept, () => {
  const duplicates = new Duplicates();
  for (const batch of commits.flat()) {
    for (let i = 0; i < batch.count; i++) {
      duplicates.pass(batch.offset[i]!, batch.kafkaTime[i]!);
      duplicates.seen(batch.idHash, i * ID_WORDS, batch.kafkaTime[i]!);
    }
  }
});
for (const view of VIEWS) {
  let rows = 0;
  timed(`fold ${view.name}`, kept, () => {
    rows = 0;
    for (const batches of commits) {
      const folding = fold(view, batches[0]!.words);
      for (const batch of batches) folding.add(batch);
      rows += folding.delta().count;
    }
  });
}
timed("write raw events for COPY", kept, () => {
  for (const batches of commits) for (const chunk of copyRows(batches)) chunk.length;
});
