import assert from "node:assert/strict";
import { FILES } from "./artifacts.ts";
import { builtFiles, NotBuilt } from "./built.ts";

Deno.test("artifacts: a missing or an empty file is an error that names it", async () => {
  const folder = await Deno.makeTempDir({ prefix: "clickstream-built-" });
  try {
    const place = (name: string) => `${folder}/${name}`;
    for (const name of FILES) await Deno.writeTextFile(place(name), name);
    assert.equal((await builtFiles("arm64", place)).kafka.path, `${folder}/kafka`);
    await Deno.writeTextFile(place("dashboards"), "");
    await Deno.remove(place("kafka"));
    await assert.rejects(builtFiles("arm64", place), (error) => {
      assert.ok(error instanceof NotBuilt);
      assert.equal(error.message, "dashboards is empty, kafka is missing: ./deno task artifacts builds them");
      return true;
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
