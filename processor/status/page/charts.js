/**
 * Charts of the last ten minutes, and their values as text.
 * @module
 */
import { byId, duration, make, plain, rate, whole } from "./dom.js";

const KEPT = 600;

/** A colour of the style sheet, as a value for the canvas. */
function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

const CHARTS = [
  {
    id: "outcome",
    format: rate,
    lines: [
      { name: "stored", of: "stored", colour: "--accent", fill: "--accent-soft" },
      { name: "duplicates", of: "duplicates", colour: "--attention" },
      { name: "refused", of: "refused", colour: "--broken" },
    ],
  },
  {
    id: "commit",
    format: duration,
    lines: [{ name: "commit", of: "commitMs", colour: "--accent", fill: "--accent-soft" }],
  },
  {
    id: "latency",
    format: duration,
    lines: [{ name: "oldest event", of: "latencyMs", colour: "--accent", fill: "--accent-soft" }],
  },
];

let points = [];
let active = [];
const plots = new Map();

/** Sets all points; later ones are added one by one. */
export function setHistory(all) {
  points = all.slice(-KEPT);
  draw();
}

/** Adds the point of one second. */
export function addPoint(point) {
  points.push(point);
  points = points.slice(-KEPT);
  draw();
}

function draw() {
  for (const chart of CHARTS) {
    const data = [points.map(({ at }) => at / 1000), ...chart.lines.map(({ of }) => points.map((point) => point[of]))];
    plotOf(`${chart.id}-chart`, () => optionsOf(chart), data);
    const latest = points.at(-1);
    if (latest === undefined) continue;
    byId(`${chart.id}-legend`).replaceChildren(...chart.lines.map(({ name, of, colour }) => {
      const mark = make("i");
      mark.style.setProperty("--tone", `var(${colour})`);
      return make("span", "", mark, `${name} `, make("b", "", latest[of] === null ? "–" : chart.format(latest[of])));
    }));
  }
}

/** Draws active users over the last hour, without axes. */
export function drawActive(series) {
  active = series;
  const line = { colour: "--accent", fill: "--accent-soft" };
  const options = () => ({
    ...shared(),
    axes: [{ show: false }, { show: false }],
    padding: [4, 0, 2, 0],
    series: [{}, strokeOf(line)],
  });
  plotOf("active-chart", options, [series.map(([end]) => end / 1000), series.map(([, users]) => users)]);
  const users = series.map(([, count]) => count);
  byId("active-chart").ariaLabel = users.length === 0
    ? "Active users over the last hour: none"
    : plain(`Active users over the last hour: ${whole(Math.min(...users))} to ${whole(Math.max(...users))}`);
}

/** Draws a chart; creates it if its element is visible and it does not exist yet. */
function plotOf(id, options, data) {
  const place = byId(id);
  const { width, height } = place.getBoundingClientRect();
  if (width === 0) return;
  let plot = plots.get(id);
  if (plot === undefined) {
    plot = new globalThis.uPlot({ ...options(), width, height }, data, place);
    plots.set(id, plot);
  } else {
    plot.setData(data);
  }
}

function shared() {
  return {
    legend: { show: false },
    cursor: { show: false },
    scales: { x: { time: true }, y: { range: (_, __, largest) => [0, Math.max(largest * 1.15, 1e-9)] } },
  };
}

function strokeOf(line) {
  return {
    stroke: colour(line.colour),
    width: 2,
    spanGaps: true,
    points: { show: false },
    ...(line.fill === undefined ? {} : { fill: colour(line.fill) }),
  };
}

function optionsOf({ lines, format }) {
  const axis = {
    stroke: colour("--soft"),
    font: "12px Inter, system-ui, sans-serif",
    grid: { stroke: colour("--line"), width: 1 },
    ticks: { show: false },
  };
  const time = (_, values) => values.map((s) => new Date(s * 1000).toTimeString().slice(0, 5));
  return {
    ...shared(),
    padding: [8, 8, 0, 0],
    axes: [
      { ...axis, grid: { show: false }, space: 60, values: time, incrs: [60, 120, 300] },
      { ...axis, size: 62, space: 36, values: (_, values) => values.map((value) => value === 0 ? "0" : format(value)) },
    ],
    series: [{}, ...lines.map(strokeOf)],
  };
}

/** Recreates every chart after a change of width or colours. */
function again() {
  const hadActive = plots.has("active-chart");
  for (const plot of plots.values()) plot.destroy();
  plots.clear();
  draw();
  if (hadActive) drawActive(active);
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
let width = innerWidth;
addEventListener("resize", () => {
  if (innerWidth === width) return;
  width = innerWidth;
  again();
});
