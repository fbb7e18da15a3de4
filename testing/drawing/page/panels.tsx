/** Panels, drawn by the components that Grafana draws them with. */
import {
  type DataFrame,
  dateTime,
  type FieldDisplay,
  FieldType,
  getDisplayValueAlignmentFactors,
  getFieldDisplayValues,
  renderTextPanelMarkdown,
  VizOrientation,
} from "@grafana/data";
import {
  BarGauge,
  BigValue,
  type BigValueColorMode,
  type BigValueGraphMode,
  BigValueJustifyMode,
  BigValueTextMode,
  TimeSeries,
  useTheme2,
  VizRepeater,
} from "@grafana/ui";
import { TableNG } from "@grafana/ui/unstable";
import { Component, type ReactNode } from "react";
import type { Answer } from "../answer.ts";
import { Bars } from "./bars.tsx";
import { framesOf, type Panel } from "./frames.ts";

/** Place for a panel's content. */
interface Size {
  readonly width: number;
  readonly height: number;
}

/** Props of each kind. */
export interface Content extends Size {
  readonly panel: Panel;
  readonly answer: Answer;
  readonly frames: DataFrame[];
}

/** Keeps the fault of one panel from all others. */
class Guard extends Component<{ readonly children: ReactNode }, { readonly fault: string | null }> {
  override state = { fault: null };

  static getDerivedStateFromError(error: Error) {
    return { fault: error.message };
  }

  override render() {
    return this.state.fault === null ? this.props.children : <div data-broken>{this.state.fault}</div>;
  }
}

/** A panel's content, or its text for no data. */
export function PanelContent(props: Omit<Content, "frames">) {
  return (
    <Guard>
      <Drawn {...props} />
    </Guard>
  );
}

function Drawn({ panel, answer, width, height }: Omit<Content, "frames">) {
  const theme = useTheme2();
  if (panel.type === "text") return <Prose panel={panel} width={width} height={height} />;
  const frames = framesOf(panel, answer, theme).filter(({ length }) => length > 0);
  if (frames.length === 0) {
    return <Nothing panel={panel} width={width} height={height} />;
  }
  const Kind = KINDS[panel.type];
  if (Kind === undefined) throw new RangeError(`a panel of type ${panel.type} cannot be drawn`);
  if (panel.transformations !== undefined) throw new RangeError("transformations cannot be drawn");
  return (
    <div data-content style={{ width, height }}>
      <Kind panel={panel} answer={answer} frames={frames} width={width} height={height} />
    </div>
  );
}

function Prose({ panel, width, height }: Size & { readonly panel: Panel }) {
  const __html = renderTextPanelMarkdown(String(panel.options["content"]));
  return (
    <div
      data-content
      className="markdown-html"
      style={{ width, height, overflow: "auto" }}
      dangerouslySetInnerHTML={{ __html }}
    />
  );
}

function Nothing({ panel, width, height }: Size & { readonly panel: Panel }) {
  const style = {
    width,
    height,
    display: "flex",
    alignItems: "center",
    justifyContent: "center",
    fontSize: 16,
  };
  return (
    <div data-nothing style={{ ...style, textAlign: "center" }}>
      {panel.fieldConfig.defaults.noValue}
    </div>
  );
}

const KINDS: Readonly<Record<string, (props: Content) => React.JSX.Element>> = {
  stat: Stat,
  timeseries: Graph,
  table: Rows,
  bargauge: Ranking,
  barchart: (props) => <Bars {...props} />,
};

function Stat({ panel, frames, width, height }: Content) {
  const theme = useTheme2();
  const { options } = panel;
  const values = useValues(panel, frames, true);
  return (
    <BigValue
      value={values[0]!.display}
      sparkline={values[0]!.sparkline}
      colorMode={options["colorMode"] as BigValueColorMode}
      graphMode={options["graphMode"] as BigValueGraphMode}
      justifyMode={BigValueJustifyMode.Auto}
      textMode={BigValueTextMode.Value}
      alignmentFactors={getDisplayValueAlignmentFactors(values)}
      percentChangeColorMode={options["percentChangeColorMode"] as never}
      width={width}
      height={height}
      theme={theme}
    />
  );
}

function useValues(
  panel: Panel,
  data: DataFrame[],
  sparkline: boolean,
): FieldDisplay[] {
  const theme = useTheme2();
  return getFieldDisplayValues({
    data,
    reduceOptions: panel.options["reduceOptions"] as never,
    fieldConfig: panel.fieldConfig,
    replaceVariables: (text) => text,
    sparkline: sparkline && panel.options["graphMode"] !== "none",
    percentChange: panel.options["showPercentChange"] === true,
    theme,
    timeZone: "utc",
  });
}

function Ranking({ panel, frames, width, height }: Content) {
  const theme = useTheme2();
  const values = useValues(panel, frames, false);
  return (
    <VizRepeater
      source={frames}
      getAlignmentFactors={(all: FieldDisplay[]) => getDisplayValueAlignmentFactors(all)}
      getValues={() => values}
      renderValue={({ value, alignmentFactors, ...size }) => (
        <BarGauge
          value={value.display}
          field={value.field}
          display={value.view?.getFieldDisplayProcessor(value.colIndex ?? 0)}
          orientation={VizOrientation.Horizontal}
          displayMode={panel.options["displayMode"] as never}
          showUnfilled={panel.options["showUnfilled"] as boolean}
          alignmentFactors={alignmentFactors}
          itemSpacing={8}
          text={panel.options["text"] as never}
          theme={theme}
          width={size.width}
          height={size.height}
        />
      )}
      renderCounter={0}
      orientation={VizOrientation.Horizontal}
      width={width}
      height={height}
      itemSpacing={8}
      minVizHeight={16}
      maxVizHeight={300}
    />
  );
}

function Graph({ panel, answer, frames, width, height }: Content) {
  const [from, to] = [dateTime(answer.fromMs), dateTime(answer.toMs)];
  for (const frame of frames) {
    for (
      const field of frame.fields.filter(({ type }) => type === FieldType.number)
    ) {
      // Grafana's panel does the same: a graph that begins with NaN would be empty.
      field.values = field.values.map((value: number | null) => Number.isFinite(value) ? value : null);
      field.config.custom = {
        drawStyle: "line",
        lineInterpolation: "linear",
        pointSize: 5,
        ...field.config.custom,
      };
      if (field.config.custom.stacking?.mode === "normal") {
        field.config.custom.stacking.group ??= "A";
      }
    }
  }
  return (
    <TimeSeries
      frames={frames}
      structureRev={1}
      timeRange={{ from, to, raw: { from, to } }}
      timeZone="utc"
      legend={panel.options["legend"] as never}
      width={width}
      height={height}
    />
  );
}

function Rows({ panel, frames, width, height }: Content) {
  return (
    <TableNG
      data={frames[0]!}
      width={width}
      height={height}
      cellHeight={panel.options["cellHeight"] as never}
      noHeader={panel.options["showHeader"] === false}
      fieldConfig={panel.fieldConfig}
      enableVirtualization={false}
      structureRev={1}
    />
  );
}
