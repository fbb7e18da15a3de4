/**
 * The list of panels in docs/dashboards.md: what feeds each, and how long its answer takes.
 * @module
 */
import type { Dashboard } from "@grafana/grafana-foundation-sdk/dashboard";
import { feedsOf, panelsOf } from "./expand.ts";

/** Milliseconds that a panel took over each number of days; null where it was not timed. */
export type Took = (dashboard: string, panel: string) => readonly (number | null)[];

const MARKS = ["<!-- panels -->\n", "<!-- /panels -->"] as const;

/** A page with the list in the place that is marked for it. */
export function withList(page: string, list: string): string {
  const [begin, end] = [page.indexOf(MARKS[0]), page.indexOf(MARKS[1])];
  if (begin < 0 || end < begin) throw new RangeError(`the page has no place for the list: ${MARKS.join("… ")}`);
  return `${page.slice(0, begin + MARKS[0].length)}\n${list}\n${page.slice(end)}`;
}

/** The list that a page has. */
export function listIn(page: string): string {
  return page.slice(page.indexOf(MARKS[0]) + MARKS[0].length, page.indexOf(MARKS[1])).trim();
}

/** The list, a table a dashboard, as the formatter would write it. */
export function panelList(dashboards: readonly Dashboard[], days: readonly number[], took: Took): string {
  return dashboards.map((dashboard) => {
    const rows = panelsOf(dashboard).map((panel) => {
      const times = took(dashboard.title!, panel.title!).map((ms) => ms === null ? "" : ms.toFixed(0));
      return [panel.title!, feedsOf(panel).map((name) => `\`${name}\``).join(", "), ...times];
    });
    const head = [dashboard.title!, "fed by", ...days.map((n) => n === 1 ? "a day, ms" : `${n} days, ms`)];
    return markdownTable(head, rows, 2);
  }).join("\n");
}

/** The panels of a list with what feeds them, without how long they took. */
export function fedIn(list: string): string[] {
  return list.split("\n").filter((line) => line.startsWith("|") && !/^\| -/.test(line))
    .map((line) => line.split("|").slice(1, 3).map((cell) => cell.trim()).join(": "));
}

/** A table in Markdown as the formatter would write it, with numbers in the columns from `numbersFrom` on, counted from 0. */
export function markdownTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  numbersFrom = Infinity,
): string {
  const widths = head.map((title, n) => Math.max(title.length, ...rows.map((row) => row[n]!.length)));
  const isNumber = (n: number) => n >= numbersFrom;
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, n) => isNumber(n) ? cell.padStart(widths[n]!) : cell.padEnd(widths[n]!)).join(" | ")} |\n`;
  const rule = widths.map((width, n) => isNumber(n) ? `${"-".repeat(width - 1)}:` : "-".repeat(width));
  return [head, rule, ...rows].map(line).join("");
}
