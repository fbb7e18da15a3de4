/**
 * What an analyst would dislike in a drawn dashboard. How numbers must look is said here again, not read from the
 * dashboards, so that a wrong unit is noticed.
 * @module
 */
import type { Dashboard, Panel } from "@grafana/grafana-foundation-sdk/dashboard";
import { openPanelsOf } from "../../grafana/expand.ts";
import type { Answer, SeenColumn, SeenPanel } from "./answer.ts";
import type { Drawn } from "./draw.ts";

/** Panels that may have nothing to show of a healthy shop on one machine. */
const MAY_BE_EMPTY = ["Alerts", "Replication", "Oldest transaction"];

/** Columns of free text, which is shown whole on a click. */
const MAY_BE_CUT = ["detail", "page", "entry page", "payload", "description", "filter", "measures"];

/** Fewest coloured pixels of a graph. Edges of letters have some, too. */
const LEAST_PIXELS = 100;

/** Times under the end of a graph, which Grafana's axis cuts. */
const CLOCK = /^(\d\d\/\d\d )?\d\d:\d\d(:\d\d)?$/;

const COUNT = /^\d{1,3}(,\d{3})*$/;
const SHORT = /^\d+(\.\d+)?( [KM])?$/;
const PERCENT = /^-?[\d.]+%$/;
const DATE = /^(\d{4}-)?\d\d-\d\d \d\d:\d\d:\d\d$/;
const BYTES = /^[\d.]+ ([KMG]i)?B$/;
const DURATION = /^[\d.]+ (ns|µs|ms|s|mins?|hours?|days?|weeks?)$/;

/** How the cells of columns look, by their headings. */
const CELLS: readonly (readonly [headings: RegExp, cells: RegExp])[] = [
  [/( rate|^share of |^change|^dead|^day \d+)$/, PERCENT],
  [/^(id|partition|.*offset)$/, /^\d+$/],
  [/^user$/, /^(u-[0-9a-f]{8}|\d{9})$/],
  [/^(time|watermark|last .+|.+ at)$/, DATE],
  [/^(today|a week before)$/, /^\d{1,3}(,\d{3})*(\.\d)?$/],
  [/^size$/, BYTES],
  [/^(\d\d)$/, SHORT],
  [
    /^((events|sessions) of bots|events|sessions|purchases|users|views|entries|exits|to the (cart|purchase)|rows|dead rows)$/,
    COUNT,
  ],
  [/^(refusals|replayed|consumed|stored|duplicates|refused|skipped|gaps|unaccounted)$/, COUNT],
];

/** How the number of a panel looks, or what is written on the value axes of a graph. */
const LOOKS: readonly (readonly [titles: RegExp, look: RegExp])[] = [
  [/^Events per second$/, /^\d+\.\d evt\/s$/],
  [
    /^(Event rate by type|Today and one week ago|Records by outcome|Refusals by reason over time|Late events)$/,
    /evt\/s$/,
  ],
  [/^(Active users \(5 min\)|Sessions|Revenue|Lag|Unaccounted records)$/, COUNT],
  [/^(Conversion rate|Bounce rate|Cart abandonment|Refused|Connections used)$/, PERCENT],
  [/^(Share of bots|Duplicates|CPU usage|Memory usage|Disk usage)$/, PERCENT],
  [/^Conversion rate and revenue over time$/, /^([\d.]+%|[\d,.]+)$/],
  [/^(Watermark delay|Time since last commit|Oldest transaction|Lateness|End-to-end latency|Commit time)/, DURATION],
  [/^(Events by type, last hour|Active users over time|Lag by partition|Connections)$/, SHORT],
  [/^(Restarts and retries|Under-replicated and offline partitions)$/, /^\d+$/],
  [/^Rows written by table$/, /rows\/s$/],
  [/^Records into the broker$/, /msg\/s$/],
  [/^(Bytes read from Kafka|Bytes in and out of the broker)$/, /B\/s$/],
  [/^(Processor memory|Database size)$/, BYTES],
  [/^Ready$/, /^Ready$/],
  // Declared views.
  [/^(campaign_visits|cart_products|busy_hours|region_days)$/, SHORT],
];

/** Names of a table's columns, as its fields and overrides say. */
function headingsOf({ fieldConfig }: Panel, answer: Answer): string[] {
  const properties = (name: string) =>
    (fieldConfig?.overrides ?? []).filter(({ matcher }) => matcher.options === name).flatMap(({ properties }) =>
      properties
    );
  const valueOf = (name: string, id: string) => properties(name).find((property) => property.id === id)?.value;
  return answer.frames.flatMap(({ fields }) => fields)
    .filter(({ name }) => valueOf(name, "custom.hidden") !== true)
    .map(({ name }) => String(valueOf(name, "displayName") ?? name));
}

function dislikedCells({ heading, cells }: SeenColumn): string[] {
  const [, look] = CELLS.find(([headings]) => headings.test(heading)) ?? [];
  const written = cells.filter((cell) => cell !== "" && cell !== "–");
  return [
    ...look === undefined ? [] : written.filter((cell) => !look.test(cell)).map((cell) => `${heading} is ${cell}`),
    ...cells.filter((cell) => /^(No|Nothing) /.test(cell)).map((cell) => `a sentence in a cell: ${cell}`),
  ];
}

/** The value of a panel with one number, or the labels of a graph's value axes. */
function writtenIn(panel: Panel, { text, labels }: SeenPanel): readonly string[] {
  if (panel.type === "stat") return text.split("\n").slice(1, 2);
  return panel.type === "timeseries" ? labels.filter((label) => !CLOCK.test(label)) : [];
}

function dislikedIn(panel: Panel, seen: SeenPanel, answer: Answer): string[] {
  if (seen.fault !== null) return [seen.fault];
  const { noValue } = panel.fieldConfig?.defaults ?? {};
  const isEmpty = seen.isEmpty || (noValue !== undefined && seen.text.split("\n").includes(noValue));
  if (isEmpty) return MAY_BE_EMPTY.includes(panel.title!) ? [] : ["is empty"];
  const free = seen.columns.filter(({ heading }) => MAY_BE_CUT.includes(heading)).flatMap(({ cells }) => cells);
  const [, look] = LOOKS.find(([titles]) => titles.test(panel.title!)) ?? [];
  const written = writtenIn(panel, seen);
  const headings = seen.columns.map(({ heading }) => heading);
  return [
    ...seen.marks < (panel.type === "timeseries" ? LEAST_PIXELS : 1) && !MAY_BE_EMPTY.includes(panel.title!)
      ? ["draws nothing"]
      : [],
    ...seen.cut.filter((text) => !free.includes(text.trim()) && !CLOCK.test(text)).map((text) => `cut: ${text}`),
    ...panel.type === "table" && headings.join() !== headingsOf(panel, answer).join()
      ? [`columns are ${headings}`]
      : [],
    ...seen.columns.flatMap(dislikedCells),
    ...["stat", "timeseries"].includes(panel.type) && look === undefined
      ? ["testing/drawing/dislikes.ts does not say how its numbers look"]
      : [],
    ...look === undefined ? [] : written.filter((text) => !look.test(text)).map((text) => `says ${text}`),
  ];
}

/** Describes what is wrong with a drawn dashboard, each after its panel's title. */
export function dislikes(
  { panels, wrong }: Drawn,
  dashboard: Dashboard,
  answers: Readonly<Record<number, Answer>>,
): string[] {
  const ofPanels = openPanelsOf(dashboard).flatMap((panel) => {
    const seen = panels.find(({ title }) => title === panel.title);
    const disliked = seen === undefined ? ["is missing"] : dislikedIn(panel, seen, answers[panel.id!]!);
    return disliked.map((what) => `${panel.title}: ${what}`);
  });
  return [...wrong, ...ofPanels];
}
