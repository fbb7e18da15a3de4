import assert from "node:assert/strict";
import { comparedInRun, comparedWith, findingsTable } from "./compare.ts";
import { AGAINST, type FigureName, type Report, type Run, THIS } from "./figures.ts";

const RUN = { marginalUs: 2, wholeUs: 3, perSecond: 1000, peakMb: 100, p99Ms: 50, calibrationMs: 10 } as const;

/** A report with the runs of one case by program. */
function report(programs: Readonly<Record<string, readonly Run[]>>, events = 1000): Report {
  return {
    date: "2026-11-29T12:00:00.000Z",
    commit: "0123456789ab",
    machine: { cores: 2, model: "x", memoryMb: 4000 },
    load: { events, smallEvents: 100, users: 10, partitions: 1, shop: false },
    live: { perSecond: 2000, seconds: 10 },
    rows: Object.entries(programs).map(([program, runs]) => ({ case: "windows", program, runs })),
  };
}

Deno.test("15 % worse than the other version in the same run is found", () => {
  const cases: readonly (readonly [change: Run, worse: readonly FigureName[]])[] = [
    [{}, []],
    [{ marginalUs: 2.28 }, []],
    [{ marginalUs: 2.32 }, ["marginalUs"]],
    [{ marginalUs: 1 }, []],
    [{ perSecond: 900 }, []],
    [{ perSecond: 860 }, ["perSecond"]],
    [{ perSecond: 2000 }, []],
    [{ peakMb: 120, wholeUs: 4 }, ["wholeUs", "peakMb"]],
    // Latencies vary too much to be judged.
    [{ p99Ms: 500 }, []],
  ];
  for (const [change, worse] of cases) {
    const findings = comparedInRun(report({ [THIS]: [{ ...RUN, ...change }], [AGAINST]: [RUN] }));
    assert.equal(findings.length, 4);
    assert.deepEqual(findings.flatMap(({ figure, isWorse }) => isWorse ? figure : []), worse, JSON.stringify(change));
  }
});

Deno.test("a slow round slows both versions, and one odd run decides nothing", () => {
  const slow = { ...RUN, marginalUs: 6 };
  const found = (ours: readonly Run[], theirs: readonly Run[]) =>
    comparedInRun(report({ [THIS]: ours, [AGAINST]: theirs })).some(({ isWorse }) => isWorse);
  assert.equal(found([RUN, slow, slow], [RUN, slow, slow]), false);
  assert.equal(found([RUN, slow, RUN], [RUN, RUN, RUN]), false);
  assert.equal(found([slow, RUN, slow], [RUN, RUN, RUN]), true);
});

Deno.test("CPU times of another machine are compared by its calibration, memory as it is, rates not at all", () => {
  const then = report({ [THIS]: [RUN] });
  // A machine of half the speed.
  const slower = { ...RUN, marginalUs: 4, wholeUs: 6, perSecond: 500, calibrationMs: 20 };
  const findings = comparedWith(report({ [THIS]: [slower] }), then);
  assert.deepEqual(findings.map(({ figure, ratio, isWorse }) => [figure, ratio.median, isWorse]), [
    ["marginalUs", 1, false],
    ["wholeUs", 1, false],
    ["peakMb", 1, false],
  ]);
  const worse = comparedWith(report({ [THIS]: [{ ...slower, marginalUs: 4.8, peakMb: 116 }] }), then);
  assert.deepEqual(worse.map(({ isWorse }) => isWorse), [true, false, true]);
  assert.throws(() => comparedWith(report({ [THIS]: [RUN] }, 2000), then), /the loads differ/);
});

Deno.test("a comparison of nothing is an error, not a success", () => {
  const ours = report({ [THIS]: [RUN] });
  assert.throws(() => comparedInRun(ours), /no case/);
  assert.throws(() => comparedWith(ours, report({})), /no case/);
});

Deno.test("a case that the other version does not have is left out of the comparison", () => {
  const [ours, theirs] = [report({ [THIS]: [RUN], [AGAINST]: [RUN] }), report({ [THIS]: [RUN] })];
  const more = { ...ours, rows: [...ours.rows, { case: "declared views", program: THIS, runs: [RUN] }] };
  assert.deepEqual(comparedInRun(more), comparedInRun(ours));
  assert.deepEqual(comparedWith(more, theirs), comparedWith(ours, theirs));
});

Deno.test("the verdict names what is worse", () => {
  const of = (marginalUs: number) =>
    findingsTable(comparedInRun(report({ [THIS]: [{ marginalUs }], [AGAINST]: [{ marginalUs: 2 }] })));
  assert.match(of(2).join("\n"), /1\.00 +✓\n\nNone of 1 figures is more than 15 % worse\.$/);
  assert.match(of(3).join("\n"), /CPU µs\/event, marginal +1\.50 +✗\n\n1 of 1 figures are more than 15 % worse\.$/);
});
