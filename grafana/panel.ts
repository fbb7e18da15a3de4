/**
 * The kinds of panels, each with its common settings.
 * @module
 */
import { PanelBuilder as BarChart } from "@grafana/grafana-foundation-sdk/barchart";
import type { Builder } from "@grafana/grafana-foundation-sdk/cog";
import {
  BigValueColorMode,
  BigValueGraphMode,
  LegendDisplayMode,
  LegendPlacement,
  ReduceDataOptionsBuilder,
  SortOrder,
  StackingConfigBuilder,
  StackingMode,
  TooltipDisplayMode,
  VisibilityMode,
  VizLegendOptionsBuilder,
  VizOrientation,
  VizTooltipOptionsBuilder,
} from "@grafana/grafana-foundation-sdk/common";
import {
  type DynamicConfigValue,
  FieldColorBuilder,
  FieldColorModeId,
  type Panel,
  type Threshold,
  ThresholdsConfigBuilder,
  ThresholdsMode,
} from "@grafana/grafana-foundation-sdk/dashboard";
import {
  PanelBuilder as PieChart,
  PieChartLegendOptionsBuilder,
  PieChartLegendValues,
  PieChartType,
} from "@grafana/grafana-foundation-sdk/piechart";
import { PanelBuilder as Stat } from "@grafana/grafana-foundation-sdk/stat";
import { PanelBuilder as Table } from "@grafana/grafana-foundation-sdk/table";
import { PanelBuilder as TimeSeries } from "@grafana/grafana-foundation-sdk/timeseries";
import { type Question, reference } from "./query.ts";

/** Texts and unit of a panel. */
export interface About {
  /** A noun phrase in the terms of the glossary. */
  readonly title: string;
  /** Definition of what the panel shows. */
  readonly description: string;
  /** Grafana's name for the unit. */
  readonly unit: string;
  /** Text to show when there is no data. */
  readonly empty: string;
  readonly decimals?: number;
  /** Upper end of the scale, which begins at 0. */
  readonly max?: number;
}

/** A colour and the value from which on it applies; null for the first. */
export type Step = readonly [from: number | null, color: string];

/** Settings of one column of a table. */
export interface Column {
  readonly unit?: string;
  readonly width?: number;
  /** How cells are drawn (default: as text). */
  readonly as?: "gauge" | "colored";
  readonly max?: number;
  readonly link?: { readonly title: string; readonly url: string };
  readonly decimals?: number;
}

/** Rollups have one row per minute: smaller steps would be empty. */
const MINUTE = "1m";

/** Most steps in a graph: thirty days are drawn by the hour, as the rollups store them. */
const STEPS = 720;

/** One number, with its history behind it if the query returns a series. */
export function number(about: About, question: Question, steps: readonly Step[] = []): Builder<Panel> {
  const reduce = new ReduceDataOptionsBuilder().calcs(["lastNotNull"]).values(false).fields("");
  const panel = asking(new Stat(), about, question)
    .reduceOptions(reduce)
    .graphMode(BigValueGraphMode.Area)
    .colorMode(steps.length > 0 ? BigValueColorMode.Background : BigValueColorMode.Value)
    .interval(MINUTE);
  return steps.length > 0 ? colored(panel, steps) : panel.colorScheme(fixed("blue"));
}

/** Lines over time. */
export function lines(about: About, question: Question, options: { readonly stacked?: boolean } = {}): Builder<Panel> {
  const panel = asking(new TimeSeries(), about, question)
    .interval(MINUTE)
    .maxDataPoints(STEPS)
    .min(0)
    .lineWidth(1)
    .fillOpacity(options.stacked ? 40 : 10)
    .showPoints(VisibilityMode.Auto)
    .legend(legend())
    .tooltip(tooltip());
  return options.stacked ? panel.stacking(stacked()) : panel;
}

/** Lines over time, some of them with another unit on the right axis. */
export function linesOfTwo(about: About, question: Question, right: Readonly<Record<string, string>>): Builder<Panel> {
  const panel = lines(about, question) as TimeSeries;
  for (const [name, unit] of Object.entries(right)) {
    panel.overrideByName(name, [
      { id: "unit", value: unit },
      { id: "custom.axisPlacement", value: "right" },
      { id: "custom.fillOpacity", value: 0 },
    ]);
  }
  return panel;
}

/** Bars for the rows of a table, labelled by column `x`. */
export function bars(
  about: About,
  question: Question,
  options: { readonly x: string; readonly stacked?: boolean; readonly lying?: boolean },
): Builder<Panel> {
  return asking(new BarChart(), about, question)
    .xField(options.x)
    .orientation(options.lying ? VizOrientation.Horizontal : VizOrientation.Vertical)
    .stacking(options.stacked ? StackingMode.Normal : StackingMode.None)
    .showValue(VisibilityMode.Auto)
    .min(0)
    .fillOpacity(70)
    .legend(legend())
    .tooltip(tooltip());
}

/** Shares of a whole, one for each row of a table. */
export function shares(about: About, question: Question, value: string): Builder<Panel> {
  return asking(new PieChart(), about, question)
    .pieType(PieChartType.Donut)
    .reduceOptions(new ReduceDataOptionsBuilder().calcs(["lastNotNull"]).values(true).fields(`/^${value}$/`))
    .legend(
      new PieChartLegendOptionsBuilder().displayMode(LegendDisplayMode.Table).placement(LegendPlacement.Right)
        .showLegend(true).values([PieChartLegendValues.Value, PieChartLegendValues.Percent]),
    )
    .tooltip(tooltip());
}

/** A plain table. */
export function table(
  about: About,
  question: Question,
  columns: Readonly<Record<string, Column>> = {},
): Builder<Panel> {
  const panel = asking(new Table(), about, question).showHeader(true);
  for (const [name, column] of Object.entries(columns)) panel.overrideByName(name, properties(column));
  return panel;
}

/** A table with numbers shown as colours, except in the `plain` columns. */
export function heat(about: About, question: Question, plain: Readonly<Record<string, Column>>): Builder<Panel> {
  const panel = asking(new Table(), about, question)
    .showHeader(true)
    .colorScheme(new FieldColorBuilder().mode(FieldColorModeId.ContinuousBlues))
    .cellOptions({ type: "color-background", mode: "basic" } as Parameters<Table["cellOptions"]>[0]);
  for (const [name, column] of Object.entries(plain)) {
    panel.overrideByName(name, [...properties(column), { id: "custom.cellOptions", value: { type: "auto" } }]);
  }
  return panel;
}

function properties({ unit, width, as, max, link, decimals }: Column): DynamicConfigValue[] {
  const said: DynamicConfigValue[] = [];
  if (unit !== undefined) said.push({ id: "unit", value: unit });
  if (decimals !== undefined) said.push({ id: "decimals", value: decimals });
  if (width !== undefined) said.push({ id: "custom.width", value: width });
  if (max !== undefined) said.push({ id: "min", value: 0 }, { id: "max", value: max });
  if (as === "gauge") said.push({ id: "custom.cellOptions", value: { type: "gauge", mode: "basic" } });
  if (as === "colored") said.push({ id: "custom.cellOptions", value: { type: "color-background", mode: "basic" } });
  if (link !== undefined) said.push({ id: "links", value: [link] });
  return said;
}

/** Methods that all panel builders share. */
interface Asking {
  title(title: string): this;
  description(description: string): this;
  unit(unit: string): this;
  noValue(text: string): this;
  decimals(decimals: number): this;
  max(max: number): this;
  min(min: number): this;
  datasource(source: ReturnType<typeof reference>): this;
  targets(targets: Question["targets"][number][]): this;
}

function asking<P extends Asking>(panel: P, about: About, { to, targets }: Question): P {
  panel
    .title(about.title)
    .description(about.description)
    .unit(about.unit)
    .noValue(about.empty)
    .datasource(reference(to))
    .targets([...targets]);
  if (about.decimals !== undefined) panel.decimals(about.decimals);
  if (about.max !== undefined) panel.min(0).max(about.max);
  return panel;
}

function colored(panel: Stat, steps: readonly Step[]): Stat {
  const thresholds = steps.map(([value, color]): Threshold => ({ value, color }));
  return panel
    .thresholds(new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute).steps(thresholds))
    .colorScheme(new FieldColorBuilder().mode(FieldColorModeId.Thresholds));
}

function fixed(color: string): FieldColorBuilder {
  return new FieldColorBuilder().mode(FieldColorModeId.Fixed).fixedColor(color);
}

function legend(): VizLegendOptionsBuilder {
  return new VizLegendOptionsBuilder().displayMode(LegendDisplayMode.List).placement(LegendPlacement.Bottom)
    .showLegend(true).calcs([]);
}

function tooltip(): VizTooltipOptionsBuilder {
  return new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi).sort(SortOrder.Descending);
}

function stacked(): StackingConfigBuilder {
  return new StackingConfigBuilder().mode(StackingMode.Normal).group("A");
}
