import { Buffer } from "node:buffer";
import type { Batch } from "../../columns/batch.ts";
import type { Cell as ViewCell, Column } from "../../measures/measure.ts";
import type { Commit } from "../../pipeline/commit.ts";
import { tableOf } from "../../translate/table.ts";
import type { View } from "../../views/view.ts";
import { VIEWS } from "../../views/mod.ts";
import { MemorySink } from "./memory.ts";
import { isoDay, isoTime } from "../oracle/values.ts";
import { type Cell, type Row, SHAPES, type TableName } from "../oracle/table_shapes.ts";
import { rowsOf } from "./tables.ts";

/** A memory sink that keeps the stored events whole, as rows of `events`. */
export class WholeSink extends MemorySink {
  readonly eventRows: Row[] = [];

  override async commit(commit: Commit): Promise<void> {
    await super.commit(commit);
    for (const batch of commit.events ?? []) {
      for (let i = 0; i < batch.count; i++) this.eventRows.push(eventRow(batch, i));
    }
  }
}

/** What the sink holds of the contract's tables, in the form in which tables are compared. */
export function tablesOf(sink: WholeSink, topic: string): Readonly<Record<TableName, readonly Row[]>> {
  const views = Object.fromEntries(VIEWS.map((view) => [view.name, viewRows(sink, view)]));
  return {
    ...(views as Record<Exclude<TableName, "progress" | "events" | "refusals">, Row[]>),
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
    ...{ session_id: batch.text("session", i), event_type: batch.text("type", i), page: batch.text("sentPage", i) },
    ...{ device: batch.text("device", i), region: batch.text("region", i), referrer: batch.text("referrer", i) },
    ...{ product_id: batch.text("product", i), campaign: batch.text("campaign", i) },
    ...{ price_cents: Number.isNaN(price) ? null : String(price), quantity: batch.quantity[i]! },
    ...{ currency: batch.text("currency", i), revenue_cents: String(batch.revenue[i]!) },
    ...{ kafka_partition: batch.partition[i]!, kafka_offset: batch.offset[i]! },
    kafka_time: isoTime(batch.kafkaTime[i]!),
  };
}

function viewRows(sink: MemorySink, view: View): Row[] {
  const { window, key, measured } = tableOf(view);
  const columns = [...window, ...key, ...measured];
  return rowsOf(sink, view).map((cells) => {
    const row = Object.fromEntries(columns.map((column) => [column.name, cellOf(cells.get(column.name)!, column)]));
    // What the database derives from other columns is not in memory.
    return view.name === "sessions" ? { ...row, bounced: row["events"] === 1 && row["page_views"] === 1 } : row;
  });
}

function cellOf(cell: ViewCell, { name, type }: Column): Cell {
  if (cell instanceof Uint8Array) return Buffer.from(cell).toString("hex");
  if (cell === null) return null;
  if (type === "timestamptz") return isoTime(Number(cell));
  if (type === "date") return isoDay(Number(cell));
  const isCents = Object.values(SHAPES).some((shape) => shape.columns[name] === "cents");
  return isCents ? String(cell) : cell;
}
