/** What follows from rows after the sink has written them by every path: rollups, and first days. */
import assert from "node:assert/strict";
import { migrated, onServer } from "../../../testing/servers/databases.ts";
import { clicks } from "../../oracle/logs.ts";
import { ingest } from "../../testing/ingest_schedules.ts";
import { wrongRollups } from "../../testing/rollups.ts";
import { openPostgres } from "../postgres.ts";
import { SqlSink } from "./sql_sink.ts";

const LOG = clicks([
  ["ann", "09:00", "page_view", "/a"],
  ["bob", "09:10", "page_view", "/a"],
  // Extends a session, which then bounces no more, and leaves elsewhere.
  ["ann", "09:20", "page_view", "/b"],
  ["ann", "10:10", "page_view", "/c"],
  // Begins a session earlier, on another page.
  ["bob", "08:50", "page_view", "/d"],
  // Joins two sessions.
  ["ann", "09:45", "search", "/s"],
  // A session of which the first page view comes late, and one without any.
  ["cat", "11:00", "search", "/s"],
  ["cat", "11:01", "page_view", "/b"],
  ["dan", "11:00", "search", "/s"],
  // Comes back the next day.
  ["dan", "24:03", "page_view", "/a"],
  // The next day, and then the day before it; a session that crosses midnight begins on the day before.
  ["eve", "24:10", "page_view", "/a"],
  ["eve", "23:50", "page_view", "/b"],
  ["fay", "24:12", "page_view", "/a"],
  ["fay", "22:00", "page_view", "/a"],
  ["fay", "24:20", "page_view", "/a"],
]);

onServer("rollups and first days follow the rows that the sink writes", async (t, server) => {
  for (const inACommit of [1, 2, 3, 100]) {
    await t.step(`${inACommit} records in a commit`, async () => {
      const db = await migrated(async () => await openPostgres(await server.createDatabase()));
      await ingest(LOG, new SqlSink(db, "test"), { inAPoll: 100, inACommit, turnsOfALife: 1000 });
      assert.deepEqual(await wrongRollups(db), {});
      const { rows } = await db.query<{ line: string }>(
        `select to_char(window_start, 'DD') || ' ' || page || ' ' || concat_ws(' ', views, entries, bounces, exits) as line
           from clickstream.page_days where views + entries + exits <> 0 order by 1`,
      );
      assert.deepEqual(rows.map(({ line }) => line), [
        ...["01 /a 3 2 1 3", "01 /b 3 2 0 1", "01 /c 1 0 0 1", "01 /d 1 1 0 0"],
        ...["02 /a 4 2 1 2"],
      ]);
      await db.close();
    });
  }
});
