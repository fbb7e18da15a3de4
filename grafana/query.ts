/**
 * What a panel asks, and whom.
 * @module
 */
import type { Builder, Dataquery } from "@grafana/grafana-foundation-sdk/cog";
import type { DataSourceRef } from "@grafana/grafana-foundation-sdk/common";
import { DataqueryBuilder } from "@grafana/grafana-foundation-sdk/prometheus";

/** Variables that say which data source is meant, and what stands in them at first: the provisioned one. */
export const DATA_SOURCES = {
  postgres: { type: "grafana-postgresql-datasource", uid: "clickstream-postgres", label: "PostgreSQL" },
  prometheus: { type: "prometheus", uid: "clickstream-prometheus", label: "Prometheus" },
} as const;

/** Name of a data source's variable. */
export type DataSource = keyof typeof DATA_SOURCES;

/** The data source that a variable stands for. */
export function reference(name: DataSource): DataSourceRef {
  return { type: DATA_SOURCES[name].type, uid: `\${${name}}` };
}

/** A question, and the data source that it is for. */
export interface Question {
  readonly to: DataSource;
  /** One a target, in their order. */
  readonly targets: readonly Builder<Dataquery>[];
}

/** Asks PostgreSQL for rows. */
export function rows(sql: string): Question {
  return { to: "postgres", targets: [statement(sql, "table")] };
}

/** Asks PostgreSQL for series: a column `time`, one with a number, and perhaps one called `metric` with their names. */
export function series(sql: string): Question {
  return { to: "postgres", targets: [statement(sql, "time_series")] };
}

/** Asks Prometheus for series; what each is called by its expression. */
export function metrics(expressions: Readonly<Record<string, string>>): Question {
  const targets = Object.entries(expressions).map(([legend, expr], n) =>
    new DataqueryBuilder().datasource(reference("prometheus")).refId(refId(n)).expr(expr).legendFormat(legend).range()
  );
  return { to: "prometheus", targets };
}

/** Asks Prometheus for what is now. */
export function now(expressions: Readonly<Record<string, string>>): Question {
  const targets = Object.entries(expressions).map(([legend, expr], n) =>
    new DataqueryBuilder().datasource(reference("prometheus")).refId(refId(n)).expr(expr).legendFormat(legend).instant()
  );
  return { to: "prometheus", targets };
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
