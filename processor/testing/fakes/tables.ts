/**
 * The content of a sink as lines of text, for exact comparison.
 * @module
 */
import { cellAt } from "../../columns/cells.ts";
import { deltaOf } from "../../pipeline/fold.ts";
import type { Cell } from "../../measures/measure.ts";
import { columnsOf } from "../../translate/table.ts";
import type { BotSigns } from "../../measures/bots.ts";
import type { Row, View } from "../../views/view.ts";
import { VIEWS } from "../../views/mod.ts";
import type { MemorySink, Progress } from "./memory.ts";

/** Everything in a memory sink, sorted. */
export interface Tables {
  /** A line for each row of each view: all its cells, states included. */
  readonly rows: readonly string[];
  /** Reason and payload of each refused record. */
  readonly refusals: readonly string[];
  /** Ids of the stored events. */
  readonly events: readonly string[];
  /** Sums over all partitions. */
  readonly totals: Readonly<Record<string, number>>;
}

/** The rows of a view as cells by column. */
export function rowsOf(sink: MemorySink, view: View): ReadonlyMap<string, Cell>[] {
  const rows = sink.rows(view);
  const columns = [...columnsOf(deltaOf(view, rows))];
  return rows.map((row, r) =>
    new Map([...columns.map(([column, cells]) => [column, cellAt(cells, r)] as const), ...botCells(sink, view, row)])
  );
}

/** The columns of a user's day that a database keeps from the sessions of bots. */
function botCells(sink: MemorySink, { ofBots, window }: View, day: Row): (readonly [string, Cell])[] {
  if (ofBots === undefined || window.kind !== "day") return [];
  const { zone } = window;
  let found = 0;
  for (const view of VIEWS.filter(({ window }) => window.kind === "session")) {
    const mark = Object.values(view.measures).findIndex(({ kind }) => kind === "bot");
    for (const { key, start, end, values } of sink.tables.get(view.name)?.values() ?? []) {
      const isOnDay = key[0] === day.key[0] && zone.localMs(start) < day.end && zone.localMs(end) >= day.start;
      if (isOnDay && (values[mark] as BotSigns).isBot) found++;
    }
  }
  return [[ofBots.sessions, found], [ofBots.mark, found > 0 ? 1 : 0]];
}

/** A line for each row of a view, in no order. */
function linesOf(sink: MemorySink, view: View): string[] {
  const rows = [...sink.tables.get(view.name)?.values() ?? []];
  const columns = [...columnsOf(deltaOf(view, rows))];
  return rows.map((_, r) => {
    let line = `${view.name}:`;
    for (const [column, cells] of columns) line += ` ${column}=${cellText(cellAt(cells, r))}`;
    return line;
  });
}

/** The tables of a sink, without anything that depends on the partitions. */
export function tablesOf(sink: MemorySink, views: readonly View[] = VIEWS): Tables {
  const rows = views.flatMap((view) => linesOf(sink, view));
  const sum = (of: (progress: Progress) => number) =>
    [...sink.progress.values()].reduce((total, progress) => total + of(progress), 0);
  return {
    rows: rows.sort(),
    refusals: sink.refusals.map(({ reason, field, payload }) => `${reason} ${field} ${hex(payload)}`).sort(),
    events: [...sink.events].sort(),
    totals: {
      consumed: sum((p) => p.consumed),
      stored: sum((p) => p.stored),
      duplicates: sum((p) => p.duplicates),
      refused: sum((p) => p.refused),
    },
  };
}

/** The lines of `progress` and the offsets of refusals, which do depend on the partitions. */
export function placesOf(sink: MemorySink): string[] {
  const progress = [...sink.progress].map(([partition, at]) =>
    `${partition}: ${JSON.stringify(Object.entries(at).sort())}`
  );
  return [...progress, ...sink.refusals.map(({ partition, offset, reason }) => `${partition}/${offset} ${reason}`)]
    .sort();
}

function cellText(cell: Cell): string {
  if (typeof cell === "number") return String(cell);
  return cell instanceof Uint8Array ? hex(cell) : JSON.stringify(cell);
}

function hex(bytes: Uint8Array): string {
  return bytes.toHex();
}
