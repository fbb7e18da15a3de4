import assert from "node:assert/strict";
import { setTimeout } from "node:timers/promises";
import type { FileName } from "../../infra/artifacts.ts";
import { makeArtifact, put, sumOf } from "./artifacts.ts";

/** What is built from these sources alone; tasks/build_test.ts builds the binary twice. */
const BUILT: readonly FileName[] = [
  ...["generator", "rds-ca", "dashboards", "host-kafka", "host-processor", "host-monitoring"] as const,
];

Deno.test("artifacts: two builds give the same bytes, so that nothing unchanged is deployed again", async () => {
  const folder = await Deno.makeTempDir({ prefix: "clickstream-artifacts-" });
  try {
    const build = async (place: string) => {
      for (const name of BUILT) await makeArtifact(name, "arm64", `${folder}/${place}/${name}`);
      return await Promise.all(BUILT.map((name) => Deno.readFile(`${folder}/${place}/${name}`)));
    };
    const first = await build("first");
    // Archives have times in seconds, or in two seconds.
    await setTimeout(2100);
    const second = await build("second");
    BUILT.forEach((name, i) => assert.deepEqual(second[i], first[i], name));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("artifacts: a file's checksum is found in what its maker publishes", () => {
  const list = `${"1".repeat(64)}  a.tar.gz\n${"2".repeat(64)} *b.tar.gz\n`;
  assert.equal(sumOf(list, "a.tar.gz"), "1".repeat(64));
  assert.equal(sumOf(list, "b.tar.gz"), "2".repeat(64));
  assert.equal(sumOf(list, "c.tar.gz"), undefined);
  assert.equal(sumOf(`${"3".repeat(64)}\n`, "c.tar.gz"), "3".repeat(64));
  assert.equal(sumOf(`${"3".repeat(64)}  other\n`, "c.tar.gz"), undefined);
});

Deno.test("artifacts: an empty or an unfinished file never takes its place", async () => {
  const folder = await Deno.makeTempDir({ prefix: "clickstream-artifacts-" });
  const path = `${folder}/kafka`;
  try {
    await put(path, async (part) => await Deno.writeTextFile(part, "whole"));
    await assert.rejects(put(path, async (part) => await Deno.writeTextFile(part, "")), /kafka came out empty/);
    const interrupted = async (part: string) => {
      await Deno.writeTextFile(part, "ha");
      throw new Error("interrupted");
    };
    await assert.rejects(put(path, interrupted), /interrupted/);
    assert.equal(await Deno.readTextFile(path), "whole");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
