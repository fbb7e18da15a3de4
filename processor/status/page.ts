/**
 * The status page: what a running processor says of itself, for people.
 * @module
 */
import type { StatusReport } from "./report.ts";

/** The page as HTML, without scripts or styles. */
export function statusPage(report: StatusReport): string {
  const { state, reason, topic, instance, version, totals, lastCommit, partitions } = report;
  const facts: [string, string][] = [
    ["state", reason === null ? state : `${state}: ${reason}`],
    ["topic", topic],
    ["instance", instance],
    ["version", version],
    ["running since", report.startedAt],
    ["stored", String(totals.stored)],
    ["duplicates", String(totals.duplicates)],
    ["refused", String(totals.refused)],
    ["last commit", lastCommit === null ? "none yet" : `${lastCommit.at}, ${lastCommit.records} records`],
  ];
  const rows = partitions.map(({ partition, next, lag, watermark }) =>
    `<tr>${
      [partition, next ?? "–", lag ?? "–", watermark ?? "–"].map((cell) => `<td>${escaped(String(cell))}</td>`).join("")
    }</tr>`
  );
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="color-scheme" content="light dark"><title>clickstream: ${state}</title></head>
<body>
<h1>clickstream</h1>
<dl>
${facts.map(([name, value]) => `<dt>${name}</dt><dd>${escaped(value)}</dd>`).join("\n")}
</dl>
<table>
<thead><tr><th>partition</th><th>next offset</th><th>lag</th><th>watermark</th></tr></thead>
<tbody>
${rows.join("\n")}
</tbody>
</table>
<p><a href="/api/status">/api/status</a> <a href="/metrics">/metrics</a> <a href="/ready">/ready</a> <a href="/health">/health</a></p>
</body>
</html>
`;
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

function escaped(text: string): string {
  return text.replaceAll(/[&<>"']/g, (sign) => ENTITIES[sign]!);
}
