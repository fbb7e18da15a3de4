/**
 * Asks the data sources what a dashboard's panels ask, as Grafana's back end does.
 * @module
 */
import type { Dashboard, Panel } from "@grafana/grafana-foundation-sdk/dashboard";
import {
  expand,
  expandExpression,
  type Look,
  openPanelsOf,
  rangeOf,
  sqlTargetsOf,
  stepMs,
} from "../../grafana/expand.ts";
import type { Database } from "../../processor/postgres/database.ts";
import type { Prometheus } from "../servers/prometheus.ts";
import type { Answer, AnswerField, AnswerFrame } from "./answer.ts";

/** Where to ask. */
export interface Sources {
  /** As a member of `clickstream_reader`. */
  readonly postgres: Database;
  readonly prometheus: Prometheus;
  /** Scrape interval in the settings of Grafana's data source. */
  readonly scrapeMs: number;
}

type Cell = string | number | null;

/** A query to Prometheus, as a panel has it. */
interface Asked {
  readonly refId: string;
  readonly expr: string;
  readonly legendFormat?: string;
  readonly instant?: boolean;
  readonly format?: string;
}

/** A series of Prometheus' API. */
interface Series {
  readonly metric: Readonly<Record<string, string>>;
  readonly values?: readonly (readonly [number, string])[];
  readonly value?: readonly [number, string];
}

/** The answers to all panels that are not under a closed heading, by their ids. */
export async function answersOf(
  dashboard: Dashboard,
  sources: Sources,
  look: Pick<Look, "from" | "to" | "chosen">,
): Promise<Record<number, Answer>> {
  const answers: Record<number, Answer> = {};
  const all = openPanelsOf(dashboard).map(async (panel) => {
    const range = rangeOf(panel, look.from, look.to);
    const [fromMs, toMs] = [range.from.getTime(), range.to.getTime()];
    const intervalMs = stepMs(panel, toMs - fromMs);
    const frames = [
      ...await sqlFrames(panel, dashboard, sources.postgres, {
        ...look,
        ...range,
        intervalMs,
      }),
      ...await metricFrames(panel, sources, fromMs, toMs),
    ];
    answers[panel.id!] = { fromMs, toMs, frames };
  });
  await Promise.all(all);
  return answers;
}

/** A row's columns in their order, which an object does not keep: some are called 00 to 23. */
type Row = readonly (readonly [name: string, value: Cell])[];

const IN_ORDER =
  "select coalesce((select json_agg(json_build_array(key, value)) from json_each(row_to_json(q))), '[]')";

async function sqlFrames(panel: Panel, dashboard: Dashboard, db: Database, look: Look): Promise<AnswerFrame[]> {
  const frames = sqlTargetsOf(panel).map(async ({ refId, rawSql, format }) => {
    const sql = expand(rawSql, dashboard, look);
    const { rows } = await db.query<{ row: string }>(`${IN_ORDER}::text as row from (${sql}) as q`);
    const table = rows.map(({ row }) => JSON.parse(row) as Row);
    return { refId, fields: format === "time_series" ? wide(table) : fieldsOf(table) };
  });
  return await Promise.all(frames);
}

/** The columns of rows. */
function fieldsOf(rows: readonly Row[]): AnswerField[] {
  return (rows[0] ?? []).map(([name], column): AnswerField => {
    const values = rows.map((row) => row[column]![1]);
    const there = values.filter((value) => value !== null);
    const are = (is: (value: string | number) => boolean) => there.length > 0 && there.every(is);
    if (name === "time" || are((value) => /^\d{4}-\d\d-\d\dT/.test(String(value)))) {
      return { name, type: "time", values: values.map((value) => value === null ? null : millisecondsOf(value)) };
    }
    const isNumber = are((value) => typeof value === "number" || value === "NaN");
    return { name, type: isNumber ? "number" : "string", values };
  });
}

/** Numbers are seconds. */
function millisecondsOf(time: string | number): number {
  return typeof time === "number" ? time * 1000 : Date.parse(time);
}

/** Series by their times: one for each number, or for each value of column `metric`. */
function wide(rows: readonly Row[]): AnswerField[] {
  const [time, metric, ...numbers] = fieldsOf(rows);
  if (metric?.name !== "metric") return fieldsOf(rows);
  const times = [...new Set(time!.values)].sort((a, b) => Number(a) - Number(b));
  const names = [...new Set(metric.values.map(String))].sort();
  const series = names.map((name): AnswerField => {
    const values = new Map(times.map((at) => [at, null as Cell]));
    metric.values.forEach((of, row) => of === name && values.set(time!.values[row]!, numbers[0]!.values[row]!));
    return { name, type: "number", legend: name, values: [...values.values()] };
  });
  return [{ name: "time", type: "time", values: times }, ...series];
}

async function metricFrames(
  panel: Panel,
  { prometheus, scrapeMs }: Sources,
  fromMs: number,
  toMs: number,
): Promise<AnswerFrame[]> {
  const asked = (panel.targets as unknown as Asked[] ?? []).filter(({ expr }) => expr !== undefined);
  const frames = asked.map(
    async ({ refId, expr, legendFormat = "", instant, format }) => {
      const stepS = Math.max(scrapeMs, Math.ceil((toMs - fromMs) / 720 / 1000) * 1000) /
        1000;
      const query = encodeURIComponent(
        expandExpression(expr, Math.max(4 * scrapeMs, stepS * 1000 + scrapeMs)),
      );
      const path = instant
        ? `query?query=${query}&time=${toMs / 1000}`
        : `query_range?query=${query}&start=${fromMs / 1000}&end=${toMs / 1000}&step=${stepS}`;
      const { result } = await prometheus.api<{ result: readonly Series[] }>(
        path,
      );
      if (format === "table") return [{ refId, fields: labelled(result) }];
      return result.map(({ metric, values, value }): AnswerFrame => {
        const points = values ?? [value!];
        const legend = legendFormat.replaceAll(
          /\{\{(\w+)\}\}/g,
          (_, label: string) => metric[label] ?? "",
        );
        return {
          refId,
          fields: [
            {
              name: "Time",
              type: "time",
              values: points.map(([seconds]) => seconds * 1000),
            },
            {
              name: "Value",
              type: "number",
              legend,
              values: points.map(([, text]) => numberOf(text)),
            },
          ],
        };
      });
    },
  );
  return (await Promise.all(frames)).flat();
}

function numberOf(text: string): number | "NaN" {
  const value = Number(text);
  return Number.isFinite(value) ? value : "NaN";
}

/** Series as rows: their labels and values. */
function labelled(result: readonly Series[]): AnswerField[] {
  const labels = [
    ...new Set(result.flatMap(({ metric }) => Object.keys(metric))),
  ].sort();
  return [
    {
      name: "Time",
      type: "time",
      values: result.map(({ value }) => value![0] * 1000),
    },
    ...labels.map((name): AnswerField => ({
      name,
      type: "string",
      values: result.map(({ metric }) => metric[name] ?? null),
    })),
    {
      name: "Value",
      type: "number",
      values: result.map(({ value }) => numberOf(value![1])),
    },
  ];
}
