import assert from "node:assert/strict";
import { PEERS_CASE, type Report, type Run, THIS } from "./figures.ts";
import { BASELINE, figuresIn, figuresMarkdown, withFigures } from "./readme.ts";

/** The text without what the formatter decides: line breaks, and widths of columns. */
function unformatted(markdown: string): string {
  return markdown.replaceAll(/-{3,}/g, "---").replaceAll(/\s+/g, " ");
}

const baseline = JSON.parse(await Deno.readTextFile(BASELINE)) as Report;

Deno.test("the figures of the README are those of bench/baseline.json", async () => {
  const readme = await Deno.readTextFile(new URL("../README.md", import.meta.url));
  const made = unformatted(figuresMarkdown(baseline));
  assert.equal(unformatted(figuresIn(readme)), made, "run ./deno task bench:readme");
});

Deno.test("the README shows medians, ranges and peers, but not another version", () => {
  const run: Run = { marginalUs: 1.5, databaseMarginalUs: 0.8, perSecond: 123_456, usersOff: 1.2 };
  const rows = [
    { case: PEERS_CASE, program: THIS, runs: [run, { ...run, marginalUs: 1.25 }, { ...run, marginalUs: 2 }] },
    { case: PEERS_CASE, program: "against", runs: [run] },
    { case: PEERS_CASE, program: "Spark", runs: [{ ...run, marginalUs: 45 }] },
    { case: "all views", program: THIS, runs: [run, run, run] },
  ];
  const markdown = figuresMarkdown({ ...baseline, rows });
  assert.match(markdown, /^Medians of 3 runs/);
  assert.match(markdown, /^\| windows only \| 123,000 \| 1\.50 \(1\.25–2\.00\) \/ 0\.80 \| – \/ – \|/m);
  assert.match(markdown, /^\| Spark \| 123,000 \| 45\.00 \/ 0\.80 \|/m);
  assert.match(markdown, /average row 1\.2 % off/);
  assert.doesNotMatch(markdown, /against/);
  assert.doesNotMatch(figuresMarkdown({ ...baseline, rows: rows.slice(0, 2) }), /other stream processors/);
});

Deno.test("new figures take the place of the old ones, whatever characters they have", async () => {
  const readme = await Deno.readTextFile(new URL("../README.md", import.meta.url));
  for (const markdown of ["| $& | $1 |", ""]) {
    const changed = withFigures(readme, markdown);
    assert.equal(figuresIn(changed), markdown);
    assert.equal(unformatted(withFigures(changed, figuresIn(readme))), unformatted(readme));
  }
});

Deno.test("a README without a place for the figures is an error", () => {
  assert.throws(() => figuresIn("# clickstream"), /must have the lines/);
});
