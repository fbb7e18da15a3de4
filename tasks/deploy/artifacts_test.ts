import assert from "node:assert/strict";
import { setTimeout } from "node:timers/promises";
import { type FileName, FILES } from "../../infra/artifacts.ts";
import { download, downloadOf, makeArtifact, put } from "./artifacts.ts";

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

Deno.test("artifacts: every download is pinned for both architectures, and another file is refused", async () => {
  const downloads = FILES.flatMap((name) =>
    (["arm64", "x86_64"] as const).map((architecture) => downloadOf(name, architecture))
  ).filter((download) => download !== null);
  assert.equal(downloads.length, 8);
  assert.equal(new Set(downloads.map(({ sha256 }) => sha256)).size, 8);
  for (const { archive, sha256 } of downloads) {
    assert.match(archive, /^https:.*-(arm64|amd64)\.tar\.gz$/);
    assert.match(sha256, /^[0-9a-f]{64}$/);
  }
  await using server = Deno.serve({ port: 0, onListen: () => {} }, () => new Response("exchanged"));
  const archive = `http://localhost:${server.addr.port}/prometheus.tar.gz`;
  await assert.rejects(download({ archive, sha256: downloads[0]!.sha256 }), /and [0-9a-f]{64} is pinned/);
  const sha256 = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode("exchanged"))).toHex();
  assert.equal(new TextDecoder().decode(await download({ archive, sha256 })), "exchanged");
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
