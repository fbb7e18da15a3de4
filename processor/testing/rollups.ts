/**
 * Compares what follows from rows, rollups, first days and days of bots, with the rows themselves.
 * @module
 */
import type { Database } from "../postgres/database.ts";
import { COLUMN_OF, tableOf } from "../translate/table.ts";
import type { Dimension } from "../columns/batch.ts";
import { VIEWS } from "../views/mod.ts";

/** Number of rows that are wrong, by rollup table or column of first days; leaves out what has none. */
export async function wrongRollups(db: Database): Promise<Readonly<Record<string, number>>> {
  const wrong: Record<string, number> = {};
  const count = async (name: string, sql: string) => {
    const { rows } = await db.query<{ n: number }>(`select count(*)::integer as n from (${sql}) w`);
    if (rows[0]!.n > 0) wrong[name] = rows[0]!.n;
  };
  for (const table of new Set(VIEWS.flatMap(({ rollups = [] }) => rollups.map((rollup) => rollup.table)))) {
    const parts = VIEWS.flatMap((view) =>
      (view.rollups ?? []).filter((rollup) => rollup.table === table)
        .flatMap(({ window, parts }) => parts.map((part) => ({ view, window, part })))
    );
    const key = Object.keys(parts[0]!.part.by).map((dimension) => COLUMN_OF[dimension as Dimension]);
    const sums = [...new Set(parts.flatMap(({ part }) => Object.keys(part.sums)))];
    const added = parts.map(({ view, window, part }) => {
      const number = (sum: string) => {
        if (!(sum in part.sums)) return "0";
        const column = part.sums[sum]!;
        return column === null ? "1" : view.derived?.[column] === undefined ? column : `${column}::integer`;
      };
      const time = tableOf(view).window[0]!.name;
      const start = window.kind === "day"
        ? `clickstream.day_start(clickstream.day_of(${time}))`
        : `date_bin('${window.widthMs} ms', ${time}, 'epoch')`;
      return `select ${start} as window_start,
        ${Object.values(part.by).map((column, k) => `${column} as ${key[k]}`).join(", ")},
        ${sums.map((sum) => `${number(sum)} as ${sum}`).join(", ")} from clickstream.${view.name}`;
    });
    const columns = ["window_start", ...key];
    const expected = `select ${columns.join(", ")}, ${sums.map((s) => `sum(${s})::bigint as ${s}`).join(", ")}
      from (${added.join(" union all ")}) a where ${key.map((k) => `${k} is not null`).join(" and ")}
      group by ${columns.join(", ")} having ${sums.map((s) => `sum(${s}) <> 0`).join(" or ")}`;
    const found = `select ${[...columns, ...sums].join(", ")} from clickstream.${table}
      where ${sums.map((s) => `${s} <> 0`).join(" or ")}`;
    await count(table, `((${expected}) except all (${found})) union all ((${found}) except all (${expected}))`);
  }
  for (const { name, firsts } of VIEWS) {
    if (firsts === undefined) continue;
    await count(
      `${name}.${firsts}`,
      `select from clickstream.${name} d where d.${firsts} <> not exists (
         select from clickstream.${name} e where e.user_id = d.user_id and e.day < d.day)`,
    );
  }
  const sessions = VIEWS.find(({ window }) => window.kind === "session")!.name;
  for (const { name, ofBots } of VIEWS) {
    if (ofBots === undefined) continue;
    await count(
      `${name}.${ofBots.mark}`,
      `select from (
         select d.${ofBots.mark} as mark, d.${ofBots.sessions} as sessions, (
           select count(*) from clickstream.${sessions} s
           where s.is_bot and s.user_id = d.user_id and clickstream.day_of(s.started_at) <= d.day
             and clickstream.day_of(s.ended_at) >= d.day
         ) as found
         from clickstream.${name} d
         -- Days before a change of the zone are those of another.
         where d.day > coalesce(
           (select clickstream.day_of(z.since) from clickstream.settings z where z.name = 'TIME_ZONE'), '-infinity')
       ) m where m.sessions <> m.found or m.mark <> (m.found > 0)`,
    );
  }
  return wrong;
}
