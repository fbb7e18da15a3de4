/**
 * A dashboard as a whole: the layout of its panels, its variables, and its links to the other dashboards.
 * @module
 */
import type { Builder } from "@grafana/grafana-foundation-sdk/cog";
import {
  AnnotationQueryBuilder,
  CustomVariableBuilder,
  type Dashboard,
  DashboardBuilder,
  DashboardCursorSync,
  DashboardLinkBuilder,
  DashboardLinkType,
  DatasourceVariableBuilder,
  type Panel,
  QueryVariableBuilder,
  RowBuilder,
  TextBoxVariableBuilder,
  type VariableModel,
  VariableRefresh,
  VariableSort,
} from "@grafana/grafana-foundation-sdk/dashboard";
import { DATA_SOURCES, type DataSource, reference } from "./query.ts";

/** Columns of Grafana's grid. */
export const GRID = 24;

/** Panels side by side, of equal height; each with its width. */
export interface Line {
  readonly height: number;
  readonly panels: readonly (readonly [width: number, panel: Builder<Panel>])[];
}

/** Lines under a heading. A closed section runs no query until it is opened. */
export interface Section {
  readonly title: string;
  readonly closed?: boolean;
  readonly lines: readonly Line[];
}

/** Definition of a dashboard. */
export interface Design {
  readonly uid: string;
  readonly title: string;
  readonly description: string;
  /** Start of its time range, such as `now-24h`. */
  readonly from: string;
  readonly refresh: string;
  readonly sources: readonly DataSource[];
  readonly variables?: readonly Builder<VariableModel>[];
  /** Marked events: name and definition. */
  readonly annotations?: Readonly<Record<string, Annotation>>;
  readonly sections: readonly Section[];
}

/** A kind of event that is marked in every panel over time. */
export interface Annotation {
  readonly expr: string;
  readonly color: string;
  /** Labels to show with the mark. */
  readonly tags: string;
}

/** Tag by which the dashboards link to each other. */
export const TAG = "clickstream";

// Schema of Grafana 11, the oldest supported version; later versions upgrade it by themselves.
const SCHEMA_VERSION = 39;

/** Returns the dashboard as JSON for Grafana. */
export function dashboard(design: Design): Dashboard {
  const builder = new DashboardBuilder(design.title)
    .uid(design.uid)
    .description(design.description)
    .tags([TAG])
    .timezone("utc")
    .weekStart("monday")
    .time({ from: design.from, to: "now" })
    .refresh(design.refresh)
    .tooltip(DashboardCursorSync.Crosshair)
    .readonly()
    .link(
      new DashboardLinkBuilder("Clickstream").type(DashboardLinkType.Dashboards).tags([TAG]).icon("external link")
        .tooltip("The other dashboards, over the same time").keepTime(true),
    );
  for (const name of design.sources) builder.withVariable(sourceVariable(name));
  for (const variable of design.variables ?? []) builder.withVariable(variable);
  for (const [name, annotation] of Object.entries(design.annotations ?? {})) {
    builder.annotation(
      new AnnotationQueryBuilder().name(name).datasource(reference("prometheus")).enable(true).hide(false)
        .iconColor(annotation.color).expr(annotation.expr).step("1m").titleFormat(name).tagKeys(annotation.tags),
    );
  }
  const { links = [], annotations, ...built } = builder.build();
  return {
    ...built,
    // The builder would put the links into a menu.
    links: links.map(({ placement: _, ...link }) => link),
    annotations: { list: annotations?.list ?? [] },
    schemaVersion: SCHEMA_VERSION,
    panels: placed(design.sections),
  };
}

/** A variable with a fixed set of values; all are selected by default. */
export function choice(name: string, label: string, values: readonly string[]): Builder<VariableModel> {
  return new CustomVariableBuilder(name).label(label).values(values.join(",")).multi(true).includeAll(true)
    .allValue(EVERYTHING).current({ selected: true, text: ["All"], value: ["$__all"] });
}

/** A variable with the values that a query finds; all are selected by default. */
export function found(name: string, label: string, sql: string): Builder<VariableModel> {
  return new QueryVariableBuilder(name).label(label).datasource(reference("postgres")).query(sql).definition(sql)
    .refresh(VariableRefresh.OnTimeRangeChanged).sort(VariableSort.AlphabeticalAsc).multi(true).includeAll(true)
    .allValue(EVERYTHING).current({ selected: true, text: ["All"], value: ["$__all"] });
}

/** A variable with the values that a query finds, of which one is selected: at first this one, which is always found. */
export function foundOne(name: string, label: string, sql: string, first: string): Builder<VariableModel> {
  return new QueryVariableBuilder(name).label(label).datasource(reference("postgres")).query(sql).definition(sql)
    .refresh(VariableRefresh.OnTimeRangeChanged).current({ selected: true, text: first, value: first });
}

/** A variable with a fixed set of values, of which one is selected: at first the first. */
export function one(name: string, label: string, values: readonly [string, ...string[]]): Builder<VariableModel> {
  return new CustomVariableBuilder(name).label(label).values(values.join(",")).multi(false).includeAll(false)
    .current({ selected: true, text: values[0], value: values[0] });
}

/** The time zone of the shop's days, shown above the panels. */
export function timeZoneOfDays(): Builder<VariableModel> {
  const sql = "select clickstream.time_zone()";
  return new QueryVariableBuilder("zone").label("Days of").datasource(reference("postgres")).query(sql).definition(sql)
    .refresh(VariableRefresh.OnDashboardLoad).current({ selected: true, text: "UTC", value: "UTC" });
}

/** SQL for the day of the shop's time zone that contains a time. */
export function dayOf(time: string): string {
  return `clickstream.day_of(${time}::timestamptz)`;
}

/** A variable with a text box. */
export function typed(name: string, label: string, value: string): Builder<VariableModel> {
  return new TextBoxVariableBuilder(name).label(label).defaultValue(value).current({
    selected: true,
    text: value,
    value,
  });
}

/** Stands for all values of a variable. Grafana inserts it unquoted; it quotes selected values. */
const EVERYTHING = "null";

/** The selected values as an SQL array; null if all are selected. */
export function chosen(name: string): string {
  return `nullif(array[$${name}]::text[], '{null}')`;
}

function sourceVariable(name: DataSource): Builder<VariableModel> {
  const { type, uid, label } = DATA_SOURCES[name];
  return new DatasourceVariableBuilder(name).label(label).type(type).current({
    selected: true,
    text: label,
    value: uid,
  });
}

/** Panels and headings from top to bottom, numbered. */
function placed(sections: readonly Section[]): NonNullable<Dashboard["panels"]> {
  const all: NonNullable<Dashboard["panels"]> = [];
  let id = 0;
  let y = 0;
  for (const { title, closed = false, lines } of sections) {
    const row = new RowBuilder(title).id(++id).gridPos({ x: 0, y, w: GRID, h: 1 }).collapsed(closed).build();
    y += 1;
    const panels: Panel[] = [];
    for (const { height, panels: beside } of lines) {
      let x = 0;
      for (const [width, panel] of beside) {
        panels.push({ ...panel.build(), id: ++id, gridPos: { x, y, w: width, h: height } });
        x += width;
      }
      if (x > GRID) throw new RangeError(`${title}: ${x} columns side by side; there are ${GRID}`);
      y += height;
    }
    // The panels of a closed heading are nested in it.
    if (closed) all.push({ ...row, panels });
    else all.push(row, ...panels);
  }
  return all;
}
