/** Frames, and how Grafana writes their values. */
import {
  applyFieldOverrides,
  cacheFieldDisplayNames,
  type DataFrame,
  FieldConfigOptionsRegistry,
  type FieldConfigSource,
  FieldType,
  type GrafanaTheme2,
  toDataFrame,
} from "@grafana/data";
import type { Answer } from "../answer.ts";

/** A panel of a dashboard, as the page reads it. */
export interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly timeFrom?: string;
  readonly collapsed?: boolean;
  readonly gridPos: {
    readonly x: number;
    readonly y: number;
    readonly w: number;
    readonly h: number;
  };
  readonly options: Readonly<Record<string, unknown>>;
  readonly transformations?: unknown;
  readonly fieldConfig: FieldConfigSource;
}

const TYPES = {
  time: FieldType.time,
  number: FieldType.number,
  string: FieldType.string,
};

/** The options that the panel's JSON has, each copied as it is. */
function registryOf(config: FieldConfigSource): FieldConfigOptionsRegistry {
  const custom = Object.keys(config.defaults.custom ?? {}).map((path) => `custom.${path}`);
  const own = Object.keys(config.defaults).filter((path) => path !== "custom");
  const overridden = config.overrides.flatMap(({ properties }) => properties.map(({ id }) => id));
  const ids = new Set([...own, ...custom, ...overridden]);
  return new FieldConfigOptionsRegistry(() =>
    [...ids].map((id) => ({
      id,
      path: id.replace(/^custom\./, ""),
      isCustom: id.startsWith("custom."),
      name: id,
      editor: () => null,
      override: () => null,
      process: (value: unknown) => value,
      shouldApply: () => true,
    })) as never
  );
}

/** The frames of an answer, with the panel's field options applied by Grafana's own code. */
export function framesOf(
  panel: Panel,
  answer: Answer,
  theme: GrafanaTheme2,
): DataFrame[] {
  const data = answer.frames.map(({ refId, fields }) =>
    toDataFrame({
      refId,
      fields: fields.map(({ name, type, values, legend }) => ({
        name,
        type: TYPES[type],
        values: type === "number" ? values.map((value) => value === "NaN" ? NaN : value) : values,
        config: legend === undefined ? {} : { displayNameFromDS: legend },
      })),
    })
  );
  const config = structuredClone(panel.fieldConfig);
  // Grafana reads a threshold without a value as the lowest.
  for (const step of config.defaults.thresholds?.steps ?? []) {
    step.value ??= -Infinity;
  }
  const frames = applyFieldOverrides({
    data,
    fieldConfig: config,
    fieldConfigRegistry: registryOf(config),
    replaceVariables: (text) => text,
    theme,
    timeZone: "utc",
  });
  // As Grafana's table does before it is drawn.
  cacheFieldDisplayNames(frames);
  return frames;
}
