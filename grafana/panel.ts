/**
 * The kinds of panels, each with its common settings.
 * @module
 */
import { PanelBuilder as BarChart } from "@grafana/grafana-foundation-sdk/barchart";
import { PanelBuilder as BarGauge } from "@grafana/grafana-foundation-sdk/bargauge";
import type { Builder } from "@grafana/grafana-foundation-sdk/cog";
import {
  BarGaugeDisplayMode,
  BigValueColorMode,
  BigValueGraphMode,
  LegendDisplayMode,
  LegendPlacement,
  PercentChangeColorMode,
  ReduceDataOptionsBuilder,
  ScaleDistribution,
  ScaleDistributionConfigBuilder,
  SortOrder,
  StackingConfigBuilder,
  StackingMode,
  TableCellHeight,
  TooltipDisplayMode,
  VisibilityMode,
  VizLegendOptionsBuilder,
  VizOrientation,
  VizTextDisplayOptionsBuilder,
  VizTooltipOptionsBuilder,
} from "@grafana/grafana-foundation-sdk/common";
import {
  type DynamicConfigValue,
  FieldColorBuilder,
  FieldColorModeId,
  MappingType,
  type Panel,
  SpecialValueMatch,
  type Threshold,
  ThresholdsConfigBuilder,
  ThresholdsMode,
  type ValueMapping,
} from "@grafana/grafana-foundation-sdk/dashboard";
import { PanelBuilder as Stat } from "@grafana/grafana-foundation-sdk/stat";
import { PanelBuilder as Table } from "@grafana/grafana-foundation-sdk/table";
import { PanelBuilder as TimeSeries } from "@grafana/grafana-foundation-sdk/timeseries";
import type { Colors } from "./colors.ts";
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
  /** Grafana's name for the unit (default: text as it is). */
  readonly unit?: string;
  readonly width?: number;
  /** How cells are drawn (default: as text). A gauge's bar is full at `max`, or at the largest value of the column. */
  readonly as?: "gauge" | "colored";
  readonly max?: number;
  readonly link?: { readonly title: string; readonly url: string };
  readonly decimals?: number;
  /** Colours of texts. */
  readonly colors?: Colors;
  /** Another name than the query's. */
  readonly name?: string;
  readonly isHidden?: boolean;
}

/** A column of times, to the second. */
export const TIME = { unit: "time:YYYY-MM-DD HH:mm:ss", width: 160 } as const;

/** A narrower column of times that are not of another year. */
export const RECENT = { unit: "time:MM-DD HH:mm:ss", width: 120 } as const;

/** Rollups have one row per minute: smaller steps would be empty. */
const MINUTE = "1m";

/** Most steps in a graph: more are noise on half a screen. Thirty days are drawn by whole hours, as the rollups are. */
const STEPS = 300;

/** What an empty cell of a table shows. */
const NO_CELL = "–";

/** One number, with its history behind it if the query returns a series. */
export function number(about: About, question: Question, steps: readonly Step[] = []): Builder<Panel> {
  return stat(about, question, steps);
}

/**
 * One number whose series begins a week before it: its history is behind it, and its change since then beside it.
 *
 * @param good whether a larger number is better
 */
export function trend(about: About, question: Question, good: "more" | "less"): Builder<Panel> {
  return stat(about, question).showPercentChange(true).percentChangeColorMode(
    good === "more" ? PercentChangeColorMode.Standard : PercentChangeColorMode.Inverted,
  );
}

/**
 * The state of something now, in the colour of its step; in words where `words` has some for the value. Red if nobody
 * tells it: the question must have a value then, too, which is not a number.
 */
export function state(
  about: About,
  question: Question,
  steps: readonly Step[],
  words: Readonly<Record<string, readonly [text: string, color: string]>> = {},
  silent = "Silent",
): Builder<Panel> {
  const options = Object.fromEntries(
    Object.entries(words).map(([value, [text, color]], index) => [value, { text, color, index }]),
  );
  const mappings: ValueMapping[] = [
    ...Object.keys(words).length > 0 ? [{ type: MappingType.ValueToText, options } as const] : [],
    {
      type: MappingType.SpecialValue,
      options: { match: SpecialValueMatch.NullAndNan, result: { text: silent, color: "red", index: 9 } },
    },
  ];
  return stat(about, question, steps).graphMode(BigValueGraphMode.None).mappings(mappings);
}

function stat(about: About, question: Question, steps: readonly Step[] = []): Stat {
  const reduce = new ReduceDataOptionsBuilder().calcs(["lastNotNull"]).values(false).fields("");
  const panel = asking(new Stat(), about, question)
    .reduceOptions(reduce)
    .graphMode(BigValueGraphMode.Area)
    .colorMode(steps.length > 0 ? BigValueColorMode.Background : BigValueColorMode.Value)
    .interval(MINUTE);
  return steps.length > 0 ? colored(panel, steps) : panel.colorScheme(fixed("blue"));
}

/** How lines are drawn. */
export interface LineOptions {
  readonly stacked?: boolean;
  /** On a logarithmic scale, for values from milliseconds to minutes. */
  readonly logarithmic?: boolean;
  /** Least step, such as `1h` (default: a minute). */
  readonly step?: string;
  /** Own time range up to now, such as `1h`, whatever the dashboard's is. */
  readonly last?: string;
  readonly colors?: Colors;
  /** Where the scale ends at least, for counts that are mostly 0. */
  readonly upTo?: number;
  /** Names of lines that are dashed. */
  readonly dashed?: readonly string[];
}

/** Lines over time. */
export function lines(about: About, question: Question, options: LineOptions = {}): Builder<Panel> {
  const panel = asking(new TimeSeries(), about, question)
    .maxDataPoints(STEPS)
    .colorScheme(new FieldColorBuilder().mode(FieldColorModeId.PaletteClassic))
    .lineWidth(options.stacked ? 0 : 1)
    .fillOpacity(options.stacked ? 75 : options.logarithmic ? 0 : 10)
    .showPoints(options.stacked ? VisibilityMode.Never : VisibilityMode.Auto)
    .legend(legend())
    .tooltip(tooltip());
  // Prometheus knows its own least step.
  if (question.to === "postgres") panel.interval(options.step ?? MINUTE);
  // A logarithmic scale has no 0.
  if (options.logarithmic) {
    panel.scaleDistribution(new ScaleDistributionConfigBuilder().type(ScaleDistribution.Log).log(10));
  } else panel.min(0);
  if (options.upTo !== undefined) panel.axisSoftMax(options.upTo);
  if (options.last !== undefined) panel.timeFrom(options.last);
  for (const [name, color] of Object.entries(options.colors ?? {})) panel.overrideByName(name, [inColor(color)]);
  for (const name of options.dashed ?? []) {
    panel.overrideByName(name, [
      { id: "custom.lineStyle", value: { fill: "dash", dash: [8, 8] } },
      { id: "custom.fillOpacity", value: 0 },
    ]);
  }
  return options.stacked ? panel.stacking(stacked()) : panel;
}

/** Lines over time, some of them with another unit on the right axis. */
export function linesOfTwo(
  about: About,
  question: Question,
  right: Readonly<Record<string, string>>,
  options: LineOptions = {},
): Builder<Panel> {
  const panel = lines(about, question, options) as TimeSeries;
  for (const [name, unit] of Object.entries(right)) {
    panel.overrideByName(name, [
      { id: "unit", value: unit },
      { id: "custom.axisPlacement", value: "right" },
      { id: "custom.fillOpacity", value: 0 },
    ]);
  }
  return panel;
}

/** Copies of a panel, one for each selected value of a variable, side by side. */
export function perValue(panel: Builder<Panel>, variable: string, beside: number): Builder<Panel> {
  return { build: () => ({ ...panel.build(), repeat: variable, repeatDirection: "h", maxPerRow: beside }) };
}

/** Upright bars for the rows of a table, labelled by column `x`. */
export function bars(
  about: About,
  question: Question,
  options: { readonly x: string; readonly stacked?: boolean; readonly colors?: Colors },
): Builder<Panel> {
  const panel = asking(new BarChart(), about, question)
    .colorScheme(options.stacked ? new FieldColorBuilder().mode(FieldColorModeId.PaletteClassic) : fixed("blue"))
    .xField(options.x)
    .orientation(VizOrientation.Vertical)
    .stacking(options.stacked ? StackingMode.Normal : StackingMode.None)
    .showValue(options.stacked ? VisibilityMode.Never : VisibilityMode.Auto)
    .min(0)
    .fillOpacity(80)
    .legend(legend(options.stacked))
    .tooltip(tooltip());
  for (const [name, color] of Object.entries(options.colors ?? {})) panel.overrideByName(name, [inColor(color)]);
  return panel;
}

/** Lying bars for the rows of a table of names and one number, each with its value. */
export function ranking(about: About, question: Question, value: string): Builder<Panel> {
  return asking(new BarGauge(), about, question)
    .reduceOptions(new ReduceDataOptionsBuilder().calcs(["lastNotNull"]).values(true).fields(`/^${value}$/`))
    .orientation(VizOrientation.Horizontal)
    .displayMode(BarGaugeDisplayMode.Basic)
    // With the unfilled part behind the bars, the values stand in a column.
    .showUnfilled(true)
    .text(new VizTextDisplayOptionsBuilder().titleSize(13).valueSize(14))
    .colorScheme(fixed("blue"))
    .min(0);
}

/** A table. Its columns are texts, except those with a unit. */
export function table(
  about: Omit<About, "unit">,
  question: Question,
  columns: Readonly<Record<string, Column>> = {},
): Builder<Panel> {
  const panel = asking(new Table(), { ...about, unit: "string" }, question)
    .showHeader(true)
    .cellHeight(TableCellHeight.Sm)
    // The panel's own text is for a table without rows.
    .overrideByRegexp("/.*/", [{ id: "noValue", value: NO_CELL }]);
  for (const [name, column] of Object.entries(columns)) panel.overrideByName(name, properties(column));
  return panel;
}

/**
 * A table with numbers shown as colours, except in the `plain` columns.
 *
 * @param least width of a column in pixels, so that all of them are visible
 * @param last own time range up to now, such as `28d`
 */
export function heat(
  about: About,
  question: Question,
  plain: Readonly<Record<string, Column>>,
  { least, last }: { readonly least: number; readonly last: string },
): Builder<Panel> {
  const panel = asking(new Table(), about, question)
    .timeFrom(last)
    .showHeader(true)
    .cellHeight(TableCellHeight.Sm)
    .minWidth(least)
    .colorScheme(new FieldColorBuilder().mode(FieldColorModeId.ContinuousBlues))
    .min(0)
    .cellOptions({ type: "color-background", mode: "basic" } as Parameters<Table["cellOptions"]>[0])
    .overrideByRegexp("/.*/", [{ id: "noValue", value: "" }]);
  for (const [name, column] of Object.entries(plain)) {
    panel.overrideByName(name, [...properties(column), { id: "custom.cellOptions", value: { type: "auto" } }]);
  }
  return panel;
}

function properties({ unit, width, as, max, link, decimals, colors, name, isHidden }: Column): DynamicConfigValue[] {
  const said: DynamicConfigValue[] = [];
  if (unit !== undefined) said.push({ id: "unit", value: unit });
  if (name !== undefined) said.push({ id: "displayName", value: name });
  // The first is for Grafana before 13.
  if (isHidden) {
    said.push({ id: "custom.hidden", value: true });
    said.push({ id: "custom.hideFrom", value: { viz: true, legend: true, tooltip: true } });
  }
  if (decimals !== undefined) said.push({ id: "decimals", value: decimals });
  if (width !== undefined) said.push({ id: "custom.width", value: width });
  if (max !== undefined) said.push({ id: "min", value: 0 }, { id: "max", value: max });
  if (as === "gauge") {
    if (max === undefined) said.push({ id: "min", value: 0 }, { id: "fieldMinMax", value: true });
    said.push(inColor("blue"), { id: "custom.cellOptions", value: { type: "gauge", mode: "basic" } });
  }
  if (as === "colored") said.push({ id: "custom.cellOptions", value: { type: "color-background", mode: "basic" } });
  if (link !== undefined) said.push({ id: "links", value: [link] });
  if (colors !== undefined) {
    const options = Object.fromEntries(
      Object.entries(colors).map(([value, color], index) => [value, { color, index }]),
    );
    said.push(
      inColor("text"),
      { id: "mappings", value: [{ type: MappingType.ValueToText, options }] },
      { id: "custom.cellOptions", value: { type: "color-text" } },
    );
  }
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
  thresholds(thresholds: Builder<{ mode: ThresholdsMode; steps: Threshold[] }>): this;
}

function asking<P extends Asking>(panel: P, about: About, { to, targets }: Question): P {
  panel
    .title(about.title)
    .description(about.description)
    .unit(about.unit)
    .noValue(about.empty)
    .datasource(reference(to))
    .targets([...targets])
    // Grafana's own are red from 80 on.
    .thresholds(thresholds([[null, "green"]]));
  if (about.decimals !== undefined) panel.decimals(about.decimals);
  if (about.max !== undefined) panel.min(0).max(about.max);
  return panel;
}

function colored(panel: Stat, steps: readonly Step[]): Stat {
  return panel.thresholds(thresholds(steps)).colorScheme(new FieldColorBuilder().mode(FieldColorModeId.Thresholds));
}

function thresholds(steps: readonly Step[]): ThresholdsConfigBuilder {
  return new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute)
    .steps(steps.map(([value, color]): Threshold => ({ value, color })));
}

function inColor(color: string): DynamicConfigValue {
  return { id: "color", value: { mode: "fixed", fixedColor: color } };
}

function fixed(color: string): FieldColorBuilder {
  return new FieldColorBuilder().mode(FieldColorModeId.Fixed).fixedColor(color);
}

function legend(isShown = true): VizLegendOptionsBuilder {
  return new VizLegendOptionsBuilder().displayMode(LegendDisplayMode.List).placement(LegendPlacement.Bottom)
    .showLegend(isShown).calcs([]);
}

function tooltip(): VizTooltipOptionsBuilder {
  return new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi).sort(SortOrder.Descending);
}

function stacked(): StackingConfigBuilder {
  return new StackingConfigBuilder().mode(StackingMode.Normal).group("A");
}
