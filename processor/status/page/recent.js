/**
 * The charts of the last ten minutes.
 * @module
 */
import { Chart } from "./charts.js";
import { byId, clock, duration, make, rate } from "./dom.js";

const KEPT = 600;

/** Each chart: its lines, what its legend says, and what is said when nothing happened. */
const CHARTS = [
  {
    id: "outcome",
    format: rate,
    nothing: "No records",
    lines: [
      { name: "stored", of: "stored", colour: "--accent", fill: "--accent-soft" },
      { name: "duplicates", of: "duplicates", colour: "--attention", hasGaps: true },
      { name: "refused", of: "refused", colour: "--broken", hasGaps: true },
    ],
  },
  {
    id: "commit",
    format: duration,
    isDuration: true,
    nothing: "No commit",
    lines: [{ name: "commit", of: "commitMs", colour: "--accent", fill: "--accent-soft" }],
  },
  {
    id: "latency",
    format: duration,
    isDuration: true,
    nothing: "No commit",
    lines: [{ name: "oldest event", of: "latencyMs", colour: "--accent", fill: "--accent-soft" }],
  },
].map((each) => ({
  ...each,
  chart: new Chart(`${each.id}-chart`, { ...each, time: clock, axes: true, syncs: true, span: KEPT, keys: 10 }),
}));

let points = [];

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
  const times = points.map(({ at }) => at / 1000);
  const latest = points.at(-1);
  for (const { id, chart, lines, format, nothing } of CHARTS) {
    const values = lines.map(({ of }) => points.map((point) => point[of]));
    chart.draw(times, values, { shown: values.map((line, i) => lines[i].hasGaps ? withoutZeros(line) : line) });
    if (latest === undefined) continue;
    chart.say(chart.isIdle ? `${nothing} since ${clock(points[0].at)}.` : null);
    byId(`${id}-legend`).replaceChildren(...lines.map(({ name, of, colour }) => {
      const mark = make("i");
      mark.style.setProperty("--tone", `var(${colour})`);
      return make("span", "", mark, `${name} `, make("b", "", latest[of] === null ? "–" : format(latest[of])));
    }));
  }
}

/** The values without zeros between zeros, which would hide the lines below. */
function withoutZeros(values) {
  const isZero = (value) => value === undefined || value === 0;
  return values.map((value, i) => isZero(values[i - 1]) && isZero(value) && isZero(values[i + 1]) ? null : value);
}
