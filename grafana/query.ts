/**
 * Queries of panels, and their data sources.
 * @module
 */
import type { Builder, Dataquery } from "@grafana/grafana-foundation-sdk/cog";
import type { DataSourceRef } from "@grafana/grafana-foundation-sdk/common";
import { DataqueryBuilder, PromQueryFormat } from "@grafana/grafana-foundation-sdk/prometheus";

/** Data source variables and their initial values: the provisioned data sources. */
export const DATA_SOURCES = {
  postgres: { type: "grafana-postgresql-datasource", uid: "clickstream-postgres", label: "PostgreSQL" },
  prometheus: { type: "prometheus", uid: "clickstream-prometheus", label: "Prometheus" },
} as const;

/** Name of a data source variable. */
export type DataSource = keyof typeof DATA_SOURCES;

/** The data source that a variable selects. */
export function reference(name: DataSource): DataSourceRef {
  return { type: DATA_SOURCES[name].type, uid: `\${${name}}` };
}

/** A query and its data source. */
export interface Question {
  readonly to: DataSource;
  /** One per target, in order. */
  readonly targets: readonly Builder<Dataquery>[];
}

/** A query to PostgreSQL that returns rows. */
export function rows(sql: string): Question {
  return { to: "postgres", targets: [statement(sql, "table")] };
}

/**
 * A query to PostgreSQL for series: a column `time`, a number column, and optionally a column `metric` with series
 * names.
 */
export function series(sql: string): Question {
  return { to: "postgres", targets: [statement(sql, "time_series")] };
}

/** A query to Prometheus for series: expressions by legend. */
export function metrics(expressions: Readonly<Record<string, string>>): Question {
  const targets = Object.entries(expressions).map(([legend, expr], n) =>
    new DataqueryBuilder().datasource(reference("prometheus")).refId(refId(n)).expr(expr).legendFormat(legend).range()
  );
  return { to: "prometheus", targets };
}

/** A query to Prometheus for the current value; not a number if there is none. */
export function now(legend: string, expr: string): Question {
  const query = new DataqueryBuilder().datasource(reference("prometheus")).refId("A").expr(`${expr} or vector(NaN)`)
    .legendFormat(legend).instant();
  return { to: "prometheus", targets: [query] };
}

/** A query to Prometheus for the current series as rows: their labels, and column `Value`. */
export function seriesNow(expr: string): Question {
  const query = new DataqueryBuilder().datasource(reference("prometheus")).refId("A").expr(expr)
    .format(PromQueryFormat.Table).instant();
  return { to: "prometheus", targets: [query] };
}

function statement(sql: string, format: "table" | "time_series"): Builder<Dataquery> {
  const target = {
    refId: "A",
    datasource: reference("postgres"),
    editorMode: "code",
    format,
    rawQuery: true,
    rawSql: sql.trim(),
    _implementsDataqueryVariant() {},
  };
  return { build: () => target };
}

function refId(n: number): string {
  return String.fromCharCode("A".charCodeAt(0) + n);
}
