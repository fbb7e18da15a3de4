import assert from "node:assert/strict";
import { busySeconds, calibrate, treeCpuSeconds, watchLoad } from "./usage.ts";

Deno.test("busy time is all but idling and waiting for disks", () => {
  const stat = "cpu  100 200 300 9000 8000 10 20 30 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n";
  assert.equal(busySeconds(stat), 6.6);
});

Deno.test("work of this process is its own, and takes CPU time", async () => {
  const before = await treeCpuSeconds(Deno.pid);
  const end = await watchLoad();
  const sinceMs = performance.now();
  const calibrationMs = calibrate();
  const { othersCores, loadAverage } = await end();
  assert.ok(calibrationMs > 10);
  // Ticks are 10 ms.
  assert.ok(await treeCpuSeconds(Deno.pid) - before > calibrationMs / 1000 - 0.03);
  const cores = navigator.hardwareConcurrency;
  const ownCores = calibrationMs / (performance.now() - sinceMs);
  assert.ok(othersCores <= cores - ownCores + 0.3, `${othersCores} of ${cores} cores beside ${ownCores}`);
  assert.ok(loadAverage >= 0);
});
