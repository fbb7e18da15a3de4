import assert from "node:assert/strict";
import { AGAINST, caseTable, type Drained, figuresOf, noise, ratioIn, type Report, type Row, THIS } from "./figures.ts";

const row = (program: string, ...marginal: readonly (number | undefined)[]): Row => ({
  case: "windows",
  program,
  runs: marginal.map((marginalUs) => marginalUs === undefined ? {} : { marginalUs }),
});

const report = (...rows: readonly Row[]): Report => ({
  date: "2026-11-29T12:00:00.000Z",
  commit: "0123456789ab",
  machine: { cores: 2, model: "x", memoryMb: 4000 },
  load: { events: 1000, smallEvents: 100, users: 10, partitions: 1, shop: false },
  live: { perSecond: 2000, seconds: 10 },
  rows,
});

Deno.test("figures of a run keep the start apart, for us and for PostgreSQL", () => {
  const drained: Drained = {
    events: 100_000,
    cpuSeconds: 0.7,
    databaseCpuSeconds: 0.3,
    perSecond: null,
    firstResultSeconds: 1,
    peakMb: 100,
  };
  const full = { ...drained, events: 1_100_000, cpuSeconds: 2.7, databaseCpuSeconds: 4.3, peakMb: 200 };
  const { perSecond, ...figures } = figuresOf(drained, full);
  const rounded = Object.entries(figures).map(([name, figure]) => [name, Number(figure.toFixed(3))]);
  assert.deepEqual(Object.fromEntries(rounded), {
    marginalUs: 2,
    wholeUs: 2.455,
    startSeconds: 0.5,
    databaseMarginalUs: 4,
    databaseWholeUs: 3.909,
    firstResultSeconds: 1,
    peakMb: 200,
  });
  assert.equal(perSecond, undefined);
  assert.equal(figuresOf(drained, { ...full, perSecond: 5 }).perSecond, 5);
});

Deno.test("a ratio is that of the runs in the same round", () => {
  // The machine was twice as slow in the second round; the versions still differ by the same factor.
  assert.deepEqual(ratioIn(row(THIS, 1, 2, 1), row(AGAINST, 2, 4, 2), "marginalUs"), {
    median: 0.5,
    min: 0.5,
    max: 0.5,
  });
  assert.deepEqual(ratioIn(row(THIS, 1, undefined, 3), row(AGAINST, 2, 4, 2), "marginalUs"), {
    median: 1,
    min: 0.5,
    max: 1.5,
  });
  assert.equal(ratioIn(row(THIS, 1), row(AGAINST, 0), "marginalUs"), null);
});

Deno.test("the table of a case has a column for each program, and ratios", () => {
  const lines = caseTable(report(row(THIS, 1, 1.5, 1.25), row(AGAINST, 2, 3, 5)), "windows");
  assert.deepEqual(lines.map((line) => line.replaceAll(/ {2,}/g, " | ")), [
    "windows | this | against | ÷ this",
    "CPU µs/event, marginal | 1.25 (1.00–1.50) | 3.00 (2.00–5.00) | 2.00 (2.00–4.00)",
  ]);
});

Deno.test("a report says when other processes disturbed it", () => {
  const disturbed = (othersCores: number) =>
    noise(report({ ...row(THIS), runs: [{ othersCores, loadAverage: 3 }, { othersCores, loadAverage: 5 }] }));
  assert.equal(
    disturbed(0.1),
    "Quiet: other processes used 0.10 of 2 cores, load average 4.0 (3.0–5.0).",
  );
  assert.match(disturbed(0.5), /^NOISY: other processes used 0\.50 of 2 cores, .+ Ratios within this run /);
  assert.match(noise(report()), /unknown/);
});
