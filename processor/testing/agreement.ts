/**
 * Decodes the same records by two decoders, and compares what they make of them.
 * @module
 */
import assert from "node:assert/strict";
import { Batch, CODED, type Dictionaries } from "../columns/batch.ts";
import type { Decoder, DuplicateFinder, RunDecoder } from "../decode/decoder.ts";
import type { KernelDuplicates } from "../kernel/duplicates.ts";
import type { Kernel, KernelRuns } from "../kernel/kernel.ts";
import type { Records } from "../records.ts";

/** The wanted columns of a decoded event, as text. */
function written(batch: Batch, i: number): string {
  const { ids, sessions, events } = batch.words.wanted;
  // Marks are made later, of user agents.
  const columns = CODED.filter((column) => column !== "bot").filter((column) =>
    events || !["page", "referrer", "product", "campaign", "currency", "userAgent", "order"].includes(column)
  ).filter((column) => sessions || column !== "session");
  const { time, kafkaTime, price, quantity, revenue, offset, partition } = batch;
  return JSON.stringify([
    ids ? batch.id(i) : null,
    batch.idHash.subarray(3 * i, 3 * i + 3).join(),
    columns.map((column) => batch.text(column, i)),
    // JSON has no NaN.
    [time, kafkaTime, price, quantity, revenue, offset, partition].map((column) => String(column[i])),
  ]);
}

/** What a decoder makes of records: stored events and refusals, in the order of the log, and the number of duplicates. */
export interface Outcome {
  readonly lines: readonly string[];
  readonly duplicates: number;
  /** Records that were decoded one by one. */
  readonly alone: number;
}

/** Decodes records one after another, or by runs where the decoder can. */
export function outcome(
  decoder: Decoder,
  runs: RunDecoder | null,
  records: Records,
  batch: Batch,
  duplicates: DuplicateFinder,
): Outcome {
  const lines: string[] = [];
  let repeated = 0;
  let alone = 0;
  for (let i = 0; i < records.count;) {
    const to = runs?.take(records, i, records.count, batch, duplicates) ?? i;
    if (to > i) {
      repeated += runs!.duplicated;
      for (let n = 0; n < runs!.stored; n++) lines.push(written(batch, batch.count + n));
      batch.keep(runs!.stored);
      i = to;
      continue;
    }
    alone++;
    const refusal = decoder.decode(records, i, batch);
    duplicates.pass(records.offsets[i]!, records.times[i]!);
    const at = batch.count * 3;
    const hasId = (batch.idHash[at]! | batch.idHash[at + 1]! | batch.idHash[at + 2]!) !== 0;
    if (refusal !== null) lines.push(refused(refusal));
    else if (hasId && duplicates.seen(batch.idHash, at, records.times[i]!)) repeated++;
    else {
      lines.push(written(batch, batch.count));
      batch.keep();
    }
    i++;
  }
  return { lines, duplicates: repeated, alone };
}

function refused(refusal: NonNullable<ReturnType<Decoder["decode"]>>): string {
  return `refused ${JSON.stringify({ ...refusal, payload: [...refusal.payload.subarray(0, 40)] })}`;
}

/** Checks that the kernel and the reference make the same of records; returns what that is, and frees the words. */
export function agreed(
  kernel: Kernel,
  runs: KernelRuns,
  reference: Decoder,
  records: Records,
  finders: Finders,
  words: Words,
  where: string,
): Outcome {
  const batch = runs.batch(words.kernel, records.count + 1);
  const own = outcome(kernel, runs, records, batch, finders.kernel);
  runs.free(words.kernel, [batch]);
  const other = outcome(reference, null, records, new Batch(words.reference, records.count + 1), finders.reference);
  const differs = other.lines.findIndex((line, n) => line !== own.lines[n]);
  assert.ok(differs < 0, `${where}, ${differs}:\n${own.lines[differs]}\n${other.lines[differs]}`);
  assert.deepEqual([own.lines.length, own.duplicates], [other.lines.length, other.duplicates], where);
  return own;
}

/** What finds duplicates for each of the two. */
export interface Finders {
  readonly kernel: KernelDuplicates;
  readonly reference: DuplicateFinder;
}

/** The dictionaries of each of the two. */
export interface Words {
  readonly kernel: Dictionaries;
  readonly reference: Dictionaries;
}
