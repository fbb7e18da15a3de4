/**
 * Takes records into the content of a commit: each is stored, a duplicate or refused.
 * @module
 */
import type { Decoder, RunDecoder } from "../decode/decoder.ts";
import type { Records } from "../records.ts";
import type { CommitSize } from "./commit_size.ts";
import type { Observer } from "./observer.ts";
import type { Pending } from "./pending.ts";
import { ALLOWED_DELAY_MS, type Reading } from "./reading.ts";

/** Takes records: usual ones in runs, the others one by one. */
export class Intake {
  readonly #decoder: Decoder;
  readonly #observer: Observer | undefined;
  readonly #runs: RunDecoder | undefined;

  /** @param runs decodes usual records; without it, each is decoded by itself */
  constructor(decoder: Decoder, runs?: RunDecoder, observer?: Observer) {
    this.#decoder = decoder;
    this.#runs = runs;
    this.#observer = observer;
  }

  /** Takes records from `from` on until the commit is full. Returns the index where it stopped. */
  take(records: Records, from: number, reading: Reading, pending: Pending, size: CommitSize): number {
    const { goal } = size;
    let i = from;
    while (i < records.count && pending.records < goal && !pending.full) {
      const offset = records.offsets[i]!;
      if (offset < reading.next) throw new Error(`offset ${offset} of partition ${records.partition} was read twice`);
      const until = Math.min(records.count, i + goal - pending.records);
      const to = size.hasCulprits ? i : this.#takeRun(records, i, until, reading, pending);
      if (to === i) this.#takeOne(records, i, reading, pending, size);
      const taken = Math.max(1, to - i);
      i += taken;
      pending.records += taken;
      const next = records.offsets[i - 1]! + 1;
      reading.took(next - 1, records);
      reading.skipped += next - reading.next - taken;
      reading.moveTo(next, records);
    }
    return i;
  }

  /** Takes usual records from `i` on; returns where it stopped. */
  #takeRun(records: Records, i: number, until: number, reading: Reading, pending: Pending): number {
    const runs = this.#runs;
    if (runs === undefined) return i;
    const { batch } = pending;
    const to = runs.take(records, i, Math.min(until, i + batch.capacity - batch.count), batch, reading.duplicates);
    reading.duplicated += runs.duplicated;
    this.#store(runs.stored, reading, pending);
    return to;
  }

  /** Takes a record by itself. */
  #takeOne(records: Records, i: number, reading: Reading, pending: Pending, size: CommitSize): void {
    const { batch } = pending;
    const refusal = this.#decoder.decode(records, i, batch);
    reading.duplicates.pass(records.offsets[i]!, records.times[i]!);
    if (refusal !== null) {
      pending.refuse(refusal);
      reading.refused++;
    } else if (reading.repeats(batch, records.times[i]!)) reading.duplicated++;
    else if (size.hasCulprits && isRefused(records, i, pending, size)) reading.refused++;
    else this.#store(1, reading, pending);
  }

  /** Stores the events that were just written to the batch. */
  #store(events: number, reading: Reading, pending: Pending): void {
    const { time, count } = pending.batch;
    for (let i = count; i < count + events; i++) {
      const latest = reading.largestTime;
      if (latest === null || time[i]! > latest) reading.largestTime = time[i]!;
      else if (time[i]! < latest - ALLOWED_DELAY_MS) this.#observer?.late?.(latest - ALLOWED_DELAY_MS - time[i]!);
    }
    if (events > 0) pending.store(events);
    reading.stored += events;
  }
}

/** Refuses record `i` if it is known that it cannot be stored. */
function isRefused(records: Records, i: number, pending: Pending, size: CommitSize): boolean {
  const { partition, leaderEpoch } = records;
  const offset = records.offsets[i]!;
  const why = size.culprit({ partition, offset, leaderEpoch });
  if (why === null) return false;
  // Copied, because the bytes are reused; `slice` would not copy a Buffer.
  const payload = new Uint8Array(records.bytes.subarray(records.starts[i]!, records.ends[i]!));
  const detail = `it cannot be stored: ${why}`;
  pending.refuse({ reason: "bad_value", field: null, detail, partition, offset, payload });
  return true;
}
