import { Buffer } from "node:buffer";
import type { Batch } from "../../columns/batch.ts";
import type { Cell as ViewCell, Column } from "../../measures/measure.ts";
import type { Commit } from "../../pipeline/commit.ts";
import { tableOf } from "../../translate/table.ts";
import type { View } from "../../views/view.ts";
import { VIEWS } from "../../views/mod.ts";
import { MemorySink } from "./memory.ts";
import { isoTime, localDay } from "../../oracle/values.ts";
import { shapeOf } from "../../oracle/questions.ts";
import type { Cell, Columns, Row } from "../../oracle/table_shapes.ts";
import { rowsOf } from "./tables.ts";

/** A memory sink that also keeps the stored events, as rows of `events`. */
export class WholeSink extends MemorySink {
  readonly eventRows: Row[] = [];

  override async commit(commit: Commit): Promise<void> {
    await super.commit(commit);
    for (const batch of commit.events ?? []) {
      for (let i = 0; i < batch.count; i++) this.eventRows.push(eventRow(batch, i));
    }
  }
}

/** The sink's content as tables, in the form in which tables are compared. */
export function tablesOf(sink: WholeSink, topic: string): Readonly<Record<string, readonly Row[]>> {
  return {
    ...Object.fromEntries(VIEWS.map((view) => [view.name, viewRows(sink, view)])),
    events: sink.eventRows,
    progress: [...sink.progress].map(([partition, at]) => ({
      ...{ topic, partition, next_offset: at.next, watermark: at.watermark === null ? null : isoTime(at.watermark) },
      ...{ consumed: at.consumed, stored: at.stored, duplicates: at.duplicates, refused: at.refused },
    })),
    refusals: sink.refusals.map(({ partition, offset, reason, field, payload }) => ({
      ...{ topic, partition, offset, reason, field, payload: Buffer.from(payload).toString("hex") },
    })),
  };
}

function eventRow(batch: Batch, i: number): Row {
  const price = batch.price[i]!;
  return {
    ...{ event_id: batch.id(i), event_time: isoTime(batch.time[i]!), user_id: batch.text("user", i) },
    ...{ session_id: batch.text("session", i), event_type: batch.text("type", i), page: batch.text("page", i) },
    ...{ device: batch.text("device", i), region: batch.text("region", i), referrer: batch.text("referrer", i) },
    ...{ product_id: batch.text("product", i), campaign: batch.text("campaign", i) },
    ...{ price_cents: Number.isNaN(price) ? null : String(price), quantity: batch.quantity[i]! },
    ...{ currency: batch.text("currency", i), revenue_cents: String(batch.revenue[i]!) },
    ...{ kafka_partition: batch.partition[i]!, kafka_offset: batch.offset[i]! },
    kafka_time: isoTime(batch.kafkaTime[i]!),
    ...{ user_agent: batch.text("userAgent", i), order_id: batch.text("order", i) },
    is_bot: batch.text("bot", i) === "true",
  };
}

/** The rows of a view, in the form in which tables are compared. */
export function viewRows(sink: MemorySink, view: View): Row[] {
  const { window, key, measured } = tableOf(view);
  const kinds = shapeOf(view).columns;
  const columns = [...window, ...key, ...measured];
  return rowsOf(sink, view).map((cells) => {
    const row = Object.fromEntries(
      columns.map((column) => [column.name, cellOf(cells.get(column.name)!, column, kinds)]),
    );
    // Columns that the database computes do not exist in memory.
    const derived = Object.entries(view.derived ?? {}).map(([name, values]) =>
      [name, Object.entries(values).every(([column, value]) => row[column] === value)] as const
    );
    const { ofBots } = view;
    const marks = ofBots === undefined
      ? {}
      : { [ofBots.sessions]: cells.get(ofBots.sessions) as number, [ofBots.mark]: cells.get(ofBots.mark) === 1 };
    return { ...row, ...Object.fromEntries(derived), ...marks };
  });
}

function cellOf(cell: ViewCell, { name, type }: Column, kinds: Columns): Cell {
  if (cell instanceof Uint8Array) return Buffer.from(cell).toString("hex");
  if (cell === null) return null;
  if (type === "boolean") return cell === 1 || cell === "true";
  if (type === "timestamptz") return isoTime(Number(cell));
  if (type === "date") return localDay(Number(cell));
  return kinds[name] === "cents" ? String(cell) : cell;
}
