/**
 * The runbook as a dashboard, so that an alert's link leads to its section wherever Grafana is. It is written from
 * docs/debugging.md.
 * @module
 */
import type { Builder } from "@grafana/grafana-foundation-sdk/cog";
import { type Dashboard, DashboardBuilder, type Panel } from "@grafana/grafana-foundation-sdk/dashboard";
import { PanelBuilder as Text, TextMode } from "@grafana/grafana-foundation-sdk/text";
import debugging from "../docs/debugging.md" with { type: "text" };
import { type Alert, ALERTS, RUNBOOK_UID, runbookPanelOf, runbookUrlOf } from "./prometheus/alerts.ts";

/** Characters in a line of a panel as wide as a page of 1,440 pixels. */
const LINE = 170;

/** Pixels of a row of Grafana's grid, and of a panel's title and edges. */
const ROW_PX = 38;
const EDGES_PX = 60;

/** Sections by the anchors of their headings. */
const SECTIONS: ReadonlyMap<string, { readonly title: string; readonly text: string }> = new Map(
  debugging.split(/^## /m).slice(1).map((section) => {
    const end = section.indexOf("\n");
    const title = section.slice(0, end);
    return [anchorOf(title), { title, text: section.slice(end).trim() }];
  }),
);

/** The anchor of a heading. */
function anchorOf(heading: string): string {
  return heading.toLowerCase().replaceAll(/[^\p{L}\p{N}\s_-]/gu, "").replaceAll(/\s/g, "-");
}

/** Links lead to panels, wherever below its host Grafana is; where there is none, the text stays. */
function withLinks(text: string): string {
  return text.replaceAll(/\[([^\]]+)\]\(([^)]+)\)/g, (_, words: string, target: string) => {
    const alert = ALERTS.find(({ runbook }) => target === `#${runbook}`);
    if (alert !== undefined) return `[${words}](${runbookUrlOf(alert, "").slice(1)})`;
    return target.startsWith("#") ? words : `${words} (docs/${target})`;
  });
}

function panelOf(alert: Alert): Builder<Panel> {
  const section = SECTIONS.get(alert.runbook);
  if (section === undefined) throw new RangeError(`docs/debugging.md has no section for ${alert.name}`);
  return new Text().title(section.title).id(runbookPanelOf(alert)).mode(TextMode.Markdown)
    .content(withLinks(section.text));
}

/** Pixels of a block of Markdown between blank lines; `testing/drawing/` notices if they are too few. */
function pixelsOf(block: string): number {
  if (block.startsWith("```")) return 20 * block.split("\n").length + 20;
  if (block.startsWith("|")) {
    const rows = block.split("\n").map((row) => row.replaceAll(/ {2,}/g, " "));
    return rows.reduce((sum, { length }) => sum + (length > LINE - 50 ? 58 : 36), 0);
  }
  const items = block.split(/\n(?=- )/);
  return items.reduce((sum, { length }) => sum + 24 * Math.ceil(length / LINE), 16);
}

/** Height of a text in rows of the grid. */
function heightOf(text: string): number {
  const pixels = text.split(/\n{2,}/).reduce((sum, block) => sum + pixelsOf(block), EDGES_PX);
  return Math.ceil(pixels / ROW_PX);
}

function placed(): Panel[] {
  let y = 0;
  return ALERTS.map((alert) => {
    const panel = panelOf(alert).build();
    const h = heightOf(SECTIONS.get(alert.runbook)!.text);
    const gridPos = { x: 0, y, w: 24, h };
    y += h;
    return { ...panel, gridPos };
  });
}

/** The dashboard *Clickstream Runbook*. */
export const RUNBOOK: Dashboard = {
  ...new DashboardBuilder("Clickstream Runbook").uid(RUNBOOK_UID).tags(["clickstream"]).timezone("utc")
    .description("For each alert: what it means, and what to type. All times are UTC.").build(),
  schemaVersion: 39,
  panels: placed(),
};
