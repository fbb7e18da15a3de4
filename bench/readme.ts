/**
 * `deno task bench:readme`: writes the figures of the README from the report of the last release.
 * @module
 */
import { fileURLToPath } from "node:url";
import { withCommas } from "../processor/status/text.ts";
import { run } from "../testing/servers/child.ts";
import {
  AGAINST,
  type FigureName,
  FIGURES,
  noise,
  PEERS_CASE,
  type Report,
  type Row,
  shown,
  spreadIn,
  THIS,
} from "./figures.ts";

/** The report of the last release. */
export const BASELINE = new URL("baseline.json", import.meta.url);

const README = new URL("../README.md", import.meta.url);

/** Lines of the README between which the figures are. */
const BEGIN = "<!-- begin of the figures of bench/baseline.json -->";
const END = "<!-- end of the figures of bench/baseline.json -->";

/** The figures that a README shows. */
export function figuresIn(readme: string): string {
  const [from, to] = [readme.indexOf(BEGIN), readme.indexOf(END)];
  if (from < 0 || to < from) throw new Error(`the README must have the lines ${BEGIN} and ${END}`);
  return readme.slice(from + BEGIN.length, to).trim();
}

/** The README with other figures. */
export function withFigures(readme: string, markdown: string): string {
  const shown = `${BEGIN}${readme.split(BEGIN)[1]!.split(END)[0]}${END}`;
  // A function, because `$` has a meaning in a replacement text.
  return readme.replace(shown, () => `${BEGIN}\n\n${markdown}\n\n${END}`);
}

/** Figures as Markdown, not formatted. */
export function figuresMarkdown(report: Report): string {
  const ours = report.rows.filter(({ program }) => program === THIS);
  const windows = ours.find((row) => row.case === PEERS_CASE);
  const peers = report.rows.filter((row) => row.case === PEERS_CASE && row.program !== THIS && row.program !== AGAINST);
  return [
    howMeasured(report, Math.min(...ours.map(({ runs }) => runs.length))),
    markdownTable(
      ["what is kept", "events/s", "CPU µs/event, marginal", "whole", "start-up CPU", "peak RSS", "latency p50 / p99"],
      ours.map((row) => [
        row.case,
        rate(row),
        `${ranged(row, "marginalUs")} / ${ranged(row, "databaseMarginalUs")}`,
        `${plain(row, "wholeUs")} / ${plain(row, "databaseWholeUs")}`,
        `${plain(row, "startSeconds")} s`,
        `${plain(row, "peakMb")} MB`,
        `${plain(row, "p50Ms")} ms / ${plain(row, "p99Ms")} ms`,
      ]),
    ),
    ...windows === undefined || peers.length === 0 ? [] : ofPeers(windows, peers),
  ].join("\n\n");
}

function howMeasured(report: Report, runs: number): string {
  const { load, live, machine } = report;
  return `${runs === 1 ? "One run" : `Medians of ${runs} runs (range in brackets)`} at commit ${report.commit}, on ` +
    `${machine.cores} cores that Kafka, PostgreSQL, the processor and the load generator share. ${noise(report)} ` +
    `The service reads ${withCommas(load.events)} events of ${
      withCommas(load.users)
    } users from the beginning of the ` +
    `topic. CPU µs/event are ours / PostgreSQL's. The marginal cost is the difference to a drain of the first ` +
    `${
      withCommas(load.smallEvents)
    } events alone, so it is without the start; the whole cost includes it. Latency is ` +
    `from sending an event to seeing it in the tables, at ${
      withCommas(live.perSecond)
    } events/s for ${live.seconds} s. After ` +
    `each drain, all tables were equal to the counts of what was sent.`;
}

function ofPeers(windows: Row, peers: readonly Row[]): string[] {
  const off = peers.map((row) => `${plain(row, "usersOff")} %`).join(" and ");
  return [
    "In the same run, other stream processors wrote the same windows from the same topic, and each of their rows was " +
    "compared with ours:",
    markdownTable(
      ["program", "events/s", "CPU µs/event, marginal", "whole", "first result", "peak RSS"],
      [windows, ...peers].map((row) => [
        row === windows ? "clickstream" : row.program,
        rate(row),
        `${plain(row, "marginalUs")} / ${plain(row, "databaseMarginalUs")}`,
        `${plain(row, "wholeUs")} / ${plain(row, "databaseWholeUs")}`,
        `${plain(row, "firstResultSeconds")} s`,
        `${plain(row, "peakMb")} MB`,
      ]),
    ),
    "The others do less work: they count duplicates, keep nothing of what they cannot read, and estimate distinct users " +
    `(in the average row ${off} off).`,
  ];
}

function plain(row: Row, name: FigureName): string {
  return spreadIn(row, name)?.median.toFixed(FIGURES[name].digits) ?? "–";
}

function ranged(row: Row, name: FigureName): string {
  return shown(spreadIn(row, name), FIGURES[name].digits) || "–";
}

function rate(row: Row): string {
  const spread = spreadIn(row, "perSecond");
  return spread === null ? "–" : withCommas(Math.round(spread.median / 1000) * 1000);
}

function markdownTable(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [heads, heads.map((_, i) => i === 0 ? "---" : "---:"), ...rows];
  return lines.map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

if (import.meta.main) {
  const report = JSON.parse(await Deno.readTextFile(BASELINE)) as Report;
  const readme = await Deno.readTextFile(README);
  await Deno.writeTextFile(README, withFigures(readme, figuresMarkdown(report)));
  await run(Deno.execPath(), ["fmt", "--quiet", fileURLToPath(README)]);
}
