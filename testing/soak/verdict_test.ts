import assert from "node:assert/strict";
import { plot } from "./plot.ts";
import { parseMetrics, type Sample, sumOf, type TableSize } from "./sample.ts";
import { findingsTable, judge, perRow } from "./verdict.ts";

/** A table of as many rows as there are events, 200 bytes each. */
function sizeAt(seconds: number): TableSize {
  const liveRows = 100_000 + seconds * 500;
  return { liveRows, deadRows: 100, tableBytes: liveRows * 150, indexBytes: liveRows * 50 };
}

/** An hour of samples without a fault: memory that varies by 2 %, and one handle that comes and goes. */
function samplesOf(change: (sample: Sample, share: number) => Partial<Sample> = () => ({})): Sample[] {
  return Array.from({ length: 240 }, (_, n) => {
    const seconds = (n + 1) * 15;
    const sample: Sample = {
      ...{ seconds, rssMb: 150 + n % 3, privateMb: 100, handles: 40 + n % 2, threads: 12, cpuSeconds: seconds / 50 },
      ...{ heapMb: 20 + n % 7, buffersMb: 2, kernelMb: 30, lag: n % 5 * 100, sent: seconds * 500 },
      ...{ consumed: seconds * 500, commits: seconds, restarts: 0, commitMs: { mean: 9, p99: 25 } },
      ...{ backends: 1, backendsMb: 12, tables: { events: sizeAt(seconds) } },
    };
    return { ...sample, ...change(sample, n / 239) };
  });
}

const failures = (samples: readonly Sample[]) =>
  judge(samples).filter(({ isWithin }) => !isWithin).map(({ what }) => what);

Deno.test("a service that stays flat is within every bound", () => {
  assert.deepEqual(failures(samplesOf()), []);
});

Deno.test("a table that grows with what is sent is flat; memory that a warm-up takes counts for nothing", () => {
  assert.deepEqual(failures(samplesOf(({ rssMb }, share) => ({ rssMb: share < 0.24 ? 80 : rssMb }))), []);
});

/** A table of few rows that each commit writes again, and that grows by a share besides. */
function rewritten(commitsPerSecond: number, share = 0): TableSize {
  return { liveRows: 100, deadRows: 400, tableBytes: commitsPerSecond * 15_000_000 * (1 + share), indexBytes: 16_384 };
}

Deno.test("a table that each commit writes again may be larger while there are more commits", () => {
  // Four commits a second, and eight in the second half.
  const samples = samplesOf(({ seconds }) => ({
    commits: 4 * seconds + 4 * Math.max(0, seconds - 1800),
    tables: { active_users: rewritten(seconds <= 1800 ? 4 : 8) },
  }));
  assert.deepEqual(failures(samples), []);
});

Deno.test("each leak is found, and named alone", () => {
  const leaks: readonly (readonly [what: string, change: Parameters<typeof samplesOf>[0]])[] = [
    ["RSS", ({ rssMb }, share) => ({ rssMb: rssMb * (1 + share * 0.12) })],
    ["handles", ({ handles }, share) => ({ handles: handles + Math.floor(share * 6) })],
    ["threads", ({ threads }, share) => ({ threads: threads + Math.floor(share * 2) })],
    ["private memory of PostgreSQL's backends", ({ backendsMb }, share) => ({ backendsMb: backendsMb + share * 10 })],
    ["events, table and indexes per row", ({ seconds }, share) => {
      const size = sizeAt(seconds);
      return { tables: { events: { ...size, indexBytes: size.indexBytes * (1 + share * 0.6) } } };
    }],
    ["events, dead rows", ({ seconds }) => {
      const size = sizeAt(seconds);
      return { tables: { events: { ...size, deadRows: size.liveRows * 0.6 } } };
    }],
    ["active_users, table and indexes per commit/s", (_, share) => ({ tables: { active_users: rewritten(8, share) } })],
    ["lag", ({ lag }, share) => ({ lag: lag + share * 10_000 })],
  ];
  for (const [what, change] of leaks) assert.deepEqual(failures(samplesOf(change)), [what]);
});

Deno.test("the table says which bound does not hold", () => {
  const lines = findingsTable(judge(samplesOf(({ rssMb }, share) => ({ rssMb: rssMb * (1 + share) }))));
  const [line] = lines.filter((line) => line.includes("✗"));
  assert.match(line!, /^RSS, MB +20\d +28\d +at most 5 % more +✗$/);
  assert.equal(perRow({ liveRows: 0, deadRows: 5, tableBytes: 8192, indexBytes: 0 }), 0);
});

Deno.test("the drawing has a line for each figure, without holes, for light and dark pages", () => {
  const svg = plot(samplesOf(({ commitMs }, share) => ({ commitMs: share < 0.5 ? null : commitMs })), "A <title>");
  assert.match(svg, /prefers-color-scheme: dark/);
  assert.match(svg, /A &lt;title>/);
  assert.doesNotMatch(svg, /NaN|Infinity|undefined/);
  const paths = [...svg.matchAll(/class="line c\d" d="([^"]*)"/g)].map(([, d]) => d!);
  assert.ok(paths.length >= 8);
  // At most 240 points; those of the commits begin in the middle.
  for (const d of paths.filter((d) => d !== "")) assert.match(d, /^M\d+\.\d \d+\.\d(L\d+\.\d \d+\.\d){100,239}$/);
  assert.ok(svg.length < 100_000, `${svg.length} bytes`);
});

Deno.test("reads Prometheus' text", () => {
  const metrics = parseMetrics('# HELP a b\na 1\nb{x="1 2"} 3\nb{x="y"} 4.5\n\nba 9\n');
  assert.equal(metrics.get("a"), 1);
  assert.equal(metrics.get('b{x="1 2"}'), 3);
  assert.equal(sumOf(metrics, "b"), 7.5);
});
