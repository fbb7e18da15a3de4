/**
 * The list of panels in docs/dashboards.md: what feeds each panel, and its query times.
 * @module
 */
import type { Dashboard } from "@grafana/grafana-foundation-sdk/dashboard";
import { feedsOf, panelsOf } from "./expand.ts";

/** Query time of a panel in milliseconds, by number of days; null where it was not measured. */
export type Took = (dashboard: string, panel: string) => readonly (number | null)[];

const MARKS = ["<!-- panels -->\n", "<!-- /panels -->"] as const;

/** Replaces the list between the markers of a page. */
export function withList(page: string, list: string): string {
  const [begin, end] = [page.indexOf(MARKS[0]), page.indexOf(MARKS[1])];
  if (begin < 0 || end < begin) throw new RangeError(`the page has no place for the list: ${MARKS.join("… ")}`);
  return `${page.slice(0, begin + MARKS[0].length)}\n${list}\n${page.slice(end)}`;
}

/** Returns the list of a page. */
export function listIn(page: string): string {
  return page.slice(page.indexOf(MARKS[0]) + MARKS[0].length, page.indexOf(MARKS[1])).trim();
}

/** Formats the list as the formatter would, with one table per dashboard. */
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

/** The panels of a list and what feeds them, without their query times. */
export function fedIn(list: string): string[] {
  return list.split("\n").filter((line) => line.startsWith("|") && !/^\| -/.test(line))
    .map((line) => line.split("|").slice(1, 3).map((cell) => cell.trim()).join(": "));
}

/** Formats a Markdown table as the formatter would. Columns from index `numbersFrom` on are numbers. */
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
