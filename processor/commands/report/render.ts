/**
 * A summary as text, as the HTML of a mail, as JSON, and as a message of Slack.
 * @module
 */
import { jsonLine, visible } from "../../config/visible.ts";
import { priceDigits } from "../../currency.ts";
import type { Figure, Summary, Unit } from "./summary.ts";

/** The forms by name. */
export const FORMS = ["text", "html", "json", "slack"] as const;

/** The name of a form. */
export type Form = typeof FORMS[number];

/** Longest name that is shown whole, in UTF-16 code units. */
const LONGEST_NAME = 60;

/** Most characters of a block in Slack. */
const SLACK_CHARACTERS = 3_000;

/** The summary in a form. */
export function render(summary: Summary, form: Form): string {
  switch (form) {
    case "text":
      return text(summary);
    case "html":
      return html(summary);
    case "json":
      return `${jsonLine({ title: titleOf(summary), ...summary })}\n`;
    case "slack":
      return `${jsonLine(slack(summary))}\n`;
  }
}

function titleOf({ period: { name, from, to } }: Summary): string {
  const last = new Date(Date.parse(to) - 1).toISOString().slice(0, 10);
  return name === "daily" ? `The shop on ${from}` : `The shop from ${from} to ${last}`;
}

const BEFORE = { daily: "the day before", weekly: "the week before" } as const;

function text(summary: Summary): string {
  const heads = ["", "", "change", BEFORE[summary.period.name]];
  const parts = [
    aligned([heads, ...summary.figures.map(cellsIn(summary))]),
    ...summary.rankings.map(({ title, rows }) => [
      title,
      ...aligned(rows.map(cellsIn(summary))).map((line) => `  ${line}`),
    ]),
  ];
  return [[titleOf(summary)], ...parts].map((lines) => `${lines.join("\n")}\n`).join("\n");
}

/** Names to the left, numbers to the right. */
function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, n) => Math.max(...rows.map((row) => row[n]!.length)));
  return rows.map((row) =>
    row.map((cell, n) => n === 0 ? cell.padEnd(widths[n]!) : cell.padStart(widths[n]!)).join("  ")
  );
}

/** The cells of a figure of a summary; a name of the summary's own says which currency money is in. */
function cellsIn({ currency, figures }: Summary): (figure: Figure) => string[] {
  const digits = priceDigits(null, currency);
  return (figure) => {
    const { name, value, previous, unit } = figure;
    const isNamed = unit === "money" && currency !== null && figures.includes(figure);
    return [
      isNamed ? `${name}, ${currency}` : short(name),
      written(value, unit, digits),
      changeOf(figure),
      written(previous, unit, digits),
    ];
  };
}

function short(name: string): string {
  const shown = visible(name);
  return shown.length > LONGEST_NAME ? `${shown.slice(0, LONGEST_NAME - 1)}…` : shown;
}

function written(value: number | null, unit: Unit, moneyDigits: number): string {
  if (value === null) return "–";
  if (unit === "share") return `${(value * 100).toFixed(1)} %`;
  const digits = unit === "money" ? moneyDigits : 0;
  return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** In percent of what was before; of a share, in percentage points. */
function changeOf({ value, previous, unit }: Figure): string {
  if (value === null || previous === null) return "–";
  if (unit === "share") return `${signed((value - previous) * 100, 1)} pp`;
  if (previous === 0) return value === 0 ? "0 %" : "new";
  return `${signed((value / previous - 1) * 100, 0)} %`;
}

function signed(value: number, digits: number): string {
  const shown = value.toFixed(digits);
  return value > 0 && Number(shown) !== 0 ? `+${shown}` : shown.replace(/^-(0(?:\.0)?)$/, "$1");
}

const CELL = "padding:4px 12px 4px 0;border-bottom:1px solid #ddd;text-align:";

/** Styles stand in the elements, since mail programs ignore others. */
function html(summary: Summary): string {
  const row = (cells: readonly string[], tag: "td" | "th") =>
    `<tr>${
      cells.map((cell, n) => `<${tag} style="${CELL}${n === 0 ? "left" : "right"}">${escaped(cell)}</${tag}>`).join("")
    }</tr>`;
  const cells = cellsIn(summary);
  const heads = row(["", "", "Change", BEFORE[summary.period.name]], "th");
  const section = (title: string, rows: readonly Figure[]) =>
    `<h2 style="font-size:16px;margin:24px 0 8px">${escaped(title)}</h2>
<table style="border-collapse:collapse">${heads}${rows.map((figure) => row(cells(figure), "td")).join("")}</table>`;
  const title = escaped(titleOf(summary));
  const money = summary.currency === null ? "in the currency of the events" : `in ${summary.currency}`;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${title}</title></head>
<body style="font:14px sans-serif;color:#222">
<h1 style="font-size:20px">${title}</h1>
${section("In numbers", summary.figures)}
${summary.rankings.map(({ title, rows }) => section(title, rows)).join("\n")}
<p style="color:#666">Days are those of the time zone ${escaped(summary.timeZone)}. Revenue is ${money}.</p>
</body></html>
`;
}

const ESCAPES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (character) => ESCAPES[character]!);
}

/** The body of an incoming webhook. Texts stand in code blocks, where nothing is a link or a mention. */
function slack(summary: Summary): Record<string, unknown> {
  const title = titleOf(summary);
  const block = (lines: readonly string[]) => {
    const shown = lines.join("\n").replaceAll("```", "'''").replace(/[&<>]/g, (character) => ESCAPES[character]!);
    return { type: "section", text: { type: "mrkdwn", text: `\`\`\`${cut(shown)}\`\`\`` } };
  };
  return {
    text: title,
    blocks: [
      { type: "header", text: { type: "plain_text", text: title } },
      block(aligned(summary.figures.map(cellsIn(summary)))),
      ...summary.rankings.flatMap(({ title, rows }) => [
        { type: "section", text: { type: "mrkdwn", text: `*${title}*` } },
        block(aligned(rows.map(cellsIn(summary)))),
      ]),
    ],
  };
}

/** Whole lines, as many as a block may have. */
function cut(text: string): string {
  const most = SLACK_CHARACTERS - 6;
  return text.length <= most ? text : text.slice(0, text.lastIndexOf("\n", most));
}
