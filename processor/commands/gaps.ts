/**
 * Lists and acknowledges gaps: records that Kafka deleted before they were read.
 * @module
 */
import type { Settings } from "../config/config.ts";
import { jsonLine } from "../config/visible.ts";
import { acknowledgeGaps, gapsIn } from "../postgres/operations/gaps.ts";
import { table, withCommas } from "../status/text.ts";
import { connected } from "./cli/connection.ts";
import { EXIT } from "./cli/exit.ts";
import type { Output } from "./cli/progress.ts";
import type { READS } from "./cli/reads.ts";
import { ready } from "../postgres/operations/ready.ts";

type GapSettings = Settings<typeof READS.gaps[number]>;

/** Lists the gaps of the topic, newest first; returns the exit code. */
export async function listGaps(
  { json }: { readonly json: boolean },
  settings: GapSettings,
  { print, writeError }: Output,
): Promise<number> {
  return await connected(settings, "gaps list", async (db) => {
    if (!await ready(db, writeError)) return EXIT.schema;
    const gaps = await gapsIn(db, settings.KAFKA_TOPIC);
    if (json) gaps.forEach((gap) => print(jsonLine(gap)));
    else {
      const cells = gaps.map(({ id, partition, from_offset: from, to_offset: to, found_at, acknowledged_at }) => [
        ...[id, String(partition), from, String(BigInt(to) - 1n), withCommas(Number(BigInt(to) - BigInt(from)))],
        ...[found_at, acknowledged_at ?? "not yet"],
      ]);
      const heads = ["id", "partition", "first offset", "last offset", "records", "found at", "acknowledged"];
      if (gaps.length > 0) table(heads, cells).forEach((line) => print(line));
      print(`${withCommas(gaps.length)} gaps in ${settings.KAFKA_TOPIC}`);
    }
    return EXIT.done;
  });
}

/** Acknowledges these gaps (null: all), which ends their alert; returns the exit code. */
export async function acknowledge(
  { ids }: { readonly ids: readonly string[] | null },
  settings: GapSettings,
  { print, writeError }: Output,
): Promise<number> {
  return await connected(settings, "gaps acknowledge", async (db) => {
    if (!await ready(db, writeError)) return EXIT.schema;
    print(`acknowledged ${withCommas(await acknowledgeGaps(db, settings.KAFKA_TOPIC, ids))} gaps`);
    return EXIT.done;
  });
}
