/**
 * Draws the samples of a soak as an SVG, readable on light and dark pages.
 * @module
 */
import type { Sample } from "./sample.ts";
import { bytesOf } from "./verdict.ts";

const WIDTH = 760;
const PANEL = { left: 64, right: 12, top: 26, height: 64, gap: 14 } as const;
const TITLE = 26;
const AXIS = 34;

/** Most points of a line; of more samples, each point is the median of several. */
const POINTS = 240;

/** A line with its name and its value at each sample; null where it is unknown. */
interface Line {
  readonly name: string;
  readonly of: (sample: Sample) => number | null;
}

interface Panel {
  readonly title: string;
  readonly unit: string;
  readonly lines: readonly Line[];
}

/** Tables that have few rows but change much are drawn together with the large ones. */
const PANELS: readonly Panel[] = [
  {
    title: "Memory of the service",
    unit: "MB",
    lines: [
      { name: "RSS", of: ({ rssMb }) => rssMb },
      { name: "kernel", of: ({ kernelMb }) => kernelMb },
      { name: "JavaScript heap", of: ({ heapMb }) => heapMb },
    ],
  },
  {
    title: "Handles and threads of the service",
    unit: "",
    lines: [{ name: "handles", of: ({ handles }) => handles }, { name: "threads", of: ({ threads }) => threads }],
  },
  {
    title: "Table and indexes per stored row",
    unit: "bytes",
    lines: [
      { name: "raw events", of: perRowOf("events") },
      { name: "sessions", of: perRowOf("sessions") },
      { name: "users by day", of: perRowOf("user_days") },
    ],
  },
  {
    title: "Dead rows of all tables, per live row",
    unit: "%",
    lines: [{ name: "dead rows", of: deadShare }],
  },
  {
    title: "Commits in PostgreSQL, mean of 15 s",
    unit: "ms",
    lines: [{ name: "duration", of: ({ commitMs }) => commitMs?.mean ?? null }],
  },
  {
    title: "Private memory of PostgreSQL's backends",
    unit: "MB",
    lines: [{ name: "memory", of: ({ backendsMb }) => backendsMb }],
  },
];

function perRowOf(table: string): Line["of"] {
  return ({ tables }) => {
    const size = tables[table];
    // In the first minutes, a table has more pages than rows.
    return size === undefined || size.liveRows < 10_000 ? null : bytesOf(size) / size.liveRows;
  };
}

function deadShare({ tables }: Sample): number | null {
  const all = Object.values(tables);
  const live = all.reduce((sum, { liveRows }) => sum + liveRows, 0);
  return live < 10_000 ? null : all.reduce((sum, { deadRows }) => sum + deadRows, 0) / live * 100;
}

const STYLE = `
  svg { font: 12px system-ui, sans-serif; }
  .back { fill: #ffffff; } .text { fill: #24292f; } .dim { fill: #57606a; font-size: 11px; }
  .grid { stroke: #d0d7de; } .judged { fill: #57606a; opacity: 0.08; }
  .line { fill: none; stroke-width: 1.5; }
  .c0 { stroke: #0969da; } .c1 { stroke: #bc4c00; } .c2 { stroke: #1a7f37; }
  .t0 { fill: #0969da; } .t1 { fill: #bc4c00; } .t2 { fill: #1a7f37; }
  @media (prefers-color-scheme: dark) {
    .back { fill: #0d1117; } .text { fill: #e6edf3; } .dim { fill: #9198a1; } .grid { stroke: #30363d; }
    .judged { fill: #9198a1; opacity: 0.14; }
    .c0 { stroke: #58a6ff; } .c1 { stroke: #f0883e; } .c2 { stroke: #3fb950; }
    .t0 { fill: #58a6ff; } .t1 { fill: #f0883e; } .t2 { fill: #3fb950; }
  }`;

/** The samples as the text of an SVG file. The shaded quarters are those that are judged. */
export function plot(samples: readonly Sample[], title: string): string {
  const seconds = samples.at(-1)?.seconds ?? 1;
  const step = PANEL.top + PANEL.height + PANEL.gap;
  const height = TITLE + PANELS.length * step + AXIS;
  const panels = PANELS.map((panel, n) => panelOf(panel, samples, seconds, TITLE + n * step));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${
      escaped(title)
    }">`,
    `<style>${STYLE}\n</style>`,
    `<rect class="back" width="${WIDTH}" height="${height}"/>`,
    `<text class="text" x="${PANEL.left}" y="18" font-weight="600">${escaped(title)}</text>`,
    ...panels,
    ...hours(seconds, TITLE + PANELS.length * step),
    "</svg>",
    "",
  ].join("\n");
}

const xOf = (at: number, seconds: number) => PANEL.left + at / seconds * (WIDTH - PANEL.left - PANEL.right);

function panelOf({ title, unit, lines }: Panel, samples: readonly Sample[], seconds: number, top: number): string {
  const all = lines.map(({ name, of }) => ({ name, points: pointsOf(samples, of) }));
  const most = niceAbove(Math.max(1e-9, ...all.flatMap(({ points }) => points.map(({ value }) => value))));
  const [from, to] = [top + PANEL.top, top + PANEL.top + PANEL.height];
  const y = (value: number) => to - value / most * PANEL.height;
  const shade = [1, 3].map((quarter) => {
    const [x, width] = [xOf(seconds * quarter / 4, seconds), (xOf(seconds, seconds) - PANEL.left) / 4];
    return `<rect class="judged" x="${x.toFixed(1)}" y="${from}" width="${
      width.toFixed(1)
    }" height="${PANEL.height}"/>`;
  });
  const grid = [0, most / 2, most].map((value) =>
    `<path class="grid" d="M${PANEL.left} ${y(value)}H${WIDTH - PANEL.right}"/>` +
    `<text class="dim" text-anchor="end" x="${PANEL.left - 6}" y="${y(value) + 4}">${shown(value)}</text>`
  );
  const paths = all.map(({ points }, n) =>
    `<path class="line c${n}" d="${
      points.map(({ at, value }, i) => `${i === 0 ? "M" : "L"}${xOf(at, seconds).toFixed(1)} ${y(value).toFixed(1)}`)
        .join("")
    }"/>`
  );
  const legend = lines.length === 1
    ? ""
    : all.map(({ name, points }, n) =>
      `<tspan class="t${n}" dx="14">${escaped(name)} ${shown(points.at(-1)?.value ?? 0)}</tspan>`
    ).join("");
  const last = lines.length === 1 ? `: ${shown(all[0]!.points.at(-1)?.value ?? 0)}` : "";
  const heading = `${title}${unit === "" ? "" : `, ${unit}`}${last}`;
  return [
    ...shade,
    ...grid,
    ...paths,
    `<text class="text" x="${PANEL.left}" y="${top + 18}">${escaped(heading)}${legend}</text>`,
  ].join("\n");
}

interface Point {
  readonly at: number;
  readonly value: number;
}

/** The points of a line: a median for each of at most `POINTS` stretches of the time. */
function pointsOf(samples: readonly Sample[], of: Line["of"]): Point[] {
  const size = Math.max(1, Math.ceil(samples.length / POINTS));
  const points: Point[] = [];
  for (let i = 0; i < samples.length; i += size) {
    const values = samples.slice(i, i + size).map(of).filter((value) => value !== null).sort((a, b) => a - b);
    const value = values[values.length >> 1];
    if (value !== undefined) points.push({ at: samples[i]!.seconds, value });
  }
  return points;
}

/** The time axis. */
function hours(seconds: number, top: number): string[] {
  const minutes = seconds / 60;
  const step = [1, 5, 10, 15, 30, 60, 120, 240, 480].find((step) => minutes / step <= 12) ?? 1440;
  const ticks: string[] = [];
  for (let at = 0; at <= minutes; at += step) {
    ticks.push(
      `<text class="dim" text-anchor="middle" x="${xOf(at * 60, seconds).toFixed(1)}" y="${top + 8}">${at}</text>`,
    );
  }
  const middle = (PANEL.left + WIDTH - PANEL.right) / 2;
  return [...ticks, `<text class="dim" text-anchor="middle" x="${middle}" y="${top + 24}">minutes</text>`];
}

/** A round number at or above this one. */
function niceAbove(n: number): number {
  const unit = 10 ** Math.floor(Math.log10(n));
  return [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10].map((factor) => factor * unit).find((round) => round >= n) ?? n;
}

function shown(n: number): string {
  return n.toLocaleString("en", { maximumFractionDigits: n < 10 ? 1 : 0 });
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}
