import assert from "node:assert/strict";
import { VIEWS } from "../views/mod.ts";
import { workerLimits } from "./memory.ts";

const windows = VIEWS.filter(({ by }) => !by.includes("user"));

Deno.test("commits are larger the more memory there is, up to half a million records", () => {
  const records = [300, 400, 512, 4096].map((memoryMb) =>
    workerLimits({ memoryMb, workers: 1, views: VIEWS, storeEvents: true }).records
  );
  assert.deepEqual(records, [...records].sort((a, b) => a - b));
  assert.ok(records[0]! >= 16_384, `${records[0]} records with the least memory`);
  assert.ok(records[2]! > records[1]!);
  assert.equal(records[3], 524_288);
});

Deno.test("commits are smaller if a record keeps more in memory: rows by user, or the event itself", () => {
  const records = (views: typeof VIEWS, storeEvents: boolean) =>
    workerLimits({ memoryMb: 320, workers: 1, views, storeEvents }).records;
  assert.ok(records(windows, false) > records(windows, true));
  assert.ok(records(windows, false) > records(VIEWS, false));
  assert.ok(records(VIEWS, false) > records(VIEWS, true));
});

Deno.test("workers share the memory and the records", () => {
  const limits = (workers: number, memoryMb: number) =>
    workerLimits({ memoryMb, workers, views: VIEWS, storeEvents: false });
  assert.equal(limits(4, 16_384).records, 524_288 / 4);
  assert.ok(limits(2, 512).records < limits(1, 512).records);
  assert.ok(limits(2, 512).textBytes < limits(1, 512).textBytes);
});

Deno.test("ids have what the program and commits leave, shared by the workers", () => {
  const ids = (memoryMb: number, workers: number) =>
    workerLimits({ memoryMb, workers, views: VIEWS, storeEvents: true }).idsBytes / 1e6;
  assert.deepEqual([[300, 1], [300, 2], [1030, 1], [1030, 2]].map(([mb, workers]) => Math.round(ids(mb!, workers!))), [
    ...[20, 16, 520, 210],
  ]);
});

Deno.test("however much memory there is, the texts of a commit fit into the kernel", () => {
  const texts = (memoryMb: number) => workerLimits({ memoryMb, workers: 1, views: VIEWS, storeEvents: true }).textBytes;
  assert.ok(texts(300) < texts(512));
  assert.equal(texts(65_536), 64e6);
});
