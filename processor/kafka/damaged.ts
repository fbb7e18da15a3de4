/**
 * Skips damaged bytes in the log that don't show where they end, as a broken disk leaves them: searches for the next
 * offset that can be read.
 * @module
 */
import { Buffer } from "node:buffer";
import type { Records } from "../records.ts";
import type { PartitionResponse } from "./fetch.ts";
import { walk, type Walked } from "./record_batch.ts";
import { type Place, unreadableRun } from "./unreadable.ts";

/** Why an offset can't be read, and the bytes that arrived for it. */
export type Lost = NonNullable<Walked["lost"]>;

/** What is known of a batch that the broker itself can't read. */
export const CORRUPT: Lost = { why: "the broker says that it is corrupt", bytes: Buffer.alloc(0) };

/**
 * So many offsets are tried one by one; after that, the steps double. Most batches have fewer records, so no batch between
 * two damaged ones is skipped with them.
 */
const ONE_BY_ONE = 1_000;

/** Where reading continues after damage. */
export interface PastDamage {
  readonly base: number;
  /** Reports what was skipped; null if the offset can be read after all. */
  readonly run: Records | null;
  /** The broker's response with the next readable batch; null if the log ends there. */
  readonly response: PartitionResponse | null;
}

/**
 * Skips from `from` to the next batch that can be read.
 *
 * @param fetchAlone fetches from an offset; null if the broker reports data but sends none
 */
export async function pastDamage(
  place: Place,
  from: number,
  { why, bytes }: Lost,
  fetchAlone: (offset: number) => Promise<PartitionResponse | null>,
): Promise<PastDamage> {
  const last: { response: PartitionResponse | null } = { response: null };
  const base = await nextReadable(from, place.stable, async (offset) => {
    const found = await fetchAlone(offset);
    // One batch is enough; it begins here in any case.
    const isThere = found !== null && (found.bytes.length === 0 || walk(found, offset, 0).next > offset);
    if (!isThere) return null;
    last.response = found;
    return found.bytes.length === 0 ? offset : Math.max(from, Number(found.bytes.readBigInt64BE(0)));
  });
  const batch = { base: from, floor: from, after: base, count: null, leaderEpoch: null, raw: bytes };
  return { base, run: base > from ? unreadableRun(place, batch, why) : null, response: last.response };
}

/**
 * The first offset after `from` that can be read, or `from` itself.
 *
 * @param readableFrom the first readable offset at or after the given one; null if there is none
 * @param end the log's end; reading from there always works
 */
export async function nextReadable(
  from: number,
  end: number,
  readableFrom: (offset: number) => Promise<number | null>,
): Promise<number> {
  if (await readableFrom(from) !== null) return from;
  let bad = from;
  let good = end;
  let found = end;
  const look = async (offset: number) => {
    const readable = await readableFrom(offset);
    if (readable === null) bad = offset;
    else [good, found] = [offset, readable];
    return readable !== null;
  };
  for (let step = 1; from + step < end && !await look(from + step);) step = step < ONE_BY_ONE ? step + 1 : step * 2;
  while (good - bad > 1) await look(bad + Math.floor((good - bad) / 2));
  return found;
}
