/** Upright bars. Grafana's panel for them is in no package, so this is a likeness of it in Grafana's colours. */
import { type Field, FieldType, getDisplayProcessor, getFieldDisplayName, getFieldSeriesColor } from "@grafana/data";
import { useTheme2, VizLegend } from "@grafana/ui";
import { LegendDisplayMode } from "@grafana/schema";
import type { Content } from "./panels.tsx";

const LEFT = 56;
const BOTTOM = 28;
const TOP = 20;
const LEGEND = 30;

/** A round number that is not less. */
function ceiling(most: number): number {
  const unit = 10 ** Math.floor(Math.log10(Math.max(most, 1)));
  return [1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8, 10].map((factor) => factor * unit).find((value) => value >= most) ?? most;
}

/** A panel of upright bars. */
export function Bars({ panel, frames, width, height }: Content) {
  const theme = useTheme2();
  const [frame] = frames;
  const labels = frame!.fields.find(({ name }) => name === panel.options["xField"]);
  if (labels === undefined) throw new RangeError(`there is no column ${panel.options["xField"]}`);
  const series = frame!.fields.filter(({ type }) => type === FieldType.number);
  const isStacked = panel.options["stacking"] === "normal";
  const hasLegend = (panel.options["legend"] as { showLegend: boolean }).showLegend &&
    series.length > 1;
  const inner = {
    width: width - LEFT,
    height: height - BOTTOM - TOP - (hasLegend ? LEGEND : 0),
  };
  const sums = labels.values.map((_: unknown, row: number) => series.map(({ values }) => values[row] as number));
  const most = ceiling(
    Math.max(
      ...sums.map((all: number[]) => isStacked ? all.reduce((sum, one) => sum + one, 0) : Math.max(...all)),
    ),
  );
  const step = inner.width / labels.values.length;
  const y = (value: number) => TOP + inner.height * (1 - value / most);
  const colorOf = (field: Field) => getFieldSeriesColor(field, theme).color;
  const textOf = (field: Field, value: number) => {
    const { text, suffix = "" } = (field.display ?? getDisplayProcessor({ field, theme }))(value);
    return `${text}${suffix}`;
  };
  const every = Math.ceil(labels.values.length * 78 / inner.width);
  const barWidth = step * 0.8 / (isStacked ? 1 : series.length);
  return (
    <>
      <svg
        width={width}
        height={height - (hasLegend ? LEGEND : 0)}
        fontSize={12}
        fontFamily={theme.typography.fontFamily}
      >
        {[0, 0.25, 0.5, 0.75, 1].map((part) => (
          <g key={part}>
            <line
              x1={LEFT}
              x2={width}
              y1={y(part * most)}
              y2={y(part * most)}
              stroke={theme.colors.border.weak}
            />
            <text
              x={LEFT - 8}
              y={y(part * most) + 4}
              textAnchor="end"
              fill={theme.colors.text.primary}
            >
              {textOf(series[0]!, part * most)}
            </text>
          </g>
        ))}
        {labels.values.map((label: string, row: number) => {
          let below = 0;
          return (
            <g key={label}>
              {series.map((field, n) => {
                const value = field.values[row] as number;
                const x = LEFT + row * step + step * 0.1 +
                  (isStacked ? 0 : n * barWidth);
                const top = y(below + value);
                const bar = (
                  <rect
                    key={field.name}
                    x={x}
                    y={top}
                    width={barWidth}
                    height={y(below) - top}
                    fill={colorOf(field)}
                    fillOpacity={0.8}
                  />
                );
                if (isStacked) below += value;
                const hasValue = panel.options["showValue"] !== "never" &&
                  barWidth > 30;
                return hasValue
                  ? (
                    <g key={field.name}>
                      {bar}
                      <text
                        x={x + barWidth / 2}
                        y={top - 5}
                        textAnchor="middle"
                        fill={theme.colors.text.primary}
                      >
                        {textOf(field, value)}
                      </text>
                    </g>
                  )
                  : bar;
              })}
              {row % every === 0 && (
                <text
                  x={LEFT + (row + 0.5) * step}
                  y={height - (hasLegend ? LEGEND : 0) - 8}
                  textAnchor="middle"
                  fill={theme.colors.text.primary}
                >
                  {label}
                </text>
              )}
            </g>
          );
        })}
      </svg>
      {hasLegend && (
        <VizLegend
          displayMode={LegendDisplayMode.List}
          placement="bottom"
          items={series.map((field) => ({
            label: getFieldDisplayName(field, frame),
            color: colorOf(field),
            yAxis: 1,
          }))}
        />
      )}
    </>
  );
}
