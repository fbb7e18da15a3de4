/**
 * Creates partitions and enforces retention.
 * @module
 */
import type { Settings } from "../config/config.ts";
import { SHORT_LOCK_TIMEOUT } from "../postgres/locks.ts";
import { declarationsOf } from "../postgres/operations/declarations.ts";
import { maintain } from "../postgres/operations/maintenance.ts";
import { connected } from "./cli/connection.ts";
import { EXIT, WrongUse } from "./cli/exit.ts";
import { AHEAD_DAYS } from "./migrate.ts";
import type { Output } from "./cli/progress.ts";
import { withCommas } from "../status/text.ts";
import { VIEWS } from "../views/mod.ts";
import type { READS } from "./cli/reads.ts";
import { ready } from "../postgres/operations/ready.ts";

/** Creates partitions for coming days, and deletes expired rows and partitions; returns the exit code. */
export async function maintainCommand(
  settings: Settings<typeof READS.maintain[number]>,
  { print, writeError }: Output,
): Promise<number> {
  const { EVENTS_KEEP_DAYS: eventDays, ROLLUPS_KEEP_DAYS: rollupDays } = settings;
  if (rollupDays <= eventDays) {
    throw new WrongUse(
      `ROLLUPS_KEEP_DAYS is ${rollupDays} and EVENTS_KEEP_DAYS is ${eventDays}: a late event would ` +
        `recreate a window that was deleted; make ROLLUPS_KEEP_DAYS larger`,
    );
  }
  return await connected(settings, "maintain", async (db) => {
    if (!await ready(db, writeError)) return EXIT.schema;
    const keep = { eventDays, rollupDays, aheadDays: AHEAD_DAYS };
    const views = [...VIEWS, ...(await declarationsOf(db)).views];
    const { made, dropped, removed, counted } = await maintain(db, keep, (line) => writeError(`${line}\n`), views);
    print(`created ${made} partitions of events, up to ${AHEAD_DAYS} days ahead`);
    print(`dropped ${dropped.length} partitions of events older than ${eventDays} days`);
    const rows = Object.entries(removed).map(([table, count]) => `${withCommas(count)} of ${table}`);
    print(`deleted expired rows: ${rows.length === 0 ? "none" : rows.join(", ")}`);
    print(`added up the campaigns of ${counted} days`);
    return EXIT.done;
  }, SHORT_LOCK_TIMEOUT);
}
