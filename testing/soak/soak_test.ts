/**
 * A soak of seconds, on real servers: it measures, maintains and compares like one of hours. A leak that is planted into
 * its samples is judged.
 */
import assert from "node:assert/strict";
import { comparison } from "../../processor/commands/demo/figures.ts";
import type { Sample } from "./sample.ts";
import { soak } from "./soak.ts";
import { judge } from "./verdict.ts";

// The clients leave timers behind.
Deno.test(
  "a short soak has true samples and exact tables",
  { sanitizeOps: false, sanitizeResources: false },
  async () => {
    const heard: Sample[] = [];
    const said: string[] = [];
    const { samples, compared } = await soak({
      ...{ rate: 400, seconds: 10, seed: 7, sampleMs: 400, maintainMs: 3000, signal: new AbortController().signal },
      sampled: (sample) => void heard.push(sample),
      say: (line) => void said.push(line),
    });
    assert.ok(compared.every(({ made, stored }) => made === stored), comparison(compared).join("\n"));
    assert.deepEqual(heard, samples);
    assert.ok(samples.length >= 16, `${samples.length} samples`);
    const last = samples.at(-1)!;
    assert.ok(last.rssMb > 40 && last.handles > 10 && last.threads > 2 && last.heapMb > 1 && last.kernelMb > 1);
    assert.ok(last.backends >= 1 && last.backendsMb > 1 && last.commits > 5 && last.sent > 3000);
    assert.ok(last.tables["events"]!.indexBytes > 0 && last.tables["sessions"]!.liveRows > 0);
    assert.ok(samples.some(({ commitMs }) => commitMs !== null && commitMs.mean > 0 && commitMs.p99 >= 1));
    // The last run deletes what is left of the old stream.
    assert.ok(
      said.length >= 3 && said.some((line) => /deleted expired rows: .*of sessions/.test(line)),
      said.join("\n"),
    );
    const leaking = samples.map((sample, n) => ({ ...sample, rssMb: 100 + n, handles: 40 }));
    const failed = judge(leaking).filter(({ isWithin }) => !isWithin).map(({ what }) => what);
    assert.ok(failed.includes("RSS") && !failed.includes("handles"), failed.join());
  },
);
