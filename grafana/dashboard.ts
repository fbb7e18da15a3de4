/**
 * A dashboard as a whole: where its panels stand, what its variables are, and how it leads to the others.
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

/** Panels that stand beside each other, as high as each other, each with its share of the width. */
export interface Line {
  readonly height: number;
  readonly panels: readonly (readonly [width: number, panel: Builder<Panel>])[];
}

/** Lines under a heading. A closed one asks nothing until it is opened. */
export interface Section {
  readonly title: string;
  readonly closed?: boolean;
  readonly lines: readonly Line[];
}

/** What makes a dashboard. */
export interface Design {
  readonly uid: string;
  readonly title: string;
  readonly description: string;
  /** Where its time begins, such as `now-24h`. */
  readonly from: string;
  readonly refresh: string;
  readonly sources: readonly DataSource[];
  readonly variables?: readonly Builder<VariableModel>[];
  /** What happened, by the expression that tells. */
  readonly annotations?: Readonly<Record<string, Annotation>>;
  readonly sections: readonly Section[];
}

/** Something that is marked in every panel over time. */
export interface Annotation {
  readonly expr: string;
  readonly color: string;
  /** Labels that it shows. */
  readonly tags: string;
}

/** By this tag dashboards find each other. */
export const TAG = "clickstream";

// The oldest Grafana that is meant to take them, 11, writes this; later ones bring it up to date by themselves.
const SCHEMA_VERSION = 39;

/** The dashboard as Grafana reads it. */
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
    // The builder would have them in a menu, out of sight.
    links: links.map(({ placement: _, ...link }) => link),
    annotations: { list: annotations?.list ?? [] },
    schemaVersion: SCHEMA_VERSION,
    panels: placed(design.sections),
  };
}

/** A variable for values of a closed set; all of them by default. */
export function choice(name: string, label: string, values: readonly string[]): Builder<VariableModel> {
  return new CustomVariableBuilder(name).label(label).values(values.join(",")).multi(true).includeAll(true)
    .allValue(EVERYTHING).current({ selected: true, text: ["All"], value: ["$__all"] });
}

/** A variable for what a query finds; all of it by default. */
export function found(name: string, label: string, sql: string): Builder<VariableModel> {
  return new QueryVariableBuilder(name).label(label).datasource(reference("postgres")).query(sql).definition(sql)
    .refresh(VariableRefresh.OnTimeRangeChanged).sort(VariableSort.AlphabeticalAsc).multi(true).includeAll(true)
    .allValue(EVERYTHING).current({ selected: true, text: ["All"], value: ["$__all"] });
}

/** A variable that is typed. */
export function typed(name: string, label: string, value: string): Builder<VariableModel> {
  return new TextBoxVariableBuilder(name).label(label).defaultValue(value).current({
    selected: true,
    text: value,
    value,
  });
}

/** Stands for all values of a variable; Grafana puts it in as it is, where it puts quotes around each value chosen. */
const EVERYTHING = "null";

/** The values that are chosen as an array for SQL; null where that is all of them. */
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

/** Panels and headings from the top down, numbered. */
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
    // The panels of a heading that is closed belong to it.
    if (closed) all.push({ ...row, panels });
    else all.push(row, ...panels);
  }
  return all;
}
