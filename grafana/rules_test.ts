/**
 * Rules that keep the dashboards honest and readable, each with a fault that it finds.
 */
import assert from "node:assert/strict";
import type { Dashboard, DynamicConfigValue, Panel, RowPanel } from "@grafana/grafana-foundation-sdk/dashboard";
import { EVENT_COLORS } from "./colors.ts";
import { panelsOf, sqlTargetsOf } from "./expand.ts";
import { DASHBOARDS, fileOf } from "./mod.ts";

/** Targets as the rules read them. */
interface Target {
  readonly expr?: string;
  readonly instant?: boolean;
  readonly range?: boolean;
  readonly rawSql?: string;
}

/** A rule: what is wrong with a panel, or null. */
type Rule = (panel: Panel) => string | null;

const targetsOf = ({ targets = [] }: Panel) => targets as unknown as readonly Target[];
const expressionsOf = (panel: Panel) => targetsOf(panel).flatMap(({ expr }) => expr === undefined ? [] : [expr]);
const overridesOf = ({ fieldConfig }: Panel) => fieldConfig?.overrides ?? [];
const propertiesOf = (panel: Panel, name: string) =>
  overridesOf(panel).filter(({ matcher }) => matcher.options === name).flatMap(({ properties }) => properties);
const valueOf = (properties: readonly DynamicConfigValue[], id: string) =>
  properties.find((property) => property.id === id)?.value;
const customOf = ({ fieldConfig }: Panel) => (fieldConfig?.defaults.custom ?? {}) as Record<string, unknown>;

/** Columns that name a thing, even where they consist of digits. */
const ID = /(^| )(id|user|offset|partition|product|topic)$/;

/** Width of the page's content in pixels on a screen of 1440, and of a panel's edges. */
const PAGE_PX = 1408;
const EDGES_PX = 24;

const RULES: Readonly<Record<string, Rule>> = {
  "a state of metrics is the value of now, and red without one": (panel) => {
    if (panel.type !== "stat" || expressionsOf(panel).length === 0) return null;
    const isNow = targetsOf(panel).every(({ instant, range, expr }) =>
      instant === true && !range && / or vector\(NaN\)$/.test(expr!)
    );
    const silent = (panel.fieldConfig?.defaults.mappings ?? []).some((mapping) =>
      mapping.type === "special" && mapping.options.match === "null+nan" && mapping.options.result.color === "red" &&
      mapping.options.result.text
    );
    return isNow && silent ? null : "shows an old value when nobody tells a new one";
  },
  "a table's text for no rows is not in its cells": (panel) => {
    if (panel.type !== "table") return null;
    const cell = valueOf(propertiesOf(panel, "/.*/"), "noValue");
    return typeof cell === "string" && cell.length <= 1 ? null : "fills empty cells with a sentence";
  },
  "only a state turns red": ({ type, fieldConfig }) => {
    const steps = fieldConfig?.defaults.thresholds?.steps ?? [];
    if (steps.length === 0) return "has Grafana's thresholds, which are red from 80 on";
    return type === "stat" || steps.every(({ color }) => color !== "red") ? null : "turns red";
  },
  "ids are texts": (panel) => {
    if (panel.type !== "table") return null;
    const unitOf = (name: string) => valueOf(propertiesOf(panel, name), "unit") ?? panel.fieldConfig?.defaults.unit;
    const sql = sqlTargetsOf(panel).map(({ rawSql }) => rawSql).join();
    const columns = [...sql.matchAll(/\bas "?([a-z ]+)"?|[\s,]"?(id|topic|partition|offset|cohort)"?\s*(?=,|\n)/g)];
    const wrong = columns.map(([, name, bare]) => (name ?? bare)!.trim()).filter((name) =>
      (ID.test(name) || name === "cohort") && unitOf(name) !== "string"
    );
    return wrong.length === 0 ? null : `writes ${wrong.join()} as an amount`;
  },
  "a gauge is full at a maximum of its own, in one colour": (panel) => {
    const wrong = overridesOf(panel).filter(({ properties }) => {
      if (valueOf(properties, "custom.cellOptions")?.type !== "gauge") return false;
      const isScaled = valueOf(properties, "max") !== undefined || valueOf(properties, "fieldMinMax") === true;
      return !isScaled || valueOf(properties, "min") !== 0 || valueOf(properties, "color")?.mode !== "fixed";
    });
    return wrong.length === 0 ? null : `the bars of ${wrong[0]!.matcher.options} have another column's scale`;
  },
  "an event type has one colour everywhere": (panel) => {
    if (!targetsOf(panel).some(({ rawSql = "" }) => /event_type as metric/.test(rawSql))) return null;
    const wrong = Object.entries(EVENT_COLORS).filter(([type, color]) =>
      valueOf(propertiesOf(panel, type), "color")?.fixedColor !== color
    );
    return wrong.length === 0 ? null : `has no fixed colour of ${wrong[0]![0]}`;
  },
  "a latency is on a logarithmic scale": (panel) => {
    if (!expressionsOf(panel).some((expr) => expr.includes("histogram_quantile"))) return null;
    const scale = customOf(panel)["scaleDistribution"] as { type?: string } | undefined;
    return scale?.type === "log" && panel.fieldConfig?.defaults.min === undefined ? null : "flattens short latencies";
  },
  "conversions are counted by the hour": (panel) =>
    targetsOf(panel).some(({ rawSql = "" }) => /clickstream\.conversions\(/.test(rawSql)) && panel.interval !== "1h"
      ? "counts the conversions of a minute"
      : null,
  "cohorts and weekdays are of 28 days": (panel) =>
    targetsOf(panel).some(({ rawSql = "" }) => /clickstream\.(retention|activity_heatmap)\(/.test(rawSql)) &&
      panel.timeFrom !== "28d"
      ? "follows the dashboard's time range"
      : null,
  "every column of colours is visible at 1440 pixels": (panel) => {
    if (customOf(panel)["cellOptions"] === undefined) return null;
    const columns = sqlTargetsOf(panel)[0]!.rawSql.match(/ as "[^"]+"/g)!.length;
    const least = customOf(panel)["minWidth"] as number | undefined ?? 150;
    const there = PAGE_PX * panel.gridPos!.w / 24 - EDGES_PX;
    return 200 + columns * least <= there ? null : `needs more than ${there} pixels`;
  },
  "a scale of colours is that of its columns": (panel) => {
    if (customOf(panel)["cellOptions"] === undefined) return null;
    const { min, max, unit } = panel.fieldConfig!.defaults;
    const hasCounts = unit === "percentunit" &&
      overridesOf(panel).some(({ properties }) => valueOf(properties, "unit") === "locale");
    return min === 0 && (!hasCounts || max !== undefined) ? null : "shares its scale with counts";
  },
  "a limit is not drawn beside what it limits": (panel) =>
    panel.type === "timeseries" && expressionsOf(panel).some((expr) => /pg_settings_max_connections/.test(expr))
      ? "is flattened by a limit"
      : null,
  "lying bars are of one number each": (panel) =>
    panel.type === "bargauge" && /^\/\^\w+\$\/$/.test(panel.options.reduceOptions.fields) === false
      ? "names its bars after their column"
      : null,
  "a number against last week is a series from then on": (panel) => {
    if (panel.options?.showPercentChange !== true) return null;
    const [target] = sqlTargetsOf(panel);
    return target?.format === "time_series" && /generate_series\(7, 0/.test(target.rawSql)
      ? null
      : "has no week before";
  },
};

function broken(dashboard: Dashboard): string[] {
  return panelsOf(dashboard).flatMap((panel) =>
    Object.values(RULES).flatMap((rule) => {
      const what = rule(panel);
      return what === null ? [] : [`${panel.title}: ${what}`];
    })
  );
}

function copies(): Record<"analytics" | "behavior" | "system", Dashboard> {
  const read = (name: string) => JSON.parse(fileOf(DASHBOARDS[`${name}.json`]!)) as Dashboard;
  return { analytics: read("analytics"), behavior: read("behavior"), system: read("system") };
}

Deno.test("no panel breaks a rule", () => {
  for (const dashboard of Object.values(copies())) assert.deepEqual(broken(dashboard), []);
});

Deno.test("each rule finds its fault", () => {
  type Loose = { [key: string]: Loose } & { [n: number]: Loose };
  const loose = (panel: Panel) => panel as unknown as Loose;
  const without = (panel: Panel, id: string) => {
    for (const { properties } of overridesOf(panel)) {
      properties.splice(0, properties.length, ...properties.filter((property) => property.id !== id));
    }
  };
  const faults: Readonly<Record<keyof typeof RULES, readonly [title: string, fault: (panel: Panel) => void]>> = {
    "a state of metrics is the value of now, and red without one": [
      "Lag",
      (panel) => Object.assign(panel.targets![0]!, { instant: false, range: true }),
    ],
    "a table's text for no rows is not in its cells": ["Refusals by reason", (panel) => without(panel, "noValue")],
    "only a state turns red": ["Active users over time", (panel) => delete panel.fieldConfig!.defaults.thresholds],
    "ids are texts": ["Top users", (panel) => panel.fieldConfig!.defaults.unit = "short"],
    "a gauge is full at a maximum of its own, in one colour": ["Top pages", (panel) => without(panel, "fieldMinMax")],
    "an event type has one colour everywhere": ["Event rate by type", (panel) => without(panel, "color")],
    "a latency is on a logarithmic scale": [
      "Commit time",
      (panel) => delete loose(panel)["fieldConfig"]!["defaults"]!["custom"]!["scaleDistribution"],
    ],
    "conversions are counted by the hour": [
      "Conversion rate and revenue over time",
      (panel) => panel.interval = "1m",
    ],
    "cohorts and weekdays are of 28 days": ["Retention by cohort", (panel) => delete panel.timeFrom],
    "every column of colours is visible at 1440 pixels": [
      "Events by weekday and hour",
      (panel) => delete loose(panel)["fieldConfig"]!["defaults"]!["custom"]!["minWidth"],
    ],
    "a scale of colours is that of its columns": [
      "Retention by cohort",
      (panel) => delete panel.fieldConfig!.defaults.max,
    ],
    "a limit is not drawn beside what it limits": [
      "Connections",
      (panel) => Object.assign(panel.targets![0]!, { expr: "min(pg_settings_max_connections)" }),
    ],
    "lying bars are of one number each": ["Devices", (panel) => panel.options.reduceOptions.fields = ""],
    "a number against last week is a series from then on": [
      "Revenue",
      (panel) => Object.assign(panel.targets![0]!, { format: "table" }),
    ],
  };
  assert.deepEqual(Object.keys(faults), Object.keys(RULES));
  for (const [rule, [title, fault]] of Object.entries(faults)) {
    const panel = Object.values(copies()).flatMap(panelsOf).find((panel) => panel.title === title)!;
    assert.equal(RULES[rule]!(panel), null, rule);
    fault(panel);
    assert.notEqual(RULES[rule]!(panel), null, rule);
  }
});

Deno.test("each rule is tried on a panel", () => {
  const { analytics, behavior, system } = copies();
  const all = [analytics, behavior, system].flatMap(panelsOf);
  const changes = all.filter(({ options }) => options?.showPercentChange === true).map(({ title }) => title);
  assert.deepEqual(changes, ["Sessions", "Conversion rate", "Revenue", "Bounce rate"]);
  const states = all.filter((panel) => panel.type === "stat" && expressionsOf(panel).length > 0);
  assert.ok(states.length >= 6);
});

Deno.test("the first dashboard begins with what happens now, and is refreshed every ten seconds", () => {
  const { analytics } = copies();
  const seconds = Number(/^(\d+)s$/.exec(analytics.refresh ?? "")?.[1]);
  assert.ok(seconds >= 5 && seconds <= 10, `refreshed every ${analytics.refresh}`);
  const [row] = analytics.panels as RowPanel[];
  assert.equal(row!.title, "Live");
  const latest = panelsOf(analytics).find(({ title }) => title === "Latest events")!;
  // Both its edges are on the first screen: a line of the grid is 38 pixels high.
  assert.ok((latest.gridPos!.y + latest.gridPos!.h) * 38 <= 800);
});

Deno.test("operators see alerts and the latest events before any graph", () => {
  const titles = panelsOf(copies().system).map(({ type, title }) => type === "timeseries" ? null : title);
  const before = titles.slice(0, titles.indexOf(null));
  for (const title of ["Ready", "Alerts", "Recent events"]) assert.ok(before.includes(title), title);
});
